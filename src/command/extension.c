/*-------------------------------------------------------------------------
 *
 * extension.c
 *	  The extension as it is installed in this database: where its objects
 *	  are, and how to act as its owner.
 *
 * Roles have no privilege on our tables but SELECT.  Our own fixed statements
 * therefore run as the extension's owner, with a search path on which
 * nobody else can put anything.  Nothing of the user's ever runs in between.
 *
 * IDENTIFICATION
 *	  src/command/extension.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "command/extension.h"
#include "compat.h"

static ExtensionObjects objects;
static bool objects_valid = false;
static bool callback_registered = false;

static void
forget_objects(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || relation == objects.commands ||
		relation == objects.handlers || relation == objects.hooks)
		objects_valid = false;
}

static Oid
find_owner(Oid extension)
{
	Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid owner = InvalidOid;

	ScanKeyInit(&key,
				Anum_pg_extension_oid,
				BTEqualStrategyNumber,
				F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan =
		systable_beginscan(catalog, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return owner;
}

static bool
look_up_objects(ExtensionObjects *found)
{
	Oid extension = get_extension_oid("cmdsched", true);
	Oid schema = get_namespace_oid("cmdsched", true);

	if (!OidIsValid(extension) || !OidIsValid(schema))
		return false;
	found->owner = find_owner(extension);
	found->commands = get_relname_relid("scheduled_commands", schema);
	found->commands_pkey =
		get_relname_relid("scheduled_commands_pkey", schema);
	found->due_index = get_relname_relid("scheduled_commands_due", schema);
	found->parked_index =
		get_relname_relid("scheduled_commands_parked", schema);
	found->handlers = get_relname_relid("handlers", schema);
	found->handlers_pkey = get_relname_relid("handlers_pkey", schema);
	found->hooks = get_relname_relid("hooks", schema);
	if (!OidIsValid(found->owner) || !OidIsValid(found->commands) ||
		!OidIsValid(found->commands_pkey) || !OidIsValid(found->due_index) ||
		!OidIsValid(found->parked_index) || !OidIsValid(found->handlers) ||
		!OidIsValid(found->handlers_pkey) || !OidIsValid(found->hooks))
		return false;
	found->commands_row_type = get_rel_type_id(found->commands);
	return true;
}

/* NULL where this database does not have the extension. */
const ExtensionObjects *
cmdsched_extension_find(void)
{
	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(forget_objects, (Datum) 0);
		callback_registered = true;
	}
	if (!objects_valid)
	{
		ExtensionObjects found = {0};

		if (!look_up_objects(&found))
			return NULL;
		objects = found;
		objects_valid = true;
	}
	return &objects;
}

/* Has there been news since the last look?  Costs no catalog access. */
bool
cmdsched_extension_may_have_changed(void)
{
	AcceptInvalidationMessages();
	return !objects_valid;
}

const ExtensionObjects *
cmdsched_extension_get(void)
{
	const ExtensionObjects *found = cmdsched_extension_find();

	if (found == NULL)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("extension \"cmdsched\" is not installed in this "
					   "database"),
				errhint("Use CREATE EXTENSION cmdsched."));
	return found;
}

/*
 * Act as the extension's owner from here to cmdsched_owner_leave().  An error
 * in between is put right by the end of the (sub)transaction.
 */
void
cmdsched_owner_enter(OwnerScope *scope)
{
	Oid owner = cmdsched_extension_get()->owner;

	GetUserIdAndSecContext(&scope->user, &scope->security_context);
	scope->guc_nest_level = NewGUCNestLevel();
	SetUserIdAndSecContext(owner,
						   scope->security_context |
							   SECURITY_LOCAL_USERID_CHANGE);
	(void) set_config_option("search_path",
							 "pg_catalog, pg_temp",
							 PGC_USERSET,
							 PGC_S_SESSION,
							 GUC_ACTION_SAVE,
							 true,
							 0,
							 false);
	(void) set_config_option("row_security",
							 "off",
							 PGC_USERSET,
							 PGC_S_SESSION,
							 GUC_ACTION_SAVE,
							 true,
							 0,
							 false);
}

void
cmdsched_owner_leave(const OwnerScope *scope)
{
	AtEOXact_GUC(false, scope->guc_nest_level);
	SetUserIdAndSecContext(scope->user, scope->security_context);
}
