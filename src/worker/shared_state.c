/*-------------------------------------------------------------------------
 *
 * shared_state.c
 *	  The shared memory: its size, its lock, who sets it up.
 *
 * slots_lock guards which slot is whose.  What commits and batches touch is
 * atomic, or, for the low-water mark, under a spinlock of its own.  Nothing
 * under a lock allocates, throws or waits.
 *
 * Without shared_preload_libraries the structure lives in the slack that
 * every server has for such late-comers: enough, but not guaranteed.
 *
 * IDENTIFICATION
 *	  src/worker/shared_state.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#include "worker/journal.h"
#include "worker/shared_state.h"
#include "worker/slots.h"

SharedState *cmdsched_shared = NULL;

static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

static void
initialize(SharedState *state)
{
	memset(state, 0, sizeof(SharedState));
	state->tranche = LWLockNewTrancheId();
	LWLockInitialize(&state->slots_lock, state->tranche);
	state->preloaded = process_shared_preload_libraries_in_progress;
	cmdsched_databases_initialize(state);
	cmdsched_roles_initialize(state);
	cmdsched_leases_initialize(state);
	cmdsched_executors_initialize(state);
	cmdsched_journal_judge();
}

static void
attach_structure(void)
{
	bool found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	cmdsched_shared = ShmemInitStruct("cmdsched", sizeof(SharedState), &found);
	if (!found)
		initialize(cmdsched_shared);
	LWLockRelease(AddinShmemInitLock);
	LWLockRegisterTranche(cmdsched_shared->tranche, "cmdsched");
}

static void
attach_handler_slots(void)
{
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	cmdsched_handler_slots_attach(cmdsched_shared->preloaded,
								  cmdsched_shared->tranche);
	LWLockRelease(AddinShmemInitLock);
}

static void
request_memory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(SharedState)));
	RequestAddinShmemSpace(cmdsched_handler_slots_size(true));
}

static void
create_at_startup(void)
{
	if (previous_startup_hook)
		previous_startup_hook();
	cmdsched_shared = NULL;
	attach_structure();
	cmdsched_shared->preloaded = true;
	attach_handler_slots();
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

/* False where the server has no memory left for it. */
static bool
attach_if_there_is_room(void (*attach)(void))
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool attached = true;

	PG_TRY();
	{
		attach();
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
		attached = false;
	}
	PG_END_TRY();
	return attached;
}

/* False where the server has no shared memory left for us. */
bool
cmdsched_shared_state_attach(void)
{
	static bool refused = false;

	if (cmdsched_shared != NULL || refused)
		return cmdsched_shared != NULL;
	refused = !attach_if_there_is_room(attach_structure);
	/* Without these, all works, but nothing is counted. */
	if (!refused)
		(void) attach_if_there_is_room(attach_handler_slots);
	return cmdsched_shared != NULL;
}

bool
cmdsched_shared_state_is_preloaded(void)
{
	return cmdsched_shared != NULL && cmdsched_shared->preloaded;
}

/* ------------------------------------------------------------------------
 * The launcher
 * ------------------------------------------------------------------------
 */

void
cmdsched_launcher_attach(void)
{
	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	cmdsched_shared->launcher_pid = MyProcPid;
	cmdsched_shared->launcher_latch = MyLatch;
	cmdsched_shared->launcher_since = MyStartTimestamp;
	LWLockRelease(&cmdsched_shared->slots_lock);
}

void
cmdsched_launcher_detach(void)
{
	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	if (cmdsched_shared->launcher_pid == MyProcPid)
	{
		cmdsched_shared->launcher_pid = 0;
		cmdsched_shared->launcher_latch = NULL;
	}
	LWLockRelease(&cmdsched_shared->slots_lock);
}

int
cmdsched_launcher_pid(TimestampTz *since)
{
	if (since != NULL)
		*since = cmdsched_shared->launcher_since;
	return cmdsched_shared->launcher_pid;
}

void
cmdsched_launcher_wake(void)
{
	Latch *latch = cmdsched_shared->launcher_latch;

	if (latch != NULL)
		SetLatch(latch);
}
