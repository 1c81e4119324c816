/*-------------------------------------------------------------------------
 *
 * settings.c
 *	  Every configuration parameter: its variable, definition and check.
 *
 * None may change what another role's commands do, hence no PGC_USERSET.
 *
 * IDENTIFICATION
 *	  src/settings.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"
#include "utils/varlena.h"

#include "settings.h"

bool cmdsched_enabled = true;
bool cmdsched_listen = true;
char *cmdsched_databases = NULL;
int cmdsched_poll_interval = 60;
int cmdsched_max_executors = 4;
int cmdsched_batch_size = 1000;
int cmdsched_batch_time = 10;
int cmdsched_executor_idle_timeout = 30;
int cmdsched_max_command_size = 1024;
bool cmdsched_test_clock = true;
int cmdsched_history_retention = 30 * 24 * 60 * 60;
int cmdsched_history_max_rows = 10 * 1000 * 1000;
int cmdsched_max_depth = 100;
int cmdsched_max_pending = 0;
int cmdsched_hook_timeout = 1000;
int cmdsched_log_min_duration = -1;
bool cmdsched_log_error_messages = false;

static bool
check_databases(char **newval, void **extra, GucSource source)
{
	char *copy = pstrdup(*newval);
	List *names = NIL;
	bool is_list = SplitIdentifierString(copy, ',', &names);

	if (!is_list)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(names);
	pfree(copy);
	return is_list;
}

/* Is the database one of those that cmdsched.databases lets us serve? */
bool
cmdsched_setting_names_database(const char *database_name)
{
	char *copy;
	List *names = NIL;
	ListCell *cell;
	bool found = false;

	if (cmdsched_databases == NULL || cmdsched_databases[0] == '\0')
		return true;
	copy = pstrdup(cmdsched_databases);
	if (SplitIdentifierString(copy, ',', &names))
	{
		foreach(cell, names)
			found |= strcmp((char *) lfirst(cell), database_name) == 0;
	}
	list_free(names);
	pfree(copy);
	return found;
}

static void
define_worker_settings(void)
{
	DefineCustomBoolVariable("cmdsched.enabled",
							 "Sets whether the workers run commands.",
							 "While off, commands wait; dispatch by hand goes on working.",
							 &cmdsched_enabled,
							 true,
							 PGC_SIGHUP,
							 0,
							 NULL,
							 NULL,
							 NULL);
	DefineCustomBoolVariable("cmdsched.listen",
							 "Sets whether NOTIFY cmdsched wakes the scheduler.",
							 NULL,
							 &cmdsched_listen,
							 true,
							 PGC_SIGHUP,
							 0,
							 NULL,
							 NULL,
							 NULL);
	DefineCustomStringVariable("cmdsched.databases",
							   "Sets the databases that get a scheduler.",
							   "Empty means every database that has the extension.",
							   &cmdsched_databases,
							   "",
							   PGC_SIGHUP,
							   GUC_LIST_INPUT,
							   check_databases,
							   NULL,
							   NULL);
	DefineCustomIntVariable("cmdsched.poll_interval",
							"Sets how often the scheduler looks at everything.",
							"Finds what cannot wake it: restored or replicated rows.",
							&cmdsched_poll_interval,
							60,
							1,
							INT_MAX / 1000,
							PGC_SIGHUP,
							GUC_UNIT_S,
							NULL,
							NULL,
							NULL);
	DefineCustomIntVariable("cmdsched.max_executors",
							"Sets the most executors at the same time in one database.",
							"Each needs one of max_worker_processes.",
							&cmdsched_max_executors,
							4,
							1,
							256,
							PGC_SIGHUP,
							0,
							NULL,
							NULL,
							NULL);
	DefineCustomIntVariable("cmdsched.executor_idle_timeout",
							"Sets how long an executor with nothing to do stays.",
							NULL,
							&cmdsched_executor_idle_timeout,
							30,
							0,
							INT_MAX / 1000,
							PGC_SIGHUP,
							GUC_UNIT_S,
							NULL,
							NULL,
							NULL);
}

static void
define_command_settings(void)
{
	DefineCustomIntVariable("cmdsched.batch_size",
							"Sets the most commands in one transaction.",
							NULL,
							&cmdsched_batch_size,
							1000,
							1,
							10000,
							PGC_SIGHUP,
							0,
							NULL,
							NULL,
							NULL);
	DefineCustomIntVariable("cmdsched.batch_time",
							"Sets how long a transaction goes on taking commands.",
							NULL,
							&cmdsched_batch_time,
							10,
							0,
							60000,
							PGC_SIGHUP,
							GUC_UNIT_MS,
							NULL,
							NULL,
							NULL);
	DefineCustomIntVariable("cmdsched.max_command_size",
							"Sets the largest command_data, and metadata, that is accepted.",
							NULL,
							&cmdsched_max_command_size,
							1024,
							1,
							1024 * 1024 - 1,
							PGC_SUSET,
							GUC_UNIT_KB,
							NULL,
							NULL,
							NULL);
	DefineCustomBoolVariable("cmdsched.test_clock",
							 "Sets whether sessions may move their own clock, for tests.",
							 "now() moves with it: turn it off where that has to be trusted.",
							 &cmdsched_test_clock,
							 true,
							 PGC_SUSET,
							 0,
							 NULL,
							 NULL,
							 NULL);
	DefineCustomIntVariable("cmdsched.max_depth",
							"Sets how many commands may follow from one another without a pause.",
							"A command that a handler schedules for a second from now, or later, starts anew. Zero means no limit.",
							&cmdsched_max_depth,
							100,
							0,
							PG_INT16_MAX,
							PGC_SUSET,
							0,
							NULL,
							NULL,
							NULL);
	DefineCustomIntVariable("cmdsched.max_pending",
							"Sets how many commands one role may have waiting in one database.",
							"Sessions that schedule at the same time may exceed it a little. Zero means no limit.",
							&cmdsched_max_pending,
							0,
							0,
							INT_MAX,
							PGC_SUSET,
							0,
							NULL,
							NULL,
							NULL);
}

static void
define_history_settings(void)
{
	DefineCustomIntVariable("cmdsched.history_retention",
							"Sets for how long the command history is kept.",
							"Zero means no limit.",
							&cmdsched_history_retention,
							30 * 24 * 60 * 60,
							0,
							INT_MAX,
							PGC_SIGHUP,
							GUC_UNIT_S,
							NULL,
							NULL,
							NULL);
	DefineCustomIntVariable("cmdsched.history_max_rows",
							"Sets about how many rows of the command history are kept in a database.",
							"Zero means no limit.",
							&cmdsched_history_max_rows,
							10 * 1000 * 1000,
							0,
							INT_MAX,
							PGC_SIGHUP,
							0,
							NULL,
							NULL,
							NULL);
}

static void
define_log_settings(void)
{
	DefineCustomIntVariable("cmdsched.hook_timeout",
							"Sets how long one call of a hook may take.",
							"It is then cancelled, which counts as a failure.",
							&cmdsched_hook_timeout,
							1000,
							1,
							INT_MAX / 1000,
							PGC_SUSET,
							GUC_UNIT_MS,
							NULL,
							NULL,
							NULL);
	DefineCustomBoolVariable("cmdsched.log_error_messages",
							 "Sets whether the log says why a command failed or is held.",
							 "Error messages may contain what only the owner of the command is to see.",
							 &cmdsched_log_error_messages,
							 false,
							 PGC_SUSET,
							 0,
							 NULL,
							 NULL,
							 NULL);
	DefineCustomIntVariable("cmdsched.log_min_duration",
							"Sets the run time from which on a command is logged.",
							"Zero logs all, -1 none.",
							&cmdsched_log_min_duration,
							-1,
							-1,
							INT_MAX,
							PGC_SUSET,
							GUC_UNIT_MS,
							NULL,
							NULL,
							NULL);
}

void
cmdsched_settings_define(void)
{
	define_worker_settings();
	define_command_settings();
	define_history_settings();
	define_log_settings();
	MarkGUCPrefixReserved("cmdsched");
}
