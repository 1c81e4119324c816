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
#include "command/invoke.h"
#include "compat.h"
#include "settings.h"
#include "worker/shared_state.h"
#include "worker/worker.h"

/* An executor is started so long before its role's next command is due. */
#define START_AHEAD_US (10 * 1000L)

/* Between two further executors for a role that has one. */
#define FURTHER_EXECUTOR_US (20 * 1000L)

/* How long a role may keep its executor while others have none. */
#define TURN_US (100 * 1000L)

/* How often to sweep while there are prepared transactions. */
#define PREPARED_SWEEP_US (4 * USECS_PER_SEC)

/* After a sweep that raised an error. */
#define SWEEP_RETRY_US (2 * USECS_PER_SEC)

/* Notifications that come in swarms cause no more sweeps than that. */
#define NOTIFIED_SWEEP_US (100 * 1000L)

/* How often to look whether somebody waits for the database. */
#define DATABASE_CHECK_US (2 * USECS_PER_SEC)

/* A worker that did not start is tried again after that, doubled. */
#define FIRST_START_WAIT_US (1 * USECS_PER_SEC)
#define MAX_START_WAIT_US (60 * USECS_PER_SEC)

/* What this process remembers of a role, by its oid. */
typedef struct RoleMemory
{
	Oid role;
	TimestampTz waiting_since; /* due and without executor; 0 = not */
	TimestampTz last_start;
	TimestampTz not_before; /* of the next start, after failed ones */
	int failed_starts;
} RoleMemory;

/* What this process remembers of an executor that it started. */
typedef struct StartedExecutor
{
	int slot;
	Oid role;
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
static bool listening = false;
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

/* Free the slots of those that ended before they could attach to them. */
static void
reap_executors(TimestampTz now)
{
	ListCell *cell;

	foreach(cell, started)
	{
		StartedExecutor *executor = lfirst(cell);
		RoleMemory *memory;

		if (!cmdsched_worker_has_ended(executor->handle))
			continue;
		memory = remember_role(executor->role);
		if (cmdsched_executor_state(executor->slot, NULL) ==
				EXECUTOR_STARTING &&
			cmdsched_executor_pid(executor->slot) == 0)
		{
			memory->not_before =
				now + Min(FIRST_START_WAIT_US << Min(memory->failed_starts, 6),
						  MAX_START_WAIT_US);
			memory->failed_starts++;
			cmdsched_executor_release(executor->slot);
			next_sweep = now; /* perhaps the role is to be held */
		}
		else
			memory->failed_starts = 0;
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
	int slot = cmdsched_executor_reserve(role_slot, now);

	if (slot == NO_SLOT)
		return false;
	caller = MemoryContextSwitchTo(TopMemoryContext);
	handle = cmdsched_worker_start(WORKER_EXECUTOR, MyDatabaseId, slot);
	if (handle != NULL)
	{
		executor = palloc(sizeof(StartedExecutor));
		executor->slot = slot;
		executor->role = memory->role;
		executor->handle = handle;
		started = lappend(started, executor);
		memory->last_start = now;
		memory->waiting_since = 0;
		full_logged = false;
	}
	MemoryContextSwitchTo(caller);
	if (handle != NULL)
		return true;
	cmdsched_executor_release(slot);
	complain_of_no_room();
	return false;
}

/*
 * Somebody waits and there is no place: ask one to leave whose role has had
 * its turn.  One that is idle first, then one of several, then the one that
 * has been busy longest.
 */
static void
make_room(TimestampTz now)
{
	int best = NO_SLOT;
	TimestampTz best_since = now - TURN_US;
	int slot = NO_SLOT;

	while ((slot = cmdsched_executor_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		TimestampTz since;
		ExecutorState state = cmdsched_executor_state(slot, &since);

		if (cmdsched_executor_is_leaving(slot))
			return; /* there will be room */
		if (state == EXECUTOR_IDLE ||
			(state == EXECUTOR_RUNNING &&
			 count_executors(cmdsched_executor_role_slot(slot)).total > 1))
		{
			best = slot;
			if (state == EXECUTOR_IDLE)
				break;
			best_since = DT_NOBEGIN;
		}
		else if (state == EXECUTOR_RUNNING && since < best_since)
		{
			best = slot;
			best_since = since;
		}
	}
	if (best != NO_SLOT)
		cmdsched_executor_ask_to_leave(best);
}

/* ------------------------------------------------------------------------
 * One round
 * ------------------------------------------------------------------------
 */

/* The role that has been due and without an executor for longest. */
static int
longest_waiting(void)
{
	int best = NO_SLOT;
	TimestampTz best_since = DT_NOEND;
	int slot = NO_SLOT;

	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		TimestampTz since =
			remember_role(cmdsched_role_oid(slot))->waiting_since;

		if (since != 0 && since < best_since)
		{
			best = slot;
			best_since = since;
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

/* A first death in a handler is bad luck, a row of them a loop. */
static TimestampTz
after_deaths(int role_slot, const RoleMemory *memory)
{
	int deaths = cmdsched_role_deaths(role_slot);

	if (deaths < 2)
		return 0;
	return memory->last_start +
		   Min(FIRST_START_WAIT_US << Min(deaths - 2, 6), MAX_START_WAIT_US);
}

/*
 * Look at one role: does it wait for an executor, or its first for help?
 * Returns when to look again.
 */
static TimestampTz
look_at_role(int role_slot, TimestampTz now)
{
	RoleMemory *memory = remember_role(cmdsched_role_oid(role_slot));
	RoleExecutors executors = count_executors(role_slot);
	TimestampTz due_at = cmdsched_role_due(role_slot);
	TimestampTz not_before =
		Max(memory->not_before, after_deaths(role_slot, memory));
	bool is_due = due_at <= now + START_AHEAD_US;

	if (executors.total == 0)
	{
		if (!is_due)
			memory->waiting_since = 0;
		else if (now < not_before)
			return not_before;
		else if (memory->waiting_since == 0)
			memory->waiting_since = now;
		return is_due ? DT_NOEND : due_at - START_AHEAD_US;
	}
	memory->waiting_since = 0;
	if (executors.starting > 0 || !cmdsched_role_needs_help(role_slot))
		return DT_NOEND;
	if (executors.idle > 0)
	{
		cmdsched_role_clear_help(role_slot);
		cmdsched_executor_nudge(executors.idle_slot);
		return DT_NOEND;
	}
	if (executors.total >= most_executors_of_a_role() ||
		count_all_executors() >= cmdsched_max_executors)
	{
		cmdsched_role_clear_help(role_slot);
		return DT_NOEND;
	}
	if (now < memory->last_start + FURTHER_EXECUTOR_US)
		return memory->last_start + FURTHER_EXECUTOR_US;
	cmdsched_role_clear_help(role_slot);
	memory->waiting_since = now;
	return DT_NOEND;
}

/* Start executors for those that wait, longest first. */
static TimestampTz
serve_waiting_roles(TimestampTz now)
{
	int role_slot;

	while ((role_slot = longest_waiting()) != NO_SLOT)
	{
		RoleMemory *memory = remember_role(cmdsched_role_oid(role_slot));

		if (count_all_executors() >= cmdsched_max_executors)
		{
			if (count_executors(role_slot).total > 0)
			{
				memory->waiting_since = 0; /* it was only to be helped */
				continue;
			}
			make_room(now);
			return now + TURN_US;
		}
		if (!start_executor(role_slot, memory, now))
			return now + FIRST_START_WAIT_US;
	}
	return DT_NOEND;
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

	reap_executors(now);
	/* First listen, then look: what comes in between sets the latch. */
	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		if (cmdsched_role_watched_by_scheduler(slot))
			cmdsched_role_watch(slot, DT_NOEND);
	}
	if (!cmdsched_enabled)
		return DT_NOEND;
	while ((slot = cmdsched_role_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		again = look_at_role(slot, now);
		next = Min(next, again);
	}
	again = serve_waiting_roles(now);
	next = Min(next, again);
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

static void
hold_role(Oid role, TimestampTz now)
{
	const CommandError *obstacle = find_obstacle(role);

	cmdsched_command_hold_role(role, obstacle, now);
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
	if (exists)
	{
		forget_idle_roles();
		cmdsched_command_sweep(found_due, &obstructed);
		foreach(cell, obstructed)
			hold_role(lfirst_oid(cell), now);
		prepared = cmdsched_command_prepared_exist();
		if (cmdsched_listen && !listening)
			Async_Listen("cmdsched");
		else if (!cmdsched_listen && listening)
			Async_Unlisten("cmdsched");
		listening = cmdsched_listen;
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	last_sweep = now;
	next_sweep =
		now + (prepared ? Min(PREPARED_SWEEP_US,
							  cmdsched_poll_interval * (int64) USECS_PER_SEC)
						: cmdsched_poll_interval * (int64) USECS_PER_SEC);
	return exists;
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
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
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

/* DROP EXTENSION does not wake us: listen to the catalogs instead. */
static bool
extension_may_be_gone(TimestampTz now)
{
	static TimestampTz checked = 0;
	bool changed;

	if (now - checked < DATABASE_CHECK_US)
		return false;
	checked = now;
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

static void
run(void)
{
	TimestampTz database_checked = GetCurrentTimestamp();

	for (;;)
	{
		TimestampTz now;
		TimestampTz wake_at;

		cmdsched_worker_handle_interrupts();
		now = GetCurrentTimestamp();
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

	cmdsched_worker_setup(SIG_IGN, die);
	if (!cmdsched_shared_state_attach())
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	cmdsched_invoke_prepare_session();
	database_slot = cmdsched_database_add(database);
	if (database_slot == NO_SLOT ||
		!cmdsched_scheduler_attach(database_slot, GetCurrentTimestamp()))
		proc_exit(0);
	before_shmem_exit(leave, (Datum) 0);
	roles =
		hash_create("cmdsched roles", 64, &control, HASH_ELEM | HASH_BLOBS);
	pgstat_report_activity(STATE_IDLE, NULL);
	run();
	proc_exit(0);
}
