/*-------------------------------------------------------------------------
 *
 * retry.c
 *	  When, if ever, a failed attempt is made again.
 *
 * Everything here is arithmetic: the caller brings the time and the jitter,
 * so that a test can ask about any moment.
 *
 * IDENTIFICATION
 *	  src/schedule/retry.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "schedule/retry.h"

/* The wait varies by up to this share in both directions. */
#define JITTER_SHARE 0.1

/*
 * When to try again after the failed_attempts-th failure: backoff, doubled
 * with each failure up to max_backoff, give or take 10 % (jitter is from 0
 * to 1).  DT_NOEND once max_attempts are used up.
 */
TimestampTz
cmdsched_retry_next(const RetryPolicy *policy, int failed_attempts,
					TimestampTz now, double jitter)
{
	double wait_us = (double) policy->backoff_us;
	TimestampTz at;

	if (failed_attempts >= policy->max_attempts)
		return DT_NOEND;

	/* Doubling stops at the limit, so it cannot overflow. */
	for (int i = 1; i < failed_attempts && wait_us > 0; i++)
	{
		wait_us *= 2;
		if (wait_us >= (double) policy->max_backoff_us)
			break;
	}
	wait_us = Min(wait_us, (double) policy->max_backoff_us);
	wait_us *= 1 + JITTER_SHARE * (2 * jitter - 1);

	if (wait_us >= (double) (END_TIMESTAMP - 1 - now))
		return END_TIMESTAMP - 1;
	at = now + (int64) wait_us;
	return at;
}

/*
 * How long to wait before a command that met a deadlock or serialization
 * failure is tried again: short, growing, and not the same for those that
 * met one another.
 */
int
cmdsched_retry_pause_ms(int transient_failures, double jitter)
{
	return (int) (jitter * 10 * (1 << Min(transient_failures, 6)));
}
