/*-------------------------------------------------------------------------
 *
 * calendar.h
 *	  When a business is open, and the next open moment.
 *
 * IDENTIFICATION
 *	  src/schedule/calendar.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_CALENDAR_H
#define CMDSCHED_CALENDAR_H

#include "datatype/timestamp.h"
#include "pgtime.h"
#include "utils/date.h"

#define CALENDAR_MAX_INTERVALS 16
#define CALENDAR_HORIZON_YEARS 100

/*
 * Minutes after midnight, the end exclusive.  One that closes after 24:00 is
 * open into the next day.
 */
typedef struct OpenInterval
{
	int opens;
	int closes;
} OpenInterval;

/* What opens on a day. */
typedef struct DayHours
{
	int nintervals;
	OpenInterval intervals[CALENDAR_MAX_INTERVALS];
} DayHours;

typedef struct CalendarException
{
	DateADT first_day;
	DateADT last_day;
	DayHours hours;
} CalendarException;

typedef struct Calendar
{
	pg_tz *zone;
	DayHours weekdays[7]; /* Monday first */
	int nexceptions;
	CalendarException *exceptions;
} Calendar;

extern void cmdsched_calendar_parse_hours(const char *text, DayHours *hours);
extern int cmdsched_calendar_parse_weekdays(const char *text);
extern bool cmdsched_calendar_next_open(const Calendar *calendar,
										TimestampTz at, TimestampTz *open_at);
extern bool cmdsched_calendar_add_working_time(const Calendar *calendar,
											   TimestampTz at, int64 amount_us,
											   TimestampTz *done_at);

#endif
