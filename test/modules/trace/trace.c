/*
 * trace.c
 *	  A hook in C, as other extensions may have one: it writes what it is told
 *	  to the log, and fails for commands of the type Break.
 */
#include "postgres.h"

#include "extension/cmdsched/cmdsched.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

static CmdschedOperationHook previous_hook = NULL;

static void
trace(const CmdschedOperation *operation)
{
	if (previous_hook)
		previous_hook(operation);
	if (operation->command_type != NULL &&
		strcmp(operation->command_type, "Break") == 0)
		ereport(ERROR, errmsg("this hook fails"));
	ereport(LOG,
			errmsg("trace %s %s %s %s %d %s %s",
				   operation->name,
				   operation->phase == CMDSCHED_START ? "start" : "end",
				   operation->schedule_id ? operation->schedule_id : "-",
				   operation->correlation_id ? operation->correlation_id : "-",
				   operation->attempt,
				   operation->outcome ? operation->outcome : "-",
				   operation->duration_us >= 0 ? "ok" : "negative"));
}

void
_PG_init(void)
{
	previous_hook = cmdsched_operation_hook;
	cmdsched_operation_hook = trace;
}
