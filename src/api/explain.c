/*-------------------------------------------------------------------------
 *
 * explain.c
 *	  explain_schedule(): how the time of a command comes about.
 *
 * IDENTIFICATION
 *	  src/api/explain.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "api/admission.h"
#include "api/arguments.h"
#include "api/schedule_arguments.h"
#include "api/timing.h"
#include "command/clock.h"
#include "command/command_store.h"

PG_FUNCTION_INFO_V1(cmdsched_explain_schedule);

#define EXPLAIN_COLUMNS 4

static void
put_step(ReturnSetInfo *result, const char *rule, TimestampTz execute_at,
		 const char *detail)
{
	Datum values[EXPLAIN_COLUMNS];
	bool nulls[EXPLAIN_COLUMNS] = {false};

	values[0] =
		Int32GetDatum((int32) tuplestore_tuple_count(result->setResult) + 1);
	values[1] = CStringGetTextDatum(rule);
	values[2] = TimestampTzGetDatum(execute_at);
	values[3] = CStringGetTextDatum(detail);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

typedef struct Trial
{
	TimestampTz execute_at;
	List *steps;
} Trial;

/* As schedule() would, but what a policy writes is rolled back. */
static void
try_timing(FunctionCallInfo fcinfo, Trial *trial)
{
	MemoryContext caller_context = CurrentMemoryContext;
	ResourceOwner caller_owner = CurrentResourceOwner;
	ErrorData *volatile raised = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller_context);
	PG_TRY();
	{
		trial->execute_at =
			cmdsched_timing_apply(fcinfo, trial->execute_at, &trial->steps);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller_context);
		raised = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller_context);
	CurrentResourceOwner = caller_owner;
	if (raised != NULL)
		ReThrowError(raised);
}

/* What becomes of it where such a command waits already. */
static void
put_conflict(ReturnSetInfo *result, const Command *command,
			 OnConflict on_conflict)
{
	CommandKey key = {.schedule_id = command->schedule_id,
					  .scheduled_by = GetUserId()};
	TimestampTz waits_for;

	if (command->schedule_id == NULL ||
		!cmdsched_command_find_time(&key, &waits_for))
		return;
	switch (on_conflict)
	{
		case ON_CONFLICT_KEEP:
			put_step(result,
					 "on_conflict keep",
					 waits_for,
					 "a command with this schedule_id waits already, and "
					 "stays as it is");
			break;
		case ON_CONFLICT_REPLACE:
			put_step(result,
					 "on_conflict replace",
					 command->execute_at,
					 "a command with this schedule_id waits already, and is "
					 "replaced");
			break;
		case ON_CONFLICT_ERROR:
			put_step(result,
					 "on_conflict error",
					 waits_for,
					 "a command with this schedule_id waits already: "
					 "schedule() would raise an error");
			break;
	}
}

Datum
cmdsched_explain_schedule(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Command command = {0};
	OnConflict on_conflict =
		cmdsched_schedule_arguments_take(fcinfo, &command);
	TimestampTz given = cmdsched_argument_get_moment(fcinfo, 2, "execute_at");
	Trial trial = {.execute_at = given};
	ListCell *cell;

	cmdsched_admission_check_handler(&command);
	if (cmdsched_timing_is_given(fcinfo))
		try_timing(fcinfo, &trial);
	command.execute_at = trial.execute_at;

	InitMaterializedSRF(fcinfo, 0);
	put_step(result, "execute_at", given, "as it is given");
	foreach(cell, trial.steps)
	{
		const TimingStep *step = lfirst(cell);

		put_step(result, step->rule, step->execute_at, step->detail);
	}
	if (command.execute_at <= cmdsched_clock_now())
		put_step(result,
				 "past",
				 command.execute_at,
				 "it is not in the future, so the command is due at once");
	put_conflict(result, &command, on_conflict);
	PG_RETURN_NULL();
}
