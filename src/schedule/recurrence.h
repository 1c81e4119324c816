/*-------------------------------------------------------------------------
 *
 * recurrence.h
 *	  When something happens that happens again and again.
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

/* A local time that the clock leaves out */
typedef enum DstGap
{
	DST_GAP_SHIFT, /* is as much later as the clock is put forward */
	DST_GAP_SKIP,
} DstGap;

/* A local time that comes twice */
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
	Interval every;		/* otherwise: no field of it is negative */
	TimestampTz anchor; /* from which it counts */
	pg_tz *timezone;
	DstGap dst_gap;
	DstOverlap dst_overlap;
} Recurrence;

extern bool cmdsched_recurrence_next(const Recurrence *recurrence,
									 TimestampTz after, TimestampTz *at);

#endif
