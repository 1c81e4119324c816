/*-------------------------------------------------------------------------
 *
 * scheduler.c
 *	  The process, one a database, that knows when something is due and
 *	  keeps executors going.  It never calls a handler.
 *
 * Each round it looks at the roles of the database, in shared memory, and
 * starts executors where they are missing: staffing.c.  Now and then it looks
 * at the table as well: sweep.c.
 *
 * IDENTIFICATION
 *	  src/worker/scheduler.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "command/command_store.h"
#include "command/extension.h"
#include "command/home.h"
#include "command/invoke.h"
#include "settings.h"
#include "worker/due_notice.h"
#include "worker/journal.h"
#include "worker/pruning.h"
#include "worker/shared_state.h"
#include "worker/staffing.h"
#include "worker/sweep.h"
#include "worker/worker.h"

/* How often to sweep while there are prepared transactions. */
#define PREPARED_SWEEP_US (4 * USECS_PER_SEC)

/* After a sweep that raised an error. */
#define SWEEP_RETRY_US (2 * USECS_PER_SEC)

/* Notifications that come in swarms cause no more sweeps than that. */
#define NOTIFIED_SWEEP_US (100 * 1000L)

/* How often to look whether somebody waits for the database. */
#define DATABASE_CHECK_US (2 * USECS_PER_SEC)

/* While all wait for suspects, are they still there? */
#define CASE_CHECK_US (50 * 1000L)

static int database_slot = NO_SLOT;
static TimestampTz next_sweep = 0;
static TimestampTz last_sweep = 0;
static TimestampTz extension_checked = 0;
static bool listening = false;
static bool at_home = true; /* else nothing runs until adopt() */
static SchedulerState leave_as = SCHEDULER_UNKNOWN;

/* ------------------------------------------------------------------------
 * The sweep
 * ------------------------------------------------------------------------
 */

static int64
poll_interval_us(void)
{
	return cmdsched_poll_interval * (int64) USECS_PER_SEC;
}

/* Whoever adopts the commands of a copy asks for a sweep. */
static void
look_for_home(void)
{
	bool was_at_home = at_home;

	at_home = cmdsched_home_is_here();
	if (was_at_home && !at_home && !cmdsched_command_none_exist())
		ereport(LOG,
				errmsg("the commands of this database wait, since it is a "
					   "copy"),
				errhint("Use cmdsched.adopt() to let them run here."));
}

/* False where the extension is gone. */
static bool
sweep(TimestampTz now)
{
	bool exists;
	bool prepared = false;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	exists = cmdsched_extension_find() != NULL;
	cmdsched_staffing_release_stale(now);
	if (exists)
		look_for_home();
	if (exists && at_home)
	{
		cmdsched_sweep(now);
	}
	if (exists)
	{
		prepared = cmdsched_command_prepared_exist();
		if (cmdsched_listen && !listening)
			Async_Listen("cmdsched");
		else if (!cmdsched_listen && listening)
			Async_Unlisten("cmdsched");
		listening = cmdsched_listen;
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	cmdsched_due_notice_begin_anew();
	last_sweep = now;
	next_sweep =
		now + (prepared ? Min(PREPARED_SWEEP_US,
							  cmdsched_poll_interval * (int64) USECS_PER_SEC)
						: cmdsched_poll_interval * (int64) USECS_PER_SEC);
	return exists;
}

static void
report_error(void)
{
	HOLD_INTERRUPTS();
	EmitErrorReport();
	AbortCurrentTransaction();
	FlushErrorState();
	RESUME_INTERRUPTS();
}

/*
 * The server has just begun, and waits for suspects: they may be cancelled, or
 * moved to another time, before they are run.  Returns when to look again.
 */
static TimestampTz
watch_cases(TimestampTz now)
{
	if (!at_home || !cmdsched_trial_comes_first(now))
		return DT_NOEND;
	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		if (cmdsched_extension_find() != NULL)
			cmdsched_sweep_close_cases(now);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		report_error();
	}
	PG_END_TRY();
	return now + CASE_CHECK_US;
}

/* As sweep(), but an error is logged and tried again later. */
static bool
sweep_safely(TimestampTz now)
{
	volatile bool exists = true;

	PG_TRY();
	{
		exists = sweep(now);
	}
	PG_CATCH();
	{
		report_error();
		next_sweep = now + SWEEP_RETRY_US;
	}
	PG_END_TRY();
	return exists;
}

/* ------------------------------------------------------------------------
 * The process
 * ------------------------------------------------------------------------
 */

/* Read the notifications, or they would fill the server's queue. */
static void
drain_notifications(TimestampTz now)
{
	if (!notifyInterruptPending)
		return;
	ProcessNotifyInterrupt(false);
	next_sweep = Min(next_sweep, Max(now, last_sweep + NOTIFIED_SWEEP_US));
}

/* What is due for applications.  Returns when to look again. */
static TimestampTz
tell_applications(TimestampTz now)
{
	volatile TimestampTz again_at = now + SWEEP_RETRY_US;

	if (!cmdsched_enabled || !at_home)
		return DT_NOEND;
	PG_TRY();
	{
		again_at = cmdsched_due_notice_pass(database_slot, now);
	}
	PG_CATCH();
	{
		report_error();
	}
	PG_END_TRY();
	return again_at;
}

/* cmdsched.databases may have been changed. */
static bool
database_is_served(void)
{
	char *name;
	bool served;

	StartTransactionCommand();
	name = get_database_name(MyDatabaseId);
	served = name != NULL && cmdsched_setting_names_database(name);
	CommitTransactionCommand();
	return served;
}

/* DROP EXTENSION does not wake us: listen to the catalogs instead. */
static bool
extension_may_be_gone(TimestampTz now)
{
	bool changed;

	if (now - extension_checked < DATABASE_CHECK_US)
		return false;
	extension_checked = now;
	StartTransactionCommand();
	changed = cmdsched_extension_may_have_changed();
	CommitTransactionCommand();
	return changed;
}

static void
leave(int code, Datum arg)
{
	AbortOutOfAnyTransaction();
	cmdsched_scheduler_detach(database_slot, leave_as, GetCurrentTimestamp());
	cmdsched_launcher_wake();
}

/*
 * Nothing is to wait until the clock is where it was: neither we, nor for the
 * timer by which an executor in a slow handler asks for help.
 */
static void
forget_times(TimestampTz now)
{
	int slot = NO_SLOT;

	extension_checked = 0;
	last_sweep = 0;
	next_sweep = now;
	cmdsched_staffing_forget_times();
	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
		cmdsched_role_take_watch(slot);
	cmdsched_executor_doubt_idle(MyDatabaseId);
}

/* For doctor(). */
static void
note_clock_step(TimestampTz now)
{
	int64 step_us = cmdsched_worker_clock_step_us(now);

	if (step_us != 0)
		cmdsched_database_note_clock_step(database_slot, step_us, now);
}

static void
run(void)
{
	TimestampTz database_checked = GetCurrentTimestamp();

	for (;;)
	{
		TimestampTz now;
		TimestampTz wake_at;
		TimestampTz notice_at;
		TimestampTz cases_at;

		if (cmdsched_worker_handle_interrupts())
		{
			if (!database_is_served())
			{
				cmdsched_staffing_send_away();
				break;
			}
			next_sweep = Min(next_sweep, last_sweep + poll_interval_us());
		}
		now = GetCurrentTimestamp();
		note_clock_step(now);
		if (cmdsched_worker_clock_was_set_back(now))
		{
			forget_times(now);
			database_checked = 0;
		}
		if (cmdsched_database_state(database_slot) == SCHEDULER_STOPPED)
			break;
		if (now - database_checked >= DATABASE_CHECK_US)
		{
			database_checked = now;
			if (cmdsched_worker_database_is_wanted())
			{
				cmdsched_staffing_send_away();
				break;
			}
		}
		drain_notifications(now);
		if (extension_may_be_gone(now))
			next_sweep = now;
		if ((cmdsched_scheduler_take_sweep_request(database_slot) ||
			 now >= next_sweep) &&
			!sweep_safely(now))
		{
			cmdsched_staffing_send_away();
			leave_as = SCHEDULER_ABSENT;
			break;
		}
		wake_at = cmdsched_staffing_pass(now, at_home);
		/* A role that cannot be served may have to be held. */
		if (cmdsched_staffing_take_failed_start())
			next_sweep = now;
		notice_at = tell_applications(now);
		wake_at = Min(wake_at, notice_at);
		cases_at = watch_cases(now);
		wake_at = Min(wake_at, cases_at);
		if (at_home)
			cmdsched_pruning_run(now);
		wake_at = Min(wake_at, next_sweep);
		wake_at = Min(wake_at, database_checked + DATABASE_CHECK_US);
		cmdsched_worker_wait(wake_at);
	}
}

void
cmdsched_scheduler_main(Datum arg)
{
	Oid database = DatumGetObjectId(arg);

	cmdsched_worker_setup("CmdschedSchedulerMain", SIG_IGN, die);
	if (!cmdsched_shared_state_attach())
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	cmdsched_invoke_prepare_session();
	database_slot = cmdsched_database_add(database);
	if (database_slot == NO_SLOT ||
		!cmdsched_scheduler_attach(database_slot, GetCurrentTimestamp()))
		proc_exit(0);
	before_shmem_exit(leave, (Datum) 0);
	cmdsched_staffing_begin(database_slot);
	pgstat_report_activity(STATE_IDLE, NULL);
	run();
	proc_exit(0);
}
