/*-------------------------------------------------------------------------
 *
 * retry.h
 *	  When, if ever, a failed attempt is made again.
 *
 * IDENTIFICATION
 *	  src/schedule/retry.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_RETRY_H
#define CMDSCHED_RETRY_H

#include "datatype/timestamp.h"

typedef struct RetryPolicy
{
	int32 max_attempts;
	int64 backoff_us;
	int64 max_backoff_us;
} RetryPolicy;

extern TimestampTz cmdsched_retry_next(const RetryPolicy *policy,
									   int failed_attempts, TimestampTz now,
									   double jitter);
extern int cmdsched_retry_pause_ms(int transient_failures, double jitter);

#endif
