/*-------------------------------------------------------------------------
 *
 * admission.c
 *	  What has to hold before a command is written down.
 *
 * IDENTIFICATION
 *	  src/api/admission.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "api/admission.h"
#include "command/command_store.h"
#include "command/handler_store.h"
#include "command/home.h"
#include "command/invoke.h"
#include "compat.h"
#include "settings.h"
#include "worker/wakeup.h"

/* Is there one that the current user may call?  Raises an error if not. */
const Handler *
cmdsched_admission_check_handler(const Command *command)
{
	Handler *handler =
		cmdsched_handler_find(command->command_type, command->command_module);

	if (handler->problem.sqlerrcode != 0)
		ereport(ERROR,
				errcode(handler->problem.sqlerrcode),
				errmsg("%s", handler->problem.message),
				handler->hint ? errhint("%s", handler->hint) : 0);
	return handler;
}

/* Before 17 no worker can connect as a role that may not log in. */
static void
check_role_may_log_in(Oid role)
{
	HeapTuple tuple;
	bool may_log_in;

	if (CMDSCHED_CAN_BYPASS_ROLELOGINCHECK)
		return;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	may_log_in = HeapTupleIsValid(tuple) &&
				 ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (!may_log_in)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				errmsg("role \"%s\" is not permitted to log in",
					   GetUserNameFromId(role, true)),
				errhint("Commands run as the role that schedules them, in a "
						"process that logs in as it. Schedule as another "
						"role, or use ALTER ROLE ... LOGIN."));
}

static bool
is_waiting(Oid role, text *schedule_id)
{
	CommandKey key;
	text *command_type;
	text *command_module;

	return schedule_id != NULL &&
		   cmdsched_command_find(schedule_id,
								 role,
								 &key,
								 &command_type,
								 &command_module) &&
		   key.scheduled_by == role;
}

/*
 * Counting is slow, so how much is left decides how many commands go by until
 * the next count.
 */
static void
check_quota(Oid role, text *schedule_id)
{
	static Oid counted_role = InvalidOid;
	static int quota = 0;
	static int64 allowance = 0;
	int64 count;

	if (cmdsched_max_pending == 0)
		return;
	if (allowance > 0 && role == counted_role && quota == cmdsched_max_pending)
	{
		allowance--;
		return;
	}
	counted_role = role;
	quota = cmdsched_max_pending;
	count = cmdsched_command_count(role, quota);
	/* What is waiting already does not become more by keep or replace. */
	if (count >= quota && !is_waiting(role, schedule_id))
		ereport(ERROR,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("role \"%s\" has %lld commands waiting, as many as it "
					   "may",
					   GetUserNameFromId(role, true),
					   (long long) count),
				errhint("Cancel some, or let a superuser raise "
						"cmdsched.max_pending for the role."));
	allowance = Max(quota - count, 0) / 16;
}

/* In a copy of a database nothing runs for now: says so once a session. */
bool
cmdsched_admission_is_at_home(void)
{
	static bool warned = false;

	switch (cmdsched_home_settle())
	{
		case HOME_IS_HERE:
			return true;
		case HOME_IS_NEW:
			cmdsched_wakeup_note_everything();
			return true;
		case HOME_IS_ELSEWHERE:
			break;
	}
	if (!warned)
		ereport(WARNING,
				errmsg("this database is a copy, in which commands wait"),
				errhint("Use cmdsched.adopt() to let them run here."));
	warned = true;
	return false;
}

/*
 * May this role have this command run here?  Raises an error if not; else
 * returns its handler.
 */
const Handler *
cmdsched_admission_check(const Command *command, Oid role)
{
	const Handler *handler = cmdsched_admission_check_handler(command);

	/* No process of ours runs what is for an application. */
	if (!handler->external)
		check_role_may_log_in(role);
	check_quota(role, command->schedule_id);
	(void) cmdsched_admission_is_at_home();
	return handler;
}

/*
 * What was acknowledged has to be there after a crash, even where the role
 * turned synchronous_commit off.  A handler's own changes may vanish together
 * with the fact that it ran.
 */
void
cmdsched_admission_commit_durably(void)
{
	if (!cmdsched_invoke_is_running())
		ForceSyncCommit();
}
