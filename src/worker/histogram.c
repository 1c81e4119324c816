/*-------------------------------------------------------------------------
 *
 * histogram.c
 *	  What can be said of times that were only counted.
 *
 * Everything here is arithmetic.  A percentile is as if the times in a
 * bucket were spread evenly over it: it is wrong by less than the width of
 * the bucket, a quarter of the value.
 *
 * IDENTIFICATION
 *	  src/worker/histogram.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/histogram.h"

void
cmdsched_histogram_add(Histogram *histogram, const Histogram *more)
{
	histogram->sum_us += more->sum_us;
	histogram->max_us = Max(histogram->max_us, more->max_us);
	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram->counts[i] += more->counts[i];
}

uint64
cmdsched_histogram_total(const Histogram *histogram)
{
	uint64 total = 0;

	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
		total += histogram->counts[i];
	return total;
}

/* Exact.  Nothing was counted: 0. */
double
cmdsched_histogram_mean_us(const Histogram *histogram)
{
	uint64 total = cmdsched_histogram_total(histogram);

	return total == 0 ? 0 : (double) histogram->sum_us / (double) total;
}

/* The least value in a bucket; of the one after the last, where that ends. */
static double
lower_limit(int bucket)
{
	if (bucket < 4)
		return bucket;
	return (double) ((UINT64CONST(4) + bucket % 4) << (bucket / 4 - 1));
}

/* So many percent of the times are not longer.  Nothing was counted: 0. */
double
cmdsched_histogram_percentile_us(const Histogram *histogram, double percent)
{
	double wanted =
		(double) cmdsched_histogram_total(histogram) * percent / 100;
	double below = 0;

	for (int i = 0; i < HISTOGRAM_BUCKETS; i++)
	{
		double count = (double) histogram->counts[i];
		double lower = lower_limit(i);
		double upper = lower_limit(i + 1);

		if (count == 0)
			continue;
		if (i == HISTOGRAM_BUCKETS - 1)
			upper = Max(upper, (double) histogram->max_us);
		if (below + count >= wanted)
			return Min(lower + (upper - lower) * (wanted - below) / count,
					   (double) histogram->max_us);
		below += count;
	}
	return (double) histogram->max_us;
}
