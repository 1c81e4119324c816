/*-------------------------------------------------------------------------
 *
 * stats.c
 *	  The functions behind the views: they read, and change nothing.
 *
 * IDENTIFICATION
 *	  src/api/stats.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "worker/shared_state.h"

PG_FUNCTION_INFO_V1(cmdsched_list_workers);

#define WORKER_COLUMNS 9

static void
put_process(ReturnSetInfo *rsinfo, const char *kind, int pid,
			TimestampTz since)
{
	Datum values[WORKER_COLUMNS] = {0};
	bool nulls[WORKER_COLUMNS] = {
		[2] = true,
		[5] = true,
		[6] = true,
		[7] = true,
		[8] = true,
	};

	if (pid == 0)
		return;
	values[0] = Int32GetDatum(pid);
	values[1] = CStringGetTextDatum(kind);
	values[3] = CStringGetTextDatum("running");
	values[4] = TimestampTzGetDatum(since);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static const char *
describe_state(const WorkerInfo *info)
{
	if (info->leaving)
		return "stopping";
	switch (info->state)
	{
		case EXECUTOR_STARTING:
			return "starting";
		case EXECUTOR_IDLE:
			return info->id_len > 0 ? "running" : "idle";
		default:
			return "running";
	}
}

/* As in pg_stat_activity, where whole statements are to be seen. */
static bool
may_see_commands_of(Oid role)
{
	return has_privs_of_role(GetUserId(), role) ||
		   has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

static void
put_executor(ReturnSetInfo *rsinfo, const WorkerInfo *info)
{
	Datum values[WORKER_COLUMNS] = {0};
	bool nulls[WORKER_COLUMNS] = {false};
	NameData role = {0};
	char *role_name = GetUserNameFromId(info->role, true);

	values[0] = Int32GetDatum(info->pid);
	nulls[0] = info->pid == 0;
	values[1] = CStringGetTextDatum("executor");
	nulls[2] = role_name == NULL;
	if (role_name != NULL)
		namestrcpy(&role, role_name);
	values[2] = NameGetDatum(&role);
	values[3] = CStringGetTextDatum(describe_state(info));
	values[4] = TimestampTzGetDatum(info->since);
	values[5] = Int64GetDatum((int64) info->commands_run);
	nulls[6] = info->id_len == 0 || !may_see_commands_of(info->role);
	nulls[7] = nulls[8] = nulls[6];
	if (!nulls[6])
	{
		values[6] = PointerGetDatum(
			cstring_to_text_with_len(info->schedule_id, info->id_len));
		values[7] = PointerGetDatum(
			cstring_to_text_with_len(info->command_type, info->type_len));
		values[8] = TimestampTzGetDatum(info->command_since);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
cmdsched_list_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz since;
	WorkerInfo info;
	int slot;
	int pid;

	InitMaterializedSRF(fcinfo, 0);
	if (!cmdsched_shared_state_attach())
		return (Datum) 0;
	pid = cmdsched_launcher_pid(&since);
	put_process(rsinfo, "launcher", pid, since);
	slot = cmdsched_database_find(MyDatabaseId);
	if (slot != NO_SLOT)
	{
		pid = cmdsched_scheduler_pid(slot, &since);
		put_process(rsinfo, "scheduler", pid, since);
	}
	slot = NO_SLOT;
	while ((slot = cmdsched_executor_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		if (cmdsched_executor_info(slot, MyDatabaseId, &info))
			put_executor(rsinfo, &info);
	}
	return (Datum) 0;
}
