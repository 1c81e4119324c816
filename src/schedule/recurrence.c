/*-------------------------------------------------------------------------
 *
 * recurrence.c
 *	  When something that recurs is due next.
 *
 * What daylight saving does to a cron expression is decided here.  A zone is
 * a row of periods, each with one offset from UTC; within a period local
 * times and instants go side by side.  Where the clock is put forward, local
 * times are missing between two periods; where it is put back, the first
 * ones of a period repeat the last ones of the one before.
 *
 * Intervals are counted from an anchor: the third of "1 month" from the 31st
 * of January is three months from there, not a month from its second.
 *
 * IDENTIFICATION
 *	  src/schedule/recurrence.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "common/int.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "schedule/recurrence.h"

/* ------------------------------------------------------------------------
 * Cron expressions
 * ------------------------------------------------------------------------
 */

/* From one change of the clock to the next; offsets are added to UTC. */
typedef struct Period
{
	TimestampTz begins_at; /* DT_NOBEGIN where nothing was before */
	TimestampTz ends_at;   /* DT_NOEND */
	int64 offset;
	int64 offset_before;
	int64 offset_after;
} Period;

/* No change of the clock is longer than this. */
#define MAX_CHANGE_US (2 * USECS_PER_DAY)

/* After that, dates, weekdays and changes of the clock come round. */
#define MAX_SEARCH_US (401 * INT64CONST(366) * USECS_PER_DAY)

/* The period that an instant is in, as the first one that is looked at. */
static void
find_period(pg_tz *zone, TimestampTz at, Period *period)
{
	pg_time_t now = timestamptz_to_time_t(at);
	pg_time_t boundary;
	long before;
	long after;
	int before_is_dst;
	int after_is_dst;
	bool ends = pg_next_dst_boundary(&now,
									 &before,
									 &before_is_dst,
									 &boundary,
									 &after,
									 &after_is_dst,
									 zone) > 0;

	period->begins_at = DT_NOBEGIN;
	period->ends_at = ends ? time_t_to_timestamptz(boundary) : DT_NOEND;
	period->offset = before * USECS_PER_SEC;
	period->offset_before = period->offset;
	period->offset_after = ends ? after * USECS_PER_SEC : period->offset;
}

/* The one that follows; false after the last. */
static bool
find_next_period(pg_tz *zone, Period *period)
{
	TimestampTz begins_at = period->ends_at;
	int64 offset_before = period->offset;

	if (begins_at == DT_NOEND || !IS_VALID_TIMESTAMP(begins_at))
		return false;
	find_period(zone, begins_at, period);
	period->begins_at = begins_at;
	period->offset_before = offset_before;
	return true;
}

/* Local times of this period that the one before has had already. */
static TimestampTz
repetition_ends_at(const Period *period)
{
	if (period->begins_at == DT_NOBEGIN)
		return DT_NOBEGIN;
	return period->begins_at + Max(period->offset_before - period->offset, 0);
}

/* Local times of this period that the next one will have again. */
static TimestampTz
repeated_from(const Period *period)
{
	if (period->ends_at == DT_NOEND)
		return DT_NOEND;
	return period->ends_at - Max(period->offset - period->offset_after, 0);
}

/*
 * The part of a period in which times of day count: those that a day has
 * twice need not count in both.
 */
static void
find_bounds(const Recurrence *recurrence, const Period *period,
			TimestampTz *from, TimestampTz *until)
{
	*from = period->begins_at;
	*until = period->ends_at;
	/* What runs all day long runs in all of it. */
	if (recurrence->is_cron && recurrence->cron.any_hour)
		return;
	if (recurrence->dst_overlap == DST_OVERLAP_FIRST)
		*from = repetition_ends_at(period);
	else if (recurrence->dst_overlap == DST_OVERLAP_LAST)
		*until = repeated_from(period);
}

/* The first match in [from, until), seen with an offset from UTC. */
static bool
find_match(const CronExpression *cron, int64 offset, TimestampTz from,
		   TimestampTz until, TimestampTz *at)
{
	Timestamp local;

	if (from >= until || !cmdsched_cron_next(cron, from + offset, &local))
		return false;
	*at = local - offset;
	return *at < until;
}

/* The first match in a period that is not before a moment. */
static bool
find_in_period(const Recurrence *recurrence, const Period *period,
			   TimestampTz earliest, TimestampTz *next)
{
	int64 missing = period->offset - period->offset_before;
	TimestampTz from;
	TimestampTz until;
	TimestampTz at;
	bool found;

	find_bounds(recurrence, period, &from, &until);
	found = find_match(&recurrence->cron,
					   period->offset,
					   Max(from, earliest),
					   until,
					   next);
	/* Times that were missing come as much later as the clock jumped. */
	if (missing > 0 && recurrence->dst_gap == DST_GAP_SHIFT &&
		!recurrence->cron.any_hour &&
		find_match(&recurrence->cron,
				   period->offset_before,
				   Max(period->begins_at, earliest),
				   period->begins_at + missing,
				   &at) &&
		(!found || at < *next))
	{
		*next = at;
		found = true;
	}
	return found;
}

static bool
next_of_cron(const Recurrence *recurrence, TimestampTz after,
			 TimestampTz *next)
{
	TimestampTz earliest =
		after - ((after % USECS_PER_SEC + USECS_PER_SEC) % USECS_PER_SEC) +
		USECS_PER_SEC;
	Timestamp local;
	Period period;

	/* Dates that do not exist, or none that we could write down. */
	if (!cmdsched_cron_next(&recurrence->cron,
							Max(earliest - MAX_CHANGE_US, MIN_TIMESTAMP),
							&local))
		return false;
	/* It may be decades until then. */
	find_period(recurrence->timezone,
				Max(earliest, local - MAX_CHANGE_US) - MAX_CHANGE_US,
				&period);
	do
	{
		if (find_in_period(recurrence, &period, earliest, next))
			return IS_VALID_TIMESTAMP(*next);
	} while (find_next_period(recurrence->timezone, &period) &&
			 period.begins_at - MAX_SEARCH_US < earliest);
	return false;
}

/* ------------------------------------------------------------------------
 * Intervals
 * ------------------------------------------------------------------------
 */

/* What the clocks of a zone show, as a timestamp without time zone. */
static Timestamp
to_local(TimestampTz at, pg_tz *zone)
{
	Period period;

	find_period(zone, at, &period);
	return at + period.offset;
}

/* A day that the month does not have becomes its last one. */
static bool
add_calendar_units(Timestamp local, int64 months, int64 days,
				   Timestamp *result)
{
	struct pg_tm tm;
	fsec_t fsec;
	int64 month;
	int64 julian;

	if (timestamp2tm(local, NULL, &tm, &fsec, NULL, NULL) != 0)
		return false;
	month = (int64) tm.tm_year * MONTHS_PER_YEAR + tm.tm_mon - 1 + months;
	if (month / MONTHS_PER_YEAR > JULIAN_MAXYEAR - 1 ||
		days > PG_INT32_MAX / 2)
		return false;
	tm.tm_year = (int) (month / MONTHS_PER_YEAR);
	tm.tm_mon = (int) (month % MONTHS_PER_YEAR) + 1;
	tm.tm_mday = Min(tm.tm_mday, day_tab[isleap(tm.tm_year)][tm.tm_mon - 1]);
	julian = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday) + days;
	if (julian > PG_INT32_MAX / 2)
		return false;
	j2date((int) julian, &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	return tm2timestamp(&tm, fsec, NULL, result) == 0;
}

/* The instants at which a zone shows a local time; false where it does not. */
static bool
find_instants(pg_tz *zone, Timestamp local, TimestampTz *first,
			  TimestampTz *last, TimestampTz *shifted)
{
	Period period;
	bool found = false;

	find_period(zone, local - MAX_CHANGE_US, &period);
	*shifted = local - period.offset;
	do
	{
		TimestampTz at = local - period.offset;

		if (at >= period.begins_at && at < period.ends_at)
		{
			if (!found)
				*first = at;
			*last = at;
			found = true;
		}
		else if (at < period.begins_at)
		{
			/* Not shown at the end of the last one, nor here: it is missing. */
			if (!found)
				*shifted = local - period.offset_before;
			break;
		}
	} while (find_next_period(zone, &period));
	return found;
}

/* How an occurrence is found, and where that can end. */
typedef enum OccurrenceResult
{
	OCCURRENCE_FOUND,
	OCCURRENCE_SKIPPED, /* the clock is put forward over it */
	OCCURRENCE_BEYOND,	/* all that we could write down */
} OccurrenceResult;

/* Occurrence number k of an interval with months or days. */
static OccurrenceResult
find_occurrence(const Recurrence *recurrence, int64 k, TimestampTz *at)
{
	const Interval *every = &recurrence->every;
	Timestamp local;
	TimestampTz first;
	TimestampTz last;
	TimestampTz shifted;
	int64 elapsed;

	/* An instant, not a local time that a day might have twice. */
	if (k == 0)
	{
		*at = recurrence->anchor;
		return OCCURRENCE_FOUND;
	}
	if (!add_calendar_units(to_local(recurrence->anchor, recurrence->timezone),
							every->month * k,
							every->day * k,
							&local))
		return OCCURRENCE_BEYOND;
	if (find_instants(recurrence->timezone, local, &first, &last, &shifted))
		*at = recurrence->dst_overlap == DST_OVERLAP_LAST ? last : first;
	else if (recurrence->dst_gap == DST_GAP_SHIFT)
		*at = shifted;
	else
		return OCCURRENCE_SKIPPED;
	if (pg_mul_s64_overflow(every->time, k, &elapsed) ||
		pg_add_s64_overflow(*at, elapsed, at) || !IS_VALID_TIMESTAMP(*at))
		return OCCURRENCE_BEYOND;
	return OCCURRENCE_FOUND;
}

/* About as many occurrences lie between; by two or so it may be wrong. */
static int64
estimate_count(const Interval *every, TimestampTz from, TimestampTz until)
{
	double average = every->month * (DAYS_PER_YEAR / MONTHS_PER_YEAR) *
						 (double) USECS_PER_DAY +
					 every->day * (double) USECS_PER_DAY +
					 (double) every->time;

	return (int64) (((double) until - (double) from) / average);
}

static bool
next_in_calendar(const Recurrence *recurrence, TimestampTz after,
				 TimestampTz *next)
{
	int64 k =
		Max(estimate_count(&recurrence->every, recurrence->anchor, after) - 3,
			0);
	OccurrenceResult result;

	do
		result = find_occurrence(recurrence, k++, next);
	while (result == OCCURRENCE_SKIPPED ||
		   (result == OCCURRENCE_FOUND && *next <= after));
	return result == OCCURRENCE_FOUND;
}

/* An interval of so many microseconds. */
static bool
next_elapsed(TimestampTz anchor, int64 step, TimestampTz after,
			 TimestampTz *next)
{
	int64 passed;

	if (after < anchor)
	{
		*next = anchor;
		return true;
	}
	if (pg_sub_s64_overflow(after, anchor, &passed))
		return false;
	return !pg_add_s64_overflow(after, step - passed % step, next) &&
		   IS_VALID_TIMESTAMP(*next);
}

static bool
next_of_interval(const Recurrence *recurrence, TimestampTz after,
				 TimestampTz *next)
{
	const Interval *every = &recurrence->every;

	if (every->month == 0 && every->day == 0)
		return next_elapsed(recurrence->anchor, every->time, after, next);
	return next_in_calendar(recurrence, after, next);
}

/* The first occurrence strictly after a moment; false where there is none. */
bool
cmdsched_recurrence_next(const Recurrence *recurrence, TimestampTz after,
						 TimestampTz *next)
{
	if (TIMESTAMP_NOT_FINITE(after))
		return false;
	return recurrence->is_cron ? next_of_cron(recurrence, after, next)
							   : next_of_interval(recurrence, after, next);
}

/* ------------------------------------------------------------------------
 * Reading one
 * ------------------------------------------------------------------------
 */

#define SHORTEST_US USECS_PER_SEC

pg_tz *
cmdsched_recurrence_find_zone(const char *zone)
{
	pg_tz *found = pg_tzset(zone);

	if (found == NULL || !pg_tz_acceptable(found))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("time zone \"%s\" not recognized", zone),
				errhint("Choose one of pg_timezone_names, like "
						"\"Europe/Berlin\"."));
	return found;
}

/* It has to bring us forward. */
void
cmdsched_recurrence_check_every(const Interval *every)
{
	bool forward = every->month >= 0 && every->day >= 0 && every->time >= 0;

	if (!forward ||
		(every->month == 0 && every->day == 0 && every->time < SHORTEST_US))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("interval between two occurrences must be at least one "
					   "second"),
				errhint("None of its parts may be negative."));
}

/* "1 day", "@ 1 day", "90min", "PT1H", "01:30": no cron expression. */
static bool
is_interval(const char *expression)
{
	const char *second = expression + strcspn(expression, " \t");
	bool is_signed = expression[0] == '-' || expression[0] == '+';

	second += strspn(second, " \t");
	if (expression[0] == '@')
		return isspace((unsigned char) expression[1]);
	return toupper((unsigned char) expression[0]) == 'P' ||
		   strchr(expression, ':') != NULL ||
		   (isdigit((unsigned char) expression[is_signed]) &&
			(*second == '\0' || (isalpha((unsigned char) *second) &&
								 toupper((unsigned char) *second) != 'L')));
}

bool
cmdsched_recurrence_parse_every(const char *expression, Interval *every)
{
	expression += strspn(expression, " \t\n\r");
	if (!is_interval(expression))
		return false;
	*every =
		*DatumGetIntervalP(DirectFunctionCall3(interval_in,
											   CStringGetDatum(expression),
											   ObjectIdGetDatum(InvalidOid),
											   Int32GetDatum(-1)));
	return true;
}

void
cmdsched_recurrence_parse(Recurrence *recurrence, const char *expression,
						  const char *zone)
{
	CronProblem problem;

	memset(recurrence, 0, sizeof(Recurrence));
	recurrence->timezone = cmdsched_recurrence_find_zone(zone);
	recurrence->is_cron =
		!cmdsched_recurrence_parse_every(expression, &recurrence->every);
	if (!recurrence->is_cron)
		cmdsched_recurrence_check_every(&recurrence->every);
	else if (!cmdsched_cron_parse(&recurrence->cron, expression, &problem))
		cmdsched_cron_raise(&problem);
}

/* What daylight saving is to do to it. */
void
cmdsched_recurrence_set_rules(Recurrence *recurrence, const char *dst_gap,
							  const char *dst_overlap)
{
	if (strcmp(dst_gap, "shift") == 0)
		recurrence->dst_gap = DST_GAP_SHIFT;
	else if (strcmp(dst_gap, "skip") == 0)
		recurrence->dst_gap = DST_GAP_SKIP;
	else
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid value for dst_gap: \"%s\"", dst_gap),
				errhint("Use \"shift\" or \"skip\"."));
	if (strcmp(dst_overlap, "first") == 0)
		recurrence->dst_overlap = DST_OVERLAP_FIRST;
	else if (strcmp(dst_overlap, "last") == 0)
		recurrence->dst_overlap = DST_OVERLAP_LAST;
	else if (strcmp(dst_overlap, "both") == 0)
		recurrence->dst_overlap = DST_OVERLAP_BOTH;
	else
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid value for dst_overlap: \"%s\"", dst_overlap),
				errhint("Use \"first\", \"last\" or \"both\"."));
}
