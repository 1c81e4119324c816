/*-------------------------------------------------------------------------
 *
 * handler_slots.c
 *	  A slot is a command type with a handler: what became of its commands.
 *
 * The slots are shared memory of their own, so that where the server has no
 * room for them, without shared_preload_libraries, only they are missing.
 * What finds no free slot is counted in one more, the first.
 *
 * One lock is enough: it is taken once a transaction that ran commands, and
 * by those who read.
 *
 * IDENTIFICATION
 *	  src/worker/handler_slots.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "worker/handler_slots.h"
#include "worker/shared_state.h"

#define OVERFLOW_SLOT 0
#define PRELOADED_SLOTS 257
#define OTHER_SLOTS 17

#define LAST_CLASS (FAILURE_CLASSES - 1)

typedef struct HandlerSlot
{
	Oid database; /* InvalidOid = free, or the first */
	HandlerName name;
	TimestampTz since;
	HandlerCounters counters;
} HandlerSlot;

typedef struct HandlerSlots
{
	LWLock lock;
	int nslots;
	HandlerSlot slots[FLEXIBLE_ARRAY_MEMBER];
} HandlerSlots;

static HandlerSlots *shared = NULL;

/* ------------------------------------------------------------------------
 * The memory
 * ------------------------------------------------------------------------
 */

static int
slots_wanted(bool preloaded)
{
	return preloaded ? PRELOADED_SLOTS : OTHER_SLOTS;
}

Size
cmdsched_handler_slots_size(bool preloaded)
{
	return MAXALIGN(offsetof(HandlerSlots, slots) +
					slots_wanted(preloaded) * sizeof(HandlerSlot));
}

/* Under AddinShmemInitLock.  Throws where there is no room. */
void
cmdsched_handler_slots_attach(bool preloaded, int tranche)
{
	bool found;

	shared = ShmemInitStruct("cmdsched handlers",
							 cmdsched_handler_slots_size(preloaded),
							 &found);
	if (found)
		return;
	memset(shared, 0, cmdsched_handler_slots_size(preloaded));
	shared->nslots = slots_wanted(preloaded);
	shared->slots[OVERFLOW_SLOT].since = GetCurrentTimestamp();
	LWLockInitialize(&shared->lock, tranche);
}

bool
cmdsched_handler_slots_exist(void)
{
	return shared != NULL;
}

/* ------------------------------------------------------------------------
 * Counters
 * ------------------------------------------------------------------------
 */

void
cmdsched_handler_counters_count_class(HandlerCounters *counters, int category,
									  uint64 failures)
{
	int i;

	for (i = 0; i < LAST_CLASS; i++)
	{
		if (counters->classes[i].failures == 0)
			counters->classes[i].category = category;
		if (counters->classes[i].category == category)
			break;
	}
	counters->classes[i].failures += failures;
}

void
cmdsched_handler_counters_add(HandlerCounters *counters,
							  const HandlerCounters *more)
{
	counters->succeeded += more->succeeded;
	counters->failures += more->failures;
	counters->failed_for_good += more->failed_for_good;
	counters->retries += more->retries;
	counters->conflicts += more->conflicts;
	counters->snoozed += more->snoozed;
	counters->held += more->held;
	counters->blocks_hit += more->blocks_hit;
	counters->blocks_read += more->blocks_read;
	counters->wal_bytes += more->wal_bytes;
	for (int i = 0; i < LAST_CLASS && more->classes[i].failures > 0; i++)
		cmdsched_handler_counters_count_class(counters,
											  more->classes[i].category,
											  more->classes[i].failures);
	counters->classes[LAST_CLASS].failures +=
		more->classes[LAST_CLASS].failures;
	cmdsched_histogram_add(&counters->lateness, &more->lateness);
	cmdsched_histogram_add(&counters->run_time, &more->run_time);
}

/* ------------------------------------------------------------------------
 * Slots
 * ------------------------------------------------------------------------
 */

static bool
slot_is(int slot, Oid database, const HandlerName *name)
{
	return shared->slots[slot].database == database &&
		   memcmp(&shared->slots[slot].name, name, sizeof(*name)) == 0;
}

static int
find_slot(Oid database, const HandlerName *name)
{
	int free_slot = OVERFLOW_SLOT;

	for (int i = OVERFLOW_SLOT + 1; i < shared->nslots; i++)
	{
		if (slot_is(i, database, name))
			return i;
		if (free_slot == OVERFLOW_SLOT &&
			!OidIsValid(shared->slots[i].database))
			free_slot = i;
	}
	if (free_slot != OVERFLOW_SLOT)
	{
		shared->slots[free_slot].database = database;
		shared->slots[free_slot].name = *name;
		shared->slots[free_slot].since = GetCurrentTimestamp();
	}
	return free_slot;
}

void
cmdsched_handler_slots_begin_adding(void)
{
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
}

/* Between those two.  hint is where it was the last time, or 0. */
void
cmdsched_handler_slot_add(Oid database, const HandlerName *name, int *hint,
						  const HandlerCounters *more)
{
	if (*hint == OVERFLOW_SLOT || !slot_is(*hint, database, name))
		*hint = find_slot(database, name);
	cmdsched_handler_counters_add(&shared->slots[*hint].counters, more);
}

void
cmdsched_handler_slots_end_adding(void)
{
	LWLockRelease(&shared->lock);
}

static bool
is_shown(int slot, Oid database)
{
	const HandlerCounters *counters = &shared->slots[slot].counters;

	if (slot != OVERFLOW_SLOT)
		return shared->slots[slot].database == database;
	return counters->held > 0 ||
		   cmdsched_histogram_total(&counters->run_time) > 0;
}

/*
 * The next slot after this one that is of a database, or of all; copies what
 * is in it.  NO_SLOT at the end.
 */
int
cmdsched_handler_slot_next(Oid database, int slot, HandlerInfo *info)
{
	LWLockAcquire(&shared->lock, LW_SHARED);
	while (++slot < shared->nslots)
	{
		if (!is_shown(slot, database))
			continue;
		info->is_overflow = slot == OVERFLOW_SLOT;
		info->name = shared->slots[slot].name;
		info->since = shared->slots[slot].since;
		info->counters = shared->slots[slot].counters;
		LWLockRelease(&shared->lock);
		return slot;
	}
	LWLockRelease(&shared->lock);
	return NO_SLOT;
}

static void
forget_locked(Oid database)
{
	for (int i = OVERFLOW_SLOT + 1; i < shared->nslots; i++)
	{
		if (shared->slots[i].database == database)
			memset(&shared->slots[i], 0, sizeof(HandlerSlot));
	}
}

/* The database is gone. */
void
cmdsched_handler_slots_forget(Oid database)
{
	if (shared == NULL)
		return;
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	forget_locked(database);
	LWLockRelease(&shared->lock);
}

/* Begin anew, with what had no place of its own as well. */
void
cmdsched_handler_slots_reset(Oid database)
{
	if (shared == NULL)
		return;
	LWLockAcquire(&shared->lock, LW_EXCLUSIVE);
	forget_locked(database);
	memset(&shared->slots[OVERFLOW_SLOT], 0, sizeof(HandlerSlot));
	shared->slots[OVERFLOW_SLOT].since = GetCurrentTimestamp();
	LWLockRelease(&shared->lock);
}
