/*-------------------------------------------------------------------------
 *
 * role_slots.c
 *	  A slot is a role with commands: when is one due, and who has to know.
 *
 * IDENTIFICATION
 *	  src/worker/role_slots.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/latch.h"

#include "command/command_store.h"
#include "worker/role_slots.h"
#include "worker/slots.h"

void
cmdsched_roles_initialize(SharedState *state)
{
	for (int i = 0; i < MAX_ROLES; i++)
	{
		RoleSlot *role = &state->roles[i];

		cmdsched_mark_initialize(&role->mark);
		pg_atomic_init_u64(&role->next_due, (uint64) DT_NOEND);
		pg_atomic_init_u64(&role->wake_before, (uint64) WAKE_ALWAYS);
		pg_atomic_init_u32(&role->waker, WAKER_SCHEDULER);
		pg_atomic_init_u32(&role->help_wanted, HELP_NONE);
		pg_atomic_init_u32(&role->deaths, 0);
		pg_atomic_init_u32(&role->failed_starts, 0);
		pg_atomic_init_u32(&role->nexecutors, 0);
	}
}

/* Roles sit near where their oids put them, so that few slots are read. */
static int
find_role(Oid database, Oid role, bool free_one)
{
	uint32 start = (role * 31 + database) % MAX_ROLES;

	for (int i = 0; i < MAX_ROLES; i++)
	{
		int slot = (start + i) % MAX_ROLES;
		RoleSlot *entry = &cmdsched_shared->roles[slot];

		if (free_one ? !OidIsValid(entry->role)
					 : entry->role == role && entry->database == database)
			return slot;
	}
	return NO_SLOT;
}

static void
add_role(int slot, Oid database, Oid role)
{
	RoleSlot *entry = &cmdsched_shared->roles[slot];

	entry->database = database;
	entry->role = role;
	entry->database_slot = cmdsched_database_find_locked(database);
	cmdsched_mark_begin_anew(&entry->mark);
	pg_atomic_write_u64(&entry->next_due, (uint64) DT_NOEND);
	pg_atomic_write_u64(&entry->wake_before, (uint64) WAKE_ALWAYS);
	pg_atomic_write_u32(&entry->waker, WAKER_SCHEDULER);
	pg_atomic_write_u32(&entry->help_wanted, HELP_NONE);
	pg_atomic_write_u32(&entry->deaths, 0);
	pg_atomic_write_u32(&entry->failed_starts, 0);
	pg_atomic_write_u32(&entry->nexecutors, 0);
}

/* NO_SLOT where there are too many roles. */
int
cmdsched_role_find_or_add(Oid database, Oid role)
{
	int slot;

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_SHARED);
	slot = find_role(database, role, false);
	LWLockRelease(&cmdsched_shared->slots_lock);
	if (slot != NO_SLOT)
		return slot;

	if (cmdsched_database_add(database) == NO_SLOT)
		return NO_SLOT;
	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	slot = find_role(database, role, false);
	if (slot == NO_SLOT)
	{
		slot = find_role(database, role, true);
		if (slot != NO_SLOT)
			add_role(slot, database, role);
	}
	LWLockRelease(&cmdsched_shared->slots_lock);
	return slot;
}

/* A slot noted a while ago may have changed hands. */
bool
cmdsched_role_is(int slot, Oid database, Oid role)
{
	return cmdsched_shared->roles[slot].role == role &&
		   cmdsched_shared->roles[slot].database == database;
}

/* The next used slot of a database after this one; NO_SLOT at the end. */
int
cmdsched_role_next(Oid database, int slot)
{
	while (++slot < MAX_ROLES)
	{
		if (cmdsched_shared->roles[slot].database == database)
			return slot;
	}
	return NO_SLOT;
}

Oid
cmdsched_role_oid(int slot)
{
	return cmdsched_shared->roles[slot].role;
}

/* For a role that has nothing pending and no executor. */
void
cmdsched_role_forget(int slot)
{
	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	cmdsched_shared->roles[slot].role = InvalidOid;
	cmdsched_shared->roles[slot].database = InvalidOid;
	LWLockRelease(&cmdsched_shared->slots_lock);
}

/* Is it time to give slots back? */
bool
cmdsched_roles_are_scarce(void)
{
	int used = 0;

	for (int i = 0; i < MAX_ROLES; i++)
		used += OidIsValid(cmdsched_shared->roles[i].role);
	return used > MAX_ROLES / 2;
}

static void
wake(RoleSlot *entry)
{
	uint32 waker = pg_atomic_read_u32(&entry->waker);
	Latch *latch = NULL;

	if (waker != WAKER_SCHEDULER)
		latch = cmdsched_shared->executors[waker - 1].latch;
	else if (entry->database_slot != NO_SLOT)
		latch =
			cmdsched_shared->databases[entry->database_slot].scheduler_latch;
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
	RoleSlot *entry = &cmdsched_shared->roles[slot];
	uint64 wake_before;

	cmdsched_lower(&entry->mark.pending_min, due_at);
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
	RoleSlot *entry = &cmdsched_shared->roles[slot];
	TimestampTz pending =
		(TimestampTz) pg_atomic_read_u64(&entry->mark.pending_min);
	TimestampTz next = (TimestampTz) pg_atomic_read_u64(&entry->next_due);

	return Min(pending, next);
}

void
cmdsched_role_set_next_due(int slot, TimestampTz due_at)
{
	pg_atomic_write_u64(&cmdsched_shared->roles[slot].next_due,
						(uint64) due_at);
}

/* The scheduler: wake me for news of before that time.  Then a barrier. */
void
cmdsched_role_watch(int slot, TimestampTz wake_before)
{
	pg_atomic_write_u64(&cmdsched_shared->roles[slot].wake_before,
						(uint64) wake_before);
	pg_memory_barrier();
}

bool
cmdsched_role_watched_by_scheduler(int slot)
{
	return pg_atomic_read_u32(&cmdsched_shared->roles[slot].waker) ==
		   WAKER_SCHEDULER;
}

HelpWanted
cmdsched_role_help_wanted(int slot)
{
	return (HelpWanted) pg_atomic_read_u32(
		&cmdsched_shared->roles[slot].help_wanted);
}

void
cmdsched_role_clear_help(int slot)
{
	pg_atomic_write_u32(&cmdsched_shared->roles[slot].help_wanted, HELP_NONE);
}

/*
 * The scheduler: from now on it is me who is woken for this role, and who
 * sees to it that it has an executor for what is due.
 */
void
cmdsched_role_take_watch(int slot)
{
	RoleSlot *entry = &cmdsched_shared->roles[slot];

	if (pg_atomic_read_u32(&entry->help_wanted) == HELP_NONE)
		pg_atomic_write_u32(&entry->help_wanted, HELP_WHEN_DUE);
	pg_atomic_write_u32(&entry->waker, WAKER_SCHEDULER);
	pg_memory_barrier();
	pg_atomic_write_u64(&entry->wake_before, (uint64) WAKE_ALWAYS);
}

/* Before a batch takes its snapshot: where it has to begin. */
void
cmdsched_role_take(int slot, MarkTake *take)
{
	cmdsched_mark_take(&cmdsched_shared->roles[slot].mark, take);
}

/* After its commit: it has dealt with everything up to there. */
void
cmdsched_role_finish(int slot, const MarkTake *take,
					 const CommandPosition *reached)
{
	RoleSlot *entry = &cmdsched_shared->roles[slot];

	cmdsched_mark_finish(&entry->mark, take, reached);
	if (pg_atomic_read_u32(&entry->deaths) != 0)
		pg_atomic_write_u32(&entry->deaths, 0);
}

/* So many executors in a row ended in the middle of a handler. */
int
cmdsched_role_deaths(int slot)
{
	return (int) pg_atomic_read_u32(&cmdsched_shared->roles[slot].deaths);
}

void
cmdsched_role_count_death(int slot)
{
	pg_atomic_fetch_add_u32(&cmdsched_shared->roles[slot].deaths, 1);
}

/* So many executors in a row ended before they were at work. */
int
cmdsched_role_failed_starts(int slot)
{
	return (int) pg_atomic_read_u32(
		&cmdsched_shared->roles[slot].failed_starts);
}

void
cmdsched_role_count_failed_start(int slot)
{
	pg_atomic_fetch_add_u32(&cmdsched_shared->roles[slot].failed_starts, 1);
}

void
cmdsched_role_clear_failed_starts(int slot)
{
	pg_atomic_write_u32(&cmdsched_shared->roles[slot].failed_starts, 0);
}

/* It did not commit: somebody has to look there again. */
void
cmdsched_role_put_back(int slot, const MarkTake *take)
{
	cmdsched_role_lower(slot, take->from.due_at);
}
