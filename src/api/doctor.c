/*-------------------------------------------------------------------------
 *
 * doctor.c
 *	  What doctor() asks that no table knows.
 *
 * IDENTIFICATION
 *	  src/api/doctor.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "settings.h"
#include "worker/shared_state.h"

PG_FUNCTION_INFO_V1(cmdsched_worker_health);

/* The result of worker_health(), column by column. */
typedef enum HealthColumn
{
	HEALTH_ENABLED,
	HEALTH_SERVES_DATABASE,
	HEALTH_MAX_EXECUTORS,
	HEALTH_FREE_WORKER_SLOTS,
	HEALTH_PRELOADED,
	HEALTH_LAUNCHER_IS_RUNNING,
	HEALTH_SCHEDULERS,
	HEALTH_SCHEDULER_STATE,
	HEALTH_EXECUTORS,
	HEALTH_CLOCK_STEPS,
	HEALTH_CLOCK_STEP_MS,
	HEALTH_CLOCK_STEP_AT,
	HEALTH_COLUMNS,
} HealthColumn;

/* Workers of all kinds, parallel ones too, share these slots. */
static int
count_free_worker_slots(void)
{
	int nbackends = pgstat_fetch_stat_numbackends();
	int nworkers = 0;

	for (int i = 1; i <= nbackends; i++)
	{
		LocalPgBackendStatus *backend = pgstat_get_local_beentry_by_index(i);

		nworkers += backend != NULL &&
					backend->backendStatus.st_backendType == B_BG_WORKER;
	}
	return Max(max_worker_processes - nworkers, 0);
}

static int
count_schedulers(void)
{
	int slot = NO_SLOT;
	int count = 0;

	while ((slot = cmdsched_database_next(slot)) != NO_SLOT)
		count += cmdsched_scheduler_pid(slot, NULL) != 0;
	return count;
}

static int
count_executors(void)
{
	int slot = NO_SLOT;
	int count = 0;

	while ((slot = cmdsched_executor_next(MyDatabaseId, slot)) != NO_SLOT)
		count++;
	return count;
}

static const char *
describe_scheduler(int database_slot)
{
	if (cmdsched_scheduler_pid(database_slot, NULL) != 0)
		return "running";
	switch (cmdsched_database_state(database_slot))
	{
		case SCHEDULER_STOPPED:
			return "stopped";
		case SCHEDULER_STARTING:
			return "starting";
		default:
			return "missing";
	}
}

static void
describe_database(int slot, Datum *values, bool *nulls)
{
	int64 last_us;
	TimestampTz last_at;
	int steps = cmdsched_database_clock_steps(slot, &last_us, &last_at);

	values[HEALTH_SCHEDULER_STATE] =
		CStringGetTextDatum(describe_scheduler(slot));
	values[HEALTH_CLOCK_STEPS] = Int32GetDatum(steps);
	values[HEALTH_CLOCK_STEP_MS] = Float8GetDatum((double) last_us / 1000);
	values[HEALTH_CLOCK_STEP_AT] = TimestampTzGetDatum(last_at);
	nulls[HEALTH_CLOCK_STEP_MS] = nulls[HEALTH_CLOCK_STEP_AT] = steps == 0;
}

static void
describe_workers(Datum *values, bool *nulls)
{
	int slot = cmdsched_database_find(MyDatabaseId);

	values[HEALTH_PRELOADED] =
		BoolGetDatum(cmdsched_shared_state_is_preloaded());
	values[HEALTH_LAUNCHER_IS_RUNNING] =
		BoolGetDatum(cmdsched_launcher_pid(NULL) != 0);
	values[HEALTH_SCHEDULERS] = Int32GetDatum(count_schedulers());
	values[HEALTH_EXECUTORS] = Int32GetDatum(count_executors());
	if (slot != NO_SLOT)
		describe_database(slot, values, nulls);
}

Datum
cmdsched_worker_health(PG_FUNCTION_ARGS)
{
	Datum values[HEALTH_COLUMNS] = {0};
	bool nulls[HEALTH_COLUMNS] = {
		[HEALTH_CLOCK_STEP_MS] = true,
		[HEALTH_CLOCK_STEP_AT] = true,
	};
	TupleDesc row_type;

	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[HEALTH_ENABLED] = BoolGetDatum(cmdsched_enabled);
	values[HEALTH_SERVES_DATABASE] = BoolGetDatum(
		cmdsched_setting_names_database(get_database_name(MyDatabaseId)));
	values[HEALTH_MAX_EXECUTORS] = Int32GetDatum(cmdsched_max_executors);
	values[HEALTH_FREE_WORKER_SLOTS] =
		Int32GetDatum(count_free_worker_slots());
	values[HEALTH_SCHEDULER_STATE] = CStringGetTextDatum("missing");
	if (cmdsched_shared_state_attach())
		describe_workers(values, nulls);
	PG_RETURN_DATUM(
		HeapTupleGetDatum(heap_form_tuple(row_type, values, nulls)));
}
