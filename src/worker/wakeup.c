/*-------------------------------------------------------------------------
 *
 * wakeup.c
 *	  Tells the workers, when a transaction ends, what it changed.
 *
 * While it runs, a transaction notes for which roles it changed something
 * and when the earliest of it is due.  The notes are passed on at its very
 * end, when the rows can be seen, its invalidations are sent and its locks
 * are gone: a worker that is woken earlier might still call the handler of
 * before.  After abort too: a worker may have stepped over a row that this
 * transaction had locked.  Nothing here can throw once the transaction has
 * ended: an error there would be a PANIC.
 *
 * Rolled back savepoints keep their notes.  A wake-up too many costs one
 * look; a lost one costs a delay until the next sweep, never a command.
 *
 * IDENTIFICATION
 *	  src/worker/wakeup.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/resowner.h"

#include "worker/shared_state.h"
#include "worker/wakeup.h"

/* A transaction that schedules for more roles than that asks for a sweep. */
#define MAX_NOTES 16

typedef struct WakeupNote
{
	Oid role;
	int role_slot;
	TimestampTz due_at;
} WakeupNote;

/* The same of commands that are for applications. */
typedef struct LeaseNote
{
	Oid role;
	int lease_slot;
	TimestampTz if_done;   /* all of this was committed */
	TimestampTz if_undone; /* some of it was rolled back */
} LeaseNote;

static WakeupNote notes[MAX_NOTES];
static int nnotes = 0;
static LeaseNote lease_notes[MAX_NOTES];
static int nlease_notes = 0;
static TimestampTz claimable_if_done = DUE_NEVER; /* for the scheduler */
static TimestampTz claimable_if_undone = DUE_NEVER;
static bool sweep_noted = false;
static bool ended = false; /* the transaction of the notes */
static bool aborted = false;
static int database_slot = NO_SLOT;
static Oid database = InvalidOid; /* MyDatabaseId is gone at exit */

static void
ask_for_sweep(void)
{
	if (database_slot == NO_SLOT)
		return;
	cmdsched_scheduler_request_sweep(database_slot);
	/* Perhaps the extension has just been created. */
	if (cmdsched_database_state(database_slot) != SCHEDULER_RUNNING)
		cmdsched_launcher_wake();
}

/* undone: some of what this transaction did is rolled back. */
static void
pass_on_lease_notes(bool undone)
{
	TimestampTz claimable_at = claimable_if_done;

	for (int i = 0; i < nlease_notes; i++)
	{
		LeaseNote *note = &lease_notes[i];
		TimestampTz at = note->if_done;

		if (undone)
			at = Min(at, note->if_undone);
		if (note->lease_slot != NO_SLOT && at != DUE_NEVER)
			cmdsched_lease_slot_lower(note->lease_slot,
									  database,
									  note->role,
									  at);
	}
	if (undone)
		claimable_at = Min(claimable_at, claimable_if_undone);
	if (claimable_at != DUE_NEVER && database_slot != NO_SLOT)
		cmdsched_database_lower_claimable(database_slot, claimable_at);
}

static void
pass_on_notes(void)
{
	for (int i = 0; i < nnotes; i++)
	{
		if (cmdsched_role_is(notes[i].role_slot, database, notes[i].role))
			cmdsched_role_lower(notes[i].role_slot, notes[i].due_at);
		else
			sweep_noted = true;
	}
	pass_on_lease_notes(aborted);
	if (sweep_noted)
		ask_for_sweep();
}

static bool
nothing_is_noted(void)
{
	return nnotes == 0 && nlease_notes == 0 && !sweep_noted;
}

/* How the transaction ended; the notes are passed on a little later. */
static void
at_transaction_end(XactEvent event, void *arg)
{
	if (nothing_is_noted())
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			ended = true;
			break;
		case XACT_EVENT_ABORT:
			ended = aborted = true;
			break;
		case XACT_EVENT_PREPARE:
			/* The rows come with COMMIT PREPARED, of which nobody hears. */
			sweep_noted = true;
			ended = true;
			break;
		default:
			break;
	}
}

/* Claims that a savepoint gives back can be had again at once. */
static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine,
					  SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && nlease_notes > 0)
		pass_on_lease_notes(true);
}

/* The last step in which a transaction lets others have their say. */
static void
after_locks(ResourceReleasePhase phase, bool is_commit, bool is_top_level,
			void *arg)
{
	if (!ended || phase != RESOURCE_RELEASE_AFTER_LOCKS)
		return;
	ended = false;
	pass_on_notes();
	nnotes = 0;
	nlease_notes = 0;
	claimable_if_done = claimable_if_undone = DUE_NEVER;
	aborted = false;
	sweep_noted = false;
}

static bool
prepare_to_note(void)
{
	static bool registered = false;

	if (!cmdsched_shared_state_attach())
		return false;
	if (!registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		RegisterSubXactCallback(at_subtransaction_end, NULL);
		RegisterResourceReleaseCallback(after_locks, NULL);
		registered = true;
	}
	database = MyDatabaseId;
	if (database_slot == NO_SLOT)
		database_slot = cmdsched_database_add(database);
	return true;
}

/* This transaction changes what is due for a role at that time. */
void
cmdsched_wakeup_note(Oid role, TimestampTz due_at)
{
	int role_slot;

	for (int i = 0; i < nnotes; i++)
	{
		if (notes[i].role == role)
		{
			notes[i].due_at = Min(notes[i].due_at, due_at);
			return;
		}
	}
	if (due_at == DUE_NEVER || !prepare_to_note())
		return;
	role_slot = cmdsched_role_find_or_add(database, role);
	if (nnotes == MAX_NOTES || role_slot == NO_SLOT)
	{
		sweep_noted = true;
		return;
	}
	notes[nnotes].role = role;
	notes[nnotes].role_slot = role_slot;
	notes[nnotes].due_at = due_at;
	nnotes++;
}

/* NULL where there is no room: a sweep is noted then. */
static LeaseNote *
find_lease_note(Oid role)
{
	LeaseNote *note;

	for (int i = 0; i < nlease_notes; i++)
	{
		if (lease_notes[i].role == role)
			return &lease_notes[i];
	}
	if (!prepare_to_note())
		return NULL;
	if (nlease_notes == MAX_NOTES)
	{
		sweep_noted = true;
		return NULL;
	}
	note = &lease_notes[nlease_notes++];
	note->role = role;
	note->lease_slot = cmdsched_lease_slot_find_or_add(database, role);
	note->if_done = note->if_undone = DUE_NEVER;
	return note;
}

/* This transaction makes something of a role claimable at that time. */
void
cmdsched_wakeup_note_claimable(Oid role, TimestampTz claimable_at)
{
	LeaseNote *note;

	if (claimable_at == DUE_NEVER)
		return;
	note = find_lease_note(role);
	if (note == NULL)
		return;
	note->if_done = Min(note->if_done, claimable_at);
	claimable_if_done = Min(claimable_if_done, claimable_at);
}

/*
 * This transaction claims commands of a role, of which the earliest was
 * claimable at that time, until ends_at; or does away with the claim of one.
 * The next claim begins at from, should this be rolled back.
 */
void
cmdsched_wakeup_note_claim(Oid role, TimestampTz from, TimestampTz earliest,
						   TimestampTz ends_at)
{
	LeaseNote *note = find_lease_note(role);

	if (note == NULL)
		return;
	note->if_undone = Min(note->if_undone, from);
	claimable_if_undone = Min(claimable_if_undone, earliest);
	claimable_if_done = Min(claimable_if_done, ends_at);
}

/* This transaction changes when a command of a role is due. */
void
cmdsched_wakeup_note_change(Oid role, const DueTimes *times)
{
	cmdsched_wakeup_note(role, times->due_at);
	cmdsched_wakeup_note_claimable(role, times->claimable_at);
}

/* This transaction changes more than it can say. */
void
cmdsched_wakeup_note_everything(void)
{
	if (prepare_to_note())
		sweep_noted = true;
}
