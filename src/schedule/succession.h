/*-------------------------------------------------------------------------
 *
 * succession.h
 *	  Which occurrence of a recurring schedule follows one that has ended.
 *
 * IDENTIFICATION
 *	  src/schedule/succession.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_SUCCESSION_H
#define CMDSCHED_SUCCESSION_H

#include "datatype/timestamp.h"

#include "schedule/recurrence.h"

/* Of the occurrences that nobody could run in time */
typedef enum CatchUp
{
	CATCH_UP_NONE,
	CATCH_UP_LAST,
	CATCH_UP_ALL,
} CatchUp;

/* Of one that comes due before the one before it has ended */
typedef enum Overlap
{
	OVERLAP_SKIP,
	OVERLAP_QUEUE,
	OVERLAP_ALLOW,
} Overlap;

typedef struct SuccessionRules
{
	const Recurrence *recurrence;
	TimestampTz ends_at; /* DT_NOEND = never */
	CatchUp catch_up;
	int catch_up_limit; /* most late ones that are kept */
	Overlap overlap;
} SuccessionRules;

/* An occurrence that has ended, as far as it matters for what follows. */
typedef struct PastOccurrence
{
	TimestampTz at;
	TimestampTz missed_until; /* what was due by then nobody could run */
	TimestampTz ended_at;	  /* what was due by then overlapped */
} PastOccurrence;

typedef struct Successor
{
	bool exists;
	TimestampTz at;
	int64 nskipped; /* occurrences in between, that are not run */
} Successor;

extern bool cmdsched_succession_first(const SuccessionRules *rules,
									  TimestampTz after, TimestampTz *at);
extern bool cmdsched_succession_is_missed(TimestampTz due_at, TimestampTz now);
extern bool cmdsched_succession_supersedes(const SuccessionRules *rules,
										   TimestampTz missed, TimestampTz now,
										   Successor *successor);
extern void cmdsched_succession_next(const SuccessionRules *rules,
									 const PastOccurrence *past,
									 Successor *successor);

#endif
