/*-------------------------------------------------------------------------
 *
 * cron.c
 *	  Cron expressions: minute, hour, day of the month, month, day of the
 *	  week, as Vixie cron has them.
 *
 * Where both kinds of day are restricted, one of them has to match.  Nothing
 * here knows of years or time zones.
 *
 * IDENTIFICATION
 *	  src/schedule/cron.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "schedule/cron.h"

typedef struct CronField
{
	const char *name;
	int min;
	int max;
	const char *const *words; /* for min, min + 1, and so on; or NULL */
} CronField;

static const char *const month_words[] = {"jan",
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
static const char *const weekday_words[] =
	{"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const CronField fields[] = {
	{"minute", 0, 59, NULL},
	{"hour", 0, 23, NULL},
	{"day of month", 1, 31, NULL},
	{"month", 1, 12, month_words},
	{"day of week", 0, 7, weekday_words},
};

static const char *const macros[][2] = {
	{"@yearly", "0 0 1 1 *"},
	{"@annually", "0 0 1 1 *"},
	{"@monthly", "0 0 1 * *"},
	{"@weekly", "0 0 * * 0"},
	{"@daily", "0 0 * * *"},
	{"@midnight", "0 0 * * *"},
	{"@hourly", "0 * * * *"},
};

/* A number or a word; false where there is neither, or it is out of range. */
static bool
parse_value(const CronField *field, const char **p, int *value)
{
	int length = 0;

	if (isdigit((unsigned char) **p))
	{
		*value = 0;
		for (; isdigit((unsigned char) **p) && length < 4; length++)
			*value = *value * 10 + *(*p)++ - '0';
		return length <= 2 && *value >= field->min && *value <= field->max;
	}
	while (isalpha((unsigned char) (*p)[length]))
		length++;
	for (int i = 0; length == 3 && field->words && field->words[i]; i++)
	{
		if (pg_strncasecmp(*p, field->words[i], 3) == 0)
		{
			*value = field->min + i;
			*p += 3;
			return true;
		}
	}
	return false;
}

/* One of the list: *, a value or a range, and perhaps a step. */
static bool
parse_part(const CronField *field, const char **p, uint64 *bits)
{
	int low = field->min;
	int high = field->max;
	int step = 1;
	bool is_value = false;

	if (**p == '*')
		(*p)++;
	else
	{
		if (!parse_value(field, p, &low))
			return false;
		is_value = **p != '-';
		high = low;
		if (**p == '-')
		{
			(*p)++;
			if (!parse_value(field, p, &high) || high < low)
				return false;
		}
	}
	if (**p == '/')
	{
		const CronField steps = {field->name, 1, 99, NULL};

		(*p)++;
		if (!parse_value(&steps, p, &step))
			return false;
		if (is_value)
			high = field->max;
	}
	for (int value = low; value <= high; value += step)
		*bits |= UINT64CONST(1) << value;
	return true;
}

/* NULL, or what is wrong with it. */
static char *
parse_field(const CronField *field, const char *text, uint64 *bits)
{
	const char *p = text;

	*bits = 0;
	do
	{
		if (!parse_part(field, &p, bits) || (*p != ',' && *p != '\0'))
			return psprintf("invalid %s in cron expression: \"%s\"",
							field->name,
							text);
	} while (*p++ == ',');
	return NULL;
}

/* NULL, or what is wrong with it. */
char *
cmdsched_cron_parse(const char *text, CronExpression *cron)
{
	uint64 *const bits[] = {&cron->minutes,
							&cron->hours,
							&cron->days,
							&cron->months,
							&cron->weekdays};
	const char *words[lengthof(fields)];
	int nwords = 0;
	char *copy;

	for (int i = 0; i < (int) lengthof(macros); i++)
	{
		if (pg_strcasecmp(text, macros[i][0]) == 0)
			text = macros[i][1];
	}
	copy = pstrdup(text);
	for (char *word = strtok(copy, " \t"); word; word = strtok(NULL, " \t"))
	{
		if (nwords == lengthof(fields))
			return psprintf("cron expression \"%s\" has more than 5 fields",
							text);
		words[nwords++] = word;
	}
	if (nwords < (int) lengthof(fields))
		return psprintf("cron expression \"%s\" has fewer than 5 fields",
						text);
	for (int i = 0; i < nwords; i++)
	{
		char *problem = parse_field(&fields[i], words[i], bits[i]);

		if (problem != NULL)
			return problem;
	}
	cron->any_hour = words[1][0] == '*' && words[1][1] == '\0';
	cron->any_day = words[2][0] == '*';
	cron->any_weekday = words[4][0] == '*';
	/* 7 is Sunday, too. */
	cron->weekdays |= cron->weekdays >> 7 & 1;
	return NULL;
}

static bool
has_bit(uint64 bits, int value)
{
	return (bits >> value & 1) != 0;
}

bool
cmdsched_cron_matches_day(const CronExpression *cron, int month, int day,
						  int weekday)
{
	bool day_matches = has_bit(cron->days, day);
	bool weekday_matches = has_bit(cron->weekdays, weekday);

	if (!has_bit(cron->months, month))
		return false;
	if (cron->any_day || cron->any_weekday)
		return day_matches && weekday_matches;
	return day_matches || weekday_matches;
}

/* The next minute of a day that matches, after one; -1 where there is none. */
int
cmdsched_cron_next_minute(const CronExpression *cron, int minute)
{
	while (++minute < 24 * 60)
	{
		if (!has_bit(cron->hours, minute / 60))
			minute += 59 - minute % 60;
		else if (has_bit(cron->minutes, minute % 60))
			return minute;
	}
	return -1;
}
