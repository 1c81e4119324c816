/*-------------------------------------------------------------------------
 *
 * scheduler.c
 *	  The process, one a database, that knows when something is due and
 *	  keeps executors going.  It never calls a handler.
 *
 * One round is scheduler_pass(): look at every role of the database, start
 * executors where they are missing, and say when to look again.  It reads
 * shared memory only.  Now and then a sweep looks at the table as well, for
 * what could not tell us: COMMIT PREPARED, restores, replication.
 *
 * IDENTIFICATION
 *	  src/worker/scheduler.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/async.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "command/command_store.h"
#include "command/extension.h"
#include "command/history_store.h"
#include "command/home.h"
#include "command/invoke.h"
#include "compat.h"
#include "settings.h"
#include "worker/due_notice.h"
#include "worker/journal.h"
#include "worker/pruning.h"
#include "worker/shared_state.h"
#include "worker/worker.h"

/* An executor is started so long before its role's next command is due. */
#define START_AHEAD_US (10 * 1000L)

/* A process that has not come up after that never will. */
#define START_TIMEOUT_US (10 * USECS_PER_SEC)

/* Between two further executors for a role that has one. */
#define FURTHER_EXECUTOR_US (20 * 1000L)

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

/* A worker that did not start is tried again after that, doubled. */
#define FIRST_START_WAIT_US (1 * USECS_PER_SEC)
#define MAX_START_WAIT_US (60 * USECS_PER_SEC)

/* What this process remembers of a role, by its oid. */
typedef struct RoleMemory
{
	Oid role;
	TimestampTz waiting_since; /* for an executor, 0 = not */
	bool has_executors;		   /* and waits for a further one */
	TimestampTz last_start;
	int failed_starts; /* that were seen */
} RoleMemory;

/* What this process remembers of an executor that it started. */
typedef struct StartedExecutor
{
	int slot;
	uint32 reservation;
	BackgroundWorkerHandle *handle;
} StartedExecutor;

/* How many executors a role has, and what they do. */
typedef struct RoleExecutors
{
	int total;
	int starting;
	int idle;
	int idle_slot;
} RoleExecutors;

static int database_slot = NO_SLOT;
static HTAB *roles = NULL;
static List *started = NIL;
static bool full_logged = false;
static TimestampTz next_sweep = 0;
static TimestampTz last_sweep = 0;
static TimestampTz extension_checked = 0;
static bool listening = false;
static bool at_home = true; /* else nothing runs until adopt() */
static SchedulerState leave_as = SCHEDULER_UNKNOWN;

static RoleMemory *
remember_role(Oid role)
{
	RoleMemory *memory;
	bool found;

	memory = hash_search(roles, &role, HASH_ENTER, &found);
	if (!found)
	{
		memset(memory, 0, sizeof(*memory));
		memory->role = role;
	}
	return memory;
}

/* ------------------------------------------------------------------------
 * Executors
 * ------------------------------------------------------------------------
 */

static RoleExecutors
count_executors(int role_slot)
{
	RoleExecutors count = {.idle_slot = NO_SLOT};
	int slot = NO_SLOT;

	while ((slot = cmdsched_executor_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		if (cmdsched_executor_role_slot(slot) != role_slot ||
			cmdsched_executor_is_leaving(slot))
			continue;
		count.total++;
		switch (cmdsched_executor_state(slot, NULL))
		{
			case EXECUTOR_STARTING:
				count.starting++;
				break;
			case EXECUTOR_IDLE:
				count.idle++;
				count.idle_slot = slot;
				break;
			default:
				break;
		}
	}
	return count;
}

static int
count_all_executors(void)
{
	int count = 0;
	int slot = NO_SLOT;

	while ((slot = cmdsched_executor_next(MyDatabaseId, slot)) != NO_SLOT)
		count++;
	return count;
}

/* Free the slots of those that ended without ever having run. */
static void
reap_executors(void)
{
	ListCell *cell;

	foreach(cell, started)
	{
		StartedExecutor *executor = lfirst(cell);

		if (!cmdsched_worker_has_ended(executor->handle))
			continue;
		if (cmdsched_executor_release(executor->slot, executor->reservation))
			cmdsched_role_count_failed_start(
				cmdsched_executor_role_slot(executor->slot));
		pfree(executor->handle);
		pfree(executor);
		started = foreach_delete_current(started, cell);
	}
}

static void
complain_of_no_room(void)
{
	if (!full_logged)
		ereport(LOG,
				errmsg("cmdsched found no free background worker slot"),
				errhint("Commands wait until there is one. Consider raising "
						"max_worker_processes."));
	full_logged = true;
}

/* False where there is no place for it. */
static bool
start_executor(int role_slot, RoleMemory *memory, TimestampTz now)
{
	MemoryContext caller;
	StartedExecutor *executor;
	BackgroundWorkerHandle *handle;
	uint32 reservation;
	int slot = cmdsched_executor_reserve(role_slot, now, &reservation);

	if (slot == NO_SLOT)
		return false;
	caller = MemoryContextSwitchTo(TopMemoryContext);
	handle = cmdsched_worker_start(WORKER_EXECUTOR,
								   MyDatabaseId,
								   Int64GetDatum(
									   CMDSCHED_PLACE(slot, reservation)));
	if (handle != NULL)
	{
		executor = palloc(sizeof(StartedExecutor));
		executor->slot = slot;
		executor->reservation = reservation;
		executor->handle = handle;
		started = lappend(started, executor);
		memory->last_start = now;
		memory->waiting_since = 0;
		full_logged = false;
	}
	MemoryContextSwitchTo(caller);
	if (handle != NULL)
		return true;
	(void) cmdsched_executor_release(slot, reservation);
	complain_of_no_room();
	return false;
}

/*
 * So many places are wanted: executors that have had their turn give way by
 * themselves, idle ones at once.
 */
static void
make_room(int of_any, int of_idle)
{
	int slot = NO_SLOT;

	cmdsched_database_want_places(database_slot, of_any, of_idle);
	if (of_any + of_idle == 0)
		return;
	while ((slot = cmdsched_executor_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		if (cmdsched_executor_state(slot, NULL) == EXECUTOR_IDLE)
			cmdsched_executor_nudge(slot);
	}
}

/* ------------------------------------------------------------------------
 * One round
 * ------------------------------------------------------------------------
 */

/* Who comes first: one without any executor, then one who waits longer. */
static bool
comes_before(const RoleMemory *a, const RoleMemory *b)
{
	if (a->has_executors != b->has_executors)
		return !a->has_executors;
	return a->waiting_since < b->waiting_since;
}

static int
longest_waiting(void)
{
	int best = NO_SLOT;
	RoleMemory *best_memory = NULL;
	int slot = NO_SLOT;

	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		RoleMemory *memory = remember_role(cmdsched_role_oid(slot));

		if (memory->waiting_since != 0 &&
			(best == NO_SLOT || comes_before(memory, best_memory)))
		{
			best = slot;
			best_memory = memory;
		}
	}
	return best;
}

/* No role may have all the executors, or others would wait for it. */
static int
most_executors_of_a_role(void)
{
	return Max(cmdsched_max_executors - 1, 1);
}

static int64
back_off_us(int times)
{
	return Min(FIRST_START_WAIT_US << Min(times, 6), MAX_START_WAIT_US);
}

/*
 * When this role may have an executor again.  One that could not start may
 * be one to be held; a first death in a handler is bad luck, a row of them
 * a loop.
 */
static TimestampTz
may_start_at(int role_slot, RoleMemory *memory, TimestampTz now)
{
	int failed_starts = cmdsched_role_failed_starts(role_slot);
	int deaths = cmdsched_role_deaths(role_slot);

	if (failed_starts > memory->failed_starts)
		next_sweep = now;
	memory->failed_starts = failed_starts;
	if (failed_starts > 0)
		return memory->last_start + back_off_us(failed_starts - 1);
	if (deaths > 1)
		return memory->last_start + back_off_us(deaths - 2);
	return DT_NOBEGIN;
}

static void
start_waiting(RoleMemory *memory, bool has_executors, TimestampTz now)
{
	if (memory->waiting_since == 0)
		memory->waiting_since = now;
	memory->has_executors = has_executors;
}

/* A role without executor.  Returns when to look again. */
static TimestampTz
look_at_new_role(int role_slot, RoleMemory *memory, TimestampTz now)
{
	TimestampTz start_at = Max(cmdsched_role_due(role_slot) - START_AHEAD_US,
							   may_start_at(role_slot, memory, now));

	if (start_at > now)
	{
		memory->waiting_since = 0;
		return start_at;
	}
	start_waiting(memory, false, now);
	return DT_NOEND;
}

/*
 * A role with executors: has one asked for help?  Returns when to look
 * again.
 */
static TimestampTz
look_at_served_role(int role_slot, RoleMemory *memory,
					const RoleExecutors *executors, TimestampTz now)
{
	bool may_have_more = executors->total < most_executors_of_a_role();
	HelpWanted help = cmdsched_role_help_wanted(role_slot);

	if (help == HELP_WHEN_DUE && cmdsched_role_due(role_slot) > now)
	{
		memory->waiting_since = 0;
		return cmdsched_role_due(role_slot);
	}
	if (help == HELP_NONE || executors->starting > 0 || executors->idle > 0 ||
		!may_have_more)
	{
		memory->waiting_since = 0;
		if (executors->idle > 0 && help != HELP_NONE)
		{
			cmdsched_role_clear_help(role_slot);
			cmdsched_executor_nudge(executors->idle_slot);
		}
		return DT_NOEND;
	}
	if (now < memory->last_start + FURTHER_EXECUTOR_US)
		return memory->last_start + FURTHER_EXECUTOR_US;
	start_waiting(memory, true, now);
	return DT_NOEND;
}

static TimestampTz
look_at_role(int role_slot, TimestampTz now)
{
	RoleMemory *memory = remember_role(cmdsched_role_oid(role_slot));
	RoleExecutors executors = count_executors(role_slot);

	if (executors.total == 0)
		return look_at_new_role(role_slot, memory, now);
	return look_at_served_role(role_slot, memory, &executors, now);
}

/* Start executors for those that wait, longest first, while there is room. */
static TimestampTz
serve_waiting_roles(TimestampTz now)
{
	int role_slot;

	while ((role_slot = longest_waiting()) != NO_SLOT)
	{
		if (count_all_executors() >= cmdsched_max_executors)
			return DT_NOEND; /* woken when one leaves */
		if (!start_executor(role_slot,
							remember_role(cmdsched_role_oid(role_slot)),
							now))
			return now + FIRST_START_WAIT_US;
		cmdsched_role_clear_help(role_slot);
	}
	return DT_NOEND;
}

/* Let executors give way to those who still wait. */
static void
ask_for_room(void)
{
	int of_any = Max(count_all_executors() - cmdsched_max_executors, 0);
	int of_idle = 0;
	int slot = NO_SLOT;

	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		RoleMemory *memory = remember_role(cmdsched_role_oid(slot));

		if (memory->waiting_since == 0)
			continue;
		if (memory->has_executors)
			of_idle++;
		else
			of_any++;
	}
	make_room(of_any, of_idle);
}

/*
 * One round.  Returns when the next is needed, unless the latch is set
 * before.
 */
static TimestampTz
scheduler_pass(TimestampTz now)
{
	TimestampTz next = DT_NOEND;
	TimestampTz again;
	int slot = NO_SLOT;

	reap_executors();
	/* First listen, then look: what comes in between sets the latch. */
	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		if (cmdsched_role_watched_by_scheduler(slot))
			cmdsched_role_watch(slot, DT_NOEND);
	}
	if (!cmdsched_enabled || !at_home)
		return DT_NOEND;
	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		again = look_at_role(slot, now);
		next = Min(next, again);
	}
	again = serve_waiting_roles(now);
	next = Min(next, again);
	ask_for_room();
	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		if (cmdsched_role_watched_by_scheduler(slot))
			cmdsched_role_watch(slot,
								next == DT_NOEND ? DT_NOEND
												 : next + START_AHEAD_US);
	}
	return next;
}

/* ------------------------------------------------------------------------
 * The sweep
 * ------------------------------------------------------------------------
 */

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
		if (cmdsched_role_oid(slot) == role &&
			count_executors(slot).total == 0)
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
			count_executors(slot).total == 0)
			cmdsched_role_forget(slot);
	}
}

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

/* Suspects that are not there, or not due, need not be waited for. */
static void
close_cases(TimestampTz now)
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

/* False where the extension is gone. */
static bool
sweep(TimestampTz now)
{
	List *obstructed = NIL;
	ListCell *cell;
	bool exists;
	bool prepared = false;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	exists = cmdsched_extension_find() != NULL;
	cmdsched_executor_release_stale(MyDatabaseId, now - START_TIMEOUT_US);
	if (exists)
		look_for_home();
	if (exists && at_home)
	{
		forget_idle_roles();
		close_cases(now);
		cmdsched_command_sweep(found_due, &obstructed);
		foreach(cell, obstructed)
			hold_role(lfirst_oid(cell), now);
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
			close_cases(now);
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
send_executors_away(void)
{
	int slot = NO_SLOT;

	while ((slot = cmdsched_executor_next(MyDatabaseId, slot)) != NO_SLOT)
		cmdsched_executor_ask_to_leave(slot);
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
	HASH_SEQ_STATUS entries;
	RoleMemory *memory;
	int slot = NO_SLOT;

	extension_checked = 0;
	last_sweep = 0;
	next_sweep = now;
	hash_seq_init(&entries, roles);
	while ((memory = hash_seq_search(&entries)) != NULL)
	{
		memory->last_start = 0;
		memory->waiting_since = 0;
	}
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
				send_executors_away();
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
				send_executors_away();
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
			send_executors_away();
			leave_as = SCHEDULER_ABSENT;
			break;
		}
		wake_at = scheduler_pass(now);
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
	HASHCTL control = {.keysize = sizeof(Oid),
					   .entrysize = sizeof(RoleMemory)};

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
	/* Nobody knows those that an earlier scheduler reserved. */
	cmdsched_executor_release_stale(MyDatabaseId, DT_NOEND);
	roles =
		hash_create("cmdsched roles", 64, &control, HASH_ELEM | HASH_BLOBS);
	pgstat_report_activity(STATE_IDLE, NULL);
	run();
	proc_exit(0);
}
