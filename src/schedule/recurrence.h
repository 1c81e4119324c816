/*-------------------------------------------------------------------------
 *
 * recurrence.h
 *	  When something that recurs is due next.
 *
 * IDENTIFICATION
 *	  src/schedule/recurrence.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_RECURRENCE_H
#define CMDSCHED_RECURRENCE_H

#include "datatype/timestamp.h"
#include "pgtime.h"

#include "schedule/cron.h"

/* Of a time of day that a day does not have */
typedef enum DstGap
{
	DST_GAP_SHIFT, /* as much later as the clock was put forward */
	DST_GAP_SKIP,
} DstGap;

/* Of a time of day that a day has twice */
typedef enum DstOverlap
{
	DST_OVERLAP_FIRST,
	DST_OVERLAP_LAST,
	DST_OVERLAP_BOTH,
} DstOverlap;

typedef struct Recurrence
{
	bool is_cron;
	CronExpression cron;
	Interval every;		/* where it is no cron expression */
	TimestampTz anchor; /* the intervals are counted from here */
	pg_tz *timezone;
	DstGap dst_gap;
	DstOverlap dst_overlap;
} Recurrence;

/* False: it is no interval, but a cron expression. */
extern bool cmdsched_recurrence_parse_every(const char *expression,
											Interval *every);

/*
 * A cron expression or an interval, in a time zone: errors say what is wrong
 * with it.  The anchor is the caller's to set.
 */
extern void cmdsched_recurrence_parse(Recurrence *recurrence,
									  const char *expression,
									  const char *zone);
extern void cmdsched_recurrence_set_rules(Recurrence *recurrence,
										  const char *dst_gap,
										  const char *dst_overlap);
extern pg_tz *cmdsched_recurrence_find_zone(const char *zone);
extern void cmdsched_recurrence_check_every(const Interval *every);

/* The first occurrence strictly after a moment; false where there is none. */
extern bool cmdsched_recurrence_next(const Recurrence *recurrence,
									 TimestampTz after, TimestampTz *next);

#endif
