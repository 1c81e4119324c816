/*-------------------------------------------------------------------------
 *
 * invoke.c
 *	  Calls a handler and says how it ended.
 *
 * The only file that catches an error from user code, sets its time limit,
 * and removes what it left behind in the session.
 *
 * IDENTIFICATION
 *	  src/command/invoke.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "commands/prepare.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/params.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "command/extension.h"
#include "command/hook_store.h"
#include "command/invoke.h"
#include "command/sql_text.h"
#include "compat.h"
#include "settings.h"

/* How long a handler may go on after its time limit cancelled it. */
#define GRACE_MS 3000

/* How the handler asked for its attempt to end. */
typedef enum Verdict
{
	VERDICT_NONE,
	VERDICT_SNOOZE,
	VERDICT_ABANDON,
} Verdict;

typedef struct Attempt
{
	const Command *command; /* NULL: a hook that is about none */
	bool is_hook;			/* then there is no attempt to end */
	CommandScan *scan;		/* NULL: row is the row */
	Datum row;
	Verdict verdict;
	TimestampTz snooze_until;
	char *reason;
} Attempt;

/* The innermost one: a handler may itself dispatch by hand. */
static Attempt *current = NULL;

/* ------------------------------------------------------------------------
 * The time limit
 * ------------------------------------------------------------------------
 */

static TimeoutId cancel_timeout;
static TimeoutId terminate_timeout;
static bool time_limit_armed = false;
static volatile sig_atomic_t time_limit_reached = false;
static volatile sig_atomic_t terminated = false;

static void
cancel_handler(void)
{
	time_limit_reached = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/* It caught the cancel and went on: this cannot be caught. */
static void
terminate_handler(void)
{
	terminated = true;
	InterruptPending = true;
	ProcDiePending = true;
	SetLatch(MyLatch);
}

static void
arm_time_limit(int64 limit_us, InvokeHost host)
{
	static bool registered = false;
	int limit_ms = (int) Min(Max(limit_us / 1000, 1), INT_MAX - GRACE_MS);

	if (!registered)
	{
		cancel_timeout = RegisterTimeout(USER_TIMEOUT, cancel_handler);
		terminate_timeout = RegisterTimeout(USER_TIMEOUT, terminate_handler);
		registered = true;
	}
	time_limit_reached = false;
	time_limit_armed = true;
	enable_timeout_after(cancel_timeout, limit_ms);
	/* Never in a session: that is the caller's. */
	if (host == INVOKE_IN_EXECUTOR)
		enable_timeout_after(terminate_timeout, limit_ms + GRACE_MS);
}

/* After this no signal of the time limit can reach the next command. */
static void
disarm_time_limit(InvokeHost host)
{
	HOLD_INTERRUPTS();
	disable_timeout(cancel_timeout, false);
	if (host == INVOKE_IN_EXECUTOR)
		disable_timeout(terminate_timeout, false);
	if (time_limit_reached)
		QueryCancelPending = false;
	time_limit_armed = false;
	RESUME_INTERRUPTS();
}

/* Was this process ended because a handler would not stop? */
bool
cmdsched_invoke_was_terminated(void)
{
	return terminated;
}

/* ------------------------------------------------------------------------
 * Calling
 * ------------------------------------------------------------------------
 */

static Datum
empty_object(void)
{
	return DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"));
}

/* Metadata for a handler; a STRICT one would not be called with NULL. */
static void
set_metadata_argument(NullableDatum *argument, const Command *command,
					  bool strict)
{
	argument->isnull = !command->has_metadata;
	argument->value = command->metadata;
	if (argument->isnull && strict)
	{
		argument->isnull = false;
		argument->value = empty_object();
	}
}

static NullableDatum
call_plain(Handler *handler, const Command *command, CommandScan *scan)
{
	LOCAL_FCINFO(fcinfo, 2);
	NullableDatum result;
	FmgrInfo *call = cmdsched_handler_call(handler);

	InitFunctionCallInfoData(*fcinfo,
							 call,
							 call->fn_nargs,
							 InvalidOid,
							 NULL,
							 NULL);
	fcinfo->args[0].value = handler->form == HANDLER_TAKES_ROW
								? cmdsched_command_row(scan)
								: command->command_data;
	fcinfo->args[0].isnull = false;
	if (handler->form == HANDLER_TAKES_DATA_METADATA)
		set_metadata_argument(&fcinfo->args[1], command, call->fn_strict);

	result.value = FunctionCallInvoke(fcinfo);
	result.isnull = fcinfo->isnull;
	return result;
}

static NullableDatum
call_function(Handler *handler, const Command *command, CommandScan *scan)
{
	NullableDatum result;

	PushActiveSnapshot(GetTransactionSnapshot());
	result = handler->runs_sql
				 ? cmdsched_sql_text_run(command->command_data, false)
				 : call_plain(handler, command, scan);
	PopActiveSnapshot();
	CommandCounterIncrement();
	return result;
}

/* A handler that asked to end its attempt but swallowed the error. */
static void
enforce_verdict(Attempt *attempt)
{
	if (attempt->verdict == VERDICT_SNOOZE)
		cmdsched_attempt_snooze(attempt->snooze_until);
	if (attempt->verdict == VERDICT_ABANDON)
		cmdsched_attempt_abandon(attempt->reason);
}

/*
 * Call a handler for the command that the scan stands on, and return what it
 * returns.  Raises whatever the handler raises: to be called from within
 * cmdsched_invoke_guarded().
 */
NullableDatum
cmdsched_invoke_handler(Handler *handler, const Command *command,
						CommandScan *scan, InvokeHost host)
{
	/* Not on the stack: an error takes us out of this frame. */
	Attempt *attempt = palloc0(sizeof(Attempt));
	Attempt *outer = current;
	int guc_nest_level = NewGUCNestLevel();
	NullableDatum result;

	attempt->command = command;
	attempt->scan = scan;
	current = attempt;
	/* A handler that dispatches by hand goes on under its own limit. */
	if (handler->timeout_us > 0 && outer == NULL)
		arm_time_limit(handler->timeout_us, host);
	result = call_function(handler, command, scan);
	if (time_limit_armed && outer == NULL)
		disarm_time_limit(host);
	enforce_verdict(attempt);
	AtEOXact_GUC(false, guc_nest_level);
	current = outer;
	return result;
}

/* ------------------------------------------------------------------------
 * Procedures
 * ------------------------------------------------------------------------
 */

static ParamListInfo
procedure_parameters(const Handler *handler, const Command *command, Datum row)
{
	int nparams = handler->form == HANDLER_TAKES_DATA_METADATA ? 2 : 1;
	ParamListInfo params = makeParamList(nparams);
	NullableDatum metadata;

	params->params[0].value =
		handler->form == HANDLER_TAKES_ROW ? row : command->command_data;
	params->params[0].ptype = handler->form == HANDLER_TAKES_ROW
								  ? cmdsched_extension_get()->commands_row_type
								  : JSONBOID;
	params->params[0].pflags = PARAM_FLAG_CONST;
	params->params[0].isnull = false;
	if (nparams == 2)
	{
		set_metadata_argument(&metadata, command, false);
		params->params[1].value = metadata.value;
		params->params[1].isnull = metadata.isnull;
		params->params[1].ptype = JSONBOID;
		params->params[1].pflags = PARAM_FLAG_CONST;
	}
	return params;
}

static CallStmt *
make_call(const Handler *handler, ParamListInfo params)
{
	List *args = NIL;
	CallStmt *call = makeNode(CallStmt);

	for (int i = 0; i < params->numParams; i++)
	{
		Param *param = makeNode(Param);

		param->paramkind = PARAM_EXTERN;
		param->paramid = i + 1;
		param->paramtype = params->params[i].ptype;
		param->paramtypmod = -1;
		param->location = -1;
		args = lappend(args, param);
	}
	call->funcexpr = makeFuncExpr(handler->function,
								  VOIDOID,
								  args,
								  InvalidOid,
								  InvalidOid,
								  COERCE_EXPLICIT_CALL);
	return call;
}

static void
run_call_portal(CallStmt *call, ParamListInfo params)
{
	Portal portal = CreatePortal("", true, true);
	PlannedStmt *planned;
	MemoryContext caller = MemoryContextSwitchTo(portal->portalContext);
	QueryCompletion completion;

	planned = makeNode(PlannedStmt);
	planned->commandType = CMD_UTILITY;
	planned->canSetTag = true;
	planned->utilityStmt = (Node *) copyObject(call);
	planned->stmt_location = -1;
	portal->visible = false;
	PortalDefineQuery(portal,
					  NULL,
					  "CALL",
					  CMDTAG_CALL,
					  list_make1(planned),
					  NULL);
	PortalStart(portal, params, 0, InvalidSnapshot);
	MemoryContextSwitchTo(caller);
	(void) cmdsched_portal_run(portal, true, None_Receiver, &completion);
	PortalDrop(portal, false);
}

/*
 * Call a procedure the way a client's CALL does, so that it may commit, and
 * return its result: only run_sql() has one.  Command and row have to be in
 * memory that outlives the transaction.
 */
NullableDatum
cmdsched_invoke_procedure(const Handler *handler, const Command *command,
						  Datum row)
{
	/* It outlives its transactions, and the frame that an error leaves. */
	static Attempt attempt;
	ParamListInfo params = procedure_parameters(handler, command, row);
	NullableDatum result = {.isnull = true};

	attempt = (Attempt){.command = command, .row = row};
	current = &attempt;
	if (handler->timeout_us > 0)
		arm_time_limit(handler->timeout_us, INVOKE_IN_EXECUTOR);
	if (handler->runs_sql)
		result = cmdsched_sql_text_run(command->command_data, true);
	else
		run_call_portal(make_call(handler, params), params);
	if (time_limit_armed)
		disarm_time_limit(INVOKE_IN_EXECUTOR);
	enforce_verdict(&attempt);
	current = NULL;
	return result;
}

/* ------------------------------------------------------------------------
 * Catching
 * ------------------------------------------------------------------------
 */

static void
describe_time_limit(Outcome *outcome, bool is_hook)
{
	outcome->error.message = is_hook
								 ? "hook was cancelled at its time limit"
								 : "handler was cancelled at its time limit";
	outcome->error.detail = NULL;
}

static void
classify(Outcome *outcome, const Attempt *attempt, InvokeHost host)
{
	const ErrorData *raised = outcome->raised;

	outcome->error.sqlerrcode = raised->sqlerrcode;
	outcome->error.message = raised->message;
	outcome->error.detail = raised->detail;
	outcome->error.context = raised->context;
	outcome->kind = OUTCOME_FAILED;

	if (attempt != NULL && attempt->verdict == VERDICT_SNOOZE)
	{
		outcome->kind = OUTCOME_SNOOZED;
		outcome->snooze_until = attempt->snooze_until;
	}
	else if (attempt != NULL && attempt->verdict == VERDICT_ABANDON)
	{
		outcome->kind = OUTCOME_ABANDONED;
		outcome->error.message = attempt->reason;
	}
	else if (raised->sqlerrcode == ERRCODE_QUERY_CANCELED &&
			 time_limit_reached)
		describe_time_limit(outcome, attempt != NULL && attempt->is_hook);
	else if (raised->sqlerrcode == ERRCODE_QUERY_CANCELED &&
			 host == INVOKE_IN_SESSION)
		outcome->kind = OUTCOME_INTERRUPTED;
	else if (raised->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE ||
			 raised->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
		outcome->kind = OUTCOME_TRANSIENT;
}

/*
 * In a PG_CATCH block: take the error, say what it means, and leave the
 * session fit for the next command.  The caller ends the (sub)transaction.
 */
void
cmdsched_invoke_catch(Outcome *outcome, InvokeHost host)
{
	Attempt attempt = {0};
	bool in_handler = current != NULL;

	if (in_handler)
		attempt = *current;
	outcome->raised = CopyErrorData();
	FlushErrorState();
	classify(outcome, in_handler ? &attempt : NULL, host);
	if (time_limit_armed)
		disarm_time_limit(host);
	time_limit_reached = false;
	cmdsched_handler_forget_calls();
	cmdsched_hook_forget_calls();
}

/*
 * Run body in a subtransaction.  False if it raised an error: its effects
 * are rolled back and the outcome says what it was.
 */
bool
cmdsched_invoke_guarded(InvokeBody body, void *arg, InvokeHost host,
						Outcome *outcome)
{
	MemoryContext caller_context = CurrentMemoryContext;
	ResourceOwner caller_owner = CurrentResourceOwner;
	Attempt *outer = current;
	volatile bool succeeded = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller_context);
	PG_TRY();
	{
		body(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		succeeded = false;
		MemoryContextSwitchTo(caller_context);
		cmdsched_invoke_catch(outcome, host);
		current = outer;
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller_context);
	CurrentResourceOwner = caller_owner;
	return succeeded;
}

/* ------------------------------------------------------------------------
 * Hooks
 * ------------------------------------------------------------------------
 */

static void
call_hook_function(const HookCall *call)
{
	LOCAL_FCINFO(fcinfo, 2);

	InitFunctionCallInfoData(*fcinfo,
							 call->function,
							 2,
							 DEFAULT_COLLATION_OID,
							 NULL,
							 NULL);
	fcinfo->args[0].value = call->name;
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = call->attributes;
	fcinfo->args[1].isnull = false;
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) FunctionCallInvoke(fcinfo);
	PopActiveSnapshot();
	CommandCounterIncrement();
}

static void
call_hook(void *arg)
{
	const HookCall *call = arg;
	/* Not on the stack: an error takes us out of this frame. */
	Attempt *attempt = palloc0(sizeof(Attempt));
	Attempt *outer = current;
	int guc_nest_level = NewGUCNestLevel();
	bool has_own_limit = !time_limit_armed;

	attempt->command = call->cause;
	attempt->is_hook = true;
	current = attempt;
	if (has_own_limit)
		arm_time_limit(cmdsched_hook_timeout * (int64) 1000, call->host);
	if (call->function != NULL)
		call_hook_function(call);
	else
		call->c_function(call->operation);
	if (has_own_limit)
		disarm_time_limit(call->host);
	AtEOXact_GUC(false, guc_nest_level);
	current = outer;
}

/*
 * Not the hook's failure but the wish of whoever waits for us: the caller, or
 * the time limit of the handler that dispatches by hand.
 */
static bool
is_interruption(const Outcome *outcome, bool has_own_limit)
{
	const ErrorData *raised = outcome->raised;

	if (raised->sqlerrcode != ERRCODE_QUERY_CANCELED)
		return false;
	return !has_own_limit ||
		   (outcome->kind == OUTCOME_INTERRUPTED && raised->funcname != NULL &&
			strcmp(raised->funcname, "ProcessInterrupts") == 0);
}

/*
 * Call a hook in a subtransaction.  False if it raised an error: its effects
 * are rolled back and error, in current memory, says what it was.
 */
bool
cmdsched_invoke_hook(HookCall *call, CommandError *error)
{
	Outcome outcome = {0};
	bool has_own_limit = !time_limit_armed;

	if (cmdsched_invoke_guarded(call_hook, call, call->host, &outcome))
		return true;
	if (is_interruption(&outcome, has_own_limit))
		ReThrowError(outcome.raised);
	*error = outcome.error;
	return false;
}

/* ------------------------------------------------------------------------
 * Policies
 * ------------------------------------------------------------------------
 */

/*
 * Call a scheduling policy as the current user, who stays that: it can set
 * neither the role nor the session's user, and other settings are taken back.
 * Raises whatever it raises.
 */
NullableDatum
cmdsched_invoke_policy(Oid function, TimestampTz execute_at, Datum options)
{
	LOCAL_FCINFO(fcinfo, 2);
	FmgrInfo call;
	NullableDatum result;
	Oid user;
	int security_context;
	int guc_nest_level = NewGUCNestLevel();

	fmgr_info(function, &call);
	InitFunctionCallInfoData(*fcinfo,
							 &call,
							 2,
							 DEFAULT_COLLATION_OID,
							 NULL,
							 NULL);
	fcinfo->args[0].value = TimestampTzGetDatum(execute_at);
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = options;
	fcinfo->args[1].isnull = false;

	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(user,
						   security_context | SECURITY_LOCAL_USERID_CHANGE);
	PushActiveSnapshot(GetTransactionSnapshot());
	result.value = FunctionCallInvoke(fcinfo);
	result.isnull = fcinfo->isnull;
	PopActiveSnapshot();
	CommandCounterIncrement();
	SetUserIdAndSecContext(user, security_context);
	AtEOXact_GUC(false, guc_nest_level);
	return result;
}

/* ------------------------------------------------------------------------
 * What a handler finds, and leaves behind
 * ------------------------------------------------------------------------
 */

/*
 * Settings of the role or database apply to a worker too.  These would keep
 * commands from running or change what running means.
 */
void
cmdsched_invoke_prepare_session(void)
{
	static const char *const settings[][2] = {
		{"role", "none"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_deferrable", "off"},
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"idle_session_timeout", "0"},
		{"transaction_timeout", "0"},
		{"row_security", "on"},
		{"exit_on_error", "off"},
		{"application_name", "cmdsched"},
	};

	for (int i = 0; i < (int) lengthof(settings); i++)
	{
		if (GetConfigOption(settings[i][0], true, false) != NULL)
			SetConfigOption(settings[i][0],
							settings[i][1],
							PGC_SUSET,
							PGC_S_OVERRIDE);
	}
}

/*
 * A procedure that commits keeps what it has set, so it is set back.  What
 * cmdsched_invoke_prepare_session() has set comes back by that, too.
 */
void
cmdsched_invoke_reset_settings(void)
{
	SetConfigOption("session_authorization", NULL, PGC_SUSET, PGC_S_SESSION);
	SetConfigOption("role", "none", PGC_SUSET, PGC_S_SESSION);
	ResetAllOptions();
}

/*
 * Has this session a schema for temporary objects?  It then has to be emptied
 * between commands, which takes a transaction of its own.
 */
bool
cmdsched_invoke_left_temp_objects(void)
{
	Oid schema;
	Oid toast_schema;

	GetTempNamespaceState(&schema, &toast_schema);
	return OidIsValid(schema);
}

/*
 * Remove what a handler may have left in this session besides temporary
 * objects.  Settings are gone already.  Only for a process of our own.
 */
void
cmdsched_invoke_clean_session(void)
{
	cmdsched_invoke_drop_statements();
	LockReleaseSession(USER_LOCKMETHOD);
}

/* The same, where a lock of the session is ours. */
void
cmdsched_invoke_drop_statements(void)
{
	DropAllPreparedStatements();
	PortalHashTableDeleteAll();
}

/* ------------------------------------------------------------------------
 * The attempt being made
 * ------------------------------------------------------------------------
 */

/* Does a handler or a hook run? */
bool
cmdsched_invoke_is_running(void)
{
	return current != NULL;
}

bool
cmdsched_invoke_is_in_hook(void)
{
	return current != NULL && current->is_hook;
}

bool
cmdsched_attempt_is_running(void)
{
	return current != NULL && !current->is_hook;
}

/* The one that a handler, or a hook, is called for; NULL where there is none. */
const Command *
cmdsched_attempt_command(void)
{
	return current != NULL ? current->command : NULL;
}

Datum
cmdsched_attempt_row(void)
{
	if (current->scan != NULL)
		return cmdsched_command_row(current->scan);
	return current->row;
}

void
cmdsched_attempt_snooze(TimestampTz until)
{
	current->verdict = VERDICT_SNOOZE;
	current->snooze_until = until;
	ereport(ERROR,
			errcode(ERRCODE_TRANSACTION_ROLLBACK),
			errmsg("command was snoozed"));
}

void
cmdsched_attempt_abandon(const char *reason)
{
	current->verdict = VERDICT_ABANDON;
	current->reason = MemoryContextStrdup(TopTransactionContext, reason);
	ereport(ERROR,
			errcode(ERRCODE_TRANSACTION_ROLLBACK),
			errmsg("%s", reason));
}
