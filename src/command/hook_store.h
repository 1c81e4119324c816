/*-------------------------------------------------------------------------
 *
 * hook_store.h
 *	  The registry of hooks: which functions want to know of what is done.
 *
 * IDENTIFICATION
 *	  src/command/hook_store.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_HOOK_STORE_H
#define CMDSCHED_HOOK_STORE_H

#include "fmgr.h"
#include "nodes/pg_list.h"

#include "command/command.h"

/* After so many failures in a row a hook is disabled. */
#define CMDSCHED_MAX_HOOK_FAILURES 10

/*
 * A hook as the current role meets it; valid to the end of the transaction.
 * Where it is not called for the role's commands, problem says why.
 */
typedef struct Hook
{
	char *pattern;
	char *signature;
	int priority;
	Oid function;
	FmgrInfo *call; /* see cmdsched_hook_call() */
	int failures;	/* in a row */
	char *problem;	/* NULL = none */
} Hook;

extern bool cmdsched_hook_any(void);
extern List *cmdsched_hook_list(void);
extern bool cmdsched_hook_matches(const char *pattern, const char *operation);
extern FmgrInfo *cmdsched_hook_call(Hook *hook);
extern void cmdsched_hook_forget_calls(void);
extern void cmdsched_hook_count(Hook *hook, int nfailures,
								const CommandError *error);
extern bool cmdsched_hook_has_counts(void);
extern void cmdsched_hook_save_counts(void);

extern void cmdsched_hook_check_function(Oid function);
extern void cmdsched_hook_register(text *pattern, Oid function, int priority);
extern bool cmdsched_hook_unregister(text *pattern, text *hook);
extern bool cmdsched_hook_enable(text *pattern, text *hook);
extern bool cmdsched_hook_disable(text *pattern, text *hook, text *reason);

#endif
