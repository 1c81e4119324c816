/*-------------------------------------------------------------------------
 *
 * shared_state.c
 *	  The shared memory: its size, its lock, its slots.
 *
 * slots_lock guards which slot is whose.  What commits and batches touch is
 * atomic, or, for the low-water mark, under a spinlock of its own.  Nothing
 * under a lock allocates, throws or waits.
 *
 * The low-water mark.  Dead index entries cannot be skipped while an old
 * snapshot is open, so a scan must not begin at the first entry but where
 * the last one got to.  Three words make that safe for any number of
 * executors of a role:
 *
 * - mark: everything before it has been seen by an executor that committed,
 *	 or is in the hands of one that will put it back;
 * - pending_min: lowered by every commit that makes something due, after it
 *	 has become visible.  A batch exchanges it for infinity *before* it takes
 *	 its snapshot and begins at the lesser of it and the mark;
 * - mark_version: grows when a batch that took pending_min, or that gave up
 *	 claims which others had stepped over (a group rolled back), ends before the
 *	 mark.  Others that began under the old version must not raise the
 *	 mark over what that batch left for later.
 *
 * A batch that does not commit gives back what it took (role_put_back).
 *
 * Without shared_preload_libraries the structure lives in the slack that
 * every server has for such late-comers: enough, but not guaranteed.
 *
 * IDENTIFICATION
 *	  src/worker/shared_state.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#include "command/command_store.h"
#include "worker/journal.h"
#include "worker/shared_state.h"

#define MAX_DATABASES 128
#define MAX_ROLES 512

/* Stored where nobody need be woken: nothing is due before it. */
#define WAKE_NEVER DT_NOBEGIN
/* Stored by one that is about to look: anything due is news. */
#define WAKE_ALWAYS DT_NOEND

/* waker of a role slot: the scheduler, or an executor slot plus one */
#define WAKER_SCHEDULER 0

typedef struct DatabaseSlot
{
	Oid database; /* InvalidOid = free */
	SchedulerState state;
	TimestampTz since;
	int scheduler_pid;
	Latch *scheduler_latch;
	pg_atomic_uint32 sweep_requested;
	pg_atomic_uint32 places_of_any;	 /* executors that should give way */
	pg_atomic_uint32 places_of_idle; /* if they have nothing to do */
} DatabaseSlot;

typedef struct RoleSlot
{
	Oid database;
	Oid role; /* InvalidOid = free */
	int database_slot;
	pg_atomic_uint64 pending_min;
	pg_atomic_uint64 next_due;	  /* the next one that the last scan saw */
	pg_atomic_uint64 wake_before; /* news of this time wakes the waker */
	pg_atomic_uint32 waker;
	pg_atomic_uint32 help_wanted; /* its executors are busy for long */
	pg_atomic_uint32 deaths;	  /* executors that ended in a handler */
	pg_atomic_uint32 failed_starts;
	pg_atomic_uint32 nexecutors;
	slock_t mark_lock;
	uint32 mark_version;
	CommandPosition mark;
} RoleSlot;

typedef struct ExecutorSlot
{
	ExecutorState state;
	uint32 reservation; /* grows each time the slot is reserved */
	Oid database;
	Oid role;
	int role_slot;
	int pid;
	Latch *latch;
	TimestampTz since;
	pg_atomic_uint32 leave;
	pg_atomic_uint32 nudged;
	pg_atomic_uint64 commands_run;
	slock_t id_lock; /* for what is being run */
	TimestampTz due_at;
	uint8 id_len;
	char id[CMDSCHED_MAX_NAME];
} ExecutorSlot;

typedef struct SharedState
{
	LWLock slots_lock;
	int tranche;
	bool preloaded;
	int launcher_pid;
	Latch *launcher_latch;
	TimestampTz launcher_since;
	DatabaseSlot databases[MAX_DATABASES];
	RoleSlot roles[MAX_ROLES];
	ExecutorSlot executors[CMDSCHED_MAX_EXECUTORS];
} SharedState;

static SharedState *shared = NULL;
static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

/* ------------------------------------------------------------------------
 * Setting up
 * ------------------------------------------------------------------------
 */

static void
initialize(SharedState *state)
{
	memset(state, 0, sizeof(SharedState));
	state->tranche = LWLockNewTrancheId();
	LWLockInitialize(&state->slots_lock, state->tranche);
	state->preloaded = process_shared_preload_libraries_in_progress;
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		pg_atomic_init_u32(&state->databases[i].sweep_requested, 0);
		pg_atomic_init_u32(&state->databases[i].places_of_any, 0);
		pg_atomic_init_u32(&state->databases[i].places_of_idle, 0);
	}
	for (int i = 0; i < MAX_ROLES; i++)
	{
		RoleSlot *role = &state->roles[i];

		pg_atomic_init_u64(&role->pending_min, (uint64) DT_NOEND);
		pg_atomic_init_u64(&role->next_due, (uint64) DT_NOEND);
		pg_atomic_init_u64(&role->wake_before, (uint64) WAKE_ALWAYS);
		pg_atomic_init_u32(&role->waker, WAKER_SCHEDULER);
		pg_atomic_init_u32(&role->help_wanted, HELP_NONE);
		pg_atomic_init_u32(&role->deaths, 0);
		pg_atomic_init_u32(&role->failed_starts, 0);
		pg_atomic_init_u32(&role->nexecutors, 0);
		SpinLockInit(&role->mark_lock);
	}
	for (int i = 0; i < CMDSCHED_MAX_EXECUTORS; i++)
	{
		pg_atomic_init_u32(&state->executors[i].leave, 0);
		pg_atomic_init_u32(&state->executors[i].nudged, 0);
		pg_atomic_init_u64(&state->executors[i].commands_run, 0);
		SpinLockInit(&state->executors[i].id_lock);
	}
	cmdsched_journal_judge();
}

static void
attach_structure(void)
{
	bool found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("cmdsched", sizeof(SharedState), &found);
	if (!found)
		initialize(shared);
	LWLockRelease(AddinShmemInitLock);
	LWLockRegisterTranche(shared->tranche, "cmdsched");
}

static void
request_memory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(SharedState)));
}

static void
create_at_startup(void)
{
	if (previous_startup_hook)
		previous_startup_hook();
	shared = NULL;
	attach_structure();
	shared->preloaded = true;
}

/* While shared_preload_libraries are being loaded: ask for the memory. */
void
cmdsched_shared_state_install(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = create_at_startup;
}

/* False where the server has no shared memory left for us. */
bool
cmdsched_shared_state_attach(void)
{
	static bool refused = false;
	MemoryContext context = CurrentMemoryContext;

	if (shared != NULL || refused)
		return shared != NULL;
	PG_TRY();
	{
		attach_structure();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (LWLockHeldByMe(AddinShmemInitLock))
		{
			HOLD_INTERRUPTS(); /* an error has reset the count */
			LWLockRelease(AddinShmemInitLock);
		}
		FlushErrorState();
		refused = true;
	}
	PG_END_TRY();
	return shared != NULL;
}

bool
cmdsched_shared_state_is_preloaded(void)
{
	return shared != NULL && shared->preloaded;
}

/* ------------------------------------------------------------------------
 * The launcher
 * ------------------------------------------------------------------------
 */

void
cmdsched_launcher_attach(void)
{
	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	shared->launcher_pid = MyProcPid;
	shared->launcher_latch = MyLatch;
	shared->launcher_since = MyStartTimestamp;
	LWLockRelease(&shared->slots_lock);
}

void
cmdsched_launcher_detach(void)
{
	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	if (shared->launcher_pid == MyProcPid)
	{
		shared->launcher_pid = 0;
		shared->launcher_latch = NULL;
	}
	LWLockRelease(&shared->slots_lock);
}

int
cmdsched_launcher_pid(TimestampTz *since)
{
	if (since != NULL)
		*since = shared->launcher_since;
	return shared->launcher_pid;
}

void
cmdsched_launcher_wake(void)
{
	Latch *latch = shared->launcher_latch;

	if (latch != NULL)
		SetLatch(latch);
}

/* ------------------------------------------------------------------------
 * Databases
 * ------------------------------------------------------------------------
 */

static int
find_database(Oid database)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (shared->databases[i].database == database)
			return i;
	}
	return NO_SLOT;
}

/* Where there is no extension, nothing has to be remembered. */
static int
find_absent_database(void)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (shared->databases[i].state == SCHEDULER_ABSENT &&
			shared->databases[i].scheduler_pid == 0)
			return i;
	}
	return NO_SLOT;
}

int
cmdsched_database_find(Oid database)
{
	int slot;

	LWLockAcquire(&shared->slots_lock, LW_SHARED);
	slot = find_database(database);
	LWLockRelease(&shared->slots_lock);
	return slot;
}

/* Find or add; NO_SLOT where there are too many. */
int
cmdsched_database_add(Oid database)
{
	int slot;

	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	slot = find_database(database);
	if (slot == NO_SLOT)
	{
		slot = find_database(InvalidOid);
		if (slot == NO_SLOT)
			slot = find_absent_database();
		if (slot != NO_SLOT)
		{
			DatabaseSlot *entry = &shared->databases[slot];

			entry->database = database;
			entry->state = SCHEDULER_UNKNOWN;
			entry->since = 0;
			entry->scheduler_pid = 0;
			entry->scheduler_latch = NULL;
			pg_atomic_write_u32(&entry->sweep_requested, 0);
			pg_atomic_write_u32(&entry->places_of_any, 0);
			pg_atomic_write_u32(&entry->places_of_idle, 0);
		}
	}
	LWLockRelease(&shared->slots_lock);
	return slot;
}

/* A database that is gone takes its roles with it. */
void
cmdsched_database_forget(int slot)
{
	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_ROLES; i++)
	{
		if (shared->roles[i].database == shared->databases[slot].database)
		{
			shared->roles[i].role = InvalidOid;
			shared->roles[i].database = InvalidOid;
		}
	}
	shared->databases[slot].database = InvalidOid;
	LWLockRelease(&shared->slots_lock);
}

/* The next used slot after this one; NO_SLOT at the end. */
int
cmdsched_database_next(int slot)
{
	while (++slot < MAX_DATABASES)
	{
		if (OidIsValid(shared->databases[slot].database))
			return slot;
	}
	return NO_SLOT;
}

Oid
cmdsched_database_oid(int slot)
{
	return shared->databases[slot].database;
}

SchedulerState
cmdsched_database_state(int slot)
{
	return shared->databases[slot].state;
}

/* Change the state if it is the one expected. */
bool
cmdsched_database_change(int slot, SchedulerState from, SchedulerState to,
						 TimestampTz now)
{
	bool changed;

	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	changed = shared->databases[slot].state == from;
	if (changed)
	{
		shared->databases[slot].state = to;
		shared->databases[slot].since = now;
	}
	LWLockRelease(&shared->slots_lock);
	return changed;
}

void
cmdsched_database_set_state(int slot, SchedulerState state, TimestampTz now)
{
	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	shared->databases[slot].state = state;
	shared->databases[slot].since = now;
	LWLockRelease(&shared->slots_lock);
}

/* Become the scheduler; false where there is one, or none is wanted. */
bool
cmdsched_scheduler_attach(int slot, TimestampTz now)
{
	DatabaseSlot *entry = &shared->databases[slot];
	bool attached;

	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	attached = entry->scheduler_pid == 0 && entry->state != SCHEDULER_STOPPED;
	if (attached)
	{
		entry->scheduler_pid = MyProcPid;
		entry->scheduler_latch = MyLatch;
		entry->state = SCHEDULER_RUNNING;
		entry->since = now;
	}
	LWLockRelease(&shared->slots_lock);
	return attached;
}

/* A state that somebody else has set meanwhile stays. */
void
cmdsched_scheduler_detach(int slot, SchedulerState state, TimestampTz now)
{
	DatabaseSlot *entry = &shared->databases[slot];

	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	if (entry->scheduler_pid == MyProcPid)
	{
		entry->scheduler_pid = 0;
		entry->scheduler_latch = NULL;
		if (entry->state == SCHEDULER_RUNNING)
		{
			entry->state = state;
			entry->since = now;
		}
	}
	LWLockRelease(&shared->slots_lock);
}

int
cmdsched_scheduler_pid(int slot, TimestampTz *since)
{
	if (since != NULL)
		*since = shared->databases[slot].since;
	return shared->databases[slot].scheduler_pid;
}

void
cmdsched_scheduler_wake(int slot)
{
	Latch *latch = shared->databases[slot].scheduler_latch;

	if (latch != NULL)
		SetLatch(latch);
}

void
cmdsched_scheduler_request_sweep(int slot)
{
	pg_atomic_write_u32(&shared->databases[slot].sweep_requested, 1);
	pg_memory_barrier();
	cmdsched_scheduler_wake(slot);
}

bool
cmdsched_scheduler_take_sweep_request(int slot)
{
	return pg_atomic_exchange_u32(&shared->databases[slot].sweep_requested,
								  0) != 0;
}

/* The scheduler: so many executors should make room for others. */
void
cmdsched_database_want_places(int slot, int of_any, int of_idle)
{
	DatabaseSlot *entry = &shared->databases[slot];

	pg_atomic_write_u32(&entry->places_of_any, of_any);
	pg_atomic_write_u32(&entry->places_of_idle, of_idle);
	pg_memory_barrier();
}

static bool
take_one(pg_atomic_uint32 *count)
{
	uint32 old = pg_atomic_read_u32(count);

	while (old > 0)
	{
		if (pg_atomic_compare_exchange_u32(count, &old, old - 1))
			return true;
	}
	return false;
}

/* An executor: am I to make room?  One that is asked does. */
bool
cmdsched_database_take_wanted_place(int slot, bool idle)
{
	DatabaseSlot *entry = &shared->databases[slot];

	return take_one(&entry->places_of_any) ||
		   (idle && take_one(&entry->places_of_idle));
}

/* ------------------------------------------------------------------------
 * Roles
 * ------------------------------------------------------------------------
 */

/* Roles sit near where their oids put them, so that few slots are read. */
static int
find_role(Oid database, Oid role, bool free_one)
{
	uint32 start = (role * 31 + database) % MAX_ROLES;

	for (int i = 0; i < MAX_ROLES; i++)
	{
		int slot = (start + i) % MAX_ROLES;
		RoleSlot *entry = &shared->roles[slot];

		if (free_one ? !OidIsValid(entry->role)
					 : entry->role == role && entry->database == database)
			return slot;
	}
	return NO_SLOT;
}

static void
add_role(int slot, Oid database, Oid role)
{
	RoleSlot *entry = &shared->roles[slot];

	entry->database = database;
	entry->role = role;
	entry->database_slot = find_database(database);
	pg_atomic_write_u64(&entry->pending_min, (uint64) DT_NOEND);
	pg_atomic_write_u64(&entry->next_due, (uint64) DT_NOEND);
	pg_atomic_write_u64(&entry->wake_before, (uint64) WAKE_ALWAYS);
	pg_atomic_write_u32(&entry->waker, WAKER_SCHEDULER);
	pg_atomic_write_u32(&entry->help_wanted, HELP_NONE);
	pg_atomic_write_u32(&entry->deaths, 0);
	pg_atomic_write_u32(&entry->failed_starts, 0);
	pg_atomic_write_u32(&entry->nexecutors, 0);
	entry->mark_version = 0;
	memset(&entry->mark, 0, sizeof(CommandPosition));
	entry->mark.due_at = DT_NOBEGIN;
}

/* NO_SLOT where there are too many roles. */
int
cmdsched_role_find_or_add(Oid database, Oid role)
{
	int slot;

	LWLockAcquire(&shared->slots_lock, LW_SHARED);
	slot = find_role(database, role, false);
	LWLockRelease(&shared->slots_lock);
	if (slot != NO_SLOT)
		return slot;

	if (cmdsched_database_add(database) == NO_SLOT)
		return NO_SLOT;
	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	slot = find_role(database, role, false);
	if (slot == NO_SLOT)
	{
		slot = find_role(database, role, true);
		if (slot != NO_SLOT)
			add_role(slot, database, role);
	}
	LWLockRelease(&shared->slots_lock);
	return slot;
}

/* A slot noted a while ago may have changed hands. */
bool
cmdsched_role_is(int slot, Oid database, Oid role)
{
	return shared->roles[slot].role == role &&
		   shared->roles[slot].database == database;
}

/* The next used slot of a database after this one; NO_SLOT at the end. */
int
cmdsched_role_next(Oid database, int slot)
{
	while (++slot < MAX_ROLES)
	{
		if (shared->roles[slot].database == database)
			return slot;
	}
	return NO_SLOT;
}

Oid
cmdsched_role_oid(int slot)
{
	return shared->roles[slot].role;
}

/* For a role that has nothing pending and no executor. */
void
cmdsched_role_forget(int slot)
{
	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	shared->roles[slot].role = InvalidOid;
	shared->roles[slot].database = InvalidOid;
	LWLockRelease(&shared->slots_lock);
}

/* Is it time to give slots back? */
bool
cmdsched_roles_are_scarce(void)
{
	int used = 0;

	for (int i = 0; i < MAX_ROLES; i++)
		used += OidIsValid(shared->roles[i].role);
	return used > MAX_ROLES / 2;
}

static void
lower(pg_atomic_uint64 *value, TimestampTz due_at)
{
	uint64 old = pg_atomic_read_u64(value);

	while (due_at < (TimestampTz) old)
	{
		if (pg_atomic_compare_exchange_u64(value, &old, (uint64) due_at))
			break;
	}
}

static void
wake(RoleSlot *entry)
{
	uint32 waker = pg_atomic_read_u32(&entry->waker);
	Latch *latch = NULL;

	if (waker != WAKER_SCHEDULER)
		latch = shared->executors[waker - 1].latch;
	else if (entry->database_slot != NO_SLOT)
		latch = shared->databases[entry->database_slot].scheduler_latch;
	if (latch != NULL)
		SetLatch(latch);
}

/*
 * Something of this role became due at due_at, and is visible to all: say
 * so, and wake who would otherwise sleep over it.  Called after commit: must
 * not throw or wait.
 */
void
cmdsched_role_lower(int slot, TimestampTz due_at)
{
	RoleSlot *entry = &shared->roles[slot];
	uint64 wake_before;

	lower(&entry->pending_min, due_at);
	pg_memory_barrier();
	wake_before = pg_atomic_read_u64(&entry->wake_before);
	while (due_at < (TimestampTz) wake_before)
	{
		if (pg_atomic_compare_exchange_u64(&entry->wake_before,
										   &wake_before,
										   (uint64) WAKE_NEVER))
		{
			wake(entry);
			break;
		}
	}
}

/* When the role's next command is due, as far as anybody knows. */
TimestampTz
cmdsched_role_due(int slot)
{
	RoleSlot *entry = &shared->roles[slot];
	TimestampTz pending =
		(TimestampTz) pg_atomic_read_u64(&entry->pending_min);
	TimestampTz next = (TimestampTz) pg_atomic_read_u64(&entry->next_due);

	return Min(pending, next);
}

void
cmdsched_role_set_next_due(int slot, TimestampTz due_at)
{
	pg_atomic_write_u64(&shared->roles[slot].next_due, (uint64) due_at);
}

/* The scheduler: wake me for news of before that time.  Then a barrier. */
void
cmdsched_role_watch(int slot, TimestampTz wake_before)
{
	pg_atomic_write_u64(&shared->roles[slot].wake_before,
						(uint64) wake_before);
	pg_memory_barrier();
}

bool
cmdsched_role_watched_by_scheduler(int slot)
{
	return pg_atomic_read_u32(&shared->roles[slot].waker) == WAKER_SCHEDULER;
}

HelpWanted
cmdsched_role_help_wanted(int slot)
{
	return (HelpWanted) pg_atomic_read_u32(&shared->roles[slot].help_wanted);
}

void
cmdsched_role_clear_help(int slot)
{
	pg_atomic_write_u32(&shared->roles[slot].help_wanted, HELP_NONE);
}

/* ------------------------------------------------------------------------
 * An executor's view of its role
 * ------------------------------------------------------------------------
 */

/* Before a batch takes its snapshot: where it has to begin. */
void
cmdsched_role_take(int slot, RoleTake *take)
{
	RoleSlot *entry = &shared->roles[slot];
	TimestampTz pending =
		(TimestampTz) pg_atomic_exchange_u64(&entry->pending_min,
											 (uint64) DT_NOEND);

	SpinLockAcquire(&entry->mark_lock);
	take->from = entry->mark;
	take->mark_version = entry->mark_version;
	SpinLockRelease(&entry->mark_lock);
	take->took_pending = pending != DT_NOEND;
	if (pending < take->from.due_at ||
		(pending == take->from.due_at && take->from.id_len > 0))
	{
		take->from.due_at = pending;
		take->from.id_len = 0;
	}
}

/* After its commit: it has dealt with everything up to there. */
void
cmdsched_role_finish(int slot, const RoleTake *take,
					 const CommandPosition *reached)
{
	RoleSlot *entry = &shared->roles[slot];
	int order;

	SpinLockAcquire(&entry->mark_lock);
	order = cmdsched_command_position_compare(reached, &entry->mark);
	if (order > 0 && take->mark_version == entry->mark_version)
		entry->mark = *reached;
	else if (order < 0 && take->took_pending)
	{
		entry->mark = *reached;
		entry->mark_version++;
	}
	SpinLockRelease(&entry->mark_lock);
	if (pg_atomic_read_u32(&entry->deaths) != 0)
		pg_atomic_write_u32(&entry->deaths, 0);
}

/* So many executors in a row ended in the middle of a handler. */
int
cmdsched_role_deaths(int slot)
{
	return (int) pg_atomic_read_u32(&shared->roles[slot].deaths);
}

void
cmdsched_role_count_death(int slot)
{
	pg_atomic_fetch_add_u32(&shared->roles[slot].deaths, 1);
}

/* So many executors in a row ended before they were at work. */
int
cmdsched_role_failed_starts(int slot)
{
	return (int) pg_atomic_read_u32(&shared->roles[slot].failed_starts);
}

void
cmdsched_role_count_failed_start(int slot)
{
	pg_atomic_fetch_add_u32(&shared->roles[slot].failed_starts, 1);
}

void
cmdsched_role_clear_failed_starts(int slot)
{
	pg_atomic_write_u32(&shared->roles[slot].failed_starts, 0);
}

/* It did not commit: somebody has to look there again. */
void
cmdsched_role_put_back(int slot, const RoleTake *take)
{
	cmdsched_role_lower(slot, take->from.due_at);
}

static int
my_role_slot(int slot)
{
	return shared->executors[slot].role_slot;
}

/* About to look: whatever is committed from now on is to wake me. */
void
cmdsched_executor_listen(int slot)
{
	RoleSlot *role = &shared->roles[my_role_slot(slot)];

	pg_atomic_write_u32(&role->waker, slot + 1);
	pg_atomic_write_u64(&role->wake_before, (uint64) WAKE_ALWAYS);
	pg_memory_barrier();
}

/* About to sleep: only what is due before that time need wake me. */
void
cmdsched_executor_sleep(int slot, TimestampTz wake_before)
{
	RoleSlot *role = &shared->roles[my_role_slot(slot)];

	if (pg_atomic_read_u32(&role->waker) == (uint32) slot + 1)
		pg_atomic_write_u64(&role->wake_before, (uint64) wake_before);
}

/* Running commands, back soon: nobody need be woken for this role. */
void
cmdsched_executor_be_busy(int slot)
{
	RoleSlot *role = &shared->roles[my_role_slot(slot)];

	if (pg_atomic_read_u32(&role->waker) == (uint32) slot + 1)
		pg_atomic_write_u64(&role->wake_before, (uint64) WAKE_NEVER);
}

/*
 * Not back soon after all: from now on the scheduler is to be woken, and it
 * is to look whether another executor is needed.  Called from a signal
 * handler too.
 */
void
cmdsched_executor_ask_for_help(int slot)
{
	RoleSlot *role = &shared->roles[my_role_slot(slot)];
	uint32 me = (uint32) slot + 1;

	shared->executors[slot].state = EXECUTOR_RUNNING;
	pg_atomic_write_u32(&role->help_wanted, HELP_NOW);
	if (pg_atomic_compare_exchange_u32(&role->waker, &me, WAKER_SCHEDULER))
	{
		pg_memory_barrier();
		pg_atomic_write_u64(&role->wake_before, (uint64) WAKE_ALWAYS);
	}
	if (role->database_slot != NO_SLOT)
		cmdsched_scheduler_wake(role->database_slot);
}

/* ------------------------------------------------------------------------
 * Executors
 * ------------------------------------------------------------------------
 */

int
cmdsched_executor_reserve(int role_slot, TimestampTz now, uint32 *reservation)
{
	int slot;

	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	for (slot = 0; slot < CMDSCHED_MAX_EXECUTORS; slot++)
	{
		if (shared->executors[slot].state == EXECUTOR_FREE)
			break;
	}
	if (slot == CMDSCHED_MAX_EXECUTORS)
		slot = NO_SLOT;
	else
	{
		ExecutorSlot *entry = &shared->executors[slot];

		entry->state = EXECUTOR_STARTING;
		*reservation = ++entry->reservation;
		entry->database = shared->roles[role_slot].database;
		entry->role = shared->roles[role_slot].role;
		entry->role_slot = role_slot;
		entry->pid = 0;
		entry->latch = NULL;
		entry->since = now;
		entry->id_len = 0;
		pg_atomic_write_u32(&entry->leave, 0);
		pg_atomic_write_u64(&entry->commands_run, 0);
	}
	LWLockRelease(&shared->slots_lock);
	return slot;
}

/* True for one that never started; another reservation is left alone. */
bool
cmdsched_executor_release(int slot, uint32 reservation)
{
	ExecutorSlot *entry = &shared->executors[slot];
	bool released;

	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	released = entry->state == EXECUTOR_STARTING &&
			   entry->reservation == reservation && entry->pid == 0;
	if (released)
		entry->state = EXECUTOR_FREE;
	LWLockRelease(&shared->slots_lock);
	return released;
}

/* Reservations for which no process came; whoever made them may be gone. */
void
cmdsched_executor_release_stale(Oid database, TimestampTz before)
{
	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	for (int i = 0; i < CMDSCHED_MAX_EXECUTORS; i++)
	{
		ExecutorSlot *entry = &shared->executors[i];

		if (entry->state == EXECUTOR_STARTING && entry->pid == 0 &&
			entry->database == database && entry->since < before)
			entry->state = EXECUTOR_FREE;
	}
	LWLockRelease(&shared->slots_lock);
}

/* The new process: false where the reservation is gone. */
bool
cmdsched_executor_attach(int slot, uint32 reservation)
{
	ExecutorSlot *entry = &shared->executors[slot];
	bool attached;

	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	attached = entry->state == EXECUTOR_STARTING && entry->pid == 0 &&
			   entry->reservation == reservation;
	if (attached)
	{
		entry->pid = MyProcPid;
		entry->latch = MyLatch;
		pg_atomic_fetch_add_u32(&shared->roles[entry->role_slot].nexecutors,
								1);
	}
	LWLockRelease(&shared->slots_lock);
	return attached;
}

/* Leave: the scheduler takes over the watch. */
void
cmdsched_executor_detach(int slot)
{
	ExecutorSlot *entry = &shared->executors[slot];
	RoleSlot *role = &shared->roles[entry->role_slot];
	uint32 me = (uint32) slot + 1;

	cmdsched_executor_show_command(slot, NULL);
	if (pg_atomic_compare_exchange_u32(&role->waker, &me, WAKER_SCHEDULER))
		pg_atomic_write_u64(&role->wake_before, (uint64) WAKE_ALWAYS);
	LWLockAcquire(&shared->slots_lock, LW_EXCLUSIVE);
	/* Those that stay may be in a slow handler. */
	if (pg_atomic_fetch_sub_u32(&role->nexecutors, 1) > 1 &&
		pg_atomic_read_u32(&role->help_wanted) == HELP_NONE)
		pg_atomic_write_u32(&role->help_wanted, HELP_WHEN_DUE);
	entry->state = EXECUTOR_FREE;
	entry->pid = 0;
	entry->latch = NULL;
	LWLockRelease(&shared->slots_lock);
	if (role->database_slot != NO_SLOT)
		cmdsched_scheduler_wake(role->database_slot);
}

int
cmdsched_executor_role_slot(int slot)
{
	return shared->executors[slot].role_slot;
}

void
cmdsched_executor_identify(int slot, Oid *database, Oid *role)
{
	*database = shared->executors[slot].database;
	*role = shared->executors[slot].role;
}

ExecutorState
cmdsched_executor_state(int slot, TimestampTz *since)
{
	if (since != NULL)
		*since = shared->executors[slot].since;
	return shared->executors[slot].state;
}

void
cmdsched_executor_set_state(int slot, ExecutorState state, TimestampTz now)
{
	shared->executors[slot].state = state;
	shared->executors[slot].since = now;
}

/* The next used slot of a database after this one; NO_SLOT at the end. */
int
cmdsched_executor_next(Oid database, int slot)
{
	while (++slot < CMDSCHED_MAX_EXECUTORS)
	{
		if (shared->executors[slot].state != EXECUTOR_FREE &&
			shared->executors[slot].database == database)
			return slot;
	}
	return NO_SLOT;
}

int
cmdsched_executor_pid(int slot)
{
	return shared->executors[slot].pid;
}

void
cmdsched_executor_ask_to_leave(int slot)
{
	Latch *latch = shared->executors[slot].latch;

	pg_atomic_write_u32(&shared->executors[slot].leave, 1);
	pg_memory_barrier();
	if (latch != NULL)
		SetLatch(latch);
}

/* Have another look. */
void
cmdsched_executor_nudge(int slot)
{
	Latch *latch = shared->executors[slot].latch;

	pg_atomic_write_u32(&shared->executors[slot].nudged, 1);
	pg_memory_barrier();
	if (latch != NULL)
		SetLatch(latch);
}

bool
cmdsched_executor_take_nudge(int slot)
{
	return pg_atomic_exchange_u32(&shared->executors[slot].nudged, 0) != 0;
}

bool
cmdsched_executor_is_leaving(int slot)
{
	return pg_atomic_read_u32(&shared->executors[slot].leave) != 0;
}

/* What is being run; NULL = nothing. */
void
cmdsched_executor_show_command(int slot, const Command *command)
{
	ExecutorSlot *entry = &shared->executors[slot];
	int length = 0;

	if (command != NULL)
		length =
			Min(VARSIZE_ANY_EXHDR(command->schedule_id), CMDSCHED_MAX_NAME);
	SpinLockAcquire(&entry->id_lock);
	if (length > 0)
	{
		memcpy(entry->id, VARDATA_ANY(command->schedule_id), length);
		entry->due_at = command->due_at;
	}
	entry->id_len = length;
	SpinLockRelease(&entry->id_lock);
}

/*
 * How far the other executors of the role have got: raises frontier to the
 * furthest command that one of them is running.  False where none is beyond
 * it.
 */
bool
cmdsched_executor_others_frontier(int slot, CommandPosition *frontier)
{
	int role_slot = shared->executors[slot].role_slot;
	bool raised = false;

	for (int i = 0; i < CMDSCHED_MAX_EXECUTORS; i++)
	{
		ExecutorSlot *entry = &shared->executors[i];
		CommandPosition position;

		if (i == slot || entry->pid == 0 || entry->role_slot != role_slot)
			continue;
		SpinLockAcquire(&entry->id_lock);
		position.due_at = entry->due_at;
		position.id_len = Min(entry->id_len, sizeof(position.id));
		memcpy(position.id, entry->id, position.id_len);
		SpinLockRelease(&entry->id_lock);
		if (position.id_len > 0 &&
			cmdsched_command_position_compare(&position, frontier) > 0)
		{
			*frontier = position;
			raised = true;
		}
	}
	return raised;
}

/* Does another executor of the role show this command as running? */
bool
cmdsched_executor_others_run(int slot, const Command *command)
{
	int role_slot = shared->executors[slot].role_slot;
	int length = VARSIZE_ANY_EXHDR(command->schedule_id);
	bool found = false;

	if (pg_atomic_read_u32(&shared->roles[role_slot].nexecutors) < 2)
		return false;
	for (int i = 0; i < CMDSCHED_MAX_EXECUTORS && !found; i++)
	{
		ExecutorSlot *entry = &shared->executors[i];

		if (i == slot || entry->pid == 0 || entry->role_slot != role_slot ||
			entry->id_len != length)
			continue;
		SpinLockAcquire(&entry->id_lock);
		found =
			entry->id_len == length &&
			memcmp(entry->id, VARDATA_ANY(command->schedule_id), length) == 0;
		SpinLockRelease(&entry->id_lock);
	}
	return found;
}

bool
cmdsched_executor_is_alone(int slot)
{
	RoleSlot *role = &shared->roles[shared->executors[slot].role_slot];

	return pg_atomic_read_u32(&role->nexecutors) < 2;
}

/* Is there an executor of the role in an earlier slot? */
bool
cmdsched_executor_is_additional(int slot)
{
	for (int i = 0; i < slot; i++)
	{
		if (shared->executors[i].pid != 0 &&
			shared->executors[i].role_slot ==
				shared->executors[slot].role_slot)
			return true;
	}
	return false;
}

void
cmdsched_executor_count_commands(int slot, uint64 ncommands)
{
	pg_atomic_fetch_add_u64(&shared->executors[slot].commands_run, ncommands);
}

/* False where the slot is not one of this database's. */
bool
cmdsched_executor_info(int slot, Oid database, WorkerInfo *info)
{
	ExecutorSlot *entry = &shared->executors[slot];

	if (slot >= CMDSCHED_MAX_EXECUTORS || entry->state == EXECUTOR_FREE ||
		entry->database != database)
		return false;
	info->pid = entry->pid;
	info->role = entry->role;
	info->state = entry->state;
	info->leaving = pg_atomic_read_u32(&entry->leave) != 0;
	info->since = entry->since;
	info->commands_run = pg_atomic_read_u64(&entry->commands_run);
	SpinLockAcquire(&entry->id_lock);
	info->id_len = entry->id_len;
	memcpy(info->schedule_id, entry->id, entry->id_len);
	SpinLockRelease(&entry->id_lock);
	return true;
}
