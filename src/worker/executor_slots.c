/*-------------------------------------------------------------------------
 *
 * executor_slots.c
 *	  A slot is a process that runs the commands of a role.
 *
 * IDENTIFICATION
 *	  src/worker/executor_slots.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"

#include "command/command_store.h"
#include "worker/database_slots.h"
#include "worker/executor_slots.h"
#include "worker/slots.h"

void
cmdsched_executors_initialize(SharedState *state)
{
	for (int i = 0; i < CMDSCHED_MAX_EXECUTORS; i++)
	{
		pg_atomic_init_u32(&state->executors[i].leave, 0);
		pg_atomic_init_u32(&state->executors[i].nudged, 0);
		pg_atomic_init_u64(&state->executors[i].commands_run, 0);
		SpinLockInit(&state->executors[i].id_lock);
	}
}

/* ------------------------------------------------------------------------
 * Places
 * ------------------------------------------------------------------------
 */

int
cmdsched_executor_reserve(int role_slot, TimestampTz now, uint32 *reservation)
{
	int slot;

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	for (slot = 0; slot < CMDSCHED_MAX_EXECUTORS; slot++)
	{
		if (cmdsched_shared->executors[slot].state == EXECUTOR_FREE)
			break;
	}
	if (slot == CMDSCHED_MAX_EXECUTORS)
		slot = NO_SLOT;
	else
	{
		ExecutorSlot *entry = &cmdsched_shared->executors[slot];

		entry->state = EXECUTOR_STARTING;
		*reservation = ++entry->reservation;
		entry->database = cmdsched_shared->roles[role_slot].database;
		entry->role = cmdsched_shared->roles[role_slot].role;
		entry->role_slot = role_slot;
		entry->pid = 0;
		entry->latch = NULL;
		entry->since = now;
		entry->id_len = 0;
		pg_atomic_write_u32(&entry->leave, 0);
		pg_atomic_write_u64(&entry->commands_run, 0);
	}
	LWLockRelease(&cmdsched_shared->slots_lock);
	return slot;
}

/* True for one that never started; another reservation is left alone. */
bool
cmdsched_executor_release(int slot, uint32 reservation)
{
	ExecutorSlot *entry = &cmdsched_shared->executors[slot];
	bool released;

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	released = entry->state == EXECUTOR_STARTING &&
			   entry->reservation == reservation && entry->pid == 0;
	if (released)
		entry->state = EXECUTOR_FREE;
	LWLockRelease(&cmdsched_shared->slots_lock);
	return released;
}

/* Reservations for which no process came; whoever made them may be gone. */
void
cmdsched_executor_release_stale(Oid database, TimestampTz before)
{
	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	for (int i = 0; i < CMDSCHED_MAX_EXECUTORS; i++)
	{
		ExecutorSlot *entry = &cmdsched_shared->executors[i];

		if (entry->state == EXECUTOR_STARTING && entry->pid == 0 &&
			entry->database == database && entry->since < before)
			entry->state = EXECUTOR_FREE;
	}
	LWLockRelease(&cmdsched_shared->slots_lock);
}

/* The new process: false where the reservation is gone. */
bool
cmdsched_executor_attach(int slot, uint32 reservation)
{
	ExecutorSlot *entry = &cmdsched_shared->executors[slot];
	bool attached;

	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	attached = entry->state == EXECUTOR_STARTING && entry->pid == 0 &&
			   entry->reservation == reservation;
	if (attached)
	{
		entry->pid = MyProcPid;
		entry->latch = MyLatch;
		pg_atomic_fetch_add_u32(&cmdsched_shared->roles[entry->role_slot]
									 .nexecutors,
								1);
	}
	LWLockRelease(&cmdsched_shared->slots_lock);
	return attached;
}

/* Leave: the scheduler takes over the watch. */
void
cmdsched_executor_detach(int slot)
{
	ExecutorSlot *entry = &cmdsched_shared->executors[slot];
	RoleSlot *role = &cmdsched_shared->roles[entry->role_slot];
	uint32 me = (uint32) slot + 1;

	cmdsched_executor_show_command(slot, NULL, 0);
	if (pg_atomic_compare_exchange_u32(&role->waker, &me, WAKER_SCHEDULER))
		pg_atomic_write_u64(&role->wake_before, (uint64) WAKE_ALWAYS);
	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	/* Those that stay may be in a slow handler. */
	if (pg_atomic_fetch_sub_u32(&role->nexecutors, 1) > 1 &&
		pg_atomic_read_u32(&role->help_wanted) == HELP_NONE)
		pg_atomic_write_u32(&role->help_wanted, HELP_WHEN_DUE);
	entry->state = EXECUTOR_FREE;
	entry->pid = 0;
	entry->latch = NULL;
	LWLockRelease(&cmdsched_shared->slots_lock);
	if (role->database_slot != NO_SLOT)
		cmdsched_scheduler_wake(role->database_slot);
}

int
cmdsched_executor_role_slot(int slot)
{
	return cmdsched_shared->executors[slot].role_slot;
}

void
cmdsched_executor_identify(int slot, Oid *database, Oid *role)
{
	*database = cmdsched_shared->executors[slot].database;
	*role = cmdsched_shared->executors[slot].role;
}

ExecutorState
cmdsched_executor_state(int slot, TimestampTz *since)
{
	if (since != NULL)
		*since = cmdsched_shared->executors[slot].since;
	return cmdsched_shared->executors[slot].state;
}

void
cmdsched_executor_set_state(int slot, ExecutorState state, TimestampTz now)
{
	cmdsched_shared->executors[slot].state = state;
	cmdsched_shared->executors[slot].since = now;
}

/*
 * Those that seem idle, or still to be starting, may be in a slow handler,
 * which their timer has not told because the clock was set back.  Who is
 * idle says so again.
 */
void
cmdsched_executor_doubt_idle(Oid database)
{
	LWLockAcquire(&cmdsched_shared->slots_lock, LW_EXCLUSIVE);
	for (int i = 0; i < CMDSCHED_MAX_EXECUTORS; i++)
	{
		ExecutorSlot *entry = &cmdsched_shared->executors[i];

		if (entry->database == database && entry->pid != 0 &&
			(entry->state == EXECUTOR_IDLE ||
			 entry->state == EXECUTOR_STARTING))
			entry->state = EXECUTOR_RUNNING;
	}
	LWLockRelease(&cmdsched_shared->slots_lock);
}

/* The next used slot of a database after this one; NO_SLOT at the end. */
int
cmdsched_executor_next(Oid database, int slot)
{
	while (++slot < CMDSCHED_MAX_EXECUTORS)
	{
		if (cmdsched_shared->executors[slot].state != EXECUTOR_FREE &&
			cmdsched_shared->executors[slot].database == database)
			return slot;
	}
	return NO_SLOT;
}

int
cmdsched_executor_pid(int slot)
{
	return cmdsched_shared->executors[slot].pid;
}

void
cmdsched_executor_ask_to_leave(int slot)
{
	Latch *latch = cmdsched_shared->executors[slot].latch;

	pg_atomic_write_u32(&cmdsched_shared->executors[slot].leave, 1);
	pg_memory_barrier();
	if (latch != NULL)
		SetLatch(latch);
}

/* Have another look. */
void
cmdsched_executor_nudge(int slot)
{
	Latch *latch = cmdsched_shared->executors[slot].latch;

	pg_atomic_write_u32(&cmdsched_shared->executors[slot].nudged, 1);
	pg_memory_barrier();
	if (latch != NULL)
		SetLatch(latch);
}

bool
cmdsched_executor_take_nudge(int slot)
{
	return pg_atomic_exchange_u32(&cmdsched_shared->executors[slot].nudged,
								  0) != 0;
}

bool
cmdsched_executor_is_leaving(int slot)
{
	return pg_atomic_read_u32(&cmdsched_shared->executors[slot].leave) != 0;
}

/* ------------------------------------------------------------------------
 * Which of them watches over the role
 * ------------------------------------------------------------------------
 */

static int
my_role_slot(int slot)
{
	return cmdsched_shared->executors[slot].role_slot;
}

/* About to look: whatever is committed from now on is to wake me. */
void
cmdsched_executor_listen(int slot)
{
	RoleSlot *role = &cmdsched_shared->roles[my_role_slot(slot)];

	pg_atomic_write_u32(&role->waker, slot + 1);
	pg_atomic_write_u64(&role->wake_before, (uint64) WAKE_ALWAYS);
	pg_memory_barrier();
}

/* About to sleep: only what is due before that time need wake me. */
void
cmdsched_executor_sleep(int slot, TimestampTz wake_before)
{
	RoleSlot *role = &cmdsched_shared->roles[my_role_slot(slot)];

	if (pg_atomic_read_u32(&role->waker) == (uint32) slot + 1)
		pg_atomic_write_u64(&role->wake_before, (uint64) wake_before);
}

/* Running commands, back soon: nobody need be woken for this role. */
void
cmdsched_executor_be_busy(int slot)
{
	RoleSlot *role = &cmdsched_shared->roles[my_role_slot(slot)];

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
	RoleSlot *role = &cmdsched_shared->roles[my_role_slot(slot)];
	uint32 me = (uint32) slot + 1;

	cmdsched_shared->executors[slot].state = EXECUTOR_RUNNING;
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
 * What they run
 * ------------------------------------------------------------------------
 */

/* What is being run; NULL = nothing. */
void
cmdsched_executor_show_command(int slot, const Command *command,
							   TimestampTz since)
{
	ExecutorSlot *entry = &cmdsched_shared->executors[slot];
	int length = 0;
	int type_length = 0;

	if (command != NULL)
	{
		length =
			Min(VARSIZE_ANY_EXHDR(command->schedule_id), CMDSCHED_MAX_NAME);
		type_length =
			Min(VARSIZE_ANY_EXHDR(command->command_type), CMDSCHED_MAX_NAME);
	}
	SpinLockAcquire(&entry->id_lock);
	if (length > 0)
	{
		memcpy(entry->id, VARDATA_ANY(command->schedule_id), length);
		memcpy(entry->type, VARDATA_ANY(command->command_type), type_length);
		entry->type_len = type_length;
		entry->due_at = command->due_at;
		entry->command_since = since;
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
	int role_slot = cmdsched_shared->executors[slot].role_slot;
	bool raised = false;

	for (int i = 0; i < CMDSCHED_MAX_EXECUTORS; i++)
	{
		ExecutorSlot *entry = &cmdsched_shared->executors[i];
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
	int role_slot = cmdsched_shared->executors[slot].role_slot;
	int length = VARSIZE_ANY_EXHDR(command->schedule_id);
	bool found = false;

	if (pg_atomic_read_u32(&cmdsched_shared->roles[role_slot].nexecutors) < 2)
		return false;
	for (int i = 0; i < CMDSCHED_MAX_EXECUTORS && !found; i++)
	{
		ExecutorSlot *entry = &cmdsched_shared->executors[i];

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
	RoleSlot *role =
		&cmdsched_shared->roles[cmdsched_shared->executors[slot].role_slot];

	return pg_atomic_read_u32(&role->nexecutors) < 2;
}

/* Is there an executor of the role in an earlier slot? */
bool
cmdsched_executor_is_additional(int slot)
{
	for (int i = 0; i < slot; i++)
	{
		if (cmdsched_shared->executors[i].pid != 0 &&
			cmdsched_shared->executors[i].role_slot ==
				cmdsched_shared->executors[slot].role_slot)
			return true;
	}
	return false;
}

void
cmdsched_executor_count_commands(int slot, uint64 ncommands)
{
	pg_atomic_fetch_add_u64(&cmdsched_shared->executors[slot].commands_run,
							ncommands);
}

/* False where the slot is not one of this database's. */
bool
cmdsched_executor_info(int slot, Oid database, WorkerInfo *info)
{
	ExecutorSlot *entry = &cmdsched_shared->executors[slot];

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
	info->type_len = entry->type_len;
	memcpy(info->command_type, entry->type, entry->type_len);
	info->command_since = entry->command_since;
	SpinLockRelease(&entry->id_lock);
	return true;
}
