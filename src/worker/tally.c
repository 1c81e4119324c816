/*-------------------------------------------------------------------------
 *
 * tally.c
 *	  Counts attempts and how they ended: first here, and in shared memory
 *	  when the transaction commits.
 *
 * What is counted belongs to the subtransaction it was counted in, as the
 * effects of the attempt do.  Where that is rolled back, and its commands
 * run again, they count once.  A transaction that is prepared counts then,
 * since nobody hears how it ends.
 *
 * IDENTIFICATION
 *	  src/worker/tally.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "command/clock.h"
#include "worker/handler_slots.h"
#include "worker/shared_state.h"
#include "worker/tally.h"

/* Of one handler, in one subtransaction and those that ended within it. */
typedef struct PendingCounters
{
	int level;
	Tally *tally;
	struct PendingCounters *outer; /* of the same handler */
	struct PendingCounters *next;  /* of any, never of a deeper level */
	HandlerCounters counters;
} PendingCounters;

struct Tally
{
	HandlerName name;
	int slot_hint;
	PendingCounters *pending; /* of the deepest level */
};

static HTAB *tallies = NULL;
static PendingCounters *pending = NULL;
static PendingCounters *spare = NULL;
static Oid database = InvalidOid; /* MyDatabaseId is gone at exit */

/* ------------------------------------------------------------------------
 * What is counted, from one level to the next
 * ------------------------------------------------------------------------
 */

static HandlerCounters *
begin_counters(Tally *tally, int level)
{
	PendingCounters *counters = spare;

	if (counters != NULL)
		spare = counters->next;
	else
		counters =
			MemoryContextAlloc(TopMemoryContext, sizeof(PendingCounters));
	memset(counters, 0, sizeof(*counters));
	counters->level = level;
	counters->tally = tally;
	counters->outer = tally->pending;
	counters->next = pending;
	tally->pending = pending = counters;
	return &counters->counters;
}

static HandlerCounters *
counters_of(Tally *tally)
{
	int level = GetCurrentTransactionNestLevel();

	if (tally->pending != NULL && tally->pending->level == level)
		return &tally->pending->counters;
	return begin_counters(tally, level);
}

static void
drop_innermost(void)
{
	PendingCounters *dropped = pending;

	dropped->tally->pending = dropped->outer;
	pending = dropped->next;
	dropped->next = spare;
	spare = dropped;
}

static void
discard(int level)
{
	while (pending != NULL && pending->level >= level)
		drop_innermost();
}

/* A level ends well: what it has counted is the next outer one's. */
static void
hand_outwards(int level)
{
	PendingCounters *moved = NULL;

	while (pending != NULL && pending->level >= level)
	{
		PendingCounters *counters = pending;

		if (counters->outer != NULL && counters->outer->level == level - 1)
		{
			cmdsched_handler_counters_add(&counters->outer->counters,
										  &counters->counters);
			drop_innermost();
			continue;
		}
		counters->level = level - 1;
		pending = counters->next;
		counters->next = moved;
		moved = counters;
	}
	while (moved != NULL)
	{
		PendingCounters *counters = moved;

		moved = counters->next;
		counters->next = pending;
		pending = counters;
	}
}

static void
publish(void)
{
	cmdsched_handler_slots_begin_adding();
	while (pending != NULL)
	{
		cmdsched_handler_slot_add(database,
								  &pending->tally->name,
								  &pending->tally->slot_hint,
								  &pending->counters);
		drop_innermost();
	}
	cmdsched_handler_slots_end_adding();
}

/* After commit: must not throw. */
static void
at_transaction_end(XactEvent event, void *arg)
{
	if (pending == NULL)
		return;
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			publish();
			break;
		case XACT_EVENT_ABORT:
			discard(0);
			break;
		default:
			break;
	}
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId id,
					  SubTransactionId parent, void *arg)
{
	if (pending == NULL)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		hand_outwards(GetCurrentTransactionNestLevel());
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		discard(GetCurrentTransactionNestLevel());
}

/* ------------------------------------------------------------------------
 * Whose it is
 * ------------------------------------------------------------------------
 */

static void
prepare_to_count(void)
{
	HASHCTL control = {
		.keysize = sizeof(HandlerName),
		.entrysize = sizeof(Tally),
		.hcxt = TopMemoryContext,
	};

	tallies = hash_create("cmdsched tallies",
						  32,
						  &control,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	database = MyDatabaseId;
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}

static void
copy_name(char *name, text *value)
{
	memcpy(name,
		   VARDATA_ANY(value),
		   Min(VARSIZE_ANY_EXHDR(value), CMDSCHED_MAX_NAME));
}

/* Found or made, and never forgotten; NULL where there is nowhere to count. */
Tally *
cmdsched_tally_make(const Command *command)
{
	HandlerName name = {0};
	Tally *tally;
	bool found;

	if (!cmdsched_shared_state_attach() || !cmdsched_handler_slots_exist())
		return NULL;
	if (tallies == NULL)
		prepare_to_count();
	copy_name(name.command_type, command->command_type);
	copy_name(name.command_module, command->command_module);
	tally = hash_search(tallies, &name, HASH_ENTER, &found);
	if (!found)
	{
		tally->slot_hint = 0;
		tally->pending = NULL;
	}
	return tally;
}

/* ------------------------------------------------------------------------
 * Attempts
 * ------------------------------------------------------------------------
 */

/* Right before the handler is called. */
void
cmdsched_tally_begin(AttemptRecord *record)
{
	record->blocks_hit = pgBufferUsage.shared_blks_hit;
	record->blocks_read = pgBufferUsage.shared_blks_read;
	record->wal_bytes = pgWalUsage.wal_bytes;
}

static void
count_attempt(HandlerCounters *counters, const AttemptRecord *record,
			  TimestampTz ended)
{
	counters->retries += record->attempts > 0;
	counters->blocks_hit += pgBufferUsage.shared_blks_hit - record->blocks_hit;
	counters->blocks_read +=
		pgBufferUsage.shared_blks_read - record->blocks_read;
	counters->wal_bytes += pgWalUsage.wal_bytes - record->wal_bytes;
	cmdsched_histogram_count(&counters->lateness,
							 cmdsched_clock_at(record->started) -
								 record->due_at);
	cmdsched_histogram_count(&counters->run_time, ended - record->started);
}

void
cmdsched_tally_success(const AttemptRecord *record, TimestampTz ended)
{
	HandlerCounters *counters;

	if (record->tally == NULL)
		return;
	counters = counters_of(record->tally);
	counters->succeeded++;
	count_attempt(counters, record, ended);
}

/* Of one that did not succeed, in the transaction that records that. */
void
cmdsched_tally_end(const AttemptRecord *record, AttemptEnd end,
				   const CommandError *error, TimestampTz ended)
{
	HandlerCounters *counters;

	if (record->tally == NULL)
		return;
	counters = counters_of(record->tally);
	if (end == ATTEMPT_HELD)
	{
		counters->held++;
		return;
	}
	count_attempt(counters, record, ended);
	if (end == ATTEMPT_CONFLICTED)
		counters->conflicts++;
	else if (end == ATTEMPT_SNOOZED)
		counters->snoozed++;
	else
	{
		counters->failures++;
		counters->failed_for_good += end != ATTEMPT_FAILED;
		cmdsched_handler_counters_count_class(counters,
											  ERRCODE_TO_CATEGORY(
												  error->sqlerrcode),
											  1);
	}
}
