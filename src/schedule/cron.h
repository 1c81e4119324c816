/*-------------------------------------------------------------------------
 *
 * cron.h
 *	  Cron expressions: which local times they name.
 *
 * IDENTIFICATION
 *	  src/schedule/cron.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_CRON_H
#define CMDSCHED_CRON_H

#include "datatype/timestamp.h"

/* Bit n of a set stands for the value n. */
typedef struct CronExpression
{
	uint64 seconds;
	uint64 minutes;
	uint32 hours;
	uint32 days;			/* of the month, 1 to 31 */
	uint32 months;			/* 1 to 12 */
	uint32 weekdays;		/* 0 = Sunday, to 6 */
	uint32 nth_weekdays[5]; /* the first, second, ... of a month */
	uint32 last_weekdays;	/* the last of a month */
	bool last_day;			/* of the month */
	bool any_day;			/* the field begins with a star: both of */
	bool any_weekday;		/* them then have to match, else either */
	bool any_hour;			/* it runs all day long */
} CronExpression;

/* Why an expression cannot be understood. */
typedef struct CronProblem
{
	char *message;
	char *detail;
	const char *hint;
} CronProblem;

extern bool cmdsched_cron_parse(CronExpression *cron, const char *expression,
								CronProblem *problem);
extern void cmdsched_cron_raise(const CronProblem *problem);
extern bool cmdsched_cron_next(const CronExpression *cron, Timestamp from,
							   Timestamp *next);

#endif
