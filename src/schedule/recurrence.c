/*-------------------------------------------------------------------------
 *
 * recurrence.c
 *	  When something happens that happens again and again: the first time
 *	  strictly after a moment, for a cron expression or an interval, in a
 *	  time zone.
 *
 * Months and days are counted on the calendar of the zone, and the rest of
 * an interval is time that passes.  What becomes of local times that the
 * clock leaves out or repeats is decided here only.
 *
 * IDENTIFICATION
 *	  src/schedule/recurrence.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "schedule/recurrence.h"

/* So many days without an occurrence, and there is none: see 29 February. */
#define MAX_DAYS (13 * 366)

/* Nothing happens after that. */
#define MAX_YEAR 200000

/* No zone is further from UTC, and none changes more than once in three. */
#define DAY_US USECS_PER_DAY

/* ------------------------------------------------------------------------
 * Local times
 * ------------------------------------------------------------------------
 */

static int64
offset_us(TimestampTz at, pg_tz *timezone)
{
	pg_time_t time = timestamptz_to_time_t(at);

	return pg_localtime(&time, timezone)->tm_gmtoff * USECS_PER_SEC;
}

/*
 * The instants of a local time (as if it were UTC) in a zone, in order.
 * Returns how many there are.
 */
static int
resolve(const Recurrence *recurrence, int64 local, TimestampTz *instants)
{
	pg_tz *timezone = recurrence->timezone;
	int64 before = offset_us(local - DAY_US, timezone);
	int64 after = offset_us(local + DAY_US, timezone);
	TimestampTz first = local - Max(before, after);
	TimestampTz last = local - Min(before, after);
	bool first_is = offset_us(first, timezone) == Max(before, after);
	bool last_is = offset_us(last, timezone) == Min(before, after);
	bool both = recurrence->dst_overlap == DST_OVERLAP_BOTH;

	instants[0] = first;
	if (before == after)
		return 1;
	if (!first_is && !last_is)
	{
		/* Left out: by the clock of before it is as much later. */
		instants[0] = local - before;
		return recurrence->dst_gap == DST_GAP_SHIFT ? 1 : 0;
	}
	if (!first_is || (last_is && recurrence->dst_overlap == DST_OVERLAP_LAST))
		instants[0] = last;
	instants[1] = last;
	return first_is && last_is && both ? 2 : 1;
}

/* ------------------------------------------------------------------------
 * Intervals
 * ------------------------------------------------------------------------
 */

/* The anchor and n intervals, as a local time; false beyond the calendar. */
static bool
add_intervals(const Recurrence *recurrence, int64 n, int64 *local)
{
	const Interval *every = &recurrence->every;
	int64 anchor = recurrence->anchor +
				   offset_us(recurrence->anchor, recurrence->timezone);
	int64 day = anchor / DAY_US;
	int64 months;
	int year;
	int month;
	int mday;

	if (anchor % DAY_US < 0)
		day--;
	j2date((int) (day + POSTGRES_EPOCH_JDATE), &year, &month, &mday);
	months = year * (int64) MONTHS_PER_YEAR + month - 1 + n * every->month;
	if (months / MONTHS_PER_YEAR > MAX_YEAR ||
		n * (double) every->day > MAX_YEAR * 366.0)
		return false;
	year = (int) (months / MONTHS_PER_YEAR);
	month = (int) (months % MONTHS_PER_YEAR) + 1;
	mday = Min(mday, day_tab[isleap(year)][month - 1]);
	*local = ((int64) date2j(year, month, mday) - POSTGRES_EPOCH_JDATE +
			  n * every->day) *
				 DAY_US +
			 (anchor - day * DAY_US);
	return *local < END_TIMESTAMP - 2 * DAY_US;
}

/* A number of intervals after which it is not yet "after". */
static int64
estimate_intervals(const Recurrence *recurrence, TimestampTz after)
{
	const Interval *every = &recurrence->every;
	double days = every->month * (146097.0 / 4800) + every->day;
	double us = days * DAY_US + every->time;
	double n = ((double) after - recurrence->anchor) / us;

	/* Months are up to so many days longer or shorter than that. */
	if (days > 0)
		n -= 2 + 5.0 * DAY_US / us;
	else
		n -= 2;
	return n > 0 ? (int64) n : 0;
}

static bool
next_interval(const Recurrence *recurrence, TimestampTz after, TimestampTz *at)
{
	const Interval *every = &recurrence->every;
	bool on_calendar = every->month != 0 || every->day != 0;
	TimestampTz instants[2];
	int64 local;

	for (int64 n = estimate_intervals(recurrence, after);; n++)
	{
		int ninstants = 1;

		instants[0] = recurrence->anchor;
		if (on_calendar)
		{
			if (!add_intervals(recurrence, n, &local))
				return false;
			ninstants = resolve(recurrence, local, instants);
		}
		for (int i = 0; i < ninstants; i++)
		{
			if (instants[i] + (double) n * every->time >=
				(double) (END_TIMESTAMP - DAY_US))
				return false;
			*at = instants[i] + n * every->time;
			if (*at > after)
				return true;
		}
	}
}

/* ------------------------------------------------------------------------
 * Cron expressions
 * ------------------------------------------------------------------------
 */

/* The first instant after a moment, of a day on which the clock is changed. */
static bool
next_of_uneven_day(const Recurrence *recurrence, int64 day, TimestampTz after,
				   TimestampTz *at)
{
	Recurrence rules = *recurrence;
	bool found = false;
	int minute = -1;

	/* What happens in every hour happens in those that there are. */
	if (rules.cron.any_hour)
	{
		rules.dst_gap = DST_GAP_SKIP;
		rules.dst_overlap = DST_OVERLAP_BOTH;
	}
	while ((minute = cmdsched_cron_next_minute(&rules.cron, minute)) >= 0)
	{
		TimestampTz instants[2];
		int ninstants = resolve(&rules,
								day * DAY_US + minute * USECS_PER_MINUTE,
								instants);

		for (int i = 0; i < ninstants; i++)
		{
			if (instants[i] > after && (!found || instants[i] < *at))
			{
				*at = instants[i];
				found = true;
			}
		}
	}
	return found;
}

/* The first instant of a day of the zone after a moment. */
static bool
next_of_day(const Recurrence *recurrence, int64 day, TimestampTz after,
			TimestampTz *at)
{
	int64 offset = offset_us((day - 1) * DAY_US, recurrence->timezone);
	int64 passed_us = after + offset - day * DAY_US;
	int minute = -1;

	if (offset != offset_us((day + 2) * DAY_US, recurrence->timezone))
		return next_of_uneven_day(recurrence, day, after, at);
	if (passed_us >= DAY_US)
		return false;
	if (passed_us >= 0)
		minute = (int) (passed_us / USECS_PER_MINUTE);
	minute = cmdsched_cron_next_minute(&recurrence->cron, minute);
	*at = day * DAY_US + minute * USECS_PER_MINUTE - offset;
	return minute >= 0;
}

static bool
next_cron(const Recurrence *recurrence, TimestampTz after, TimestampTz *at)
{
	int64 local = after + offset_us(after, recurrence->timezone);
	int64 day = local / DAY_US - 1;

	for (int i = 0; i < MAX_DAYS; i++, day++)
	{
		int year;
		int month;
		int mday;

		j2date((int) (day + POSTGRES_EPOCH_JDATE), &year, &month, &mday);
		if (year > MAX_YEAR)
			return false;
		if (cmdsched_cron_matches_day(&recurrence->cron,
									  month,
									  mday,
									  j2day((int) (day +
												   POSTGRES_EPOCH_JDATE))) &&
			next_of_day(recurrence, day, after, at))
			return true;
	}
	return false;
}

/* The first time strictly after a moment; false where there is none. */
bool
cmdsched_recurrence_next(const Recurrence *recurrence, TimestampTz after,
						 TimestampTz *at)
{
	return recurrence->is_cron ? next_cron(recurrence, after, at)
							   : next_interval(recurrence, after, at);
}
