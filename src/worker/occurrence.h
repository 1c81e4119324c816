/*-------------------------------------------------------------------------
 *
 * occurrence.h
 *	  The occurrences of recurring schedules.
 *
 * IDENTIFICATION
 *	  src/worker/occurrence.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_OCCURRENCE_H
#define CMDSCHED_OCCURRENCE_H

#include "command/command.h"
#include "command/recurring_store.h"

typedef enum OccurrenceVerdict
{
	OCCURRENCE_RUN,
	OCCURRENCE_RUN_BESIDE, /* the next one may come due meanwhile */
	OCCURRENCE_DROP,	   /* it was missed */
} OccurrenceVerdict;

typedef enum OccurrenceEnd
{
	OCCURRENCE_SUCCEEDED,
	OCCURRENCE_FAILED,
	OCCURRENCE_BEGINS, /* the next one does not wait for its end */
	OCCURRENCE_MISSED,
	OCCURRENCE_CANCELLED,
} OccurrenceEnd;

/* An occurrence, once its row may be gone. */
typedef struct Occurrence
{
	CommandKey key;
	bool retried; /* this was not its first attempt */
} Occurrence;

extern void cmdsched_occurrence_identify(Occurrence *occurrence,
										 const Command *command);
extern OccurrenceVerdict cmdsched_occurrence_judge(const Command *command,
												   TimestampTz now);
extern TimestampTz cmdsched_occurrence_end(const Occurrence *occurrence,
										   OccurrenceEnd end, TimestampTz now);
extern void cmdsched_occurrence_end_external(const CommandKey *key,
											 TimestampTz now);
extern void cmdsched_occurrence_check(const RecurringSchedule *schedule);
extern void cmdsched_occurrence_begin(RecurringSchedule *schedule,
									  TimestampTz after, TimestampTz now);
extern void cmdsched_occurrence_stop(RecurringSchedule *schedule,
									 const char *status, text *reason);

#endif
