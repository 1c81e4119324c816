/*-------------------------------------------------------------------------
 *
 * handler_store.h
 *	  The registry: command types and the functions that handle them.
 *
 * IDENTIFICATION
 *	  src/command/handler_store.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_HANDLER_STORE_H
#define CMDSCHED_HANDLER_STORE_H

#include "fmgr.h"

#include "command/command.h"
#include "command/history_store.h"
#include "schedule/retry.h"

typedef enum HandlerForm
{
	HANDLER_TAKES_DATA,			 /* (jsonb) */
	HANDLER_TAKES_DATA_METADATA, /* (jsonb, jsonb) */
	HANDLER_TAKES_ROW,			 /* (cmdsched.scheduled_commands) */
} HandlerForm;

/*
 * A handler as the current role may use it; valid to the end of the
 * transaction.  Where it cannot be called, problem says why.
 */
typedef struct Handler
{
	bool registered;
	bool external;
	bool paused;
	bool is_procedure;
	bool runs_sql; /* it is run_sql(), see sql_text.c */
	bool returns_jsonb;
	HistoryPolicy history;
	HandlerForm form;
	Oid function;
	FmgrInfo *call; /* see cmdsched_handler_call() */
	RetryPolicy retry;
	int64 timeout_us; /* 0 = none */
	int64 last_duration_us;
	struct Tally *tally;  /* of worker/tally.c; NULL = not yet known */
	CommandError problem; /* sqlerrcode 0 = none */
	const char *hint;
} Handler;

/* What register_handler() is given. */
typedef struct HandlerRegistration
{
	text *command_type;
	text *command_module;
	Oid function; /* InvalidOid = external */
	int max_attempts;
	Interval *backoff;
	Interval *max_backoff;
	Interval *timeout; /* NULL = none */
	text *history;
	bool paused;
} HandlerRegistration;

extern Handler *cmdsched_handler_find(text *command_type,
									  text *command_module);
extern FmgrInfo *cmdsched_handler_call(Handler *handler);
extern void cmdsched_handler_forget_all(void);
extern void cmdsched_handler_forget_calls(void);
extern bool cmdsched_handler_lock_registry(void);
extern void cmdsched_handler_unlock_registry(void);
extern void cmdsched_handler_refresh(void);
extern void cmdsched_handler_check_function(Oid function);
extern void cmdsched_handler_register(const HandlerRegistration *registration);
extern bool cmdsched_handler_unregister(text *command_type,
										text *command_module);

#endif
