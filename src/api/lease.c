/*-------------------------------------------------------------------------
 *
 * lease.c
 *	  The functions for applications that carry commands out themselves.
 *
 * IDENTIFICATION
 *	  src/api/lease.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/admission.h"
#include "api/arguments.h"
#include "command/change_log.h"
#include "command/clock.h"
#include "command/handler_store.h"
#include "command/history_store.h"
#include "command/lease_store.h"
#include "command/occurrence_id.h"
#include "worker/occurrence.h"
#include "worker/wakeup.h"

PG_FUNCTION_INFO_V1(cmdsched_claim_due_commands);
PG_FUNCTION_INFO_V1(cmdsched_complete);
PG_FUNCTION_INFO_V1(cmdsched_fail);
PG_FUNCTION_INFO_V1(cmdsched_extend_lease);

/* ------------------------------------------------------------------------
 * Claiming
 * ------------------------------------------------------------------------
 */

static TimestampTz
get_lease_end(FunctionCallInfo fcinfo, int n, TimestampTz now)
{
	Interval *lease = cmdsched_argument_get_span(fcinfo, n, "lease");
	TimestampTz ends_at = cmdsched_argument_add_span(now, lease);

	if (ends_at <= now)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("lease must be longer than nothing"),
				errhint("Choose one longer than an attempt takes. "
						"cmdsched.fail() gives a command back at once."));
	return ends_at;
}

static int
get_max_commands(FunctionCallInfo fcinfo, int n)
{
	int max_commands;

	cmdsched_argument_check_not_null(fcinfo, n, "max_commands");
	max_commands = PG_GETARG_INT32(n);
	if (max_commands < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("max_commands must not be negative"),
				errhint("Ask for as many as can be carried out within the "
						"lease."));
	return max_commands;
}

static void
put_claimed(Datum *values, bool *nulls, void *arg)
{
	ReturnSetInfo *rsinfo = arg;

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

Datum
cmdsched_claim_due_commands(PG_FUNCTION_ARGS)
{
	LeaseRequest request = {.caller = GetUserId(),
							.now = cmdsched_clock_now()};

	cmdsched_argument_prevent_on_standby("cmdsched.claim_due_commands()");
	request.max_commands = get_max_commands(fcinfo, 0);
	if (!PG_ARGISNULL(1))
		request.command_types = PG_GETARG_DATUM(1);
	request.ends_at = get_lease_end(fcinfo, 2, request.now);
	InitMaterializedSRF(fcinfo, 0);
	if (request.max_commands > 0 && cmdsched_admission_is_at_home())
	{
		cmdsched_lease_fail_used_up(request.now,
									cmdsched_occurrence_end_external);
		/* If this is rolled back, they are due as before. */
		cmdsched_wakeup_note_claimable(
			cmdsched_lease_claim(&request, put_claimed, fcinfo->resultinfo));
	}
	return (Datum) 0;
}

/* ------------------------------------------------------------------------
 * With the token
 * ------------------------------------------------------------------------
 */

/* The arguments that prove a claim are the first two of each function. */
static void
get_lease(FunctionCallInfo fcinfo, Lease *lease)
{
	lease->caller = GetUserId();
	lease->schedule_id =
		cmdsched_argument_get_name(fcinfo, 0, "schedule_id", false);
	cmdsched_argument_check_not_null(fcinfo, 1, "claim_token");
	lease->claim_token = PG_GETARG_DATUM(1);
	lease->now = cmdsched_clock_now();
}

Datum
cmdsched_complete(PG_FUNCTION_ARGS)
{
	HistoryEntry entry = {.outcome = HISTORY_SUCCEEDED};
	Occurrence occurrence;
	Command command;
	Lease lease;

	cmdsched_argument_prevent_on_standby("cmdsched.complete()");
	get_lease(fcinfo, &lease);
	if (!PG_ARGISNULL(2))
		cmdsched_argument_check_size(PG_GETARG_DATUM(2), "result");
	if (!cmdsched_lease_complete(&lease, &command))
		PG_RETURN_BOOL(false);
	entry.policy =
		cmdsched_handler_find(command.command_type, command.command_module)
			->history;
	entry.attempt = command.attempts;
	entry.finished_at = lease.now;
	entry.has_result = !PG_ARGISNULL(2);
	entry.result = entry.has_result ? PG_GETARG_DATUM(2) : (Datum) 0;
	cmdsched_history_record(&entry, &command);
	cmdsched_change_log(DEBUG1,
						command.schedule_id,
						text_to_cstring(command.command_type),
						"succeeded",
						command.attempts,
						NULL);
	if (cmdsched_occurrence_id_schedule(command.schedule_id) != NULL)
	{
		cmdsched_occurrence_identify(&occurrence, &command);
		(void) cmdsched_occurrence_end(&occurrence,
									   OCCURRENCE_SUCCEEDED,
									   lease.now);
	}
	/* If this is rolled back, it is due when the lease ends. */
	cmdsched_wakeup_note_claimable(command.execute_at);
	PG_RETURN_BOOL(true);
}

/* What becomes of a command whose attempt failed; returns its handler. */
static const Handler *
decide(FunctionCallInfo fcinfo, const Lease *lease,
	   const LeasedCommand *command, Settlement *settlement)
{
	const Handler *handler =
		cmdsched_handler_find(command->command_type, command->command_module);
	TimestampTz again_at = lease->now;

	settlement->status = "pending";
	if (handler->registered)
		again_at = cmdsched_retry_next(&handler->retry,
									   command->attempts,
									   lease->now,
									   pg_prng_double(&pg_global_prng_state));
	if (again_at == DUE_NEVER)
		settlement->status = "failed";
	else if (!PG_ARGISNULL(3))
		again_at =
			cmdsched_argument_add_span(lease->now,
									   cmdsched_argument_get_span(fcinfo,
																  3,
																  "retry_in"));
	settlement->execute_at =
		again_at == DUE_NEVER ? command->ends_at : again_at;
	/* Where the handler is gone, a worker holds the command. */
	settlement->due_at = handler->external ? DUE_NEVER : again_at;
	settlement->claimable_at = handler->external ? again_at : DUE_NEVER;
	return handler;
}

static void
record_failure(const Lease *lease, const LeasedCommand *command,
			   const Handler *handler, const Settlement *settlement)
{
	bool for_good = strcmp(settlement->status, "failed") == 0;
	HistoryEntry entry = {
		.policy = handler->history,
		.outcome = for_good ? HISTORY_FAILED : HISTORY_ATTEMPT_FAILED,
		.attempt = command->attempts,
		.finished_at = lease->now,
	};

	cmdsched_history_record_kept(&entry, &command->key);
	cmdsched_change_log(for_good ? LOG : DEBUG1,
						command->key.schedule_id,
						text_to_cstring(command->command_type),
						for_good ? "failed" : "attempt_failed",
						command->attempts,
						settlement->error);
}

Datum
cmdsched_fail(PG_FUNCTION_ARGS)
{
	CommandError error = {.sqlerrcode = ERRCODE_EXTERNAL_ROUTINE_EXCEPTION};
	Settlement settlement = {.error = &error};
	LeasedCommand command;
	const Handler *handler;
	DueTimes times;
	Lease lease;

	cmdsched_argument_prevent_on_standby("cmdsched.fail()");
	get_lease(fcinfo, &lease);
	cmdsched_argument_check_not_null(fcinfo, 2, "error");
	error.message = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(3))
		(void) cmdsched_argument_get_span(fcinfo, 3, "retry_in");
	if (!cmdsched_lease_find(&lease, &command))
		PG_RETURN_BOOL(false);
	handler = decide(fcinfo, &lease, &command, &settlement);
	cmdsched_lease_settle(&command, &settlement, lease.now);
	record_failure(&lease, &command, handler, &settlement);
	if (strcmp(settlement.status, "failed") == 0 &&
		cmdsched_occurrence_id_schedule(command.key.schedule_id) != NULL)
		cmdsched_occurrence_end_external(&command.key, lease.now);
	times.due_at = settlement.due_at;
	times.claimable_at = Min(settlement.claimable_at, command.ends_at);
	cmdsched_wakeup_note_change(command.key.scheduled_by, &times);
	PG_RETURN_BOOL(true);
}

Datum
cmdsched_extend_lease(PG_FUNCTION_ARGS)
{
	Lease lease;
	TimestampTz ends_at;

	cmdsched_argument_prevent_on_standby("cmdsched.extend_lease()");
	get_lease(fcinfo, &lease);
	ends_at = get_lease_end(fcinfo, 2, lease.now);
	if (!cmdsched_lease_extend(&lease, ends_at))
		PG_RETURN_BOOL(false);
	cmdsched_wakeup_note_claimable(ends_at);
	PG_RETURN_BOOL(true);
}
