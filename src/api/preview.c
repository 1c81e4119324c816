/*-------------------------------------------------------------------------
 *
 * preview.c
 *	  When a recurring schedule would run, without making one.
 *
 * IDENTIFICATION
 *	  src/api/preview.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "schedule/recurrence.h"

PG_FUNCTION_INFO_V1(cmdsched_next_runs);

#define MAX_COUNT 100000

static int
get_count(FunctionCallInfo fcinfo, int n)
{
	int count;

	cmdsched_argument_check_not_null(fcinfo, n, "count");
	count = PG_GETARG_INT32(n);
	if (count < 0 || count > MAX_COUNT)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("count must be between 0 and %d", MAX_COUNT),
				errhint("For more, go on after the last of them."));
	return count;
}

static void
get_recurrence(FunctionCallInfo fcinfo, Recurrence *recurrence)
{
	text *expression =
		cmdsched_argument_get_name(fcinfo, 0, "cron_or_interval", false);
	const char *zone = pg_get_timezone_name(session_timezone);

	if (!PG_ARGISNULL(1))
		zone = text_to_cstring(PG_GETARG_TEXT_PP(1));
	cmdsched_argument_check_not_null(fcinfo, 4, "dst_gap");
	cmdsched_argument_check_not_null(fcinfo, 5, "dst_overlap");
	cmdsched_recurrence_parse(recurrence, text_to_cstring(expression), zone);
	cmdsched_recurrence_set_rules(recurrence,
								  text_to_cstring(PG_GETARG_TEXT_PP(4)),
								  text_to_cstring(PG_GETARG_TEXT_PP(5)));
}

Datum
cmdsched_next_runs(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Recurrence recurrence;
	TimestampTz at;
	int count = get_count(fcinfo, 3);

	get_recurrence(fcinfo, &recurrence);
	cmdsched_argument_check_not_null(fcinfo, 2, "after");
	recurrence.anchor = at = PG_GETARG_TIMESTAMPTZ(2);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	for (int i = 0; i < count; i++)
	{
		bool isnull = false;
		Datum value;

		CHECK_FOR_INTERRUPTS();
		if (!cmdsched_recurrence_next(&recurrence, at, &at))
			break;
		value = TimestampTzGetDatum(at);
		tuplestore_putvalues(rsinfo->setResult,
							 rsinfo->setDesc,
							 &value,
							 &isnull);
	}
	return (Datum) 0;
}
