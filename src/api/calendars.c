/*-------------------------------------------------------------------------
 *
 * calendars.c
 *	  The SQL-callable functions of business calendars.
 *
 * IDENTIFICATION
 *	  src/api/calendars.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "command/calendar_store.h"

PG_FUNCTION_INFO_V1(cmdsched_create_calendar);
PG_FUNCTION_INFO_V1(cmdsched_drop_calendar);
PG_FUNCTION_INFO_V1(cmdsched_set_opening_hours);
PG_FUNCTION_INFO_V1(cmdsched_add_exception);
PG_FUNCTION_INFO_V1(cmdsched_remove_exception);
PG_FUNCTION_INFO_V1(cmdsched_next_open);
PG_FUNCTION_INFO_V1(cmdsched_add_working_time);

Datum
cmdsched_create_calendar(PG_FUNCTION_ARGS)
{
	text *name;
	text *zone;

	cmdsched_argument_prevent_on_standby("cmdsched.create_calendar()");
	name = cmdsched_argument_get_name(fcinfo, 0, "name", false);
	zone = PG_ARGISNULL(1)
			   ? cstring_to_text(pg_get_timezone_name(session_timezone))
			   : cmdsched_argument_get_name(fcinfo, 1, "timezone", false);
	cmdsched_calendar_create(name, zone);
	PG_RETURN_VOID();
}

Datum
cmdsched_drop_calendar(PG_FUNCTION_ARGS)
{
	cmdsched_argument_prevent_on_standby("cmdsched.drop_calendar()");
	PG_RETURN_BOOL(cmdsched_calendar_drop(
		cmdsched_argument_get_name(fcinfo, 0, "name", false)));
}

/* Hours that can be read. */
static text *
get_hours(FunctionCallInfo fcinfo, int n)
{
	text *value = cmdsched_argument_get_name(fcinfo, n, "hours", false);
	DayHours hours;

	cmdsched_calendar_parse_hours(text_to_cstring(value), &hours);
	return value;
}

Datum
cmdsched_set_opening_hours(PG_FUNCTION_ARGS)
{
	text *name;
	text *weekdays;

	cmdsched_argument_prevent_on_standby("cmdsched.set_opening_hours()");
	name = cmdsched_argument_get_name(fcinfo, 0, "calendar", false);
	weekdays = cmdsched_argument_get_name(fcinfo, 1, "weekdays", false);
	cmdsched_calendar_set_hours(name,
								cmdsched_calendar_parse_weekdays(
									text_to_cstring(weekdays)),
								get_hours(fcinfo, 2));
	PG_RETURN_VOID();
}

/* Arguments 1 and 2; without a last day, it is the first. */
static void
get_days(FunctionCallInfo fcinfo, DateADT *first_day, DateADT *last_day)
{
	cmdsched_argument_check_not_null(fcinfo, 1, "first_day");
	*first_day = PG_GETARG_DATEADT(1);
	*last_day = PG_ARGISNULL(2) ? *first_day : PG_GETARG_DATEADT(2);
	if (DATE_NOT_FINITE(*first_day) || DATE_NOT_FINITE(*last_day))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("first_day and last_day must be finite"),
				errhint("For what holds for good, use "
						"cmdsched.set_opening_hours()."));
	if (*last_day < *first_day)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("last_day must not be before first_day"),
				errhint("Leave last_day out for a single day."));
}

Datum
cmdsched_add_exception(PG_FUNCTION_ARGS)
{
	text *name;
	DateADT first_day;
	DateADT last_day;

	cmdsched_argument_prevent_on_standby("cmdsched.add_exception()");
	name = cmdsched_argument_get_name(fcinfo, 0, "calendar", false);
	get_days(fcinfo, &first_day, &last_day);
	cmdsched_calendar_add_exception(name,
									first_day,
									last_day,
									get_hours(fcinfo, 3));
	PG_RETURN_VOID();
}

Datum
cmdsched_remove_exception(PG_FUNCTION_ARGS)
{
	text *name;
	DateADT first_day;
	DateADT last_day;

	cmdsched_argument_prevent_on_standby("cmdsched.remove_exception()");
	name = cmdsched_argument_get_name(fcinfo, 0, "calendar", false);
	get_days(fcinfo, &first_day, &last_day);
	PG_RETURN_BOOL(
		cmdsched_calendar_remove_exception(name, first_day, last_day));
}

Datum
cmdsched_next_open(PG_FUNCTION_ARGS)
{
	text *name = cmdsched_argument_get_name(fcinfo, 0, "calendar", false);
	TimestampTz at = cmdsched_argument_get_moment(fcinfo, 1, "at");

	PG_RETURN_TIMESTAMPTZ(cmdsched_calendar_find_open(name, at));
}

Datum
cmdsched_add_working_time(PG_FUNCTION_ARGS)
{
	text *name = cmdsched_argument_get_name(fcinfo, 0, "calendar", false);
	TimestampTz at = cmdsched_argument_get_moment(fcinfo, 1, "at");
	Interval *amount = cmdsched_argument_get_span(fcinfo, 2, "amount");

	if (amount->month != 0 || amount->day != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("working time cannot be given in days or months"),
				errhint("Opening hours differ from day to day: use hours, as "
						"in interval '16 hours'."));
	PG_RETURN_TIMESTAMPTZ(cmdsched_calendar_find_done(name, at, amount->time));
}
