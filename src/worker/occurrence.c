/*-------------------------------------------------------------------------
 *
 * occurrence.c
 *	  The occurrences of recurring schedules: one follows another.
 *
 * Of each active schedule the next occurrence is a command like any other,
 * and cmdsched.recurring says which.  Whoever ends that command, by running
 * it, for one, writes down the one that follows in the same transaction: so
 * none is lost or doubled, whatever becomes of that transaction.  A command
 * of the schedule that is not the one named there has its successor already.
 *
 * An occurrence that fails and is tried again has not ended.  With overlap
 * allowed the successor is written down before the first attempt, by a
 * transaction of its own.
 *
 * Locks: see recurring_store.c.  Nothing here waits for one.
 *
 * IDENTIFICATION
 *	  src/worker/occurrence.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "command/calendar_store.h"
#include "command/clock.h"
#include "command/command_store.h"
#include "command/handler_store.h"
#include "command/occurrence_id.h"
#include "schedule/succession.h"
#include "worker/occurrence.h"
#include "worker/wakeup.h"

/* ------------------------------------------------------------------------
 * What the schedule says
 * ------------------------------------------------------------------------
 */

static bool
text_is(const text *value, const char *wanted)
{
	return VARSIZE_ANY_EXHDR(value) == strlen(wanted) &&
		   memcmp(VARDATA_ANY(value), wanted, strlen(wanted)) == 0;
}

static bool
is_same_text(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		   memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/* False, with the problem, where the instants of a schedule cannot be found. */
static bool
make_recurrence(const RecurringSchedule *schedule, Recurrence *recurrence,
				CronProblem *problem)
{
	memset(recurrence, 0, sizeof(Recurrence));
	memset(problem, 0, sizeof(CronProblem));
	recurrence->timezone = pg_tzset(text_to_cstring(schedule->timezone));
	if (recurrence->timezone == NULL)
	{
		problem->message = psprintf("time zone \"%s\" does not exist",
									text_to_cstring(schedule->timezone));
		problem->hint = "See pg_timezone_names.";
		return false;
	}
	recurrence->dst_gap =
		text_is(schedule->dst_gap, "skip") ? DST_GAP_SKIP : DST_GAP_SHIFT;
	recurrence->dst_overlap =
		text_is(schedule->dst_overlap, "both")	 ? DST_OVERLAP_BOTH
		: text_is(schedule->dst_overlap, "last") ? DST_OVERLAP_LAST
												 : DST_OVERLAP_FIRST;
	recurrence->is_cron = schedule->every == NULL;
	if (recurrence->is_cron)
		return cmdsched_cron_parse(&recurrence->cron,
								   text_to_cstring(schedule->cron),
								   problem);
	recurrence->every = *schedule->every;
	recurrence->anchor = schedule->starts_at == DT_NOBEGIN
							 ? schedule->created_at
							 : schedule->starts_at;
	return true;
}

/* NULL, or why the rules cannot be followed. */
static const char *
make_rules(const RecurringSchedule *schedule, Recurrence *recurrence,
		   SuccessionRules *rules)
{
	CronProblem problem;

	rules->recurrence = recurrence;
	rules->ends_at = schedule->ends_at;
	rules->catch_up_limit = schedule->catch_up_limit;
	rules->catch_up = text_is(schedule->catch_up, "none")	? CATCH_UP_NONE
					  : text_is(schedule->catch_up, "last") ? CATCH_UP_LAST
															: CATCH_UP_ALL;
	rules->overlap = text_is(schedule->overlap, "skip")	   ? OVERLAP_SKIP
					 : text_is(schedule->overlap, "queue") ? OVERLAP_QUEUE
														   : OVERLAP_ALLOW;
	return make_recurrence(schedule, recurrence, &problem) ? NULL
														   : problem.message;
}

/* Can the instants of a schedule be found?  Raises an error if not. */
void
cmdsched_occurrence_check(const RecurringSchedule *schedule)
{
	Recurrence recurrence;
	CronProblem problem;

	if (!make_recurrence(schedule, &recurrence, &problem))
		cmdsched_cron_raise(&problem);
}

/*
 * How much later than its instant an occurrence runs.  The same for all of a
 * schedule, so that the time between them is as it says.
 */
static int64
spread_us(const RecurringSchedule *schedule)
{
	int64 limit_us = schedule->spread->time;
	uint64 hash =
		DatumGetUInt64(hash_any_extended((const unsigned char *) VARDATA_ANY(
											 schedule->key.name),
										 VARSIZE_ANY_EXHDR(schedule->key.name),
										 ((uint64) MyDatabaseId << 32) |
											 schedule->key.scheduled_by));

	return limit_us > 0 ? (int64) (hash % (uint64) limit_us) : 0;
}

/* ------------------------------------------------------------------------
 * Writing the next one down
 * ------------------------------------------------------------------------
 */

/* There is no next occurrence, for now. */
void
cmdsched_occurrence_stop(RecurringSchedule *schedule, const char *status,
						 text *reason)
{
	schedule->status = cstring_to_text(status);
	schedule->reason = reason;
	schedule->next_schedule_id = NULL;
	schedule->next_at = NEVER_YET;
}

/* In a worker nobody else would hear of it. */
static void
hold_schedule(RecurringSchedule *schedule, const char *problem)
{
	cmdsched_occurrence_stop(schedule, "held", cstring_to_text(problem));
	ereport(LOG,
			errmsg("recurring schedule \"%s\" is held",
				   text_to_cstring(schedule->key.name)),
			errhint("See cmdsched.recurring_schedules."));
}

/* When the occurrence is to run; false where its calendar does not open. */
static bool
find_time(const RecurringSchedule *schedule, TimestampTz at,
		  TimestampTz *execute_at)
{
	*execute_at = at + spread_us(schedule);
	return schedule->calendar == NULL ||
		   cmdsched_calendar_try_open(schedule->calendar,
									  *execute_at,
									  execute_at);
}

/* False where a command with its schedule_id is there already. */
static bool
insert_command(RecurringSchedule *schedule, TimestampTz at,
			   TimestampTz execute_at, TimestampTz now)
{
	Command command = {
		.schedule_id = cmdsched_occurrence_id_make(schedule->key.name, at),
		.command_type = schedule->command_type,
		.command_module = schedule->command_module,
		.command_data = schedule->command_data,
		.metadata = schedule->metadata,
		.has_metadata = schedule->has_metadata,
		.execute_at = execute_at,
		.scheduled_by = schedule->key.scheduled_by,
		.scheduled_by_name = schedule->scheduled_by_name,
		.recurring = schedule->key.name,
		.occurrence_at = at,
	};
	const Handler *handler =
		cmdsched_handler_find(command.command_type, command.command_module);

	cmdsched_command_set_due(&command, handler->external, now);
	if (!cmdsched_command_insert(&command, now, ON_CONFLICT_KEEP))
		return false;
	cmdsched_wakeup_note(command.scheduled_by, command.due_at);
	cmdsched_wakeup_note_claimable(command.scheduled_by, command.claimable_at);
	schedule->status = cstring_to_text("active");
	schedule->reason = NULL;
	schedule->next_schedule_id = command.schedule_id;
	schedule->next_at = at;
	return true;
}

/* An id may be taken by an occurrence that failed, or runs beside. */
static void
insert_at_or_after(RecurringSchedule *schedule, const SuccessionRules *rules,
				   TimestampTz at, TimestampTz now)
{
	TimestampTz execute_at;

	do
	{
		if (!find_time(schedule, at, &execute_at))
		{
			hold_schedule(schedule,
						  psprintf("calendar \"%s\" does not exist, or does "
								   "not open any more",
								   text_to_cstring(schedule->calendar)));
			return;
		}
		if (insert_command(schedule, at, execute_at, now))
			return;
	} while (cmdsched_succession_first(rules, at, &at));
	cmdsched_occurrence_stop(schedule, "finished", NULL);
}

/* Begin or go on with a schedule: with its first occurrence after a moment. */
void
cmdsched_occurrence_begin(RecurringSchedule *schedule, TimestampTz after,
						  TimestampTz now)
{
	Recurrence recurrence;
	SuccessionRules rules;
	const char *problem = make_rules(schedule, &recurrence, &rules);
	TimestampTz at;

	if (schedule->starts_at > after)
		after = schedule->starts_at - 1;
	if (problem != NULL)
		cmdsched_occurrence_stop(schedule, "held", cstring_to_text(problem));
	else if (schedule->runs < schedule->max_runs &&
			 cmdsched_succession_first(&rules, after, &at))
		insert_at_or_after(schedule, &rules, at, now);
	else
		cmdsched_occurrence_stop(schedule, "finished", NULL);
}

/* ------------------------------------------------------------------------
 * Before an attempt
 * ------------------------------------------------------------------------
 */

void
cmdsched_occurrence_identify(Occurrence *occurrence, const Command *command)
{
	occurrence->key.schedule_id = command->schedule_id;
	occurrence->key.scheduled_by = command->scheduled_by;
	occurrence->retried = command->attempts > 0;
}

/* Has it no successor yet? */
static bool
is_next_of(const RecurringSchedule *schedule, const text *schedule_id)
{
	return schedule->next_schedule_id != NULL &&
		   is_same_text(schedule->next_schedule_id, schedule_id);
}

/* An occurrence is due: what is to be done with it? */
OccurrenceVerdict
cmdsched_occurrence_judge(const Command *command, TimestampTz now)
{
	RecurringKey key = {.name = command->recurring,
						.scheduled_by = command->scheduled_by};
	RecurringSchedule schedule;
	Recurrence recurrence;
	SuccessionRules rules;
	Successor successor;

	if (!cmdsched_recurring_read(&key, &schedule) ||
		!is_next_of(&schedule, command->schedule_id) ||
		make_rules(&schedule, &recurrence, &rules) != NULL)
		return OCCURRENCE_RUN;
	if (command->attempts == 0 &&
		cmdsched_succession_is_missed(command->due_at, now) &&
		cmdsched_succession_supersedes(&rules,
									   command->occurrence_at,
									   now,
									   &successor))
		return OCCURRENCE_DROP;
	return rules.overlap == OVERLAP_ALLOW ? OCCURRENCE_RUN_BESIDE
										  : OCCURRENCE_RUN;
}

/* ------------------------------------------------------------------------
 * At its end
 * ------------------------------------------------------------------------
 */

static void
find_successor(const SuccessionRules *rules, TimestampTz at, bool retried,
			   OccurrenceEnd end, TimestampTz now, Successor *successor)
{
	PastOccurrence past = {
		.at = at,
		.missed_until = retried ? at : now,
		.ended_at =
			end == OCCURRENCE_BEGINS ? now : Max(now, cmdsched_clock_now()),
	};

	if (end != OCCURRENCE_MISSED ||
		!cmdsched_succession_supersedes(rules, at, now, successor))
		cmdsched_succession_next(rules, &past, successor);
}

static void
count_end(RecurringSchedule *schedule, OccurrenceEnd end, int64 nskipped,
		  TimestampTz now)
{
	if (end == OCCURRENCE_CANCELLED)
		nskipped++;
	if (nskipped > 0)
	{
		schedule->skipped += nskipped;
		schedule->last_skipped_at = now;
	}
	if (end == OCCURRENCE_CANCELLED || end == OCCURRENCE_MISSED)
		return;
	schedule->runs++;
	schedule->last_run_at = now;
	schedule->last_outcome =
		cstring_to_text(end == OCCURRENCE_SUCCEEDED ? "succeeded"
						: end == OCCURRENCE_FAILED	? "failed"
													: "started");
}

/* From an end to the next beginning, where the schedule is ours to change. */
static void
advance(RecurringSchedule *schedule, bool retried, OccurrenceEnd end,
		TimestampTz now)
{
	Recurrence recurrence;
	SuccessionRules rules;
	Successor successor = {0};
	const char *problem = make_rules(schedule, &recurrence, &rules);

	if (problem == NULL)
		find_successor(&rules,
					   schedule->next_at,
					   retried,
					   end,
					   now,
					   &successor);
	count_end(schedule, end, successor.nskipped, now);
	if (problem != NULL)
		hold_schedule(schedule, problem);
	else if (successor.exists && schedule->runs < schedule->max_runs)
		insert_at_or_after(schedule, &rules, successor.at, now);
	else
		cmdsched_occurrence_stop(schedule, "finished", NULL);
	cmdsched_recurring_write(schedule);
}

/*
 * An occurrence has ended, in this transaction: write down the one that
 * follows.  Returns its instant; DUE_NEVER where there is none, or it is
 * there already.
 */
TimestampTz
cmdsched_occurrence_end(const Occurrence *occurrence, OccurrenceEnd end,
						TimestampTz now)
{
	RecurringKey key = {.name = cmdsched_occurrence_id_schedule(
							occurrence->key.schedule_id),
						.scheduled_by = occurrence->key.scheduled_by};
	RecurringSchedule schedule;

	switch (cmdsched_recurring_take(&key, &schedule))
	{
		case RECURRING_GONE:
			return DUE_NEVER;
		case RECURRING_BUSY:
			/* Not by any of our functions, see recurring_store.c. */
			ereport(ERROR,
					errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("recurring schedule \"%s\" is locked",
						   text_to_cstring(key.name)),
					errhint("Somebody changes cmdsched.recurring by hand."));
		case RECURRING_LOCKED:
			break;
	}
	if (!is_next_of(&schedule, occurrence->key.schedule_id))
		return DUE_NEVER;
	advance(&schedule, occurrence->retried, end, now);
	return schedule.next_schedule_id == NULL ? DUE_NEVER : schedule.next_at;
}

/* An application has not completed it, in as many attempts as it may. */
void
cmdsched_occurrence_end_external(const CommandKey *key, TimestampTz now)
{
	Occurrence occurrence = {.key = *key, .retried = true};

	(void) cmdsched_occurrence_end(&occurrence, OCCURRENCE_FAILED, now);
}
