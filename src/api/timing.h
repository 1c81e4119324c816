/*-------------------------------------------------------------------------
 *
 * timing.h
 *	  What policy and calendar make of the time that schedule() is given.
 *
 * IDENTIFICATION
 *	  src/api/timing.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_TIMING_H
#define CMDSCHED_TIMING_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "nodes/pg_list.h"

/* Where they are among the arguments of schedule(). */
#define TIMING_CALENDAR_ARG 7
#define TIMING_POLICY_ARG 8
#define TIMING_OPTIONS_ARG 9

typedef struct TimingStep
{
	const char *rule;
	TimestampTz execute_at; /* after it */
	const char *detail;
} TimingStep;

/* Most commands have neither: this is all they pay. */
static inline bool
cmdsched_timing_is_given(FunctionCallInfo fcinfo)
{
	return !PG_ARGISNULL(TIMING_CALENDAR_ARG) ||
		   !PG_ARGISNULL(TIMING_POLICY_ARG) ||
		   !PG_ARGISNULL(TIMING_OPTIONS_ARG);
}

extern TimestampTz cmdsched_timing_apply(FunctionCallInfo fcinfo,
										 TimestampTz execute_at, List **steps);

#endif
