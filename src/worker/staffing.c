/*-------------------------------------------------------------------------
 *
 * staffing.c
 *	  Which role gets an executor, and when.
 *
 * One round is staffing_pass(): look at every role of the database, start
 * executors where they are missing, and say when to look again.  It reads
 * shared memory only, in the scheduler's process.
 *
 * IDENTIFICATION
 *	  src/worker/staffing.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "settings.h"
#include "worker/shared_state.h"
#include "worker/staffing.h"
#include "worker/worker.h"

/* An executor is started so long before its role's next command is due. */
#define START_AHEAD_US (10 * 1000L)

/* A process that has not come up after that never will. */
#define START_TIMEOUT_US (10 * USECS_PER_SEC)

/* Between two further executors for a role that has one. */
#define FURTHER_EXECUTOR_US (20 * 1000L)

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
static bool start_has_failed = false;

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
		start_has_failed = true;
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
TimestampTz
cmdsched_staffing_pass(TimestampTz now, bool at_home)
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
 * Beside the rounds
 * ------------------------------------------------------------------------
 */

void
cmdsched_staffing_begin(int slot)
{
	HASHCTL control = {.keysize = sizeof(Oid),
					   .entrysize = sizeof(RoleMemory)};

	database_slot = slot;
	/* Nobody knows those that an earlier scheduler reserved. */
	cmdsched_executor_release_stale(MyDatabaseId, DT_NOEND);
	roles =
		hash_create("cmdsched roles", 64, &control, HASH_ELEM | HASH_BLOBS);
}

/* Give up those that have never come up. */
void
cmdsched_staffing_release_stale(TimestampTz now)
{
	cmdsched_executor_release_stale(MyDatabaseId, now - START_TIMEOUT_US);
}

/* Has an executor failed to start since this was asked last? */
bool
cmdsched_staffing_take_failed_start(void)
{
	bool taken = start_has_failed;

	start_has_failed = false;
	return taken;
}

bool
cmdsched_staffing_serves(int role_slot)
{
	return count_executors(role_slot).total > 0;
}

void
cmdsched_staffing_send_away(void)
{
	int slot = NO_SLOT;

	while ((slot = cmdsched_executor_next(MyDatabaseId, slot)) != NO_SLOT)
		cmdsched_executor_ask_to_leave(slot);
}

/* The clock was set back: nobody waits until it is where it was. */
void
cmdsched_staffing_forget_times(void)
{
	HASH_SEQ_STATUS entries;
	RoleMemory *memory;

	hash_seq_init(&entries, roles);
	while ((memory = hash_seq_search(&entries)) != NULL)
	{
		memory->last_start = 0;
		memory->waiting_since = 0;
	}
}
