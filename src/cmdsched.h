/*-------------------------------------------------------------------------
 *
 * cmdsched.h
 *	  What other extensions may use: the hook around what cmdsched does.
 *
 * To be included after postgres.h.  Whichever library is loaded first, the
 * variable is the same:
 *
 *	  previous_hook = cmdsched_operation_hook;
 *	  cmdsched_operation_hook = my_hook;
 *
 * IDENTIFICATION
 *	  src/cmdsched.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_H
#define CMDSCHED_H

#include "fmgr.h"

typedef enum CmdschedPhase
{
	CMDSCHED_START,
	CMDSCHED_END,
} CmdschedPhase;

/* Strings are valid during the call only. */
typedef struct CmdschedOperation
{
	const char *name; /* scheduler.dispatch.<CommandType> and so on */
	CmdschedPhase phase;
	const char *correlation_id; /* NULL: none */
	const char *command_type;	/* NULL: no command, nor what follows */
	const char *schedule_id;
	int attempt;
	const char *outcome; /* of the end; NULL at the start */
	int64 duration_us;
} CmdschedOperation;

/*
 * Called in a subtransaction, as the role whose command it is.  An error is
 * caught and logged; after ten in a row the hook is not called any more in
 * that process.
 */
typedef void (*CmdschedOperationHook)(const CmdschedOperation *operation);

#define cmdsched_operation_hook \
	(*(CmdschedOperationHook *) (find_rendezvous_variable( \
		"cmdsched_operation_hook")))

#endif
