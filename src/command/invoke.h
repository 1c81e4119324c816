/*-------------------------------------------------------------------------
 *
 * invoke.h
 *	  Calls handlers.
 *
 * IDENTIFICATION
 *	  src/command/invoke.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_INVOKE_H
#define CMDSCHED_INVOKE_H

#include "datatype/timestamp.h"

#include "cmdsched.h"
#include "command/command.h"
#include "command/command_store.h"
#include "command/handler_store.h"
#include "compat.h"

typedef enum OutcomeKind
{
	OUTCOME_SUCCEEDED,
	OUTCOME_FAILED,
	OUTCOME_TRANSIENT, /* deadlock, serialization failure: again at once */
	OUTCOME_SNOOZED,
	OUTCOME_ABANDONED,
	OUTCOME_INTERRUPTED, /* the caller of dispatch by hand was cancelled */
} OutcomeKind;

typedef struct Outcome
{
	OutcomeKind kind;
	CommandError error;
	TimestampTz snooze_until;
	struct ErrorData *raised; /* what was raised, to be raised again */
} Outcome;

/* Who is calling: a process of our own may be cleaned, or even ended. */
typedef enum InvokeHost
{
	INVOKE_IN_EXECUTOR,
	INVOKE_IN_SESSION,
} InvokeHost;

typedef void (*InvokeBody)(void *arg);

/* What a hook is to be told. */
typedef struct HookCall
{
	FmgrInfo *function; /* NULL: c_function */
	Datum name;
	Datum attributes;
	CmdschedOperationHook c_function;
	const CmdschedOperation *operation;
	const Command *cause; /* of what it schedules; NULL = none */
	InvokeHost host;
} HookCall;

extern bool cmdsched_invoke_guarded(InvokeBody body, void *arg,
									InvokeHost host, Outcome *outcome);
extern NullableDatum cmdsched_invoke_handler(Handler *handler,
											 const Command *command,
											 CommandScan *scan,
											 InvokeHost host);
extern NullableDatum cmdsched_invoke_procedure(const Handler *handler,
											   const Command *command,
											   Datum row);
extern bool cmdsched_invoke_hook(HookCall *call, CommandError *error);
extern NullableDatum
cmdsched_invoke_policy(Oid function, TimestampTz execute_at, Datum options);
extern void cmdsched_invoke_catch(Outcome *outcome, InvokeHost host);
extern void cmdsched_invoke_reset_settings(void);
extern void cmdsched_invoke_clean_session(void);
extern void cmdsched_invoke_drop_statements(void);
extern bool cmdsched_invoke_left_temp_objects(void);
extern void cmdsched_invoke_prepare_session(void);
extern bool cmdsched_invoke_was_terminated(void);

extern bool cmdsched_invoke_is_running(void);
extern bool cmdsched_invoke_is_in_hook(void);

/* The attempt being made, for the functions a handler may call */
extern bool cmdsched_attempt_is_running(void);
extern Datum cmdsched_attempt_row(void);
extern const Command *cmdsched_attempt_command(void);
pg_noreturn extern void cmdsched_attempt_snooze(TimestampTz until);
pg_noreturn extern void cmdsched_attempt_abandon(const char *reason);

#endif
