/*-------------------------------------------------------------------------
 *
 * timing.c
 *	  What policy and calendar make of the time that schedule() is given.
 *
 * The policy comes first, so that nothing it says falls into closed hours.
 *
 * IDENTIFICATION
 *	  src/api/timing.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "api/timing.h"
#include "command/calendar_store.h"
#include "command/clock.h"
#include "command/invoke.h"
#include "command/policy_store.h"

/* As in 'moves it by 2 days 15:00:00'. */
static const char *
describe_move(TimestampTz from, TimestampTz to)
{
	Datum moved;

	if (from == to)
		return "leaves it";
	moved = DirectFunctionCall2(timestamp_mi,
								TimestampGetDatum(to),
								TimestampGetDatum(from));
	return psprintf("moves it by %s",
					DatumGetCString(DirectFunctionCall1(interval_out, moved)));
}

static void
add_step(List **steps, const char *rule, TimestampTz execute_at,
		 const char *detail)
{
	TimingStep *step = palloc(sizeof(TimingStep));

	step->rule = rule;
	step->execute_at = execute_at;
	step->detail = detail;
	*steps = lappend(*steps, step);
}

/* ------------------------------------------------------------------------
 * The policy
 * ------------------------------------------------------------------------
 */

static void
add_policy_context(void *arg)
{
	const Policy *policy = arg;

	errcontext("scheduling policy \"%s\"", policy->name);
}

static TimestampTz
call_policy(Policy *policy, TimestampTz execute_at, Datum options)
{
	ErrorContextCallback context = {.previous = error_context_stack,
									.callback = add_policy_context,
									.arg = policy};
	NullableDatum result;
	TimestampTz moved_to;

	error_context_stack = &context;
	result = cmdsched_invoke_policy(policy->function, execute_at, options);
	error_context_stack = context.previous;
	if (result.isnull)
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("policy \"%s\" returned null", policy->name),
				errhint("A policy that has no time for a command raises an "
						"error that says why."));
	moved_to = DatumGetTimestampTz(result.value);
	if (TIMESTAMP_NOT_FINITE(moved_to))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("policy \"%s\" returned an infinite time",
					   policy->name),
				errhint("A policy that has no time for a command raises an "
						"error that says why."));
	return moved_to;
}

static TimestampTz
apply_policy(FunctionCallInfo fcinfo, TimestampTz execute_at, List **steps)
{
	Policy *policy = cmdsched_policy_find(
		cmdsched_argument_get_name(fcinfo, TIMING_POLICY_ARG, "policy", false));
	Datum options;
	TimestampTz moved_to;

	if (PG_ARGISNULL(TIMING_OPTIONS_ARG))
		options = DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
	else
		options = PG_GETARG_DATUM(TIMING_OPTIONS_ARG);
	moved_to = call_policy(policy, execute_at, options);
	if (steps != NULL)
		add_step(steps,
				 psprintf("policy %s", policy->name),
				 moved_to,
				 psprintf("%s %s",
						  policy->signature,
						  describe_move(execute_at, moved_to)));
	return moved_to;
}

/* ------------------------------------------------------------------------
 * The calendar
 * ------------------------------------------------------------------------
 */

/*
 * What is past is due now, so now is what has to be within the hours.  Where
 * it is, the time stays as it was given.
 */
static TimestampTz
apply_calendar(FunctionCallInfo fcinfo, TimestampTz execute_at, List **steps)
{
	text *name = cmdsched_argument_get_name(fcinfo,
											TIMING_CALENDAR_ARG,
											"calendar",
											false);
	TimestampTz runs_at = Max(execute_at, cmdsched_clock_now());
	TimestampTz open_at = cmdsched_calendar_find_open(name, runs_at);
	TimestampTz moved_to = open_at == runs_at ? execute_at : open_at;

	if (steps != NULL)
		add_step(steps,
				 psprintf("calendar %s", text_to_cstring(name)),
				 moved_to,
				 open_at == runs_at
					 ? "it is open"
					 : psprintf("it is closed, and %s",
								describe_move(execute_at, moved_to)));
	return moved_to;
}

/*
 * The time at which a command is to be executed.  Where steps is not NULL,
 * they are added to it, in the current memory context.
 */
TimestampTz
cmdsched_timing_apply(FunctionCallInfo fcinfo, TimestampTz execute_at,
					  List **steps)
{
	if (!PG_ARGISNULL(TIMING_POLICY_ARG))
		execute_at = apply_policy(fcinfo, execute_at, steps);
	else if (!PG_ARGISNULL(TIMING_OPTIONS_ARG))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("policy_options without a policy"),
				errhint("Name the policy that they are for, or leave them "
						"out."));
	if (!PG_ARGISNULL(TIMING_CALENDAR_ARG))
		execute_at = apply_calendar(fcinfo, execute_at, steps);
	return execute_at;
}
