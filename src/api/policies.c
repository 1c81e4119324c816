/*-------------------------------------------------------------------------
 *
 * policies.c
 *	  The functions that register scheduling policies.
 *
 * IDENTIFICATION
 *	  src/api/policies.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "api/arguments.h"
#include "command/policy_store.h"

PG_FUNCTION_INFO_V1(cmdsched_register_policy);
PG_FUNCTION_INFO_V1(cmdsched_unregister_policy);

Datum
cmdsched_register_policy(PG_FUNCTION_ARGS)
{
	text *name;

	cmdsched_argument_prevent_on_standby("cmdsched.register_policy()");
	name = cmdsched_argument_get_name(fcinfo, 0, "name", false);
	cmdsched_argument_check_not_null(fcinfo, 1, "function");
	cmdsched_policy_check_function(PG_GETARG_OID(1));
	cmdsched_policy_register(name, PG_GETARG_OID(1));
	PG_RETURN_VOID();
}

Datum
cmdsched_unregister_policy(PG_FUNCTION_ARGS)
{
	cmdsched_argument_prevent_on_standby("cmdsched.unregister_policy()");
	PG_RETURN_BOOL(cmdsched_policy_unregister(
		cmdsched_argument_get_name(fcinfo, 0, "name", false)));
}
