/*-------------------------------------------------------------------------
 *
 * operation.c
 *	  Tells hooks when an operation begins and how it ends, and sees to it
 *	  that a hook that fails harms only itself.
 *
 * A hook is called in a subtransaction of the transaction that the operation
 * is a part of.  What it does at the start of an attempt is rolled back with
 * the attempt, what it does at the end is committed with the outcome.
 *
 * IDENTIFICATION
 *	  src/worker/operation.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "command/hook_store.h"
#include "settings.h"
#include "worker/operation.h"

#define CYCLE "scheduler.worker.process"
#define BATCH "scheduler.dispatch.batch"
#define DISPATCH "scheduler.dispatch."

/* The log hears of failing hooks that often, at most. */
#define LOG_INTERVAL_US (1 * USECS_PER_SEC)

static bool muted = false;
static Hook *running_hook = NULL;
static int c_hook_failures = 0;

/* Copies of those that were called since the batch began. */
static MemoryContext called_context = NULL;
static List *called = NIL;

static CmdschedOperationHook
c_hook(void)
{
	static CmdschedOperationHook *variable = NULL;

	if (variable == NULL)
		variable = &cmdsched_operation_hook;
	return c_hook_failures < CMDSCHED_MAX_HOOK_FAILURES ? *variable : NULL;
}

/* Costs next to nothing where the answer is no. */
bool
cmdsched_operation_is_watched(void)
{
	return !muted && (cmdsched_hook_any() || c_hook() != NULL);
}

/* ------------------------------------------------------------------------
 * What hooks are told
 * ------------------------------------------------------------------------
 */

static void
push_key(JsonbParseState **state, const char *key)
{
	JsonbValue k = {.type = jbvString};

	k.val.string.val = unconstify(char *, key);
	k.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &k);
}

static void
push_text(JsonbParseState **state, const char *key, const char *value)
{
	JsonbValue v = {.type = jbvString};

	if (value == NULL)
		return;
	v.val.string.val = unconstify(char *, value);
	v.val.string.len = strlen(value);
	push_key(state, key);
	pushJsonbValue(state, WJB_VALUE, &v);
}

static void
push_number(JsonbParseState **state, const char *key, Numeric value)
{
	JsonbValue v = {.type = jbvNumeric};

	v.val.numeric = value;
	push_key(state, key);
	pushJsonbValue(state, WJB_VALUE, &v);
}

static Datum
make_attributes(const CmdschedOperation *operation)
{
	JsonbParseState *state = NULL;
	bool at_end = operation->phase == CMDSCHED_END;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_text(&state, "phase", at_end ? "end" : "start");
	push_text(&state, "correlation_id", operation->correlation_id);
	push_text(&state, "command.type", operation->command_type);
	push_text(&state, "schedule.id", operation->schedule_id);
	if (operation->command_type != NULL)
		push_number(&state, "attempt", int64_to_numeric(operation->attempt));
	push_text(&state, "outcome", operation->outcome);
	if (at_end)
		push_number(&state,
					"duration_ms",
					int64_div_fast_to_numeric(operation->duration_us, 3));
	return JsonbPGetDatum(
		JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/* ------------------------------------------------------------------------
 * Calling them
 * ------------------------------------------------------------------------
 */

/* No payload, and the message only where the log is to have messages. */
static void
log_failure(const char *hook, const char *operation, const CommandError *error)
{
	static TimestampTz last_logged = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (now >= last_logged && now - last_logged < LOG_INTERVAL_US)
		return;
	last_logged = now;
	ereport(LOG,
			errmsg("hook %s failed in operation \"%s\", SQLSTATE %s",
				   hook,
				   operation,
				   unpack_sql_state(error->sqlerrcode)),
			cmdsched_log_error_messages
				? errdetail_internal("%s", error->message)
				: 0,
			errhint("After %d failures in a row it is disabled.",
					CMDSCHED_MAX_HOOK_FAILURES));
}

static void
call_c_hook(HookCall *call)
{
	CommandError error;

	call->function = NULL;
	call->c_function = c_hook();
	if (cmdsched_invoke_hook(call, &error))
		c_hook_failures = 0;
	else
	{
		c_hook_failures++;
		log_failure("in C", call->operation->name, &error);
	}
}

static void
remember_called(const Hook *hook)
{
	MemoryContext caller;
	ListCell *cell;
	Hook *copy;

	foreach(cell, called)
	{
		const Hook *other = lfirst(cell);

		if (strcmp(other->signature, hook->signature) == 0 &&
			strcmp(other->pattern, hook->pattern) == 0)
			return;
	}
	if (called_context == NULL)
		called_context = AllocSetContextCreate(TopMemoryContext,
											   "cmdsched hooks called",
											   ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(called_context);
	copy = palloc0(sizeof(Hook));
	copy->pattern = pstrdup(hook->pattern);
	copy->signature = pstrdup(hook->signature);
	called = lappend(called, copy);
	MemoryContextSwitchTo(caller);
}

static void
forget_called(void)
{
	if (called == NIL)
		return;
	called = NIL;
	MemoryContextReset(called_context);
}

static void
call_function(HookCall *call, Hook *hook)
{
	CommandError error;

	call->function = cmdsched_hook_call(hook);
	running_hook = hook;
	if (cmdsched_invoke_hook(call, &error))
	{
		remember_called(hook);
		cmdsched_hook_count(hook, 1, NULL);
	}
	else
	{
		cmdsched_hook_count(hook, 1, &error);
		log_failure(hook->signature, call->operation->name, &error);
	}
	running_hook = NULL;
}

static bool
is_to_be_called(const Hook *hook, const char *operation)
{
	return hook->problem == NULL &&
		   hook->failures < CMDSCHED_MAX_HOOK_FAILURES &&
		   cmdsched_hook_matches(hook->pattern, operation);
}

static void
call_functions(HookCall *call, Command *cause)
{
	const CmdschedOperation *operation = call->operation;
	ListCell *cell;

	foreach(cell, cmdsched_hook_list())
	{
		Hook *hook = lfirst(cell);

		if (!is_to_be_called(hook, operation->name))
			continue;
		if (call->attributes == (Datum) 0)
		{
			call->name = CStringGetTextDatum(operation->name);
			call->attributes = make_attributes(operation);
			/* So that what it schedules inherits the correlation_id. */
			cause->metadata = call->attributes;
		}
		call_function(call, hook);
	}
}

/* Call whoever wants to know; record is NULL for what is no attempt. */
static void
tell(const CmdschedOperation *operation, const AttemptRecord *record,
	 InvokeHost host, bool keep_locks)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "cmdsched operation",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Command cause = {.has_metadata = true};
	HookCall call = {.operation = operation, .host = host};

	if (record != NULL)
	{
		cause.schedule_id = record->key.schedule_id;
		cause.scheduled_by = record->key.scheduled_by;
		cause.depth = record->depth;
		call.cause = &cause;
	}
	call_functions(&call, &cause);
	cause.has_metadata = call.attributes != (Datum) 0;
	if (c_hook() != NULL)
		call_c_hook(&call);
	if (host == INVOKE_IN_EXECUTOR && keep_locks)
		cmdsched_invoke_drop_statements();
	else if (host == INVOKE_IN_EXECUTOR)
		cmdsched_invoke_clean_session();
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* ------------------------------------------------------------------------
 * Batches
 * ------------------------------------------------------------------------
 */

/* Returns when it began, 0 where nobody wants to know. */
TimestampTz
cmdsched_operation_batch_begins(InvokeHost host)
{
	CmdschedOperation operation = {.name = CYCLE, .phase = CMDSCHED_START};
	TimestampTz began;

	if (!cmdsched_operation_is_watched())
		return 0;
	/* A handler may dispatch by hand, within a batch. */
	if (!cmdsched_invoke_is_running())
		forget_called();
	began = GetCurrentTimestamp();
	tell(&operation, NULL, host, false);
	operation.name = BATCH;
	tell(&operation, NULL, host, false);
	return began;
}

static void
save_counts(void *arg)
{
	cmdsched_hook_save_counts();
}

/*
 * What was counted is written in the transaction of the batch.  Where that is
 * not possible, the next batch does it.
 */
static void
settle_counts(InvokeHost host)
{
	Outcome outcome = {0};

	if (cmdsched_hook_has_counts() &&
		!cmdsched_invoke_guarded(save_counts, NULL, host, &outcome) &&
		outcome.kind == OUTCOME_INTERRUPTED)
		ReThrowError(outcome.raised);
}

void
cmdsched_operation_batch_ends(TimestampTz began, InvokeHost host,
							  bool succeeded)
{
	CmdschedOperation operation = {
		.name = BATCH,
		.phase = CMDSCHED_END,
		.outcome = succeeded ? "succeeded" : "failed",
	};

	if (began != 0 && cmdsched_operation_is_watched())
	{
		operation.duration_us = GetCurrentTimestamp() - began;
		/* That of a procedure that comes next is the session's. */
		tell(&operation, NULL, host, true);
		operation.name = CYCLE;
		operation.duration_us = GetCurrentTimestamp() - began;
		tell(&operation, NULL, host, true);
	}
	settle_counts(host);
}

/* ------------------------------------------------------------------------
 * Attempts
 * ------------------------------------------------------------------------
 */

static void
remember_correlation(AttemptRecord *record, const Command *command)
{
	Jsonb *metadata;
	JsonbValue *value = NULL;
	int length;

	record->correlation_id[0] = '\0';
	if (!command->has_metadata)
		return;
	metadata = DatumGetJsonbP(command->metadata);
	if (JB_ROOT_IS_OBJECT(metadata))
		value = getKeyJsonValueFromContainer(&metadata->root,
											 "correlation_id",
											 14,
											 NULL);
	if (value == NULL || value->type != jbvString)
		return;
	length = pg_mbcliplen(value->val.string.val,
						  value->val.string.len,
						  CMDSCHED_MAX_NAME);
	memcpy(record->correlation_id, value->val.string.val, length);
	record->correlation_id[length] = '\0';
}

static void
tell_of_attempt(const AttemptRecord *record, CmdschedPhase phase,
				const char *outcome, int64 duration_us)
{
	char *schedule_id = text_to_cstring(record->key.schedule_id);
	char *name = psprintf(DISPATCH "%s", record->type_name);
	CmdschedOperation operation = {
		.name = name,
		.phase = phase,
		.correlation_id =
			record->correlation_id[0] ? record->correlation_id : NULL,
		.command_type = record->type_name,
		.schedule_id = schedule_id,
		.attempt = record->attempts + 1,
		.outcome = outcome,
		.duration_us = duration_us,
	};

	/* The lock of a procedure is the session's. */
	tell(&operation, record, record->host, record->is_procedure);
	pfree(name);
	pfree(schedule_id);
}

/* Not yet running: what happens now is not the handler's fault. */
void
cmdsched_operation_attempt_begins(AttemptRecord *record,
								  const Command *command, InvokeHost host)
{
	record->running = false;
	record->watched = true;
	record->host = host;
	record->depth = command->depth;
	remember_correlation(record, command);
	if (!muted)
		tell_of_attempt(record, CMDSCHED_START, NULL, 0);
	record->running = true;
}

/* To be called when it is no longer running, nor its handler's fault. */
void
cmdsched_operation_attempt_ends(const AttemptRecord *record,
								const char *outcome)
{
	if (record->watched && cmdsched_operation_is_watched())
		tell_of_attempt(record,
						CMDSCHED_END,
						outcome,
						GetCurrentTimestamp() - record->started);
}

/* ------------------------------------------------------------------------
 * When hooks get in the way
 * ------------------------------------------------------------------------
 */

/* Nobody is told until this is taken back. */
void
cmdsched_operation_mute(bool mute)
{
	muted = mute;
}

/* Since the batch began: they may be why it cannot be committed. */
bool
cmdsched_operation_called_hooks(void)
{
	return called != NIL;
}

/* It could be committed without them. */
void
cmdsched_operation_blame_hooks(void)
{
	static const CommandError error = {
		.sqlerrcode = ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION,
		.message = "the transaction could not be committed",
	};

	ListCell *cell;

	foreach(cell, called)
		cmdsched_hook_count(lfirst(cell), 1, &error);
	forget_called();
}

/* Is this process being ended in a hook? */
bool
cmdsched_operation_hook_is_running(void)
{
	return running_hook != NULL;
}

/* It would not stop: that is enough. */
void
cmdsched_operation_blame_running_hook(void)
{
	static const CommandError error = {
		.sqlerrcode = ERRCODE_ADMIN_SHUTDOWN,
		.message = "it went on after it was cancelled at its time limit",
	};

	cmdsched_hook_count(running_hook, CMDSCHED_MAX_HOOK_FAILURES, &error);
	running_hook = NULL;
	settle_counts(INVOKE_IN_EXECUTOR);
}
