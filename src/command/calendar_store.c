/*-------------------------------------------------------------------------
 *
 * calendar_store.c
 *	  The rows of business calendars, and the value that they make.
 *
 * Names are the database's: everybody may use a calendar, its owner changes
 * it.  Hours are kept as they were written, and read when they are loaded.
 *
 * IDENTIFICATION
 *	  src/command/calendar_store.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "command/calendar_store.h"
#include "command/statement.h"

/* Columns of load_statement. */
#define LOADED_ZONE 1
#define LOADED_FIRST_DAY 2
#define LOADED_LAST_DAY 3
#define LOADED_HOURS 4
#define LOADED_MONDAY 5

/* Run a statement that has no result; returns how many rows it wrote. */
static uint64
write_rows(FixedStatement *statement, Datum *values)
{
	OwnerScope scope;
	uint64 nrows = cmdsched_statement_run(statement, values, NULL, &scope);

	cmdsched_statement_finish(&scope);
	return nrows;
}

static pg_tz *
find_zone(const char *name)
{
	pg_tz *zone = pg_tzset(name);

	if (zone == NULL || !pg_tz_acceptable(zone))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("time zone \"%s\" is not recognized", name),
				errhint("See the view pg_timezone_names."));
	return zone;
}

/* ------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------
 */

void
cmdsched_calendar_create(text *name, text *zone)
{
	static FixedStatement statement =
		{"INSERT INTO cmdsched.calendars (name, timezone, owner, owner_name) "
		 "VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
		 4,
		 {TEXTOID, TEXTOID, OIDOID, TEXTOID}};
	Oid caller = GetUserId();
	Datum values[] = {PointerGetDatum(name),
					  PointerGetDatum(zone),
					  ObjectIdGetDatum(caller),
					  CStringGetTextDatum(GetUserNameFromId(caller, false))};

	(void) find_zone(text_to_cstring(zone));
	if (write_rows(&statement, values) == 0)
		ereport(ERROR,
				errcode(ERRCODE_DUPLICATE_OBJECT),
				errmsg("calendar \"%s\" already exists",
					   text_to_cstring(name)),
				errhint("Choose another name, or drop it first."));
}

static void
report_missing(text *name)
{
	ereport(ERROR,
			errcode(ERRCODE_UNDEFINED_OBJECT),
			errmsg("calendar \"%s\" does not exist", text_to_cstring(name)),
			errhint("Create it with cmdsched.create_calendar()."));
}

/*
 * Lock it for a change, also of its exceptions: none is added to a calendar
 * that is being dropped.  False where there is none.
 */
static bool
lock_own_calendar(text *name)
{
	static FixedStatement statement =
		{"SELECT owner FROM cmdsched.calendars WHERE name = $1 FOR UPDATE",
		 1,
		 {TEXTOID}};
	Datum values[] = {PointerGetDatum(name)};
	OwnerScope scope;
	Oid owner = InvalidOid;
	bool isnull;
	bool found = cmdsched_statement_run(&statement, values, NULL, &scope) > 0;

	if (found)
		owner = DatumGetObjectId(cmdsched_statement_result(0, 1, &isnull));
	cmdsched_statement_finish(&scope);
	if (found && !superuser() && !has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("must be owner of calendar \"%s\"",
					   text_to_cstring(name)),
				errhint("Only the role that created it, its members or a "
						"superuser can change it."));
	return found;
}

bool
cmdsched_calendar_drop(text *name)
{
	static FixedStatement drop_exceptions =
		{"DELETE FROM cmdsched.calendar_exceptions WHERE calendar = $1",
		 1,
		 {TEXTOID}};
	static FixedStatement drop_calendar =
		{"DELETE FROM cmdsched.calendars WHERE name = $1", 1, {TEXTOID}};
	Datum values[] = {PointerGetDatum(name)};

	if (!lock_own_calendar(name))
		return false;
	(void) write_rows(&drop_exceptions, values);
	(void) write_rows(&drop_calendar, values);
	return true;
}

/* weekdays: as of cmdsched_calendar_parse_weekdays(). */
void
cmdsched_calendar_set_hours(text *name, int weekdays, text *hours)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.calendars SET opening_hours = "
		 "(SELECT array_agg(CASE WHEN ($2 >> (n - 1)::integer) & 1 = 1 "
		 "THEN $3 ELSE hours END ORDER BY n) "
		 "FROM unnest(opening_hours) WITH ORDINALITY AS u (hours, n)) "
		 "WHERE name = $1",
		 3,
		 {TEXTOID, INT4OID, TEXTOID}};
	Datum values[] = {PointerGetDatum(name),
					  Int32GetDatum(weekdays),
					  PointerGetDatum(hours)};

	if (!lock_own_calendar(name))
		report_missing(name);
	(void) write_rows(&statement, values);
}

void
cmdsched_calendar_add_exception(text *name, DateADT first_day,
								DateADT last_day, text *hours)
{
	static FixedStatement statement =
		{"INSERT INTO cmdsched.calendar_exceptions "
		 "(calendar, first_day, last_day, hours) VALUES ($1, $2, $3, $4) "
		 "ON CONFLICT (calendar, first_day, last_day) "
		 "DO UPDATE SET hours = EXCLUDED.hours",
		 4,
		 {TEXTOID, DATEOID, DATEOID, TEXTOID}};
	Datum values[] = {PointerGetDatum(name),
					  DateADTGetDatum(first_day),
					  DateADTGetDatum(last_day),
					  PointerGetDatum(hours)};

	if (!lock_own_calendar(name))
		report_missing(name);
	(void) write_rows(&statement, values);
}

bool
cmdsched_calendar_remove_exception(text *name, DateADT first_day,
								   DateADT last_day)
{
	static FixedStatement statement =
		{"DELETE FROM cmdsched.calendar_exceptions "
		 "WHERE calendar = $1 AND first_day = $2 AND last_day = $3",
		 3,
		 {TEXTOID, DATEOID, DATEOID}};
	Datum values[] = {PointerGetDatum(name),
					  DateADTGetDatum(first_day),
					  DateADTGetDatum(last_day)};

	if (!lock_own_calendar(name))
		report_missing(name);
	return write_rows(&statement, values) > 0;
}

/* ------------------------------------------------------------------------
 * Loading
 * ------------------------------------------------------------------------
 */

static char *
get_string(uint64 row, int column)
{
	bool isnull;
	Datum value = cmdsched_statement_result(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* A row of load_statement, with an exception or without one. */
static void
load_exception(Calendar *calendar, uint64 row)
{
	CalendarException *exception =
		&calendar->exceptions[calendar->nexceptions];
	char *hours = get_string(row, LOADED_HOURS);
	bool isnull;

	if (hours == NULL)
		return;
	exception->first_day = DatumGetDateADT(
		cmdsched_statement_result(row, LOADED_FIRST_DAY, &isnull));
	exception->last_day = DatumGetDateADT(
		cmdsched_statement_result(row, LOADED_LAST_DAY, &isnull));
	cmdsched_calendar_parse_hours(hours, &exception->hours);
	calendar->nexceptions++;
}

/* In the current memory context.  NULL where there is none. */
static Calendar *
load_calendar(text *name)
{
	static FixedStatement load_statement =
		{"SELECT c.timezone, e.first_day, e.last_day, e.hours, "
		 "c.opening_hours[1], c.opening_hours[2], c.opening_hours[3], "
		 "c.opening_hours[4], c.opening_hours[5], c.opening_hours[6], "
		 "c.opening_hours[7] "
		 "FROM cmdsched.calendars AS c LEFT JOIN "
		 "cmdsched.calendar_exceptions AS e ON e.calendar = c.name "
		 "WHERE c.name = $1",
		 1,
		 {TEXTOID}};
	Datum values[] = {PointerGetDatum(name)};
	MemoryContext context = CurrentMemoryContext;
	Calendar *calendar = palloc0(sizeof(Calendar));
	OwnerScope scope;
	uint64 nrows =
		cmdsched_statement_run(&load_statement, values, NULL, &scope);

	if (nrows == 0)
	{
		cmdsched_statement_finish(&scope);
		return NULL;
	}
	calendar->zone = pg_tzset(get_string(0, LOADED_ZONE));
	for (int i = 0; i < 7; i++)
		cmdsched_calendar_parse_hours(get_string(0, LOADED_MONDAY + i),
									  &calendar->weekdays[i]);
	calendar->exceptions =
		MemoryContextAllocHuge(context, nrows * sizeof(CalendarException));
	for (uint64 row = 0; row < nrows; row++)
		load_exception(calendar, row);
	cmdsched_statement_finish(&scope);
	return calendar;
}

/* ------------------------------------------------------------------------
 * Asking
 * ------------------------------------------------------------------------
 */

static void
report_never_open(text *name)
{
	ereport(ERROR,
			errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			errmsg("calendar \"%s\" is not open long enough in the %d years "
				   "that follow",
				   text_to_cstring(name),
				   CALENDAR_HORIZON_YEARS),
			errhint("Give it opening hours with "
					"cmdsched.set_opening_hours()."));
}

/* Raises an error where there is none that can be asked. */
static Calendar *
get_calendar(text *name)
{
	Calendar *calendar = load_calendar(name);

	if (calendar == NULL)
		report_missing(name);
	if (calendar->zone == NULL)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("time zone of calendar \"%s\" is not recognized",
					   text_to_cstring(name)),
				errhint("See the view pg_timezone_names."));
	return calendar;
}

/* The first open moment; false where there is none. */
bool
cmdsched_calendar_try_open(text *name, TimestampTz at, TimestampTz *open_at)
{
	Calendar *calendar = load_calendar(name);

	return calendar != NULL && calendar->zone != NULL &&
		   cmdsched_calendar_next_open(calendar, at, open_at);
}

/* The first open moment; raises an error where there is none. */
TimestampTz
cmdsched_calendar_find_open(text *name, TimestampTz at)
{
	TimestampTz open_at;

	if (!cmdsched_calendar_next_open(get_calendar(name), at, &open_at))
		report_never_open(name);
	return open_at;
}

/* When it has been open for that long. */
TimestampTz
cmdsched_calendar_find_done(text *name, TimestampTz at, int64 amount_us)
{
	TimestampTz done_at;

	if (!cmdsched_calendar_add_working_time(get_calendar(name),
											at,
											amount_us,
											&done_at))
		report_never_open(name);
	return done_at;
}

/* ------------------------------------------------------------------------
 * In a copy of the database, see home.c
 * ------------------------------------------------------------------------
 */

void
cmdsched_calendar_take_from_strangers(void)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.calendars AS c SET owner = 4294967295 "
		 "WHERE NOT EXISTS (SELECT FROM pg_roles AS r "
		 "WHERE r.oid = c.owner AND r.rolname = c.owner_name)",
		 0};

	(void) write_rows(&statement, NULL);
}

void
cmdsched_calendar_give_to_namesakes(void)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.calendars AS c SET owner = r.oid "
		 "FROM pg_roles AS r WHERE r.rolname = c.owner_name "
		 "AND NOT EXISTS (SELECT FROM pg_roles AS o WHERE o.oid = c.owner)",
		 0};

	(void) write_rows(&statement, NULL);
}
