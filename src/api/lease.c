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

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
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
#include "worker/claim.h"
#include "worker/lease_end.h"
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

/* A claimed command, until all are there. */
typedef struct ClaimedRow
{
	HeapTuple row;
	TimestampTz execute_at;
} ClaimedRow;

typedef struct ClaimedRows
{
	TupleDesc descriptor;
	MemoryContext context;
	ClaimedRow *rows;
	int nrows;
	int size;
} ClaimedRows;

static void
keep_claimed(Datum *values, bool *nulls, TimestampTz execute_at, void *arg)
{
	ClaimedRows *claimed = arg;
	MemoryContext caller_context = MemoryContextSwitchTo(claimed->context);

	if (claimed->nrows == claimed->size)
	{
		claimed->size *= 2;
		claimed->rows =
			repalloc_huge(claimed->rows, claimed->size * sizeof(ClaimedRow));
	}
	claimed->rows[claimed->nrows].row =
		heap_form_tuple(claimed->descriptor, values, nulls);
	claimed->rows[claimed->nrows].execute_at = execute_at;
	claimed->nrows++;
	MemoryContextSwitchTo(caller_context);
}

static int
compare_claimed(const void *a, const void *b)
{
	TimestampTz a_at = ((const ClaimedRow *) a)->execute_at;
	TimestampTz b_at = ((const ClaimedRow *) b)->execute_at;

	return (a_at > b_at) - (a_at < b_at);
}

/* In the order of execute_at, which may be before they became due. */
static void
return_claimed(ClaimedRows *claimed, ReturnSetInfo *result)
{
	qsort(claimed->rows, claimed->nrows, sizeof(ClaimedRow), compare_claimed);
	for (int i = 0; i < claimed->nrows; i++)
		tuplestore_puttuple(result->setResult, claimed->rows[i].row);
}

Datum
cmdsched_claim_due_commands(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ClaimRequest request = {.caller = GetUserId(),
							.now = cmdsched_clock_now()};
	ClaimedRows claimed = {.context = CurrentMemoryContext, .size = 128};

	cmdsched_argument_prevent_on_standby("cmdsched.claim_due_commands()");
	request.max_commands = get_max_commands(fcinfo, 0);
	if (!PG_ARGISNULL(1))
		request.command_types = PG_GETARG_DATUM(1);
	request.ends_at = get_lease_end(fcinfo, 2, request.now);
	InitMaterializedSRF(fcinfo, 0);
	claimed.descriptor = result->setDesc;
	claimed.rows = palloc(claimed.size * sizeof(ClaimedRow));
	if (request.max_commands > 0 && cmdsched_admission_is_at_home())
		cmdsched_claim(&request, keep_claimed, &claimed);
	return_claimed(&claimed, result);
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

static void
note_end(Oid role, TimestampTz ends_at)
{
	cmdsched_wakeup_note_claim(role, ends_at, ends_at, DUE_NEVER);
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
	note_end(command.scheduled_by, command.execute_at);
	PG_RETURN_BOOL(true);
}

Datum
cmdsched_fail(PG_FUNCTION_ARGS)
{
	CommandError error = {.sqlerrcode = ERRCODE_EXTERNAL_ROUTINE_EXCEPTION};
	LeasedCommand command;
	TimestampTz again_at;
	Lease lease;

	cmdsched_argument_prevent_on_standby("cmdsched.fail()");
	get_lease(fcinfo, &lease);
	cmdsched_argument_check_not_null(fcinfo, 2, "error");
	error.message = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(3))
		again_at =
			cmdsched_argument_add_span(lease.now,
									   cmdsched_argument_get_span(fcinfo,
																  3,
																  "retry_in"));
	if (!cmdsched_lease_find(&lease, &command))
		PG_RETURN_BOOL(false);
	if (!cmdsched_lease_end_fail(&command,
								 &error,
								 PG_ARGISNULL(3) ? NULL : &again_at,
								 lease.now))
		PG_RETURN_BOOL(false);
	/* If this is rolled back, it is due when the lease ends. */
	note_end(command.key.scheduled_by, command.ends_at);
	PG_RETURN_BOOL(true);
}

Datum
cmdsched_extend_lease(PG_FUNCTION_ARGS)
{
	Lease lease;
	TimestampTz ends_at;
	Oid role;

	cmdsched_argument_prevent_on_standby("cmdsched.extend_lease()");
	get_lease(fcinfo, &lease);
	ends_at = get_lease_end(fcinfo, 2, lease.now);
	role = cmdsched_lease_extend(&lease, ends_at);
	if (!OidIsValid(role))
		PG_RETURN_BOOL(false);
	cmdsched_wakeup_note_claimable(role, ends_at);
	PG_RETURN_BOOL(true);
}
