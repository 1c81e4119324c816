/*-------------------------------------------------------------------------
 *
 * cron.h
 *	  Cron expressions.
 *
 * IDENTIFICATION
 *	  src/schedule/cron.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_CRON_H
#define CMDSCHED_CRON_H

/* A bit for each value of a field that matches. */
typedef struct CronExpression
{
	uint64 minutes;
	uint64 hours;
	uint64 days;
	uint64 months;
	uint64 weekdays;
	bool any_day; /* the field is *, or begins with it */
	bool any_weekday;
	bool any_hour;
} CronExpression;

extern char *cmdsched_cron_parse(const char *text, CronExpression *cron);
extern bool cmdsched_cron_matches_day(const CronExpression *cron, int month,
									  int day, int weekday);
extern int cmdsched_cron_next_minute(const CronExpression *cron, int minute);

#endif
