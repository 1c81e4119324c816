/*-------------------------------------------------------------------------
 *
 * attempt.c
 *	  How an attempt ends: decided, recorded in its command's row, and told.
 *
 * What succeeded needs no record, since its claim removed the row.  All else
 * is recorded after the attempt was rolled back, so an AttemptRecord has what
 * is then needed in memory of its own.
 *
 * IDENTIFICATION
 *	  src/worker/attempt.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "command/change_log.h"
#include "command/clock.h"
#include "command/history_store.h"
#include "settings.h"
#include "worker/attempt.h"
#include "worker/occurrence.h"
#include "worker/operation.h"
#include "worker/tally.h"
#include "worker/wakeup.h"

/* So often a deadlock or serialization failure does not count. */
#define MAX_CONFLICTS 5

void
cmdsched_attempt_remember(AttemptRecord *record, const Command *command,
						  Handler *handler)
{
	Size length =
		Min(VARSIZE_ANY_EXHDR(command->schedule_id), CMDSCHED_MAX_NAME);

	SET_VARSIZE(record->id_space, VARHDRSZ + length);
	memcpy(VARDATA(record->id_space),
		   VARDATA_ANY(command->schedule_id),
		   length);
	record->key.schedule_id = (text *) record->id_space;
	record->key.scheduled_by = command->scheduled_by;
	text_to_cstring_buffer(command->command_type,
						   record->type_name,
						   sizeof(record->type_name));
	record->attempts = command->attempts;
	record->conflicts = command->conflicts;
	record->execute_at = command->execute_at;
	record->due_at = command->due_at;
	record->retry = handler->retry;
	record->external = handler->external;
	record->function = handler->function;
	record->history = handler->history;
	record->tally = cmdsched_tally_of(handler, command);
	record->started = 0;
	record->is_occurrence = command->recurring != NULL;
	record->watched = false;
	record->is_procedure = handler->is_procedure;
	record->running = true;
}

/* The handler is about to be called. */
void
cmdsched_attempt_begin(AttemptRecord *record, TimestampTz now)
{
	record->started = now;
	cmdsched_tally_begin(record);
}

/* Times are those of the clock that the command's session goes by. */
static void
begin_entry(HistoryEntry *entry, const AttemptRecord *record,
			TimestampTz ended)
{
	memset(entry, 0, sizeof(*entry));
	entry->policy = record->history;
	entry->attempt = Min(record->attempts + 1, PG_INT16_MAX);
	entry->scheduled_for = record->execute_at;
	if (record->started != 0)
		entry->started_at = cmdsched_clock_at(record->started);
	entry->finished_at = cmdsched_clock_at(ended);
}

static void
keep_in_history(const AttemptRecord *record, AttemptEnd end, TimestampTz ended)
{
	static const HistoryOutcome outcomes[] = {
		[ATTEMPT_FAILED] = HISTORY_ATTEMPT_FAILED,
		[ATTEMPT_FAILED_FOR_GOOD] = HISTORY_FAILED,
		[ATTEMPT_SNOOZED] = HISTORY_SNOOZED,
		[ATTEMPT_ABANDONED] = HISTORY_ABANDONED,
		[ATTEMPT_HELD] = HISTORY_HELD,
	};
	HistoryEntry entry;

	if (end == ATTEMPT_CONFLICTED)
		return;
	begin_entry(&entry, record, ended);
	entry.outcome = outcomes[end];
	if (end == ATTEMPT_HELD)
		entry.attempt = 0;
	cmdsched_history_record_kept(&entry, &record->key);
}

/* As the log and hooks have it. */
static const char *const end_names[] = {
	[ATTEMPT_FAILED] = "attempt_failed",
	[ATTEMPT_FAILED_FOR_GOOD] = "failed",
	[ATTEMPT_CONFLICTED] = "conflicted",
	[ATTEMPT_SNOOZED] = "snoozed",
	[ATTEMPT_ABANDONED] = "abandoned",
	[ATTEMPT_HELD] = "held",
};

static void
log_end(const AttemptRecord *record, AttemptEnd end,
		const Settlement *settlement)
{
	bool needs_somebody = end == ATTEMPT_FAILED_FOR_GOOD ||
						  end == ATTEMPT_ABANDONED || end == ATTEMPT_HELD;

	cmdsched_change_log(needs_somebody ? LOG : DEBUG1,
						record->key.schedule_id,
						record->type_name,
						end_names[end],
						end == ATTEMPT_HELD ? 0 : record->attempts + 1,
						settlement->error);
}

/* Everybody who wants to know how an attempt ended that did not succeed. */
static void
tell(const AttemptRecord *record, AttemptEnd end, const Settlement *settlement)
{
	TimestampTz ended = GetCurrentTimestamp();

	keep_in_history(record, end, ended);
	cmdsched_tally_end(record, end, settlement->error, ended);
	log_end(record, end, settlement);
	cmdsched_operation_attempt_ends(record, end_names[end]);
}

/*
 * The same for one that did, in the transaction that its handler ran in;
 * result is a jsonb.
 */
void
cmdsched_attempt_succeeded(const AttemptRecord *record, const Command *command,
						   NullableDatum result, TimestampTz ended)
{
	int64 duration_us = ended - record->started;

	cmdsched_tally_success(record, ended);
	if (record->history == HISTORY_ALL)
	{
		HistoryEntry entry;

		begin_entry(&entry, record, ended);
		entry.outcome = HISTORY_SUCCEEDED;
		entry.result = result.value;
		entry.has_result = !result.isnull;
		cmdsched_history_record(&entry, command);
	}
	if (cmdsched_log_min_duration < 0 ||
		duration_us < cmdsched_log_min_duration * (int64) 1000)
		return;
	cmdsched_change_log_slow(record->key.schedule_id,
							 record->type_name,
							 record->attempts + 1,
							 duration_us);
}

/* After a deadlock or serialization failure: again at once, almost. */
static void
decide_on_conflict(const AttemptRecord *record, TimestampTz now,
				   Settlement *settlement)
{
	int pause_ms =
		cmdsched_retry_pause_ms(record->conflicts,
								pg_prng_double(&pg_global_prng_state));

	settlement->conflicts = record->conflicts + 1;
	settlement->execute_at = record->execute_at;
	settlement->due_at = TimestampTzPlusMilliseconds(now, pause_ms);
}

/* Apply the rules of what happens to an attempt that did not succeed. */
static AttemptEnd
decide(const AttemptRecord *record, const Outcome *outcome, TimestampTz now,
	   Settlement *settlement)
{
	settlement->status = "pending";
	settlement->attempts = record->attempts;
	settlement->conflicts = 0;
	settlement->claimable_at = DUE_NEVER;
	settlement->error = NULL;
	if (outcome->kind == OUTCOME_TRANSIENT &&
		record->conflicts < MAX_CONFLICTS)
	{
		decide_on_conflict(record, now, settlement);
		return ATTEMPT_CONFLICTED;
	}
	if (outcome->kind == OUTCOME_SNOOZED)
	{
		settlement->execute_at = settlement->due_at = outcome->snooze_until;
		return ATTEMPT_SNOOZED;
	}

	settlement->attempts = Min(record->attempts + 1, PG_INT16_MAX);
	settlement->error = &outcome->error;
	settlement->execute_at = settlement->due_at = DUE_NEVER;
	if (outcome->kind != OUTCOME_ABANDONED)
		settlement->execute_at = settlement->due_at =
			cmdsched_retry_next(&record->retry,
								settlement->attempts,
								now,
								pg_prng_double(&pg_global_prng_state));
	if (settlement->due_at != DUE_NEVER)
		return ATTEMPT_FAILED;
	settlement->status = "failed";
	settlement->execute_at = record->execute_at;
	return outcome->kind == OUTCOME_ABANDONED ? ATTEMPT_ABANDONED
											  : ATTEMPT_FAILED_FOR_GOOD;
}

/* It is not tried again: the schedule goes on without it. */
static void
end_occurrence(const AttemptRecord *record, TimestampTz now)
{
	Occurrence occurrence = {
		.key = record->key,
		.retried = record->attempts > 0,
	};

	(void) cmdsched_occurrence_end(&occurrence, OCCURRENCE_FAILED, now);
}

/*
 * Record an attempt that did not succeed, after it was rolled back.  False
 * where somebody else has taken the command meanwhile.
 */
bool
cmdsched_attempt_record(const AttemptRecord *record, const Outcome *outcome,
						TimestampTz now)
{
	Settlement settlement;
	AttemptEnd end = decide(record, outcome, now, &settlement);

	if (!cmdsched_command_settle(&record->key,
								 record->attempts,
								 &settlement,
								 now))
		return false;
	cmdsched_wakeup_note(record->key.scheduled_by, settlement.due_at);
	if (record->is_occurrence &&
		(end == ATTEMPT_FAILED_FOR_GOOD || end == ATTEMPT_ABANDONED))
		end_occurrence(record, now);
	tell(record, end, &settlement);
	return true;
}

/*
 * Set a command aside that cannot run; error NULL: merely not now.  False
 * where somebody else has taken it meanwhile.
 */
bool
cmdsched_attempt_hold(const AttemptRecord *record, const CommandError *error,
					  TimestampTz now)
{
	Settlement settlement = {
		.status = error != NULL ? "held" : "pending",
		.attempts = record->attempts,
		.conflicts = record->conflicts,
		.execute_at = record->execute_at,
		.due_at = DUE_NEVER,
		.claimable_at = record->external && error == NULL
							? Max(record->execute_at, now)
							: DUE_NEVER,
		.error = error,
	};

	if (!cmdsched_command_settle(&record->key,
								 record->attempts,
								 &settlement,
								 now))
		return false;
	/* If this is rolled back, it is due as before, and no sooner than that. */
	cmdsched_wakeup_note(record->key.scheduled_by, record->execute_at);
	cmdsched_wakeup_note_claimable(record->key.scheduled_by,
								   settlement.claimable_at);
	if (error != NULL)
		tell(record, ATTEMPT_HELD, &settlement);
	return true;
}
