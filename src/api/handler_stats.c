/*-------------------------------------------------------------------------
 *
 * handler_stats.c
 *	  What shared memory knows of the handlers of this database.
 *
 * Names, numbers and times only: all may see them.
 *
 * IDENTIFICATION
 *	  src/api/handler_stats.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "worker/shared_state.h"

PG_FUNCTION_INFO_V1(cmdsched_list_handler_statistics);
PG_FUNCTION_INFO_V1(cmdsched_reset_statistics);

#define COLUMNS 27

/* A row, filled from left to right. */
typedef struct Row
{
	int length;
	Datum values[COLUMNS];
	bool nulls[COLUMNS];
} Row;

static void
put(Row *row, Datum value)
{
	Assert(row->length < COLUMNS);
	row->values[row->length++] = value;
}

static void
put_name(Row *row, const char *name, bool isnull)
{
	row->nulls[row->length] = isnull;
	put(row, CStringGetTextDatum(name));
}

static void
put_count(Row *row, uint64 count)
{
	put(row, Int64GetDatum((int64) count));
}

static void
put_ms(Row *row, double us)
{
	row->nulls[row->length] = us < 0;
	put(row, Float8GetDatum(us / 1000));
}

static const char *
class_name(int category)
{
	static char name[3];

	name[0] = PGUNSIXBIT(category);
	name[1] = PGUNSIXBIT(category >> 6);
	return name;
}

/* {"22": 5, "P0": 1}; "other" is what of the rest could not be told apart. */
static Datum
make_classes(const HandlerCounters *counters)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < FAILURE_CLASSES; i++)
	{
		const FailureClass *class = &counters->classes[i];
		bool is_last = i == FAILURE_CLASSES - 1;
		const char *name = is_last ? "other" : class_name(class->category);
		JsonbValue key = {.type = jbvString};
		JsonbValue value = {.type = jbvNumeric};

		if (class->failures == 0)
			continue;
		key.val.string.val = pstrdup(name);
		key.val.string.len = strlen(name);
		value.val.numeric = int64_to_numeric((int64) class->failures);
		pushJsonbValue(&state, WJB_KEY, &key);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	return JsonbPGetDatum(
		JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/* Mean, percentiles and maximum, NULL where there was nothing; the sum. */
static void
put_times(Row *row, const Histogram *times)
{
	static const double percents[] = {50, 95, 99};
	bool none = cmdsched_histogram_total(times) == 0;

	put_ms(row, none ? -1 : cmdsched_histogram_mean_us(times));
	for (int i = 0; i < (int) lengthof(percents); i++)
		put_ms(row,
			   none ? -1
					: cmdsched_histogram_percentile_us(times, percents[i]));
	put_ms(row, none ? -1 : (double) times->max_us);
	put_ms(row, (double) times->sum_us);
}

static void
put_handler(ReturnSetInfo *rsinfo, const HandlerInfo *info)
{
	const HandlerCounters *counters = &info->counters;
	Row row = {0};

	put_name(&row, info->name.command_type, info->is_overflow);
	put_name(&row, info->name.command_module, info->is_overflow);
	put_count(&row, cmdsched_histogram_total(&counters->run_time));
	put_count(&row, counters->succeeded);
	put_count(&row, counters->failures);
	put(&row, make_classes(counters));
	put_count(&row, counters->failed_for_good);
	put_count(&row, counters->retries);
	put_count(&row, counters->conflicts);
	put_count(&row, counters->snoozed);
	put_count(&row, counters->held);
	put_times(&row, &counters->lateness);
	put_times(&row, &counters->run_time);
	put_count(&row, counters->blocks_hit);
	put_count(&row, counters->blocks_read);
	put_count(&row, counters->wal_bytes);
	put(&row, TimestampTzGetDatum(info->since));
	Assert(row.length == COLUMNS);
	tuplestore_putvalues(rsinfo->setResult,
						 rsinfo->setDesc,
						 row.values,
						 row.nulls);
}

Datum
cmdsched_list_handler_statistics(PG_FUNCTION_ARGS)
{
	int slot = NO_SLOT;
	HandlerInfo info;

	InitMaterializedSRF(fcinfo, 0);
	if (!cmdsched_shared_state_attach() || !cmdsched_handler_slots_exist())
		return (Datum) 0;
	while ((slot = cmdsched_handler_slot_next(MyDatabaseId, slot, &info)) !=
		   NO_SLOT)
		put_handler((ReturnSetInfo *) fcinfo->resultinfo, &info);
	return (Datum) 0;
}

Datum
cmdsched_reset_statistics(PG_FUNCTION_ARGS)
{
	int slot;

	if (!cmdsched_shared_state_attach())
		PG_RETURN_VOID();
	cmdsched_handler_slots_reset(MyDatabaseId);
	slot = cmdsched_database_find(MyDatabaseId);
	if (slot != NO_SLOT)
		cmdsched_database_forget_clock_steps(slot);
	PG_RETURN_VOID();
}
