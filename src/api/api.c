/*-------------------------------------------------------------------------
 *
 * api.c
 *	  The SQL-callable functions: check the arguments, call down, return.
 *
 * IDENTIFICATION
 *	  src/api/api.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "api/admission.h"
#include "api/arguments.h"
#include "api/schedule_arguments.h"
#include "api/timing.h"
#include "command/change_log.h"
#include "command/clock.h"
#include "command/command_store.h"
#include "command/handler_store.h"
#include "command/history_store.h"
#include "command/home.h"
#include "command/invoke.h"
#include "command/occurrence_id.h"
#include "command/recurring_store.h"
#include "command/schedule_id.h"
#include "settings.h"
#include "worker/control.h"
#include "worker/dispatch.h"
#include "worker/occurrence.h"
#include "worker/wakeup.h"

/* A shorter one would keep an executor busy with nothing else. */
#define MIN_SNOOZE_US (10 * 1000L)

PG_FUNCTION_INFO_V1(cmdsched_register_handler);
PG_FUNCTION_INFO_V1(cmdsched_unregister_handler);
PG_FUNCTION_INFO_V1(cmdsched_schedule);
PG_FUNCTION_INFO_V1(cmdsched_schedule_in);
PG_FUNCTION_INFO_V1(cmdsched_cancel);
PG_FUNCTION_INFO_V1(cmdsched_reschedule);
PG_FUNCTION_INFO_V1(cmdsched_retry);
PG_FUNCTION_INFO_V1(cmdsched_schedule_on_change);
PG_FUNCTION_INFO_V1(cmdsched_delete_executed);
PG_FUNCTION_INFO_V1(cmdsched_process_due_commands);
PG_FUNCTION_INFO_V1(cmdsched_run_once);
PG_FUNCTION_INFO_V1(cmdsched_start);
PG_FUNCTION_INFO_V1(cmdsched_stop);
PG_FUNCTION_INFO_V1(cmdsched_adopt);
PG_FUNCTION_INFO_V1(cmdsched_trigger);
PG_FUNCTION_INFO_V1(cmdsched_now);
PG_FUNCTION_INFO_V1(cmdsched_set_clock);
PG_FUNCTION_INFO_V1(cmdsched_advance_clock);
PG_FUNCTION_INFO_V1(cmdsched_reset_clock);
PG_FUNCTION_INFO_V1(cmdsched_current_command);
PG_FUNCTION_INFO_V1(cmdsched_snooze);
PG_FUNCTION_INFO_V1(cmdsched_abandon);

/* ------------------------------------------------------------------------
 * Handlers
 * ------------------------------------------------------------------------
 */

static void
check_max_attempts(int max_attempts)
{
	if (max_attempts < 1 || max_attempts > PG_INT16_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("max_attempts must be from 1 to %d", PG_INT16_MAX),
				errhint("1 means that a failed command is not tried again."));
}

static void
check_history(text *history)
{
	char *value = text_to_cstring(history);

	if (strcmp(value, "none") != 0 && strcmp(value, "failures") != 0 &&
		strcmp(value, "all") != 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("invalid value for history: \"%s\"", value),
				errhint("Available values: none, failures, all."));
}

static void
check_handler_argument(FunctionCallInfo fcinfo,
					   HandlerRegistration *registration)
{
	cmdsched_argument_check_not_null(fcinfo, 8, "external");
	if (!PG_GETARG_BOOL(8))
	{
		cmdsched_argument_check_not_null(fcinfo, 1, "handler");
		registration->function = PG_GETARG_OID(1);
		cmdsched_handler_check_function(registration->function);
	}
	else if (!PG_ARGISNULL(1))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("an external handler has no function"),
				errhint("Use NULL for the handler, or external => false."));
}

static void
note_released(Oid role, TimestampTz due_at, void *arg)
{
	bool *to_applications = arg;

	if (*to_applications)
		cmdsched_wakeup_note_claimable(role, due_at);
	else
		cmdsched_wakeup_note(role, due_at);
}

/* Commands of this type that waited for their handler need not any more. */
static void
release_commands(text *command_type, text *command_module, bool external)
{
	cmdsched_command_release(command_type,
							 command_module,
							 external,
							 GetCurrentTimestamp(),
							 note_released,
							 &external);
}

Datum
cmdsched_register_handler(PG_FUNCTION_ARGS)
{
	HandlerRegistration registration = {0};

	cmdsched_argument_prevent_on_standby("cmdsched.register_handler()");
	registration.command_type =
		cmdsched_argument_get_name(fcinfo, 0, "command_type", false);
	registration.command_module =
		cmdsched_argument_get_name(fcinfo, 2, "command_module", true);
	cmdsched_argument_check_not_null(fcinfo, 3, "max_attempts");
	registration.max_attempts = PG_GETARG_INT32(3);
	check_max_attempts(registration.max_attempts);
	registration.backoff = cmdsched_argument_get_span(fcinfo, 4, "backoff");
	registration.max_backoff =
		cmdsched_argument_get_span(fcinfo, 5, "max_backoff");
	if (!PG_ARGISNULL(6))
		registration.timeout =
			cmdsched_argument_get_span(fcinfo, 6, "timeout");
	cmdsched_argument_check_not_null(fcinfo, 7, "history");
	registration.history = PG_GETARG_TEXT_PP(7);
	check_history(registration.history);
	cmdsched_argument_check_not_null(fcinfo, 9, "paused");
	registration.paused = PG_GETARG_BOOL(9);
	check_handler_argument(fcinfo, &registration);

	cmdsched_handler_register(&registration);
	if (!registration.paused)
		release_commands(registration.command_type,
						 registration.command_module,
						 !OidIsValid(registration.function));
	PG_RETURN_VOID();
}

Datum
cmdsched_unregister_handler(PG_FUNCTION_ARGS)
{
	text *command_type;
	text *command_module;

	cmdsched_argument_prevent_on_standby("cmdsched.unregister_handler()");
	command_type =
		cmdsched_argument_get_name(fcinfo, 0, "command_type", false);
	command_module =
		cmdsched_argument_get_name(fcinfo, 1, "command_module", true);
	if (!cmdsched_handler_unregister(command_type, command_module))
		PG_RETURN_BOOL(false);
	/* A worker holds what becomes due, even if it was for an application. */
	release_commands(command_type, command_module, false);
	PG_RETURN_BOOL(true);
}

/* ------------------------------------------------------------------------
 * Scheduling
 * ------------------------------------------------------------------------
 */

static void
push_string(JsonbParseState **state, const char *key, JsonbValue *value)
{
	JsonbValue k = {.type = jbvString};

	k.val.string.val = unconstify(char *, key);
	k.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &k);
	pushJsonbValue(state, WJB_VALUE, value);
}

/*
 * What a handler schedules inherits the correlation_id of its command, and
 * has that command as its cause.  What the caller says comes first.
 */
static void
inherit_metadata(Command *command)
{
	const Command *cause = cmdsched_attempt_command();
	JsonbParseState *state = NULL;
	JsonbValue cause_id = {.type = jbvString};
	JsonbValue *correlation_id = NULL;
	JsonbValue buffer;
	Datum inherited;

	if (cause->has_metadata)
	{
		Jsonb *metadata = DatumGetJsonbP(cause->metadata);

		if (JB_ROOT_IS_OBJECT(metadata))
			correlation_id = getKeyJsonValueFromContainer(&metadata->root,
														  "correlation_id",
														  14,
														  &buffer);
	}
	cause_id.val.string.val = VARDATA_ANY(cause->schedule_id);
	cause_id.val.string.len = VARSIZE_ANY_EXHDR(cause->schedule_id);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_string(&state, "causation_id", &cause_id);
	if (correlation_id != NULL && IsAJsonbScalar(correlation_id))
		push_string(&state, "correlation_id", correlation_id);
	inherited = JsonbPGetDatum(
		JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));

	if (!command->has_metadata)
		command->metadata = inherited;
	else if (JB_ROOT_IS_OBJECT(DatumGetJsonbP(command->metadata)))
		command->metadata =
			DirectFunctionCall2(jsonb_concat, inherited, command->metadata);
	command->has_metadata = true;
}

/* Commands that follow one another without a pause are a loop, it seems. */
static void
check_depth(Command *command, TimestampTz now)
{
	const Command *cause = cmdsched_attempt_command();

	if (command->due_at >= now + USECS_PER_SEC)
		return;
	command->depth = Min(cause->depth + 1, PG_INT16_MAX);
	if (cmdsched_max_depth > 0 && command->depth > cmdsched_max_depth)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("commands follow from one another more than %d deep",
					   cmdsched_max_depth),
				errhint("Does a handler schedule its own command type? One "
						"that is due a second later, or more, is not "
						"counted. cmdsched.max_depth is the limit."));
}

static void
insert_under_own_id(const Command *command, TimestampTz now,
					OnConflict on_conflict)
{
	CommandKey key = {.schedule_id = command->schedule_id,
					  .scheduled_by = command->scheduled_by};

	/* See find_command(). */
	if (!cmdsched_invoke_is_running() &&
		cmdsched_handler_find(command->command_type, command->command_module)
			->is_procedure)
		(void) cmdsched_command_lock(&key, false);
	if (!cmdsched_command_insert(command, now, on_conflict) &&
		on_conflict == ON_CONFLICT_ERROR)
		ereport(ERROR,
				errcode(ERRCODE_UNIQUE_VIOLATION),
				errmsg("a command with schedule_id \"%s\" is waiting already",
					   text_to_cstring(command->schedule_id)),
				errhint("Use on_conflict => 'keep' or 'replace', or another "
						"schedule_id."));
}

/* Write the command down; returns its schedule_id. */
static text *
schedule_command(Command *command, OnConflict on_conflict)
{
	TimestampTz now = cmdsched_clock_now();
	Oid role = GetUserId();
	const Handler *handler = cmdsched_admission_check(command, role);

	command->scheduled_by = role;
	command->scheduled_by_name = GetUserNameFromId(role, false);
	cmdsched_command_set_due(command, handler->external, now);
	if (cmdsched_attempt_command() != NULL)
	{
		inherit_metadata(command);
		check_depth(command, now);
	}

	if (command->schedule_id == NULL)
	{
		command->schedule_id = cmdsched_schedule_id_generate(now);
		cmdsched_command_insert_new(command, now);
	}
	else
		insert_under_own_id(command, now, on_conflict);
	cmdsched_wakeup_note(role, command->due_at);
	cmdsched_wakeup_note_claimable(role, command->claimable_at);
	cmdsched_admission_commit_durably();
	cmdsched_control_warn_without_worker();
	return command->schedule_id;
}

/* schedule() and schedule_in() have their arguments in the same places. */
static text *
schedule_with_arguments(FunctionCallInfo fcinfo, TimestampTz execute_at)
{
	Command command = {0};
	OnConflict on_conflict =
		cmdsched_schedule_arguments_take(fcinfo, &command);

	command.execute_at = execute_at;
	if (cmdsched_timing_is_given(fcinfo))
		command.execute_at = cmdsched_timing_apply(fcinfo, execute_at, NULL);
	return schedule_command(&command, on_conflict);
}

Datum
cmdsched_schedule(PG_FUNCTION_ARGS)
{
	cmdsched_argument_prevent_on_standby("cmdsched.schedule()");
	PG_RETURN_TEXT_P(
		schedule_with_arguments(fcinfo,
								cmdsched_argument_get_moment(fcinfo,
															 2,
															 "execute_at")));
}

Datum
cmdsched_schedule_in(PG_FUNCTION_ARGS)
{
	Interval *delay;

	cmdsched_argument_prevent_on_standby("cmdsched.schedule_in()");
	delay = cmdsched_argument_get_span(fcinfo, 2, "delay");
	PG_RETURN_TEXT_P(
		schedule_with_arguments(fcinfo,
								cmdsched_argument_add_span(cmdsched_clock_transaction_start(),
														   delay)));
}

/*
 * Find the command that the caller means.  One whose handler is a procedure
 * may be running without a lock on its row: then this waits for it.  NULL
 * where there is none, else its handler.
 */
static const Handler *
find_command(FunctionCallInfo fcinfo, CommandKey *key, text **command_type)
{
	text *schedule_id =
		cmdsched_argument_get_name(fcinfo, 0, "schedule_id", false);
	text *command_module;
	RecurringKey schedule;
	const Handler *handler;

	if (!cmdsched_command_find(schedule_id,
							   GetUserId(),
							   key,
							   command_type,
							   &command_module))
		return NULL;
	schedule.name = cmdsched_occurrence_id_schedule(schedule_id);
	schedule.scheduled_by = key->scheduled_by;
	if (schedule.name != NULL)
		cmdsched_recurring_lock_name(&schedule);
	handler = cmdsched_handler_find(*command_type, command_module);
	if (handler->is_procedure)
		(void) cmdsched_command_lock(key, false);
	return handler;
}

/* What somebody asked for. */
static void
log_change(const CommandKey *key, text *command_type, const char *outcome)
{
	cmdsched_change_log(DEBUG1,
						key->schedule_id,
						text_to_cstring(command_type),
						outcome,
						0,
						NULL);
}

/*
 * Remove a command, and say in the history why.  If it is an occurrence of a
 * recurring schedule, the next one follows.
 */
static bool
delete_command(FunctionCallInfo fcinfo, HistoryOutcome outcome)
{
	Occurrence occurrence = {0};
	const Handler *handler;
	HistoryEntry entry = {.outcome = outcome};
	Command command;
	CommandKey key;
	DueTimes times;
	text *command_type;

	handler = find_command(fcinfo, &key, &command_type);
	if (handler == NULL || !cmdsched_command_delete(&key, &times, &command))
		return false;
	entry.policy = handler->history;
	if (outcome == HISTORY_SUCCEEDED)
		entry.attempt = Min(command.attempts + 1, PG_INT16_MAX);
	entry.scheduled_for = command.execute_at;
	entry.finished_at = cmdsched_clock_now();
	cmdsched_history_record(&entry, &command);
	/* If this is rolled back, it is due as before. */
	cmdsched_wakeup_note_change(key.scheduled_by, &times);
	occurrence.key = key;
	if (cmdsched_occurrence_id_schedule(key.schedule_id) != NULL)
		(void) cmdsched_occurrence_end(&occurrence,
									   outcome == HISTORY_CANCELLED
										   ? OCCURRENCE_CANCELLED
										   : OCCURRENCE_SUCCEEDED,
									   entry.finished_at);
	log_change(&key,
			   command_type,
			   outcome == HISTORY_CANCELLED ? "cancelled" : "succeeded");
	cmdsched_admission_commit_durably();
	return true;
}

Datum
cmdsched_cancel(PG_FUNCTION_ARGS)
{
	cmdsched_argument_prevent_on_standby("cmdsched.cancel()");
	PG_RETURN_BOOL(delete_command(fcinfo, HISTORY_CANCELLED));
}

Datum
cmdsched_delete_executed(PG_FUNCTION_ARGS)
{
	cmdsched_argument_prevent_on_standby("cmdsched.delete_executed()");
	(void) delete_command(fcinfo, HISTORY_SUCCEEDED);
	PG_RETURN_VOID();
}

Datum
cmdsched_reschedule(PG_FUNCTION_ARGS)
{
	TimestampTz execute_at;
	DueTimes times;
	CommandKey key;
	text *command_type;

	cmdsched_argument_prevent_on_standby("cmdsched.reschedule()");
	execute_at = cmdsched_argument_get_moment(fcinfo, 1, "execute_at");
	if (find_command(fcinfo, &key, &command_type) == NULL ||
		!cmdsched_command_reschedule(&key,
									 execute_at,
									 cmdsched_clock_now(),
									 &times))
		PG_RETURN_BOOL(false);
	cmdsched_wakeup_note_change(key.scheduled_by, &times);
	log_change(&key, command_type, "rescheduled");
	cmdsched_admission_commit_durably();
	PG_RETURN_BOOL(true);
}

Datum
cmdsched_retry(PG_FUNCTION_ARGS)
{
	TimestampTz now = cmdsched_clock_now();
	CommandKey key;
	const Handler *handler;
	text *command_type;

	cmdsched_argument_prevent_on_standby("cmdsched.retry()");
	handler = find_command(fcinfo, &key, &command_type);
	if (handler == NULL ||
		!cmdsched_command_retry(&key, handler->external, now))
		PG_RETURN_BOOL(false);
	if (handler->external)
		cmdsched_wakeup_note_claimable(key.scheduled_by, now);
	else
		cmdsched_wakeup_note(key.scheduled_by, now);
	log_change(&key, command_type, "retried");
	cmdsched_admission_commit_durably();
	PG_RETURN_BOOL(true);
}

/* ------------------------------------------------------------------------
 * The trigger
 * ------------------------------------------------------------------------
 */

static void
check_trigger_call(FunctionCallInfo fcinfo)
{
	TriggerData *data;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("cmdsched.schedule_on_change() was not called as a "
					   "trigger"),
				errhint("Use it in CREATE TRIGGER ... EXECUTE FUNCTION."));
	data = (TriggerData *) fcinfo->context;
	if (!TRIGGER_FIRED_AFTER(data->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(data->tg_event))
		ereport(ERROR,
				errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				errmsg("cmdsched.schedule_on_change() has to be an AFTER "
					   "INSERT or UPDATE trigger FOR EACH ROW"),
				errhint("Create the trigger again that way."));
	if (data->tg_trigger->tgnargs < 2 || data->tg_trigger->tgnargs > 3)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("cmdsched.schedule_on_change() takes two or three "
					   "arguments"),
				errhint("They are the command type, the delay and, "
						"optionally, the column that it counts from."));
}

/* The moment in a column of the row; false where it is null. */
static bool
get_column_moment(TriggerData *data, HeapTuple row, const char *column,
				  TimestampTz *at)
{
	TupleDesc descriptor = RelationGetDescr(data->tg_relation);
	int number = SPI_fnumber(descriptor, column);
	bool isnull;
	Datum value;

	if (number <= 0)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_COLUMN),
				errmsg("column \"%s\" does not exist", column),
				errhint("The third argument of "
						"cmdsched.schedule_on_change() names a column of the "
						"table."));
	if (SPI_gettypeid(descriptor, number) != TIMESTAMPTZOID)
		ereport(ERROR,
				errcode(ERRCODE_DATATYPE_MISMATCH),
				errmsg("column \"%s\" is not of type timestamp with time "
					   "zone",
					   column),
				errhint("Let the third argument of "
						"cmdsched.schedule_on_change() name one that is."));
	value = heap_getattr(row, number, descriptor, &isnull);
	*at = DatumGetTimestampTz(value);
	return !isnull;
}

/* When the row's command is due; false where it is not to be scheduled. */
static bool
get_trigger_moment(TriggerData *data, HeapTuple row, TimestampTz *at)
{
	Trigger *trigger = data->tg_trigger;
	Interval *delay = DatumGetIntervalP(
		DirectFunctionCall3(interval_in,
							CStringGetDatum(trigger->tgargs[1]),
							ObjectIdGetDatum(InvalidOid),
							Int32GetDatum(-1)));

	cmdsched_argument_check_span(delay, "delay");
	*at = cmdsched_clock_transaction_start();
	if (trigger->tgnargs == 3 &&
		!get_column_moment(data, row, trigger->tgargs[2], at))
		return false;
	if (TIMESTAMP_NOT_FINITE(*at))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("column \"%s\" must be finite", trigger->tgargs[2]),
				errhint("Use NULL where nothing is to be scheduled."));
	*at = cmdsched_argument_add_span(*at, delay);
	return true;
}

static Datum
row_as_jsonb(HeapTuple row, TupleDesc descriptor)
{
	Datum json =
		DirectFunctionCall1(row_to_json,
							heap_copy_tuple_as_datum(row, descriptor));

	return DirectFunctionCall1(jsonb_in,
							   CStringGetDatum(TextDatumGetCString(json)));
}

Datum
cmdsched_schedule_on_change(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	Command command = {0};
	HeapTuple row;

	check_trigger_call(fcinfo);
	row = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple
												  : data->tg_trigtuple;
	command.command_type = cstring_to_text(data->tg_trigger->tgargs[0]);
	cmdsched_argument_check_length(command.command_type,
								   "command_type",
								   false);
	command.command_module = cstring_to_text("");
	if (get_trigger_moment(data, row, &command.execute_at))
	{
		command.command_data =
			row_as_jsonb(row, RelationGetDescr(data->tg_relation));
		cmdsched_argument_check_size(command.command_data, "command_data");
		(void) schedule_command(&command, ON_CONFLICT_KEEP);
	}
	return PointerGetDatum(NULL);
}

/* ------------------------------------------------------------------------
 * Dispatch by hand
 * ------------------------------------------------------------------------
 */

/* It would be told of what it does itself, without end. */
static void
prevent_in_hook(const char *function_name)
{
	if (cmdsched_invoke_is_in_hook())
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("%s cannot be called by a hook", function_name),
				errhint("Let the hook schedule a command that does it."));
}

Datum
cmdsched_process_due_commands(PG_FUNCTION_ARGS)
{
	int max_commands = 0;
	Oid role = GetUserId();
	TimestampTz now = cmdsched_clock_now();

	cmdsched_argument_prevent_on_standby("cmdsched.process_due_commands()");
	prevent_in_hook("cmdsched.process_due_commands()");
	if (!PG_ARGISNULL(0))
	{
		max_commands = PG_GETARG_INT32(0);
		if (max_commands < 0)
			ereport(ERROR,
					errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("max_commands must not be negative"),
					errhint("NULL means all."));
		if (max_commands == 0)
			PG_RETURN_INT32(0);
	}
	PG_RETURN_INT32(cmdsched_admission_is_at_home()
						? cmdsched_dispatch_by_hand(role, max_commands, now)
						: 0);
}

Datum
cmdsched_run_once(PG_FUNCTION_ARGS)
{
	Oid role = GetUserId();
	TimestampTz now = cmdsched_clock_now();

	cmdsched_argument_prevent_on_standby("cmdsched.run_once()");
	prevent_in_hook("cmdsched.run_once()");
	PG_RETURN_INT32(cmdsched_admission_is_at_home()
						? cmdsched_dispatch_by_hand(role, 0, now)
						: 0);
}

/* ------------------------------------------------------------------------
 * The worker
 * ------------------------------------------------------------------------
 */

/* A handler, or a hook, would wait for itself to end. */
static void
prevent_in_handler(const char *function_name)
{
	if (cmdsched_invoke_is_running())
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("%s cannot be called by a handler", function_name),
				errhint("Call it in an ordinary session."));
}

Datum
cmdsched_start(PG_FUNCTION_ARGS)
{
	cmdsched_argument_prevent_on_standby("cmdsched.start()");
	prevent_in_handler("cmdsched.start()");
	PG_RETURN_BOOL(cmdsched_control_start());
}

Datum
cmdsched_stop(PG_FUNCTION_ARGS)
{
	Interval *timeout = cmdsched_argument_get_span(fcinfo, 0, "timeout");
	TimestampTz now = GetCurrentTimestamp();
	int64 timeout_ms = (cmdsched_argument_add_span(now, timeout) - now) / 1000;

	prevent_in_handler("cmdsched.stop()");
	PG_RETURN_BOOL(cmdsched_control_stop((int) Min(timeout_ms, INT_MAX)));
}

Datum
cmdsched_adopt(PG_FUNCTION_ARGS)
{
	int64 npending;

	cmdsched_argument_prevent_on_standby("cmdsched.adopt()");
	npending = cmdsched_home_adopt();
	cmdsched_wakeup_note_everything();
	cmdsched_admission_commit_durably();
	PG_RETURN_INT64(npending);
}

Datum
cmdsched_trigger(PG_FUNCTION_ARGS)
{
	cmdsched_control_trigger();
	PG_RETURN_VOID();
}

/* ------------------------------------------------------------------------
 * The clock
 * ------------------------------------------------------------------------
 */

Datum
cmdsched_now(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(cmdsched_clock_now());
}

static void
check_clock_may_move(void)
{
	if (!cmdsched_test_clock)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the clock cannot be moved in this server"),
				errhint("cmdsched.test_clock is off, as it should be where "
						"now() has to be trusted."));
	if (cmdsched_invoke_is_running())
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the clock cannot be moved inside a handler"),
				errhint("Move it in the test, before or after the handler "
						"runs."));
}

static void
check_clock_goes_forward(TimestampTz to)
{
	if (to < cmdsched_clock_transaction_start())
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("the clock cannot go back to %s",
					   timestamptz_to_str(to)),
				errdetail("It stands at %s.",
						  timestamptz_to_str(
							  cmdsched_clock_transaction_start())),
				errhint("Use reset_clock() for the real time, or begin "
						"another transaction."));
}

Datum
cmdsched_set_clock(PG_FUNCTION_ARGS)
{
	TimestampTz at = cmdsched_argument_get_moment(fcinfo, 0, "at");

	check_clock_may_move();
	check_clock_goes_forward(at);
	cmdsched_clock_move(at);
	PG_RETURN_VOID();
}

Datum
cmdsched_advance_clock(PG_FUNCTION_ARGS)
{
	Interval *by = cmdsched_argument_get_span(fcinfo, 0, "by");
	TimestampTz until;

	cmdsched_argument_prevent_on_standby("cmdsched.advance_clock()");
	check_clock_may_move();
	until = cmdsched_argument_add_span(cmdsched_clock_now(), by);
	if (cmdsched_admission_is_at_home())
		PG_RETURN_INT32(cmdsched_dispatch_until(GetUserId(), until));
	cmdsched_clock_move(until);
	PG_RETURN_INT32(0);
}

Datum
cmdsched_reset_clock(PG_FUNCTION_ARGS)
{
	check_clock_may_move();
	cmdsched_clock_reset();
	PG_RETURN_VOID();
}

/* ------------------------------------------------------------------------
 * Inside a handler
 * ------------------------------------------------------------------------
 */

static void
check_inside_handler(const char *function_name)
{
	if (!cmdsched_attempt_is_running())
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("%s was called outside of a handler", function_name),
				errhint("Call it in a function that is registered with "
						"cmdsched.register_handler()."));
}

Datum
cmdsched_current_command(PG_FUNCTION_ARGS)
{
	if (!cmdsched_attempt_is_running())
		PG_RETURN_NULL();
	PG_RETURN_DATUM(cmdsched_attempt_row());
}

Datum
cmdsched_snooze(PG_FUNCTION_ARGS)
{
	Interval *delay = cmdsched_argument_get_span(fcinfo, 0, "delay");
	TimestampTz now = cmdsched_clock_now();

	check_inside_handler("cmdsched.snooze()");
	cmdsched_attempt_snooze(
		Max(cmdsched_argument_add_span(now, delay), now + MIN_SNOOZE_US));
}

Datum
cmdsched_abandon(PG_FUNCTION_ARGS)
{
	cmdsched_argument_check_not_null(fcinfo, 0, "reason");
	check_inside_handler("cmdsched.abandon()");
	cmdsched_attempt_abandon(text_to_cstring(PG_GETARG_TEXT_PP(0)));
}
