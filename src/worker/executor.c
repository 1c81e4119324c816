/*-------------------------------------------------------------------------
 *
 * executor.c
 *	  The process that carries out one role's commands in one database.
 *
 * It is connected as that role, so that a handler has nothing to escape to.
 * It takes batches until nothing is due, sleeps until the next command is,
 * and leaves when there is nothing to do for a while or somebody else needs
 * its place.
 *
 * A batch is one transaction: effects and removal of its commands commit
 * together.  Where the commit itself fails, a deferred constraint say, the
 * same commands are run again one to a transaction, to find the guilty one.
 *
 * IDENTIFICATION
 *	  src/worker/executor.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "command/extension.h"
#include "command/home.h"
#include "command/invoke.h"
#include "compat.h"
#include "settings.h"
#include "worker/attempt.h"
#include "worker/dispatch.h"
#include "worker/journal.h"
#include "worker/occurrence.h"
#include "worker/operation.h"
#include "worker/shared_state.h"
#include "worker/wakeup.h"
#include "worker/worker.h"

/* After that long in one batch, or without a pause, help is asked for. */
#define HELP_AFTER_MS 20
#define HELP_AFTER_US (50 * 1000L)

/* For so long an executor leaves quick commands to another. */
#define CROWDED_WAIT_US (20 * 1000L)

/* How long to leave a row alone that somebody has locked. */
#define LOCKED_WAIT_US (1 * USECS_PER_SEC)

/* How long news of a handler may be on their way. */
#define SUSPECT_WAIT_US (50 * 1000L)

/* How long a role may keep its place while others wait for one. */
#define TURN_US (100 * 1000L)

/* How often to look whether somebody waits for the database. */
#define DATABASE_CHECK_US (1 * USECS_PER_SEC)

/* How often a long batch looks whether there is still a server around it. */
#define ALIVE_CHECK_MS 1000

/* How often to look whether a trial is over, or may begin. */
#define TRIAL_WAIT_US (5 * 1000L)

/* After an error that was not a handler's. */
#define TROUBLE_WAIT_US (1 * USECS_PER_SEC)

/* This process. */
typedef struct Executor
{
	int slot;
	int role_slot;
	int database_slot;
	Oid role;
	bool connected;
	bool in_batch; /* then take is to be put back at exit */
	bool committing;
	MarkTake take;
	TimestampTz skipped_due;   /* stepped over, DUE_NEVER = nothing */
	TimestampTz skipped_until; /* go back for it at that time */
	bool skipped_suspect;	   /* because it seemed unable to run */
	bool look_twice;		   /* step over such ones once more */
	int group_size;
	int solo_commands;	/* so many are to have a transaction each */
	bool without_hooks; /* they may be why the commit failed */
	bool on_trial;		/* running a suspect: see journal.c */
	bool alone;			/* and nothing else runs */
	Dispatch dispatch;
	bool busy;
	TimestampTz busy_since;
	TimestampTz help_asked; /* or busy_since */
	TimestampTz idle_since;
	bool look; /* whether something is due or not */
	TimestampTz database_checked;
} Executor;

static Executor me;
static TimeoutId help_timeout;
static emit_log_hook_type previous_log_hook = NULL;
static volatile sig_atomic_t told_to_end = false;
static volatile sig_atomic_t asked_in_batch = false;

/* ------------------------------------------------------------------------
 * Coming and going
 * ------------------------------------------------------------------------
 */

/* Rows stepped over are behind the low-water mark: go back for them. */
static void
go_back(void)
{
	cmdsched_role_lower(me.role_slot, me.skipped_due);
	me.skipped_due = DUE_NEVER;
	me.look_twice = !me.skipped_suspect;
	me.skipped_suspect = false;
}

/* Ended from outside: what was running does not count as an attempt. */
static void
note_sigterm(SIGNAL_ARGS)
{
	told_to_end = true;
	die(postgres_signal_arg);
}

/* The handler ended this process, one way or the other: that counts. */
static void
record_termination(void)
{
	Outcome outcome = {
		.kind = OUTCOME_FAILED,
		.error = {.sqlerrcode = ERRCODE_ADMIN_SHUTDOWN,
				  .message = "handler ended its process"},
	};

	if (cmdsched_invoke_was_terminated())
		outcome.error.message = "handler was terminated, since it went on "
								"after it was cancelled at its time limit";
	StartTransactionCommand();
	cmdsched_attempt_record(&me.dispatch.last,
							&outcome,
							GetCurrentTimestamp());
	CommitTransactionCommand();
}

/* The same of a hook: its command is as it was. */
static void
record_hook_termination(void)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	cmdsched_operation_blame_running_hook();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

static void
leave(int code, Datum arg)
{
	AbortOutOfAnyTransaction();
	cmdsched_operation_mute(true);
	if (cmdsched_invoke_was_terminated() &&
		cmdsched_operation_hook_is_running())
		record_hook_termination();
	if (me.dispatch.last.running)
		cmdsched_role_count_death(me.role_slot);
	if (me.dispatch.last.running && !told_to_end && PostmasterIsAlive())
		record_termination();
	if (me.in_batch)
		cmdsched_role_put_back(me.role_slot, &me.take);
	/* What others of the role run is theirs to go back for. */
	if (cmdsched_executor_is_alone(me.slot))
		go_back();
	cmdsched_journal_clear(me.slot);
	cmdsched_trial_leave_batch(me.slot);
	cmdsched_trial_close(me.slot);
	cmdsched_executor_detach(me.slot);
}

/* The connection failed: leave() does the rest once there is one. */
static void
give_up(int code, Datum arg)
{
	if (me.connected)
		return;
	cmdsched_role_count_failed_start(me.role_slot);
	cmdsched_executor_detach(me.slot);
}

/* Another process crashed: what this one runs has nothing to do with it. */
static void
note_sigquit(SIGNAL_ARGS)
{
	cmdsched_journal_note_quit(me.slot);
	SignalHandlerForCrashExit(postgres_signal_arg);
}

/*
 * After HELP_AFTER_MS in one batch, and then every second.  No new server
 * can start while a process of the old one lives.
 */
static void
look_after_batch(void)
{
	if (!asked_in_batch)
		cmdsched_executor_ask_for_help(me.slot);
	asked_in_batch = true;
	if (PostmasterIsAlive())
		return;
	/* It did not react to that, a second ago. */
	if (told_to_end)
		_exit(1);
	told_to_end = true;
	InterruptPending = true;
	ProcDiePending = true;
}

static void
connect_as_role(void)
{
	Oid database;

	me.skipped_due = DUE_NEVER;
	cmdsched_executor_identify(me.slot, &database, &me.role);
	BackgroundWorkerInitializeConnectionByOid(database,
											  me.role,
											  BGWORKER_BYPASS_ROLELOGINCHECK);
	cmdsched_invoke_prepare_session();
	me.connected = true;
	before_shmem_exit(leave, (Datum) 0);
	cmdsched_role_clear_failed_starts(me.role_slot);
}

/*
 * The context of a message may be the text of a handler's dynamic SQL, with
 * what only the owner of the command is to see.
 */
static void
keep_context_out_of_log(ErrorData *message)
{
	if (!cmdsched_log_error_messages &&
		(me.dispatch.last.running || cmdsched_invoke_is_in_hook()))
	{
		message->hide_ctx = true;
		message->internalquery = NULL;
	}
	if (previous_log_hook)
		previous_log_hook(message);
}

/* The first command of a batch: it may be a slow one. */
static void
watch_over_batch(void)
{
	if (get_timeout_active(help_timeout))
		return;
	asked_in_batch = false;
	enable_timeout_every(help_timeout,
						 TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													 HELP_AFTER_MS),
						 ALIVE_CHECK_MS);
}

static bool
must_leave(TimestampTz now)
{
	if (cmdsched_executor_is_leaving(me.slot) || !cmdsched_enabled)
		return true;
	if (now - me.database_checked < DATABASE_CHECK_US)
		return false;
	me.database_checked = now;
	return cmdsched_worker_database_is_wanted();
}

/* ------------------------------------------------------------------------
 * One batch
 * ------------------------------------------------------------------------
 */

static void
begin_transaction(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
}

/* Now rather than in the commit, which would keep what they leave behind. */
static void
fire_deferred_triggers(void)
{
	int guc_nest_level = NewGUCNestLevel();

	AfterTriggerFireDeferred();
	AtEOXact_GUC(false, guc_nest_level);
	/* The lock of a procedure that is to be run is the session's, too. */
	if (me.dispatch.end != DISPATCH_PROCEDURE)
		cmdsched_invoke_clean_session();
}

/* False where the extension is gone, or the database only a copy. */
static bool
run_batch(void)
{
	Dispatch *dispatch = &me.dispatch;
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	if (cmdsched_extension_find() == NULL || !cmdsched_home_is_here())
		return false;
	dispatch->role = me.role;
	dispatch->host = INVOKE_IN_EXECUTOR;
	dispatch->executor_slot = me.slot;
	dispatch->from = me.take.from;
	dispatch->look_twice = me.look_twice;
	dispatch->on_trial = me.on_trial;
	dispatch->suspects_only = cmdsched_trial_comes_first(now);
	dispatch->alone = me.alone;
	dispatch->now = now;
	dispatch->stop_at = TimestampTzPlusMilliseconds(now, cmdsched_batch_time);
	dispatch->max_commands =
		me.solo_commands > 0 || me.on_trial ? 1 : cmdsched_batch_size;
	dispatch->group_size = Min(me.group_size, dispatch->max_commands);
	dispatch->before_attempt = watch_over_batch;
	cmdsched_operation_mute(me.without_hooks);
	cmdsched_dispatch(dispatch);
	me.committing = true;
	cmdsched_journal_show_commit(me.slot, dispatch->attempts);
	fire_deferred_triggers();
	if (dispatch->next_due != DUE_NEVER || dispatch->end == DISPATCH_DRY)
		cmdsched_role_set_next_due(me.role_slot, dispatch->next_due);
	me.group_size = dispatch->group_size;
	return true;
}

/* Not a command's fault, it seems: do not spin. */
static void
pause_after_trouble(void)
{
	TimestampTz until = GetCurrentTimestamp() + TROUBLE_WAIT_US;

	while (GetCurrentTimestamp() < until &&
		   !cmdsched_worker_shutdown_requested())
		cmdsched_worker_wait(until);
}

/* The commit failed, and this batch was the one command that is to blame. */
static void
record_failed_commit(Outcome *outcome)
{
	PG_TRY();
	{
		begin_transaction();
		cmdsched_attempt_record(&me.dispatch.last,
								outcome,
								GetCurrentTimestamp());
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		pause_after_trouble();
	}
	PG_END_TRY();
}

/* The transaction raised an error, outside of any handler or at commit. */
static void
recover_batch(bool committing)
{
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
	Outcome outcome = {0};
	int attempts = me.dispatch.attempts;

	HOLD_INTERRUPTS();
	disable_timeout(help_timeout, false);
	if (!committing)
		EmitErrorReport();
	cmdsched_invoke_catch(&outcome, INVOKE_IN_EXECUTOR);
	AbortCurrentTransaction();
	RESUME_INTERRUPTS();
	/* With that, the lock of a procedure that was to be run is gone. */
	me.dispatch.end = DISPATCH_FULL;
	cmdsched_invoke_clean_session();
	MemoryContextSwitchTo(context);

	if (committing && attempts <= 1 && !me.without_hooks &&
		cmdsched_operation_called_hooks())
	{
		me.without_hooks = true;
		me.solo_commands = 1;
	}
	else if (committing && attempts == 1)
	{
		/* A hook may have been why the commit failed. */
		cmdsched_operation_mute(true);
		me.without_hooks = false;
		record_failed_commit(&outcome);
	}
	else if (committing)
		me.solo_commands = attempts;
	cmdsched_role_put_back(me.role_slot, &me.take);
	me.in_batch = false;
	if (!committing)
		pause_after_trouble();
	FreeErrorData(outcome.raised);
}

/* Plan to go back for what the batch stepped over. */
static void
remember_skipped(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool suspect = me.dispatch.suspect_due != DUE_NEVER;
	TimestampTz due_at = Min(me.dispatch.locked_due, me.dispatch.suspect_due);

	if (me.dispatch.end == DISPATCH_DRY)
		me.look_twice = true;
	if (due_at == DUE_NEVER || (me.skipped_due <= due_at && !suspect))
		return;
	me.skipped_due = Min(me.skipped_due, due_at);
	me.skipped_suspect |= suspect;
	me.skipped_until = now + (suspect ? SUSPECT_WAIT_US : LOCKED_WAIT_US);
}

/* Claim, run and commit.  False where there is no more to be done here. */
static bool
run_batch_transaction(void)
{
	volatile bool extension_exists = true;

	me.dispatch.end = DISPATCH_FULL;
	me.dispatch.attempts = 0;
	me.committing = false;
	if (me.skipped_due != DUE_NEVER &&
		GetCurrentTimestamp() >= me.skipped_until)
		go_back();
	/* The order matters: see mark.c. */
	cmdsched_role_take(me.role_slot, &me.take);
	me.in_batch = true;
	PG_TRY();
	{
		begin_transaction();
		extension_exists = run_batch();
		CommitTransactionCommand();
		me.committing = false;
		disable_timeout(help_timeout, false);
		if (me.without_hooks)
			cmdsched_operation_blame_hooks();
		me.without_hooks = false;
		/* Others may have stepped over what this batch gave up again. */
		me.take.took_pending |= me.dispatch.rolled_back;
		if (extension_exists)
			cmdsched_role_finish(me.role_slot, &me.take, &me.dispatch.reached);
		me.in_batch = false;
		remember_skipped();
		me.solo_commands = Max(me.solo_commands - me.dispatch.attempts, 0);
	}
	PG_CATCH();
	{
		recover_batch(me.committing);
	}
	PG_END_TRY();
	if (me.dispatch.end != DISPATCH_PROCEDURE)
		cmdsched_executor_show_command(me.slot, NULL, 0);
	cmdsched_journal_clear(me.slot);
	cmdsched_executor_count_commands(me.slot, me.dispatch.attempts);
	return extension_exists;
}

/* Temporary objects of the last command are not there for the next. */
static void
drop_temp_objects(void)
{
	if (!cmdsched_invoke_left_temp_objects())
		return;
	begin_transaction();
	ResetTempTableNamespace();
	CommitTransactionCommand();
}

/* ------------------------------------------------------------------------
 * Procedures
 * ------------------------------------------------------------------------
 */

/* The command that ended the batch, copied out of its row. */
static bool
fetch_procedure_command(MemoryContext context, Command *command, Datum *row)
{
	CommandScan *scan =
		cmdsched_command_scan_begin(me.role, &me.dispatch.reached);
	text *wanted = me.dispatch.last.key.schedule_id;
	bool found = false;

	while (!found && cmdsched_command_scan_next(scan, command) &&
		   command->due_at <= me.dispatch.now)
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		if (VARSIZE_ANY_EXHDR(command->schedule_id) ==
				VARSIZE_ANY_EXHDR(wanted) &&
			memcmp(VARDATA_ANY(command->schedule_id),
				   VARDATA_ANY(wanted),
				   VARSIZE_ANY_EXHDR(wanted)) == 0)
		{
			*row = cmdsched_command_row(scan);
			cmdsched_command_copy(command, *row);
			found = true;
		}
		MemoryContextSwitchTo(caller);
	}
	cmdsched_command_scan_end(scan);
	return found;
}

/* Call, and remove the command in the procedure's last transaction. */
static pg_noinline void
call_procedure(MemoryContext context)
{
	Command command;
	Handler handler;
	Datum row = (Datum) 0;
	NullableDatum result;
	bool found;

	begin_transaction();
	PushActiveSnapshot(GetTransactionSnapshot());
	found = fetch_procedure_command(context, &command, &row);
	PopActiveSnapshot();
	if (found)
	{
		handler = *cmdsched_handler_find(command.command_type,
										 command.command_module);
		found = handler.is_procedure && handler.problem.sqlerrcode == 0;
	}
	/* It may be a function by now: then the next batch decides. */
	if (found)
	{
		if (cmdsched_operation_is_watched())
			cmdsched_operation_attempt_begins(&me.dispatch.last,
											  &command,
											  INVOKE_IN_EXECUTOR);
		me.dispatch.last.running = true;
		cmdsched_attempt_begin(&me.dispatch.last, GetCurrentTimestamp());
		cmdsched_executor_show_command(me.slot,
									   &command,
									   me.dispatch.last.started);
		cmdsched_journal_show(me.slot, &command, me.alone);
		result = cmdsched_invoke_procedure(&handler, &command, row);
		me.dispatch.last.running = false;
		cmdsched_invoke_reset_settings();
		XactReadOnly = false;
		if (cmdsched_command_delete_unchanged(&me.dispatch.last.key,
											  command.execute_at) &&
			command.recurring != NULL)
		{
			Occurrence occurrence;

			cmdsched_occurrence_identify(&occurrence, &command);
			(void) cmdsched_occurrence_end(&occurrence,
										   OCCURRENCE_SUCCEEDED,
										   me.dispatch.now);
		}
		cmdsched_attempt_succeeded(&me.dispatch.last,
								   &command,
								   result,
								   GetCurrentTimestamp());
		cmdsched_operation_attempt_ends(&me.dispatch.last, "succeeded");
	}
	CommitTransactionCommand();
}

static void
recover_procedure(void)
{
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
	Outcome outcome = {0};

	cmdsched_invoke_catch(&outcome, INVOKE_IN_EXECUTOR);
	AbortCurrentTransaction();
	me.dispatch.last.running = false;
	begin_transaction();
	cmdsched_invoke_reset_settings();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	record_failed_commit(&outcome);
	FreeErrorData(outcome.raised);
}

/*
 * A procedure may commit, so it runs outside any batch, and at least once: a
 * crash between its last commit and ours makes it run again.
 */
static void
run_procedure(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "cmdsched procedure",
												  ALLOCSET_DEFAULT_SIZES);

	watch_over_batch();
	PG_TRY();
	{
		call_procedure(context);
	}
	PG_CATCH();
	{
		recover_procedure();
	}
	PG_END_TRY();
	disable_timeout(help_timeout, false);
	cmdsched_command_unlock(&me.dispatch.last.key);
	cmdsched_executor_show_command(me.slot, NULL, 0);
	cmdsched_journal_clear(me.slot);
	cmdsched_executor_count_commands(me.slot, 1);
	cmdsched_invoke_clean_session();
	drop_temp_objects();
	MemoryContextDelete(context);
}

/* ------------------------------------------------------------------------
 * Suspects: what was running when the server crashed
 * ------------------------------------------------------------------------
 */

static void
hold_convict(void)
{
	static const CommandError crashed = {
		.sqlerrcode = ERRCODE_CRASH_SHUTDOWN,
		.message = "handler crashed the server",
		.detail = "It was the only command that ran. Repair the handler, then "
				  "use cmdsched.retry().",
	};

	begin_transaction();
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) cmdsched_attempt_hold(&me.dispatch.last,
								 &crashed,
								 GetCurrentTimestamp());
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Wait until nothing else runs.  It will not be alone if somebody takes very
 * long.  False where this process is to leave.
 */
static bool
wait_for_trial(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz give_up_at = now + CMDSCHED_TRIAL_US;
	bool opened = false;

	while (!must_leave(now))
	{
		opened = opened || cmdsched_trial_open(me.slot, now);
		me.alone = opened && !cmdsched_trial_others_run(me.slot);
		if (me.alone || now >= give_up_at)
			return true;
		cmdsched_worker_wait(now + TRIAL_WAIT_US);
		(void) cmdsched_worker_handle_interrupts();
		now = GetCurrentTimestamp();
	}
	return false;
}

static void
run_suspect(void)
{
	text *schedule_id =
		(text *) MemoryContextAlloc(TopMemoryContext,
									VARSIZE(me.dispatch.last.key.schedule_id));

	memcpy(schedule_id,
		   me.dispatch.last.key.schedule_id,
		   VARSIZE(me.dispatch.last.key.schedule_id));
	cmdsched_trial_leave_batch(me.slot);
	if (cmdsched_journal_convicts(me.role, schedule_id))
	{
		hold_convict();
		cmdsched_journal_close_case(me.role, schedule_id);
	}
	else if (wait_for_trial())
	{
		me.on_trial = true;
		(void) run_batch_transaction();
		if (me.dispatch.end == DISPATCH_PROCEDURE)
			run_procedure();
		cmdsched_journal_close_case(me.role, schedule_id);
	}
	me.on_trial = me.alone = false;
	cmdsched_trial_close(me.slot);
	pfree(schedule_id);
}

/* ------------------------------------------------------------------------
 * The loop
 * ------------------------------------------------------------------------
 */

static void
set_state(ExecutorState state, TimestampTz now)
{
	if (cmdsched_executor_state(me.slot, NULL) == state)
		return;
	cmdsched_executor_set_state(me.slot, state, now);
	pgstat_report_activity(state == EXECUTOR_IDLE ? STATE_IDLE : STATE_RUNNING,
						   state == EXECUTOR_IDLE ? "" : "running commands");
}

static void
become_busy(TimestampTz now)
{
	if (me.busy)
		return;
	me.busy = true;
	me.busy_since = now;
	me.help_asked = now;
	cmdsched_executor_be_busy(me.slot);
	set_state(EXECUTOR_RUNNING, now);
}

/*
 * More is due.  False where others have waited long enough for this place;
 * otherwise go on at once, and ask for help if this goes on for long.
 */
static bool
go_on(TimestampTz now)
{
	Dispatch *dispatch = &me.dispatch;

	become_busy(now);
	if (dispatch->end == DISPATCH_PROCEDURE)
		run_procedure();
	else if (dispatch->end == DISPATCH_SUSPECT)
		run_suspect();
	cmdsched_trial_leave_batch(me.slot);
	/* Quick commands are better left to one: others would only collide. */
	if (now - me.help_asked > HELP_AFTER_US &&
		now - dispatch->now >
			(int64) dispatch->attempts * CMDSCHED_QUICK_COMMAND_US)
	{
		cmdsched_executor_ask_for_help(me.slot);
		me.help_asked = now;
	}
	return now - me.busy_since < TURN_US ||
		   !cmdsched_database_take_wanted_place(me.database_slot, false);
}

/* Another executor does it faster alone; but it may get stuck, so stay. */
static void
stand_back(TimestampTz now)
{
	me.busy = false;
	set_state(EXECUTOR_IDLE, now);
	cmdsched_executor_be_busy(me.slot);
	cmdsched_worker_wait(now + CROWDED_WAIT_US);
	me.look = true;
}

/* Nothing is due.  False when it is time to leave. */
static bool
sleep_until_due(TimestampTz now)
{
	int64 idle_timeout_us =
		cmdsched_executor_idle_timeout * (int64) USECS_PER_SEC;
	TimestampTz leave_at = me.idle_since + idle_timeout_us;
	TimestampTz due_at = cmdsched_role_due(me.role_slot);
	TimestampTz wake_at = due_at;

	set_state(EXECUTOR_IDLE, now);
	if (cmdsched_database_take_wanted_place(me.database_slot, true))
		return false;
	/* Not when it would soon be back. */
	if (wake_at > now + idle_timeout_us)
	{
		if (now >= leave_at)
			return false;
		wake_at = leave_at;
	}
	cmdsched_executor_sleep(me.slot, due_at);
	if (me.skipped_due != DUE_NEVER)
		wake_at = Min(wake_at, me.skipped_until);
	cmdsched_worker_wait(Min(wake_at, now + DATABASE_CHECK_US));
	return true;
}

/* Is there a reason to look at the table? */
static bool
something_may_be_due(TimestampTz now)
{
	return me.look || cmdsched_executor_take_nudge(me.slot) ||
		   cmdsched_role_due(me.role_slot) <= now ||
		   (me.skipped_due != DUE_NEVER && now >= me.skipped_until);
}

/* Somebody's suspect runs.  False where this place is wanted meanwhile. */
static bool
wait_for_verdict(void)
{
	me.look = true;
	if (cmdsched_database_take_wanted_place(me.database_slot, true))
		return false;
	cmdsched_worker_wait(GetCurrentTimestamp() + TRIAL_WAIT_US);
	return true;
}

/* Look, and run what is due.  False when it is time to leave. */
static bool
run_due_commands(void)
{
	TimestampTz now;

	if (!cmdsched_trial_enter_batch(me.slot, GetCurrentTimestamp()))
		return wait_for_verdict();
	me.look = false;
	if (!run_batch_transaction())
		return false;
	drop_temp_objects();
	now = GetCurrentTimestamp();
	if (me.dispatch.attempts > 0)
		me.idle_since = now;
	switch (me.dispatch.end)
	{
		case DISPATCH_CROWDED:
			cmdsched_trial_leave_batch(me.slot);
			stand_back(now);
			return true;
		case DISPATCH_DRY:
			cmdsched_trial_leave_batch(me.slot);
			/* While it was busy nobody woke it: look once more, listening. */
			me.look = me.busy;
			me.busy = false;
			cmdsched_role_clear_help(me.role_slot);
			return true;
		default:
			return go_on(now);
	}
}

/* Nothing is to wait until the clock is where it was. */
static void
forget_times(TimestampTz now)
{
	me.database_checked = 0;
	me.skipped_until = now;
	me.idle_since = me.busy_since = me.help_asked = now;
}

static void
run(void)
{
	bool stay = true;

	while (stay)
	{
		TimestampTz now;

		(void) cmdsched_worker_handle_interrupts();
		now = GetCurrentTimestamp();
		if (cmdsched_worker_clock_was_set_back(now))
			forget_times(now);
		if (must_leave(now))
			break;
		if (!me.busy)
			cmdsched_executor_listen(me.slot);
		if (me.busy || something_may_be_due(now))
			stay = run_due_commands();
		else
			stay = sleep_until_due(now);
	}
}

void
cmdsched_executor_main(Datum arg)
{
	TimestampTz now = GetCurrentTimestamp();
	int64 place = DatumGetInt64(arg);

	me.slot = CMDSCHED_PLACE_SLOT(place);
	pqsignal(SIGQUIT, note_sigquit);
	cmdsched_worker_setup("CmdschedExecutorMain",
						  StatementCancelHandler,
						  note_sigterm);
	if (!cmdsched_shared_state_attach() ||
		!cmdsched_executor_attach(me.slot, CMDSCHED_PLACE_RESERVATION(place)))
		proc_exit(0);
	before_shmem_exit(give_up, (Datum) 0);
	me.role_slot = cmdsched_executor_role_slot(me.slot);
	previous_log_hook = emit_log_hook;
	emit_log_hook = keep_context_out_of_log;
	connect_as_role();
	me.database_slot = cmdsched_database_add(MyDatabaseId);
	me.group_size = cmdsched_batch_size;
	me.idle_since = now;
	me.look_twice = true;
	me.look = true;
	me.database_checked = now;
	help_timeout = RegisterTimeout(USER_TIMEOUT, look_after_batch);
	run();
	proc_exit(0);
}
