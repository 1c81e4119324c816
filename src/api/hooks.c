/*-------------------------------------------------------------------------
 *
 * hooks.c
 *	  The functions that register hooks.
 *
 * IDENTIFICATION
 *	  src/api/hooks.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "api/arguments.h"
#include "command/hook_store.h"

PG_FUNCTION_INFO_V1(cmdsched_register_hook);
PG_FUNCTION_INFO_V1(cmdsched_unregister_hook);
PG_FUNCTION_INFO_V1(cmdsched_enable_hook);
PG_FUNCTION_INFO_V1(cmdsched_disable_hook);
PG_FUNCTION_INFO_V1(cmdsched_check_hooks);

#define CHECK_COLUMNS 5

static text *
get_pattern(FunctionCallInfo fcinfo)
{
	return cmdsched_argument_get_name(fcinfo, 0, "operation_pattern", false);
}

static text *
get_hook(FunctionCallInfo fcinfo)
{
	cmdsched_argument_check_not_null(fcinfo, 1, "hook");
	return PG_GETARG_TEXT_PP(1);
}

Datum
cmdsched_register_hook(PG_FUNCTION_ARGS)
{
	text *pattern;

	cmdsched_argument_prevent_on_standby("cmdsched.register_hook()");
	pattern = get_pattern(fcinfo);
	cmdsched_argument_check_not_null(fcinfo, 1, "hook");
	cmdsched_argument_check_not_null(fcinfo, 2, "priority");
	cmdsched_hook_check_function(PG_GETARG_OID(1));
	cmdsched_hook_register(pattern, PG_GETARG_OID(1), PG_GETARG_INT32(2));
	PG_RETURN_VOID();
}

Datum
cmdsched_unregister_hook(PG_FUNCTION_ARGS)
{
	cmdsched_argument_prevent_on_standby("cmdsched.unregister_hook()");
	PG_RETURN_BOOL(
		cmdsched_hook_unregister(get_pattern(fcinfo), get_hook(fcinfo)));
}

Datum
cmdsched_enable_hook(PG_FUNCTION_ARGS)
{
	cmdsched_argument_prevent_on_standby("cmdsched.enable_hook()");
	PG_RETURN_BOOL(
		cmdsched_hook_enable(get_pattern(fcinfo), get_hook(fcinfo)));
}

Datum
cmdsched_disable_hook(PG_FUNCTION_ARGS)
{
	cmdsched_argument_prevent_on_standby("cmdsched.disable_hook()");
	PG_RETURN_BOOL(
		cmdsched_hook_disable(get_pattern(fcinfo),
							  get_hook(fcinfo),
							  PG_ARGISNULL(2) ? NULL : PG_GETARG_TEXT_PP(2)));
}

Datum
cmdsched_check_hooks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, cmdsched_hook_list())
	{
		const Hook *hook = lfirst(cell);
		Datum values[CHECK_COLUMNS];
		bool nulls[CHECK_COLUMNS] = {false};

		values[0] = CStringGetTextDatum(hook->pattern);
		values[1] = CStringGetTextDatum(hook->signature);
		values[2] = Int32GetDatum(hook->priority);
		values[3] = BoolGetDatum(hook->problem == NULL);
		nulls[4] = hook->problem == NULL;
		values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(hook->problem);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	PG_RETURN_NULL();
}
