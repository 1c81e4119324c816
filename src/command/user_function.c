/*-------------------------------------------------------------------------
 *
 * user_function.c
 *	  Functions of users that we call: their signatures, and who may have
 *	  them called.
 *
 * Registries hold signatures, not oids, so that they survive a dump.  That a
 * function is called as whoever schedules makes it worth replacing: hence
 * the owner that it had when it was registered.
 *
 * IDENTIFICATION
 *	  src/command/user_function.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "command/extension.h"
#include "command/user_function.h"
#include "compat.h"

/* The function of that signature; InvalidOid where there is none. */
Oid
cmdsched_function_resolve(text *signature)
{
	LOCAL_FCINFO(fcinfo, 1);
	OwnerScope scope;
	Datum result;

	/* As the owner: calling by oid needs no USAGE on the schema. */
	cmdsched_owner_enter(&scope);
	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = PointerGetDatum(signature);
	fcinfo->args[0].isnull = false;
	result = to_regprocedure(fcinfo);
	cmdsched_owner_leave(&scope);
	return fcinfo->isnull ? InvalidOid : DatumGetObjectId(result);
}

/* For a registration.  The example is a signature as it should be given. */
HeapTuple
cmdsched_function_get(Oid function, const char *example)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("function with OID %u does not exist", function),
				errhint("Name it by its signature, as in '%s'.", example));
	return tuple;
}

/* As in 'shop.cancel_order(jsonb)', whatever the search path. */
char *
cmdsched_function_signature(Oid function)
{
	OwnerScope scope;
	char *signature;

	cmdsched_owner_enter(&scope);
	signature = format_procedure(function);
	cmdsched_owner_leave(&scope);
	return signature;
}

bool
cmdsched_function_is_plain(Form_pg_proc proc)
{
	return (proc->prokind == PROKIND_FUNCTION ||
			proc->prokind == PROKIND_PROCEDURE) &&
		   !proc->proretset && proc->prorettype != TRIGGEROID &&
		   proc->prorettype != EVENT_TRIGGEROID &&
		   proc->prorettype != INTERNALOID;
}

/*
 * Somebody else may have made a function in the place of the one that was
 * registered, to have it called as whoever schedules.
 */
static bool
changed_hands(Oid owner, text *registered_owner)
{
	Oid registered;

	if (registered_owner == NULL || superuser_arg(owner))
		return false;
	registered = get_role_oid(text_to_cstring(registered_owner), true);
	return !OidIsValid(registered) || !has_privs_of_role(owner, registered);
}

/* May it be called as the current user?  kind says what it was to be. */
void
cmdsched_function_find_problem(const char *kind, Form_pg_proc proc,
							   text *signature, text *registered_owner,
							   FunctionProblem *problem)
{
	Oid role = GetUserId();
	char *name = psprintf("%s function %s", kind, text_to_cstring(signature));

	problem->sqlerrcode = ERRCODE_INSUFFICIENT_PRIVILEGE;
	if (object_aclcheck(ProcedureRelationId, proc->oid, role, ACL_EXECUTE) !=
		ACLCHECK_OK)
	{
		problem->message = psprintf("permission denied for %s", name);
		problem->hint = "Grant EXECUTE on it to the role that schedules.";
	}
	else if (superuser_arg(role) && !superuser_arg(proc->proowner))
	{
		problem->message = psprintf("%s does not belong to a superuser", name);
		problem->hint = "A superuser's commands run only functions that a "
						"superuser owns. Schedule as another role.";
	}
	else if (changed_hands(proc->proowner, registered_owner))
	{
		problem->message = psprintf("%s belongs to another role than when it "
									"was registered",
									name);
		problem->hint = "If that is meant, register it again.";
	}
	else
		problem->sqlerrcode = 0;
}

/* Only for the owner of a function, or a superuser, may it be registered. */
void
cmdsched_function_check_owner(Form_pg_proc proc)
{
	if (!superuser() && !has_privs_of_role(GetUserId(), proc->proowner))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("must be owner of function %s",
					   cmdsched_function_signature(proc->oid)),
				errhint("Let its owner or a superuser register it."));
}

Datum
cmdsched_function_owner_name(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
		ReleaseSysCache(tuple);
	}
	return CStringGetTextDatum(GetUserNameFromId(owner, false));
}
