/*-------------------------------------------------------------------------
 *
 * cron.c
 *	  Cron expressions: which local times they name.
 *
 * An expression becomes a set of numbers for each field.  Time zones are
 * none of its business: a local time is a number of microseconds, as in a
 * timestamp without time zone.
 *
 * IDENTIFICATION
 *	  src/schedule/cron.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "schedule/cron.h"

/* Longest wait: all dates and weekdays come round in that time. */
#define MAX_YEARS 400

typedef struct FieldKind
{
	const char *name;
	int min;
	int max;
	const char *const *names; /* of min and what follows */
} FieldKind;

static const char *const month_names[] = {"jan",
										  "feb",
										  "mar",
										  "apr",
										  "may",
										  "jun",
										  "jul",
										  "aug",
										  "sep",
										  "oct",
										  "nov",
										  "dec",
										  NULL};
static const char *const weekday_names[] =
	{"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const FieldKind second_field = {"second", 0, 59, NULL};
static const FieldKind minute_field = {"minute", 0, 59, NULL};
static const FieldKind hour_field = {"hour", 0, 23, NULL};
static const FieldKind day_field = {"day of month", 1, 31, NULL};
static const FieldKind month_field = {"month", 1, 12, month_names};
static const FieldKind weekday_field = {"day of week", 0, 7, weekday_names};

/* One field, while it is read. */
typedef struct FieldParser
{
	const FieldKind *kind;
	const char *expression; /* all of it, for messages */
	const char *text;		/* the field */
	const char *at;			/* where we are in it */
	CronProblem *problem;
} FieldParser;

/* ------------------------------------------------------------------------
 * What is wrong
 * ------------------------------------------------------------------------
 */

/* The first problem counts. */
static void
note_problem(CronProblem *problem, const char *expression, char *detail,
			 const char *hint)
{
	if (problem->message != NULL)
		return;
	problem->message = psprintf("invalid cron expression \"%s\"", expression);
	problem->detail = detail;
	problem->hint = hint;
}

static void
refuse(const FieldParser *parser, const char *problem, const char *hint)
{
	note_problem(parser->problem,
				 parser->expression,
				 psprintf("The %s field is \"%s\": %s at \"%s\".",
						  parser->kind->name,
						  parser->text,
						  problem,
						  parser->at),
				 hint);
}

static void
refuse_value(const FieldParser *parser, const char *problem)
{
	refuse(parser,
		   problem,
		   psprintf("Values are %d to %d%s, in lists (1,3), ranges (1-5) and "
					"steps (*/2, 1-5/2).",
					parser->kind->min,
					parser->kind->max,
					parser->kind->names == NULL
						? ""
						: " or names of three letters"));
}

/* For those to whom a problem is an error. */
void
cmdsched_cron_raise(const CronProblem *problem)
{
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("%s", problem->message),
			problem->detail != NULL ? errdetail("%s", problem->detail) : 0,
			errhint("%s", problem->hint));
}

/* ------------------------------------------------------------------------
 * Reading a field
 * ------------------------------------------------------------------------
 */

static bool
take(FieldParser *parser, char c)
{
	if (*parser->at != c)
		return false;
	parser->at++;
	return true;
}

/* A number of at most four digits, or -1. */
static int
read_number(FieldParser *parser)
{
	int value = 0;
	int ndigits = 0;

	while (ndigits < 4 && isdigit((unsigned char) parser->at[ndigits]))
		value = value * 10 + (parser->at[ndigits++] - '0');
	if (ndigits == 0)
		return -1;
	if (isdigit((unsigned char) parser->at[ndigits]))
		refuse_value(parser, "too large a number");
	parser->at += ndigits;
	return value;
}

/* "friL" is the last Friday. */
static bool
name_ends_here(const char *after)
{
	if (toupper((unsigned char) *after) == 'L')
		after++;
	return !isalpha((unsigned char) *after);
}

/* A name of three letters, or -1. */
static int
read_name(FieldParser *parser)
{
	const FieldKind *kind = parser->kind;

	for (int i = 0; kind->names != NULL && kind->names[i] != NULL; i++)
	{
		if (pg_strncasecmp(parser->at, kind->names[i], 3) != 0 ||
			!name_ends_here(parser->at + 3))
			continue;
		parser->at += 3;
		return kind->min + i;
	}
	return -1;
}

/* -1 where there is none that is allowed. */
static int
read_value(FieldParser *parser)
{
	const char *start = parser->at;
	int value = read_number(parser);

	if (value < 0)
		value = read_name(parser);
	if (value < 0)
		refuse_value(parser, "neither a number nor a name");
	else if (value < parser->kind->min || value > parser->kind->max)
	{
		parser->at = start;
		refuse_value(parser, "value out of range");
		value = -1;
	}
	return value;
}

/* What follows a slash; 1 where there is none. */
static int
read_step(FieldParser *parser)
{
	int step;

	if (!take(parser, '/'))
		return 1;
	step = read_number(parser);
	if (step > 0)
		return step;
	refuse_value(parser, "a step must be a number above 0");
	return 1;
}

static uint64
every_nth(const FieldKind *kind, int first, int last, int step)
{
	uint64 set = 0;

	for (int value = first; value <= last; value += step)
		set |= UINT64CONST(1) << value;
	return set;
}

/* "fri#2" and "friL": these are no plain weekdays. */
static bool
read_nth_weekday(FieldParser *parser, CronExpression *cron, int weekday)
{
	int n;

	if (take(parser, 'L') || take(parser, 'l'))
	{
		cron->last_weekdays |= 1 << weekday % 7;
		return true;
	}
	if (!take(parser, '#'))
		return false;
	n = read_number(parser);
	if (n >= 1 && n <= 5)
		cron->nth_weekdays[n - 1] |= 1 << weekday % 7;
	else
		refuse(parser,
			   "not a number from 1 to 5",
			   "\"fri#2\" is the second Friday of a month.");
	return true;
}

/* One item of a list. */
static uint64
read_item(FieldParser *parser, CronExpression *cron)
{
	const FieldKind *kind = parser->kind;
	const char *start = parser->at;
	int first;
	int last;

	if (take(parser, '*'))
		return every_nth(kind, kind->min, kind->max, read_step(parser));
	if (kind == &day_field &&
		(take(parser, 'L') || take(parser, 'l') || take(parser, '$')))
	{
		cron->last_day = true;
		return 0;
	}
	first = read_value(parser);
	if (first < 0 ||
		(kind == &weekday_field && read_nth_weekday(parser, cron, first)))
		return 0;
	last = *parser->at == '/' ? kind->max : first;
	if (take(parser, '-'))
	{
		last = read_value(parser);
		/* "fri-sun" */
		if (kind == &weekday_field && last == 0 && first > 0)
			last = 7;
	}
	if (last < first)
	{
		parser->at = start;
		refuse(parser,
			   "the range ends before it begins",
			   "Write a range that goes round as two: 22-23,0-5.");
	}
	return every_nth(kind, first, last, read_step(parser));
}

/* A list of items. */
static uint64
read_field(const FieldKind *kind, const char *expression, const char *text,
		   CronExpression *cron, CronProblem *problem)
{
	FieldParser parser = {kind, expression, text, text, problem};
	uint64 set = 0;

	do
		set |= read_item(&parser, cron);
	while (take(&parser, ','));
	if (*parser.at != '\0')
		refuse_value(&parser, "unexpected text");
	return set;
}

/* ------------------------------------------------------------------------
 * Reading an expression
 * ------------------------------------------------------------------------
 */

#define MAX_FIELDS 6

/* What "@daily" and its like stand for; NULL where it is not one of them. */
static const char *
resolve_nickname(const char *expression, CronProblem *problem)
{
	static const struct
	{
		const char *name;
		const char *fields;
	} nicknames[] = {
		{"@yearly", "0 0 1 1 *"},
		{"@annually", "0 0 1 1 *"},
		{"@monthly", "0 0 1 * *"},
		{"@weekly", "0 0 * * 0"},
		{"@daily", "0 0 * * *"},
		{"@midnight", "0 0 * * *"},
		{"@hourly", "0 * * * *"},
	};

	for (size_t i = 0; i < lengthof(nicknames); i++)
	{
		if (pg_strcasecmp(expression, nicknames[i].name) == 0)
			return nicknames[i].fields;
	}
	if (pg_strcasecmp(expression, "@reboot") == 0)
		note_problem(problem,
					 expression,
					 "A restart of the server is no time, and is not to run "
					 "anything twice.",
					 "Call cmdsched.schedule() where the application starts.");
	else
		note_problem(problem,
					 expression,
					 "There is no such name.",
					 "The names are @yearly, @annually, @monthly, @weekly, "
					 "@daily, @midnight and @hourly.");
	return NULL;
}

static int
split_fields(const char *text, char **fields)
{
	char *rest = NULL;
	char *field = strtok_r(pstrdup(text), " \t\n\r", &rest);
	int nfields = 0;

	for (; field != NULL; field = strtok_r(NULL, " \t\n\r", &rest))
	{
		if (nfields < MAX_FIELDS)
			fields[nfields] = field;
		nfields++;
	}
	return nfields;
}

/* Sunday is 0 and 7. */
static uint32
fold_weekdays(uint32 weekdays)
{
	return (weekdays | weekdays >> 7) & 0x7F;
}

static void
read_fields(CronExpression *cron, const char *expression, char **fields,
			bool has_seconds, CronProblem *problem)
{
	cron->seconds = 1;
	if (has_seconds)
		cron->seconds =
			read_field(&second_field, expression, *fields++, cron, problem);
	cron->minutes =
		read_field(&minute_field, expression, fields[0], cron, problem);
	cron->hours =
		read_field(&hour_field, expression, fields[1], cron, problem);
	cron->days = read_field(&day_field, expression, fields[2], cron, problem);
	cron->months =
		read_field(&month_field, expression, fields[3], cron, problem);
	cron->weekdays = fold_weekdays(
		read_field(&weekday_field, expression, fields[4], cron, problem));
	cron->any_hour = fields[1][0] == '*' || cron->hours == (1 << 24) - 1;
	cron->any_day = fields[2][0] == '*';
	cron->any_weekday = fields[4][0] == '*';
}

/* Understand an expression.  False, with the problem, where it is none. */
bool
cmdsched_cron_parse(CronExpression *cron, const char *expression,
					CronProblem *problem)
{
	const char *text = expression;
	char *fields[MAX_FIELDS];
	int nfields;

	memset(cron, 0, sizeof(CronExpression));
	memset(problem, 0, sizeof(CronProblem));
	if (expression[0] == '@')
		text = resolve_nickname(expression, problem);
	if (text == NULL)
		return false;
	nfields = split_fields(text, fields);
	if (nfields == MAX_FIELDS || nfields == MAX_FIELDS - 1)
		read_fields(cron, expression, fields, nfields == MAX_FIELDS, problem);
	else
		note_problem(problem,
					 expression,
					 psprintf("It has %d field(s) instead of 5 or 6.",
							  nfields),
					 "The fields are minute, hour, day of month, month and "
					 "day of week, with the second before them where there "
					 "are six.");
	return problem->message == NULL;
}

/* ------------------------------------------------------------------------
 * The next local time
 * ------------------------------------------------------------------------
 */

static int
month_length(int year, int month)
{
	return day_tab[isleap(year)][month - 1];
}

static bool
matches_weekday(const CronExpression *cron, int weekday, int day, int length)
{
	uint32 bit = 1 << weekday;

	return (cron->weekdays & bit) ||
		   (cron->nth_weekdays[(day - 1) / 7] & bit) ||
		   ((cron->last_weekdays & bit) && day + 7 > length);
}

/* As Vixie's cron: one of two restricted fields is enough. */
static bool
matches_day(const CronExpression *cron, int julian, int day, int length)
{
	bool by_day = (cron->days & (UINT32_C(1) << day)) ||
				  (cron->last_day && day == length);
	bool by_weekday = matches_weekday(cron, j2day(julian), day, length);

	return cron->any_day || cron->any_weekday ? by_day && by_weekday
											  : by_day || by_weekday;
}

/* The first matching day from this one on; false where there is none. */
static bool
find_day(const CronExpression *cron, int *julian)
{
	int year;
	int month;
	int day;
	int last_year;

	j2date(*julian, &year, &month, &day);
	last_year = year + MAX_YEARS;
	while (year <= last_year)
	{
		int length = month_length(year, month);

		if (cron->months & (1 << month))
		{
			int first = date2j(year, month, 1);

			for (; day <= length; day++)
			{
				*julian = first + day - 1;
				if (matches_day(cron, *julian, day, length))
					return true;
			}
		}
		day = 1;
		year += month == 12;
		month = month % 12 + 1;
	}
	return false;
}

/* The first value from this one on in a set; -1 where there is none. */
static int
find_value(uint64 set, int from)
{
	if (from > 63 || (set >> from) == 0)
		return -1;
	return from + pg_rightmost_one_pos64(set >> from);
}

/* The first matching second of a day from this one on; -1: not that day. */
static int
find_second_of_day(const CronExpression *cron, int from)
{
	int hour = find_value(cron->hours, from / SECS_PER_HOUR);
	int minute = 0;
	int second = 0;

	if (hour == from / SECS_PER_HOUR)
	{
		minute = from / SECS_PER_MINUTE % MINS_PER_HOUR;
		second = from % SECS_PER_MINUTE;
	}
	while (hour >= 0)
	{
		int found = find_value(cron->minutes, minute);

		if (found > minute)
			second = 0;
		for (; found >= 0; found = find_value(cron->minutes, found + 1))
		{
			second = find_value(cron->seconds, second);
			if (second >= 0)
				return (hour * MINS_PER_HOUR + found) * SECS_PER_MINUTE +
					   second;
			second = 0;
		}
		hour = find_value(cron->hours, hour + 1);
		minute = second = 0;
	}
	return -1;
}

/* The first matching local time from this one on; false: there is none. */
bool
cmdsched_cron_next(const CronExpression *cron, Timestamp from, Timestamp *next)
{
	int64 seconds = from / USECS_PER_SEC;
	int64 whole_days;
	int second;
	int julian;

	if (from % USECS_PER_SEC != 0 && from > 0)
		seconds++;
	whole_days = seconds / SECS_PER_DAY - (seconds % SECS_PER_DAY < 0);
	second =
		find_second_of_day(cron, (int) (seconds - whole_days * SECS_PER_DAY));
	julian = (int) whole_days + POSTGRES_EPOCH_JDATE;
	if (second >= 0)
	{
		int day = julian;

		if (!find_day(cron, &day))
			return false;
		if (day > julian)
			second = find_second_of_day(cron, 0);
		julian = day;
	}
	else
	{
		julian++;
		if (!find_day(cron, &julian))
			return false;
		second = find_second_of_day(cron, 0);
	}
	*next = ((int64) (julian - POSTGRES_EPOCH_JDATE) * SECS_PER_DAY + second) *
			USECS_PER_SEC;
	return IS_VALID_TIMESTAMP(*next);
}
