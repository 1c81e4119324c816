/*-------------------------------------------------------------------------
 *
 * database_slots.c
 *	  A slot is a database in which somebody used the extension.
 *
 * IDENTIFICATION
 *	  src/worker/database_slots.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"

#include "worker/database_slots.h"
#include "worker/slots.h"

void
cmdsched_databases_initialize(SharedState *state)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		pg_atomic_init_u32(&state->databases[i].sweep_requested, 0);
		pg_atomic_init_u32(&state->databases[i].places_of_any, 0);
		pg_atomic_init_u32(&state->databases[i].places_of_idle, 0);
		pg_atomic_init_u64(&state->databases[i].claimable_min,
						   (uint64) DT_NOEND);
		pg_atomic_init_u64(&state->databases[i].claimable_wake,
						   (uint64) WAKE_ALWAYS);
	}
}

int
cmdsched_database_find_locked(Oid database)
{
	for (int i = 0; i < MAX_DATABASES; i++)
	{
		if (cmdsched_shared->databases[i].database == database)
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
		if (cmdsched_shared->databases[i].state == SCHEDULER_ABSENT &&
			cmdsched_shared->databases[i].scheduler_pid == 0)
			return i;
	}
	return NO_SLOT;
}

int
cmdsched_database_find(Oid database)
{
	int slot;

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_SHARED);
	slot = cmdsched_database_find_locked(database);
	LWLockRelease(&cmdsched_shared->slots_lock);
	return slot;
}

/* Find or add; NO_SLOT where there are too many. */
int
cmdsched_database_add(Oid database)
{
	int slot;

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	slot = cmdsched_database_find_locked(database);
	if (slot == NO_SLOT)
	{
		slot = cmdsched_database_find_locked(InvalidOid);
		if (slot == NO_SLOT)
			slot = find_absent_database();
		if (slot != NO_SLOT)
		{
			DatabaseSlot *entry = &cmdsched_shared->databases[slot];

			entry->database = database;
			entry->state = SCHEDULER_UNKNOWN;
			entry->since = 0;
			entry->scheduler_pid = 0;
			entry->scheduler_latch = NULL;
			entry->clock_steps = 0;
			pg_atomic_write_u32(&entry->sweep_requested, 0);
			pg_atomic_write_u32(&entry->places_of_any, 0);
			pg_atomic_write_u32(&entry->places_of_idle, 0);
			pg_atomic_write_u64(&entry->claimable_min, (uint64) DT_NOEND);
			pg_atomic_write_u64(&entry->claimable_wake, (uint64) WAKE_ALWAYS);
		}
	}
	LWLockRelease(&cmdsched_shared->slots_lock);
	return slot;
}

/* A database that is gone takes its roles with it. */
void
cmdsched_database_forget(int slot)
{
	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_ROLES; i++)
	{
		if (cmdsched_shared->roles[i].database ==
			cmdsched_shared->databases[slot].database)
		{
			cmdsched_shared->roles[i].role = InvalidOid;
			cmdsched_shared->roles[i].database = InvalidOid;
		}
	}
	cmdsched_leases_forget_locked(cmdsched_shared->databases[slot].database);
	cmdsched_shared->databases[slot].database = InvalidOid;
	LWLockRelease(&cmdsched_shared->slots_lock);
}

/* The next used slot after this one; NO_SLOT at the end. */
int
cmdsched_database_next(int slot)
{
	while (++slot < MAX_DATABASES)
	{
		if (OidIsValid(cmdsched_shared->databases[slot].database))
			return slot;
	}
	return NO_SLOT;
}

Oid
cmdsched_database_oid(int slot)
{
	return cmdsched_shared->databases[slot].database;
}

SchedulerState
cmdsched_database_state(int slot)
{
	return cmdsched_shared->databases[slot].state;
}

/* Change the state if it is the one expected. */
bool
cmdsched_database_change(int slot, SchedulerState from, SchedulerState to,
						 TimestampTz now)
{
	bool changed;

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	changed = cmdsched_shared->databases[slot].state == from;
	if (changed)
	{
		cmdsched_shared->databases[slot].state = to;
		cmdsched_shared->databases[slot].since = now;
	}
	LWLockRelease(&cmdsched_shared->slots_lock);
	return changed;
}

void
cmdsched_database_set_state(int slot, SchedulerState state, TimestampTz now)
{
	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	cmdsched_shared->databases[slot].state = state;
	cmdsched_shared->databases[slot].since = now;
	LWLockRelease(&cmdsched_shared->slots_lock);
}

/* Become the scheduler; false where there is one, or none is wanted. */
bool
cmdsched_scheduler_attach(int slot, TimestampTz now)
{
	DatabaseSlot *entry = &cmdsched_shared->databases[slot];
	bool attached;

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	attached = entry->scheduler_pid == 0 && entry->state != SCHEDULER_STOPPED;
	if (attached)
	{
		entry->scheduler_pid = MyProcPid;
		entry->scheduler_latch = MyLatch;
		entry->state = SCHEDULER_RUNNING;
		entry->since = now;
	}
	LWLockRelease(&cmdsched_shared->slots_lock);
	return attached;
}

/* A state that somebody else has set meanwhile stays. */
void
cmdsched_scheduler_detach(int slot, SchedulerState state, TimestampTz now)
{
	DatabaseSlot *entry = &cmdsched_shared->databases[slot];

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
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
	LWLockRelease(&cmdsched_shared->slots_lock);
}

int
cmdsched_scheduler_pid(int slot, TimestampTz *since)
{
	if (since != NULL)
		*since = cmdsched_shared->databases[slot].since;
	return cmdsched_shared->databases[slot].scheduler_pid;
}

void
cmdsched_scheduler_wake(int slot)
{
	Latch *latch = cmdsched_shared->databases[slot].scheduler_latch;

	if (latch != NULL)
		SetLatch(latch);
}

void
cmdsched_scheduler_request_sweep(int slot)
{
	pg_atomic_write_u32(&cmdsched_shared->databases[slot].sweep_requested, 1);
	pg_memory_barrier();
	cmdsched_scheduler_wake(slot);
}

/* The scheduler has seen that the clock was set. */
void
cmdsched_database_note_clock_step(int slot, int64 step_us, TimestampTz now)
{
	DatabaseSlot *entry = &cmdsched_shared->databases[slot];

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	entry->clock_steps++;
	entry->clock_step_us = step_us;
	entry->clock_step_at = now;
	LWLockRelease(&cmdsched_shared->slots_lock);
}

void
cmdsched_database_forget_clock_steps(int slot)
{
	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	cmdsched_shared->databases[slot].clock_steps = 0;
	LWLockRelease(&cmdsched_shared->slots_lock);
}

/* How many, and the last of them. */
int
cmdsched_database_clock_steps(int slot, int64 *last_us, TimestampTz *last_at)
{
	DatabaseSlot *entry = &cmdsched_shared->databases[slot];
	int steps;

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_SHARED);
	steps = entry->clock_steps;
	*last_us = entry->clock_step_us;
	*last_at = entry->clock_step_at;
	LWLockRelease(&cmdsched_shared->slots_lock);
	return steps;
}

bool
cmdsched_scheduler_take_sweep_request(int slot)
{
	return pg_atomic_exchange_u32(&cmdsched_shared->databases[slot]
									   .sweep_requested,
								  0) != 0;
}

/*
 * Something became due for an application at that time, and is visible to
 * all.  Called after commit: must not throw or wait.
 */
void
cmdsched_database_lower_claimable(int slot, TimestampTz claimable_at)
{
	DatabaseSlot *entry = &cmdsched_shared->databases[slot];
	uint64 wake_before;

	cmdsched_lower(&entry->claimable_min, claimable_at);
	pg_memory_barrier();
	wake_before = pg_atomic_read_u64(&entry->claimable_wake);
	while (claimable_at < (TimestampTz) wake_before)
	{
		if (pg_atomic_compare_exchange_u64(&entry->claimable_wake,
										   &wake_before,
										   (uint64) WAKE_NEVER))
		{
			cmdsched_scheduler_wake(slot);
			break;
		}
	}
}

/* The scheduler, before it looks: from when on is there news? */
TimestampTz
cmdsched_database_take_claimable(int slot)
{
	return (TimestampTz)
		pg_atomic_exchange_u64(&cmdsched_shared->databases[slot].claimable_min,
							   (uint64) DT_NOEND);
}

/* The scheduler: wake me for such news of before that time. */
void
cmdsched_database_watch_claimable(int slot, TimestampTz wake_before)
{
	pg_atomic_write_u64(&cmdsched_shared->databases[slot].claimable_wake,
						(uint64) wake_before);
	pg_memory_barrier();
}

/* The scheduler: so many executors should make room for others. */
void
cmdsched_database_want_places(int slot, int of_any, int of_idle)
{
	DatabaseSlot *entry = &cmdsched_shared->databases[slot];

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
	DatabaseSlot *entry = &cmdsched_shared->databases[slot];

	return take_one(&entry->places_of_any) ||
		   (idle && take_one(&entry->places_of_idle));
}
