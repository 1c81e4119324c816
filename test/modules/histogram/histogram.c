/*
 * histogram.c
 *	  Asks src/worker/histogram.c: what it says of some times.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"

#include "worker/histogram.c"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(histogram_bucket);
PG_FUNCTION_INFO_V1(histogram_mean);
PG_FUNCTION_INFO_V1(histogram_percentile);

/* Half of them are counted in another histogram, which is then added. */
static void
count_times(Histogram *histogram, ArrayType *array)
{
	Histogram more = {0};
	Datum *times;
	int ntimes;

	memset(histogram, 0, sizeof(*histogram));
	deconstruct_array(array, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &times, NULL, &ntimes);
	for (int i = 0; i < ntimes; i++)
		cmdsched_histogram_count(i % 2 == 0 ? histogram : &more, DatumGetInt64(times[i]));
	cmdsched_histogram_add(histogram, &more);
}

Datum
histogram_bucket(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(cmdsched_histogram_bucket((uint64) PG_GETARG_INT64(0)));
}

Datum
histogram_mean(PG_FUNCTION_ARGS)
{
	Histogram histogram;

	count_times(&histogram, PG_GETARG_ARRAYTYPE_P(0));
	PG_RETURN_FLOAT8(cmdsched_histogram_mean_us(&histogram));
}

Datum
histogram_percentile(PG_FUNCTION_ARGS)
{
	Histogram histogram;

	count_times(&histogram, PG_GETARG_ARRAYTYPE_P(0));
	PG_RETURN_FLOAT8(cmdsched_histogram_percentile_us(&histogram, PG_GETARG_FLOAT8(1)));
}
