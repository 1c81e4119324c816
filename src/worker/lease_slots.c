/*-------------------------------------------------------------------------
 *
 * lease_slots.c
 *	  A slot is a role with commands for applications: where a claim has to
 *	  begin to look.  mark.c explains how.
 *
 * A slot stays until its database is gone.  Roles for which there is none
 * have their claims begin at the first command.
 *
 * IDENTIFICATION
 *	  src/worker/lease_slots.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/lease_slots.h"
#include "worker/slots.h"

void
cmdsched_leases_initialize(SharedState *state)
{
	for (int i = 0; i < MAX_LEASE_ROLES; i++)
		cmdsched_mark_initialize(&state->leases[i].mark);
}

static int
find_slot(Oid database, Oid role)
{
	for (int i = 0; i < MAX_LEASE_ROLES; i++)
	{
		if (cmdsched_shared->leases[i].role == role &&
			cmdsched_shared->leases[i].database == database)
			return i;
	}
	return NO_SLOT;
}

/* NO_SLOT where there are too many roles. */
int
cmdsched_lease_slot_find_or_add(Oid database, Oid role)
{
	int slot;

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_SHARED);
	slot = find_slot(database, role);
	LWLockRelease(&cmdsched_shared->slots_lock);
	if (slot != NO_SLOT)
		return slot;

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	slot = find_slot(database, role);
	if (slot == NO_SLOT)
	{
		slot = find_slot(InvalidOid, InvalidOid);
		if (slot != NO_SLOT)
		{
			cmdsched_mark_begin_anew(&cmdsched_shared->leases[slot].mark);
			cmdsched_shared->leases[slot].database = database;
			cmdsched_shared->leases[slot].role = role;
		}
	}
	LWLockRelease(&cmdsched_shared->slots_lock);
	return slot;
}

/* The database is gone. */
void
cmdsched_leases_forget_locked(Oid database)
{
	for (int i = 0; i < MAX_LEASE_ROLES; i++)
	{
		if (cmdsched_shared->leases[i].database == database)
		{
			cmdsched_shared->leases[i].database = InvalidOid;
			cmdsched_shared->leases[i].role = InvalidOid;
		}
	}
}

/*
 * Something of this role became claimable, and is visible to all.  Called
 * after commit: must not throw or wait.
 */
void
cmdsched_lease_slot_lower(int slot, Oid database, Oid role,
						  TimestampTz claimable_at)
{
	LeaseSlot *entry = &cmdsched_shared->leases[slot];

	if (entry->role == role && entry->database == database)
		cmdsched_lower(&entry->mark.pending_min, claimable_at);
}

/* There may be what nobody told of: the next claims begin at the first. */
void
cmdsched_lease_slots_look_again(Oid database)
{
	for (int i = 0; i < MAX_LEASE_ROLES; i++)
	{
		if (cmdsched_shared->leases[i].database == database)
			cmdsched_lower(&cmdsched_shared->leases[i].mark.pending_min,
						   DT_NOBEGIN);
	}
}

void
cmdsched_lease_slot_take(int slot, MarkTake *take)
{
	cmdsched_mark_take(&cmdsched_shared->leases[slot].mark, take);
}

void
cmdsched_lease_slot_finish(int slot, const MarkTake *take,
						   const CommandPosition *reached)
{
	cmdsched_mark_finish(&cmdsched_shared->leases[slot].mark, take, reached);
}
