/*-------------------------------------------------------------------------
 *
 * calendar.c
 *	  When a business is open, and the next open moment.
 *
 * It is open while the clock on its wall shows a time within its opening
 * hours.  That settles the hour which daylight saving skips (hours in it do
 * not happen) and the one which it repeats (hours in it happen twice), and
 * lets everything here be plain arithmetic between two changes of the offset.
 *
 * IDENTIFICATION
 *	  src/schedule/calendar.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "schedule/calendar.h"

#define MINUTES_PER_DAY (24 * 60)
#define HORIZON_US \
	(CALENDAR_HORIZON_YEARS * INT64CONST(36525) / 100 * USECS_PER_DAY)

/* ------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------
 */

static void
skip_spaces(const char **p)
{
	while (isspace((unsigned char) **p))
		(*p)++;
}

static bool
skip_char(const char **p, char c)
{
	skip_spaces(p);
	if (**p != c)
		return false;
	(*p)++;
	skip_spaces(p);
	return true;
}

/* One or two digits. */
static bool
parse_number(const char **p, int *number)
{
	const char *begin = *p;

	*number = 0;
	while (isdigit((unsigned char) **p) && *p - begin < 2)
		*number = *number * 10 + (*(*p)++ - '0');
	return *p > begin;
}

/* From 0:00 to 24:00. */
static bool
parse_time(const char **p, int *minutes)
{
	int hour;
	int minute;
	const char *digits;

	if (!parse_number(p, &hour) || *(*p)++ != ':')
		return false;
	digits = *p;
	if (!parse_number(p, &minute) || *p - digits != 2 || minute > 59)
		return false;
	*minutes = hour * 60 + minute;
	return *minutes <= MINUTES_PER_DAY;
}

static bool
parse_interval(const char **p, OpenInterval *interval)
{
	skip_spaces(p);
	if (!parse_time(p, &interval->opens) || !skip_char(p, '-') ||
		!parse_time(p, &interval->closes))
		return false;
	if (interval->opens == MINUTES_PER_DAY ||
		interval->opens == interval->closes)
		return false;
	if (interval->closes < interval->opens)
		interval->closes += MINUTES_PER_DAY;
	return true;
}

/* As in '9:00-12:30, 14:00-18:00', '22:00-6:00' or 'closed'. */
void
cmdsched_calendar_parse_hours(const char *text, DayHours *hours)
{
	const char *p = text;

	hours->nintervals = 0;
	if (pg_strcasecmp(text, "closed") == 0)
		return;
	do
	{
		if (hours->nintervals == CALENDAR_MAX_INTERVALS)
			ereport(ERROR,
					errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("a day cannot open more than %d times",
						   CALENDAR_MAX_INTERVALS),
					errhint("Join intervals that touch."));
		if (!parse_interval(&p, &hours->intervals[hours->nintervals++]))
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid opening hours: \"%s\"", text),
					errhint("Write 'closed', or intervals as in "
							"'9:00-12:30, 14:00-18:00'. 22:00-6:00 closes on "
							"the next day; 0:00-24:00 is the whole day."));
	} while (skip_char(&p, ','));
	if (*p != '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid opening hours: \"%s\"", text),
				errhint("Put commas between intervals, as in "
						"'9:00-12:30, 14:00-18:00'."));
}

static bool
parse_weekday(const char **p, int *weekday)
{
	static const char *const names[] =
		{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

	skip_spaces(p);
	for (*weekday = 0; *weekday < 7; (*weekday)++)
	{
		if (pg_strncasecmp(*p, names[*weekday], 3) == 0)
		{
			*p += 3;
			return true;
		}
	}
	return false;
}

/* As in 'mon-thu, sat': a set of bits, Monday the lowest. */
int
cmdsched_calendar_parse_weekdays(const char *text)
{
	const char *p = text;
	int weekdays = 0;
	bool valid;

	do
	{
		int first;
		int last;

		valid = parse_weekday(&p, &first);
		last = first;
		if (valid && skip_char(&p, '-'))
			valid = parse_weekday(&p, &last);
		if (!valid)
			break;
		for (int day = first; day != last; day = (day + 1) % 7)
			weekdays |= 1 << day;
		weekdays |= 1 << last;
	} while (skip_char(&p, ','));
	if (!valid || *p != '\0')
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid weekdays: \"%s\"", text),
				errhint("Write them as in 'mon-fri' or 'mon, wed, sat-sun'."));
	return weekdays;
}

/* ------------------------------------------------------------------------
 * Within a time of one offset: local times are instants, shifted
 * ------------------------------------------------------------------------
 */

static int64
day_of(int64 local)
{
	return local >= 0 ? local / USECS_PER_DAY
					  : -((-local + USECS_PER_DAY - 1) / USECS_PER_DAY);
}

/* Of exceptions, the shortest one says it; among these the latest. */
static const DayHours *
hours_of_day(const Calendar *calendar, int64 day)
{
	const CalendarException *found = NULL;

	for (int i = 0; i < calendar->nexceptions; i++)
	{
		const CalendarException *e = &calendar->exceptions[i];
		int64 longer;

		if (day < e->first_day || day > e->last_day)
			continue;
		longer = found == NULL
					 ? -1
					 : ((int64) e->last_day - e->first_day) -
						   ((int64) found->last_day - found->first_day);
		if (longer < 0 || (longer == 0 && e->first_day > found->first_day))
			found = e;
	}
	if (found != NULL)
		return &found->hours;
	/* Day 0, the first of January 2000, was a Saturday. */
	return &calendar->weekdays[((day + 5) % 7 + 7) % 7];
}

/* The first open moment of what opens on this day, not before from. */
static bool
find_open_on_day(const DayHours *hours, int64 day, int64 from, int64 *opens_at,
				 int64 *closes_at)
{
	*opens_at = *closes_at = PG_INT64_MAX;
	for (int i = 0; i < hours->nintervals; i++)
	{
		const OpenInterval *interval = &hours->intervals[i];
		int64 midnight = day * USECS_PER_DAY;
		int64 opens = midnight + interval->opens * USECS_PER_MINUTE;
		int64 closes = midnight + interval->closes * USECS_PER_MINUTE;

		if (closes <= from)
			continue;
		opens = Max(opens, from);
		if (opens < *opens_at)
		{
			*opens_at = opens;
			*closes_at = closes;
		}
	}
	return *opens_at < PG_INT64_MAX;
}

/* The first open moment in [from, to). */
static bool
find_open_locally(const Calendar *calendar, int64 from, int64 to,
				  int64 *opens_at, int64 *closes_at)
{
	/* What opened the day before may still be open. */
	for (int64 day = day_of(from) - 1; day * USECS_PER_DAY < to; day++)
	{
		CHECK_FOR_INTERRUPTS();
		if (find_open_on_day(hours_of_day(calendar, day),
							 day,
							 from,
							 opens_at,
							 closes_at))
			return *opens_at < to;
	}
	return false;
}

/* ------------------------------------------------------------------------
 * Across changes of the offset
 * ------------------------------------------------------------------------
 */

/* The offset at a moment, and when it changes (at the latest at limit). */
static int64
get_offset(pg_tz *zone, TimestampTz at, TimestampTz limit,
		   TimestampTz *changes_at)
{
	const int64 epoch =
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY;
	int64 seconds = at / USECS_PER_SEC - (at % USECS_PER_SEC < 0);
	pg_time_t unix_time = seconds + epoch;
	pg_time_t boundary;
	long before;
	long after;
	int before_isdst;
	int after_isdst;
	int result = pg_next_dst_boundary(&unix_time,
									  &before,
									  &before_isdst,
									  &boundary,
									  &after,
									  &after_isdst,
									  zone);

	*changes_at = limit;
	if (result < 0)
		elog(ERROR, "could not determine the offset of a time zone");
	if (result > 0 && boundary - epoch < limit / USECS_PER_SEC)
		*changes_at = (boundary - epoch) * USECS_PER_SEC;
	return before * USECS_PER_SEC;
}

/* The first open moment in [at, limit), and how long it is open then. */
static bool
find_open(const Calendar *calendar, TimestampTz at, TimestampTz limit,
		  TimestampTz *opens_at, TimestampTz *closes_at)
{
	while (at < limit)
	{
		TimestampTz changes_at;
		int64 offset = get_offset(calendar->zone, at, limit, &changes_at);
		int64 opens = PG_INT64_MAX;
		int64 closes = PG_INT64_MAX;

		if (find_open_locally(calendar,
							  at + offset,
							  changes_at + offset,
							  &opens,
							  &closes))
		{
			*opens_at = opens - offset;
			*closes_at = Min(closes - offset, changes_at);
			return true;
		}
		at = changes_at;
	}
	return false;
}

static TimestampTz
get_horizon(TimestampTz at)
{
	return at > END_TIMESTAMP - HORIZON_US ? END_TIMESTAMP - 1
										   : at + HORIZON_US;
}

/* The first open moment, at or after this one; false if there is none. */
bool
cmdsched_calendar_next_open(const Calendar *calendar, TimestampTz at,
							TimestampTz *open_at)
{
	TimestampTz closes_at;

	return find_open(calendar, at, get_horizon(at), open_at, &closes_at);
}

/*
 * The first moment at which it has been open for that long since at; false if
 * there is none.
 */
bool
cmdsched_calendar_add_working_time(const Calendar *calendar, TimestampTz at,
								   int64 amount_us, TimestampTz *done_at)
{
	TimestampTz horizon = get_horizon(at);

	*done_at = at;
	while (amount_us > 0)
	{
		TimestampTz opens_at;
		TimestampTz closes_at;
		int64 worked_us;

		if (!find_open(calendar, *done_at, horizon, &opens_at, &closes_at))
			return false;
		worked_us = Min(closes_at - opens_at, amount_us);
		*done_at = opens_at + worked_us;
		amount_us -= worked_us;
	}
	return true;
}
