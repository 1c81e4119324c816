/*-------------------------------------------------------------------------
 *
 * sweep.c
 *	  Now and then the scheduler looks at the table, for what could not tell
 *	  it: COMMIT PREPARED, restores, replication.
 *
 * Commands of roles for which nothing can run are held then, too.
 *
 * IDENTIFICATION
 *	  src/worker/sweep.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "command/command_store.h"
#include "command/history_store.h"
#include "compat.h"
#include "worker/journal.h"
#include "worker/shared_state.h"
#include "worker/staffing.h"
#include "worker/sweep.h"

/* Why this role cannot run anything; NULL where it can. */
static const CommandError *
find_obstacle(Oid role)
{
	static const CommandError gone = {
		.sqlerrcode = ERRCODE_UNDEFINED_OBJECT,
		.message = "the role that scheduled this command does not exist",
	};
	static const CommandError no_login = {
		.sqlerrcode = ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
		.message = "the role that scheduled this command is not permitted to "
				   "log in",
		.detail = "Use ALTER ROLE ... LOGIN, then cmdsched.retry().",
	};
	static const CommandError no_connect = {
		.sqlerrcode = ERRCODE_INSUFFICIENT_PRIVILEGE,
		.message = "the role that scheduled this command may not connect to "
				   "the database",
		.detail = "Use GRANT CONNECT, then cmdsched.retry().",
	};
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool may_log_in;

	if (!HeapTupleIsValid(tuple))
		return &gone;
	may_log_in = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	if (!may_log_in && !CMDSCHED_CAN_BYPASS_ROLELOGINCHECK)
		return &no_login;
	if (object_aclcheck(DatabaseRelationId, MyDatabaseId, role, ACL_CONNECT) !=
		ACLCHECK_OK)
		return &no_connect;
	return NULL;
}

/* Nothing of it is due any more. */
static void
forget_role(Oid role)
{
	int slot = NO_SLOT;

	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		if (cmdsched_role_oid(slot) == role && !cmdsched_staffing_serves(slot))
			cmdsched_role_forget(slot);
	}
}

static void
hold_role(Oid role, TimestampTz now)
{
	const CommandError *obstacle = find_obstacle(role);

	cmdsched_command_hold_role(role, obstacle, now);
	cmdsched_history_record_held(role, now);
	forget_role(role);
	ereport(LOG,
			errmsg("commands of role %u are held, SQLSTATE %s: %s",
				   role,
				   unpack_sql_state(obstacle->sqlerrcode),
				   obstacle->message));
}

static void
found_due(Oid role, TimestampTz due_at, void *arg)
{
	List **obstructed = arg;
	int role_slot;

	if (find_obstacle(role) != NULL)
	{
		*obstructed = lappend_oid(*obstructed, role);
		return;
	}
	role_slot = cmdsched_role_find_or_add(MyDatabaseId, role);
	if (role_slot != NO_SLOT && due_at < cmdsched_role_due(role_slot))
		cmdsched_role_lower(role_slot, due_at);
}

/*
 * Roles with nothing to do give their slots back, for others; with a slot
 * goes its low-water mark.
 */
static void
forget_idle_roles(void)
{
	int slot = NO_SLOT;

	if (!cmdsched_roles_are_scarce())
		return;
	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		if (cmdsched_role_due(slot) == DUE_NEVER &&
			!cmdsched_staffing_serves(slot))
			cmdsched_role_forget(slot);
	}
}

/*
 * The sweep meets a role that was dropped only if it has left commands.
 * Without, nobody could say any more that nothing of it is due, and executors
 * would be started for it again and again.
 */
static void
forget_dropped_roles(void)
{
	int slot = NO_SLOT;

	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		Oid role = cmdsched_role_oid(slot);

		if (cmdsched_role_due(slot) != DUE_NEVER &&
			!cmdsched_staffing_serves(slot) &&
			!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
			cmdsched_role_forget(slot);
	}
}

/* Suspects that are not there, or not due, need not be waited for. */
void
cmdsched_sweep_close_cases(TimestampTz now)
{
	int place = FIRST_SUSPECT;
	CommandKey key;

	while (cmdsched_journal_next(&place, &key.scheduled_by, &key.schedule_id))
	{
		if (key.schedule_id == NULL
				? !cmdsched_command_role_is_due(key.scheduled_by, now)
				: !cmdsched_command_is_due(&key, now))
			cmdsched_journal_drop_case(place);
	}
}

void
cmdsched_sweep(TimestampTz now)
{
	List *obstructed = NIL;
	ListCell *cell;

	forget_idle_roles();
	forget_dropped_roles();
	cmdsched_sweep_close_cases(now);
	cmdsched_command_sweep(found_due, &obstructed);
	foreach(cell, obstructed)
		hold_role(lfirst_oid(cell), now);
}
