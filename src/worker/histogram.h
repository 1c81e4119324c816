/*-------------------------------------------------------------------------
 *
 * histogram.h
 *	  How long things took, in buckets whose limits are fixed.
 *
 * IDENTIFICATION
 *	  src/worker/histogram.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_HISTOGRAM_H
#define CMDSCHED_HISTOGRAM_H

#include "port/pg_bitutils.h"

/*
 * Each power of two has four buckets, so none is wider than a quarter of
 * what is in it; below four microseconds each value has its own.  The last
 * bucket begins at 33 hours and has no end.
 */
#define HISTOGRAM_LAST_POWER 36
#define HISTOGRAM_BUCKETS (4 * HISTOGRAM_LAST_POWER)

typedef struct Histogram
{
	uint64 sum_us;
	uint64 max_us;
	uint64 counts[HISTOGRAM_BUCKETS];
} Histogram;

static inline int
cmdsched_histogram_bucket(uint64 us)
{
	int power;

	if (us < 4)
		return (int) us;
	power = pg_leftmost_one_pos64(us);
	if (power > HISTOGRAM_LAST_POWER)
		return HISTOGRAM_BUCKETS - 1;
	return 4 * (power - 1) + (int) ((us >> (power - 2)) & 3);
}

/* A clock that was set back makes no negative times. */
static inline void
cmdsched_histogram_count(Histogram *histogram, int64 us)
{
	uint64 value = us > 0 ? (uint64) us : 0;

	histogram->sum_us += value;
	histogram->max_us = Max(histogram->max_us, value);
	histogram->counts[cmdsched_histogram_bucket(value)]++;
}

extern void cmdsched_histogram_add(Histogram *histogram,
								   const Histogram *more);
extern uint64 cmdsched_histogram_total(const Histogram *histogram);
extern double cmdsched_histogram_mean_us(const Histogram *histogram);
extern double cmdsched_histogram_percentile_us(const Histogram *histogram,
											   double percent);

#endif
