/*-------------------------------------------------------------------------
 *
 * recurring.c
 *	  The functions for recurring schedules.
 *
 * IDENTIFICATION
 *	  src/api/recurring.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "api/admission.h"
#include "api/arguments.h"
#include "command/calendar_store.h"
#include "command/clock.h"
#include "command/command_store.h"
#include "command/handler_store.h"
#include "command/recurring_store.h"
#include "schedule/recurrence.h"
#include "worker/control.h"
#include "worker/occurrence.h"
#include "worker/wakeup.h"

/* More would make the search for the late ones that are kept too long. */
#define MAX_CATCH_UP_LIMIT 1000

PG_FUNCTION_INFO_V1(cmdsched_schedule_cron);
PG_FUNCTION_INFO_V1(cmdsched_schedule_every);
PG_FUNCTION_INFO_V1(cmdsched_alter_recurring);
PG_FUNCTION_INFO_V1(cmdsched_pause_recurring);
PG_FUNCTION_INFO_V1(cmdsched_resume_recurring);
PG_FUNCTION_INFO_V1(cmdsched_unschedule);

/* ------------------------------------------------------------------------
 * Arguments
 * ------------------------------------------------------------------------
 */

static text *
get_schedule_name(FunctionCallInfo fcinfo)
{
	text *name = cmdsched_argument_get_name(fcinfo, 0, "name", false);

	if (VARSIZE_ANY_EXHDR(name) > CMDSCHED_MAX_RECURRING_NAME)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("name is too long"),
				errhint("It may have up to %d bytes.",
						CMDSCHED_MAX_RECURRING_NAME));
	return name;
}

/* One of some words; where the argument is null, what it was. */
static void
take_choice(FunctionCallInfo fcinfo, int n, const char *name,
			const char *const *choices, text **value)
{
	StringInfoData available;

	if (PG_ARGISNULL(n))
		return;
	*value = PG_GETARG_TEXT_PP(n);
	initStringInfo(&available);
	for (int i = 0; choices[i] != NULL; i++)
	{
		if (strcmp(text_to_cstring(*value), choices[i]) == 0)
			return;
		appendStringInfo(&available, i > 0 ? ", %s" : "%s", choices[i]);
	}
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("invalid value for %s: \"%s\"",
				   name,
				   text_to_cstring(*value)),
			errhint("Available values: %s.", available.data));
}

static void
check_number(const char *name, int64 value, int64 max)
{
	if (value < 1 || value > max)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s must be from 1 to %lld", name, (long long) max),
				errhint("Leave it out for the default."));
}

static void
take_every(FunctionCallInfo fcinfo, int n, RecurringSchedule *schedule)
{
	if (PG_ARGISNULL(n))
		return;
	schedule->every = cmdsched_argument_get_span(fcinfo, n, "every");
	schedule->cron = NULL;
}

static void
take_cron(FunctionCallInfo fcinfo, int n, RecurringSchedule *schedule)
{
	if (PG_ARGISNULL(n))
		return;
	schedule->cron = PG_GETARG_TEXT_PP(n);
	schedule->every = palloc(sizeof(Interval));
	if (!cmdsched_recurrence_parse_every(text_to_cstring(schedule->cron),
										 schedule->every))
		schedule->every = NULL;
}

/* What is run; the first of these arguments is the n-th. */
static void
take_command(FunctionCallInfo fcinfo, int n, RecurringSchedule *schedule)
{
	if (!PG_ARGISNULL(n))
		schedule->command_type =
			cmdsched_argument_get_name(fcinfo, n, "command_type", false);
	if (!PG_ARGISNULL(n + 1))
	{
		schedule->command_data = PG_GETARG_DATUM(n + 1);
		cmdsched_argument_check_size(schedule->command_data, "command_data");
	}
	if (!PG_ARGISNULL(n + 2))
		schedule->timezone =
			cmdsched_argument_get_name(fcinfo, n + 2, "timezone", false);
	if (!PG_ARGISNULL(n + 3))
	{
		schedule->metadata = PG_GETARG_DATUM(n + 3);
		schedule->has_metadata = true;
		cmdsched_argument_check_size(schedule->metadata, "metadata");
	}
	if (!PG_ARGISNULL(n + 4))
		schedule->command_module =
			cmdsched_argument_get_name(fcinfo, n + 4, "command_module", true);
}

static void
take_spread(FunctionCallInfo fcinfo, int n, RecurringSchedule *schedule)
{
	if (PG_ARGISNULL(n))
		return;
	schedule->spread = cmdsched_argument_get_span(fcinfo, n, "spread");
	if (schedule->spread->month != 0 || schedule->spread->day != 0 ||
		schedule->spread->time > USECS_PER_DAY)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("spread must be at most 24 hours"),
				errhint("Give it in hours, minutes or seconds."));
}

static void
take_starts_at(FunctionCallInfo fcinfo, int n, RecurringSchedule *schedule)
{
	const TimestampTz first_year =
		(date2j(1, 1, 1) - (int64) POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;

	if (PG_ARGISNULL(n))
		return;
	schedule->starts_at = PG_GETARG_TIMESTAMPTZ(n);
	if (TIMESTAMP_IS_NOEND(schedule->starts_at) ||
		(schedule->starts_at < first_year &&
		 !TIMESTAMP_IS_NOBEGIN(schedule->starts_at)))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("starts_at is out of range"),
				errhint("'-infinity' is as if there were none."));
}

/* The policies; the first of these arguments is the n-th. */
static void
take_policies(FunctionCallInfo fcinfo, int n, RecurringSchedule *schedule)
{
	static const char *const gaps[] = {"shift", "skip", NULL};
	static const char *const overlaps[] = {"first", "last", "both", NULL};
	static const char *const catch_ups[] = {"none", "last", "all", NULL};
	static const char *const runs[] = {"skip", "queue", "allow", NULL};

	take_choice(fcinfo, n, "dst_gap", gaps, &schedule->dst_gap);
	take_choice(fcinfo, n + 1, "dst_overlap", overlaps, &schedule->dst_overlap);
	take_choice(fcinfo, n + 2, "catch_up", catch_ups, &schedule->catch_up);
	if (!PG_ARGISNULL(n + 3))
	{
		schedule->catch_up_limit = PG_GETARG_INT32(n + 3);
		check_number("catch_up_limit",
					 schedule->catch_up_limit,
					 MAX_CATCH_UP_LIMIT);
	}
	take_choice(fcinfo, n + 4, "overlap", runs, &schedule->overlap);
	take_spread(fcinfo, n + 5, schedule);
	take_starts_at(fcinfo, n + 6, schedule);
	if (!PG_ARGISNULL(n + 7))
		schedule->ends_at = PG_GETARG_TIMESTAMPTZ(n + 7);
	if (!PG_ARGISNULL(n + 8))
	{
		schedule->max_runs = PG_GETARG_INT64(n + 8);
		check_number("max_runs", schedule->max_runs, RUNS_WITHOUT_END);
	}
}

/* An empty name takes it away. */
static void
take_calendar(FunctionCallInfo fcinfo, int n, RecurringSchedule *schedule)
{
	if (PG_ARGISNULL(n))
		return;
	schedule->calendar =
		cmdsched_argument_get_name(fcinfo, n, "calendar", true);
	if (VARSIZE_ANY_EXHDR(schedule->calendar) == 0)
		schedule->calendar = NULL;
}

/* What an argument that is null means for a new schedule. */
static void
set_defaults(RecurringSchedule *schedule)
{
	static Interval no_spread = {0};

	schedule->key.scheduled_by = GetUserId();
	schedule->scheduled_by_name = GetUserNameFromId(GetUserId(), false);
	schedule->timezone =
		cstring_to_text(pg_get_timezone_name(session_timezone));
	schedule->command_module = cstring_to_text("");
	schedule->dst_gap = cstring_to_text("shift");
	schedule->dst_overlap = cstring_to_text("first");
	schedule->catch_up = cstring_to_text("last");
	schedule->catch_up_limit = 100;
	schedule->overlap = cstring_to_text("skip");
	schedule->spread = &no_spread;
	schedule->starts_at = DT_NOBEGIN;
	schedule->ends_at = DT_NOEND;
	schedule->max_runs = RUNS_WITHOUT_END;
	schedule->created_at = cmdsched_clock_transaction_start();
	schedule->status = cstring_to_text("active");
	schedule->next_at = NEVER_YET;
	schedule->last_run_at = NEVER_YET;
	schedule->last_skipped_at = NEVER_YET;
}

/* ------------------------------------------------------------------------
 * Getting hold of a schedule
 * ------------------------------------------------------------------------
 */

/* Wait until an occurrence has ended, and keep it from beginning. */
static void
wait_for_occurrence(const RecurringSchedule *schedule)
{
	CommandKey key = {.schedule_id = schedule->next_schedule_id,
					  .scheduled_by = schedule->key.scheduled_by};

	if (cmdsched_handler_find(schedule->command_type, schedule->command_module)
			->is_procedure)
		(void) cmdsched_command_lock(&key, false);
	(void) cmdsched_command_wait_for(&key);
}

/*
 * To the end of the transaction nobody else changes the schedule, or begins
 * its next occurrence.  An occurrence that calls this itself does not see its
 * own command any more, and waits for nothing.
 */
static bool
hold_schedule(const RecurringKey *key, RecurringSchedule *schedule)
{
	text *waited_for = NULL;

	cmdsched_recurring_lock_name(key);
	while (cmdsched_recurring_read(key, schedule))
	{
		if (schedule->next_schedule_id == NULL ||
			(waited_for != NULL &&
			 DatumGetBool(
				 DirectFunctionCall2Coll(texteq,
										 C_COLLATION_OID,
										 PointerGetDatum(waited_for),
										 PointerGetDatum(
											 schedule->next_schedule_id)))))
			return true;
		waited_for = schedule->next_schedule_id;
		wait_for_occurrence(schedule);
	}
	return false;
}

/* The schedule that the caller means by the first argument. */
static bool
find_schedule(FunctionCallInfo fcinfo, RecurringSchedule *schedule)
{
	RecurringKey key;

	return cmdsched_recurring_find(get_schedule_name(fcinfo),
								   GetUserId(),
								   &key) &&
		   hold_schedule(&key, schedule);
}

/* Take the next occurrence away. */
static void
remove_occurrence(const RecurringSchedule *schedule)
{
	CommandKey key = {.schedule_id = schedule->next_schedule_id,
					  .scheduled_by = schedule->key.scheduled_by};
	Command command;
	DueTimes times;

	/* If this is rolled back, it is due as before. */
	if (key.schedule_id != NULL &&
		cmdsched_command_delete(&key, &times, &command))
		cmdsched_wakeup_note_change(key.scheduled_by, &times);
}

/* ------------------------------------------------------------------------
 * Writing a schedule
 * ------------------------------------------------------------------------
 */

static bool
is_same(PGFunction equal, Datum a, Datum b)
{
	if (DatumGetPointer(a) == NULL || DatumGetPointer(b) == NULL)
		return DatumGetPointer(a) == DatumGetPointer(b);
	return DatumGetBool(DirectFunctionCall2Coll(equal, C_COLLATION_OID, a, b));
}

static bool
is_same_text(const text *a, const text *b)
{
	return is_same(texteq, PointerGetDatum(a), PointerGetDatum(b));
}

/* Do both have the same instants? */
static bool
times_are_same(const RecurringSchedule *a, const RecurringSchedule *b)
{
	return is_same_text(a->cron, b->cron) &&
		   is_same(interval_eq,
				   IntervalPGetDatum(a->every),
				   IntervalPGetDatum(b->every)) &&
		   is_same_text(a->timezone, b->timezone) &&
		   is_same_text(a->dst_gap, b->dst_gap) &&
		   is_same_text(a->dst_overlap, b->dst_overlap) &&
		   a->starts_at == b->starts_at;
}

/* Is the command that they run the same, and as late? */
static bool
commands_are_same(const RecurringSchedule *a, const RecurringSchedule *b)
{
	return is_same_text(a->command_type, b->command_type) &&
		   is_same_text(a->command_module, b->command_module) &&
		   is_same(jsonb_eq, a->command_data, b->command_data) &&
		   a->has_metadata == b->has_metadata &&
		   (!a->has_metadata || is_same(jsonb_eq, a->metadata, b->metadata)) &&
		   is_same_text(a->calendar, b->calendar) &&
		   is_same(interval_eq,
				   IntervalPGetDatum(a->spread),
				   IntervalPGetDatum(b->spread));
}

/* At least a second, and it goes forward in every respect. */
static void
check_every(const Interval *every)
{
	bool forward = every->month >= 0 && every->day >= 0 && every->time >= 0;

	if (!forward ||
		(every->month == 0 && every->day == 0 && every->time < USECS_PER_SEC))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("every must be at least one second"),
				errdetail("None of its months, days and time may be "
						  "negative."),
				errhint("What is to happen more often is done in a loop of "
						"one command."));
}

static void
check_schedule(const RecurringSchedule *schedule)
{
	Command command = {.command_type = schedule->command_type,
					   .command_module = schedule->command_module};

	(void) cmdsched_admission_check(&command, schedule->key.scheduled_by);
	if (schedule->every != NULL)
		check_every(schedule->every);
	if (schedule->calendar != NULL)
		(void) cmdsched_calendar_find_open(schedule->calendar,
										   cmdsched_clock_now());
	cmdsched_occurrence_check(schedule);
}

static void
commit_schedule(const RecurringSchedule *schedule)
{
	cmdsched_recurring_write(schedule);
	cmdsched_admission_commit_durably();
	cmdsched_control_warn_without_worker();
}

/* From the old schedule, NULL where there is none, to the new one. */
static void
replace_schedule(const RecurringSchedule *old, RecurringSchedule *schedule)
{
	TimestampTz now = cmdsched_clock_now();
	TimestampTz after = now;
	bool goes_on = old != NULL && old->next_schedule_id != NULL &&
				   times_are_same(old, schedule) &&
				   old->next_at <= schedule->ends_at &&
				   schedule->runs < schedule->max_runs;

	check_schedule(schedule);
	/* Who pauses it has not to fear that a new version is deployed. */
	if (!is_same_text(schedule->status, cstring_to_text("paused")) &&
		!(goes_on && commands_are_same(old, schedule)))
	{
		if (goes_on)
			after = old->next_at - 1;
		if (old != NULL)
			remove_occurrence(old);
		cmdsched_occurrence_begin(schedule, after, now);
	}
	commit_schedule(schedule);
}

static void
check_has_occurrence(const RecurringSchedule *schedule)
{
	if (is_same_text(schedule->status, cstring_to_text("finished")) &&
		schedule->runs < schedule->max_runs)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("recurring schedule \"%s\" has no occurrence",
					   text_to_cstring(schedule->key.name)),
				errhint("There is no such date, or starts_at and ends_at "
						"leave none."));
}

/* ------------------------------------------------------------------------
 * The functions
 * ------------------------------------------------------------------------
 */

typedef void (*TakeTimes)(FunctionCallInfo fcinfo, int n,
						  RecurringSchedule *schedule);

/* schedule_cron() and schedule_every() differ in their second argument. */
static Datum
schedule_recurring(FunctionCallInfo fcinfo, const char *times,
				   TakeTimes take_times)
{
	RecurringSchedule schedule = {0};
	RecurringSchedule old;
	bool is_new;

	set_defaults(&schedule);
	schedule.key.name = get_schedule_name(fcinfo);
	cmdsched_argument_check_not_null(fcinfo, 1, times);
	cmdsched_argument_check_not_null(fcinfo, 2, "command_type");
	cmdsched_argument_check_not_null(fcinfo, 3, "command_data");
	take_times(fcinfo, 1, &schedule);
	take_command(fcinfo, 2, &schedule);
	take_policies(fcinfo, 7, &schedule);
	take_calendar(fcinfo, 16, &schedule);
	is_new = !hold_schedule(&schedule.key, &old);
	if (!is_new)
	{
		schedule.created_at = old.created_at;
		schedule.status = old.status;
		schedule.next_schedule_id = old.next_schedule_id;
		schedule.next_at = old.next_at;
		schedule.runs = old.runs;
		schedule.last_run_at = old.last_run_at;
		schedule.last_outcome = old.last_outcome;
		schedule.skipped = old.skipped;
		schedule.last_skipped_at = old.last_skipped_at;
	}
	replace_schedule(is_new ? NULL : &old, &schedule);
	check_has_occurrence(&schedule);
	if (schedule.next_schedule_id == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(schedule.next_schedule_id);
}

Datum
cmdsched_schedule_cron(PG_FUNCTION_ARGS)
{
	cmdsched_argument_prevent_on_standby("cmdsched.schedule_cron()");
	return schedule_recurring(fcinfo, "cron", take_cron);
}

Datum
cmdsched_schedule_every(PG_FUNCTION_ARGS)
{
	cmdsched_argument_prevent_on_standby("cmdsched.schedule_every()");
	return schedule_recurring(fcinfo, "every", take_every);
}

Datum
cmdsched_alter_recurring(PG_FUNCTION_ARGS)
{
	RecurringSchedule schedule;
	RecurringSchedule old;

	cmdsched_argument_prevent_on_standby("cmdsched.alter_recurring()");
	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("cron and every cannot both be given"),
				errhint("Leave out the one that is not meant."));
	if (!find_schedule(fcinfo, &old))
		PG_RETURN_BOOL(false);
	schedule = old;
	take_cron(fcinfo, 1, &schedule);
	take_every(fcinfo, 2, &schedule);
	take_command(fcinfo, 3, &schedule);
	take_policies(fcinfo, 8, &schedule);
	take_calendar(fcinfo, 17, &schedule);
	replace_schedule(&old, &schedule);
	check_has_occurrence(&schedule);
	PG_RETURN_BOOL(true);
}

Datum
cmdsched_pause_recurring(PG_FUNCTION_ARGS)
{
	RecurringSchedule schedule;

	cmdsched_argument_prevent_on_standby("cmdsched.pause_recurring()");
	if (!find_schedule(fcinfo, &schedule))
		PG_RETURN_BOOL(false);
	remove_occurrence(&schedule);
	cmdsched_occurrence_stop(&schedule, "paused", NULL);
	commit_schedule(&schedule);
	PG_RETURN_BOOL(true);
}

Datum
cmdsched_resume_recurring(PG_FUNCTION_ARGS)
{
	RecurringSchedule schedule;
	TimestampTz now = cmdsched_clock_now();

	cmdsched_argument_prevent_on_standby("cmdsched.resume_recurring()");
	if (!find_schedule(fcinfo, &schedule))
		PG_RETURN_BOOL(false);
	if (schedule.next_schedule_id == NULL)
	{
		check_schedule(&schedule);
		cmdsched_occurrence_begin(&schedule, now, now);
		commit_schedule(&schedule);
	}
	PG_RETURN_BOOL(true);
}

Datum
cmdsched_unschedule(PG_FUNCTION_ARGS)
{
	RecurringSchedule schedule;

	cmdsched_argument_prevent_on_standby("cmdsched.unschedule()");
	if (!find_schedule(fcinfo, &schedule))
		PG_RETURN_BOOL(false);
	remove_occurrence(&schedule);
	cmdsched_recurring_delete(&schedule.key);
	cmdsched_admission_commit_durably();
	PG_RETURN_BOOL(true);
}
