/*-------------------------------------------------------------------------
 *
 * control.c
 *	  Starting, stopping and waking this database's workers from a session.
 *
 * IDENTIFICATION
 *	  src/worker/control.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "worker/control.h"
#include "worker/shared_state.h"
#include "worker/wakeup.h"
#include "worker/worker.h"

/* How long starting a process, or ending one, can take at most. */
#define START_TIMEOUT_MS 10000
#define END_TIMEOUT_MS 5000

static void
attach_or_complain(void)
{
	if (!cmdsched_shared_state_attach())
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("cmdsched has no shared memory in this server"),
				errhint("Add cmdsched to shared_preload_libraries and "
						"restart the server. Without it, commands can be "
						"dispatched by hand with cmdsched.run_once()."));
}

/* ------------------------------------------------------------------------
 * Starting
 * ------------------------------------------------------------------------
 */

typedef struct StartedWorker
{
	int database_slot;
	BackgroundWorkerHandle *handle;
} StartedWorker;

static bool
has_started_or_failed(void *arg)
{
	StartedWorker *worker = arg;

	return cmdsched_scheduler_pid(worker->database_slot, NULL) != 0 ||
		   cmdsched_worker_has_ended(worker->handle);
}

static void
warn_once_without_preload(void)
{
	static bool warned = false;

	if (warned || cmdsched_shared_state_is_preloaded())
		return;
	warned = true;
	ereport(WARNING,
			errmsg("the scheduler will not come back after a server crash or "
				   "restart"),
			errhint("Add cmdsched to shared_preload_libraries and restart "
					"the server."));
}

/* False where a scheduler is running already. */
bool
cmdsched_control_start(void)
{
	StartedWorker worker;
	TimestampTz now = GetCurrentTimestamp();

	attach_or_complain();
	worker.database_slot = cmdsched_database_add(MyDatabaseId);
	if (worker.database_slot == NO_SLOT)
		ereport(ERROR,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("cmdsched serves as many databases as it can"),
				errhint("Set cmdsched.databases to those that need it."));
	if (cmdsched_scheduler_pid(worker.database_slot, NULL) != 0)
		return false;

	cmdsched_database_set_state(worker.database_slot, SCHEDULER_STARTING, now);
	worker.handle = cmdsched_worker_start(WORKER_SCHEDULER,
										  MyDatabaseId,
										  ObjectIdGetDatum(MyDatabaseId));
	if (worker.handle == NULL)
	{
		cmdsched_database_set_state(worker.database_slot,
									SCHEDULER_WANTED,
									now);
		ereport(ERROR,
				errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				errmsg("there is no free background worker slot"),
				errhint("Raise max_worker_processes."));
	}
	if (!cmdsched_worker_wait_until(has_started_or_failed,
									&worker,
									START_TIMEOUT_MS) ||
		cmdsched_scheduler_pid(worker.database_slot, NULL) == 0)
	{
		cmdsched_database_change(worker.database_slot,
								 SCHEDULER_STARTING,
								 SCHEDULER_UNKNOWN,
								 now);
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("the scheduler did not start"),
				errhint("The server log says why."));
	}
	warn_once_without_preload();
	return true;
}

/* ------------------------------------------------------------------------
 * Stopping
 * ------------------------------------------------------------------------
 */

static bool
executors_are_gone(void *arg)
{
	return cmdsched_executor_next(MyDatabaseId, NO_SLOT) == NO_SLOT;
}

static bool
scheduler_is_gone(void *arg)
{
	return cmdsched_scheduler_pid(*(int *) arg, NULL) == 0;
}

static void
send_executors_away(bool at_once)
{
	int slot = NO_SLOT;

	while ((slot = cmdsched_executor_next(MyDatabaseId, slot)) != NO_SLOT)
	{
		int pid = cmdsched_executor_pid(slot);

		cmdsched_executor_ask_to_leave(slot);
		if (at_once && pid != 0)
			kill(pid, SIGTERM);
	}
}

/* False where none ran. */
bool
cmdsched_control_stop(int timeout_ms)
{
	int database_slot;
	bool was_running;

	attach_or_complain();
	database_slot = cmdsched_database_add(MyDatabaseId);
	if (database_slot == NO_SLOT)
		return false;
	was_running = cmdsched_scheduler_pid(database_slot, NULL) != 0 ||
				  !executors_are_gone(NULL);
	cmdsched_database_set_state(database_slot,
								SCHEDULER_STOPPED,
								GetCurrentTimestamp());
	cmdsched_scheduler_wake(database_slot);
	(void) cmdsched_worker_wait_until(scheduler_is_gone,
									  &database_slot,
									  END_TIMEOUT_MS);
	send_executors_away(false);
	if (!cmdsched_worker_wait_until(executors_are_gone, NULL, timeout_ms))
	{
		send_executors_away(true);
		(void) cmdsched_worker_wait_until(executors_are_gone,
										  NULL,
										  END_TIMEOUT_MS);
	}
	return was_running;
}

/* ------------------------------------------------------------------------
 * Waking
 * ------------------------------------------------------------------------
 */

void
cmdsched_control_trigger(void)
{
	int slot;

	if (!cmdsched_shared_state_attach())
		return;
	slot = cmdsched_database_find(MyDatabaseId);
	if (slot != NO_SLOT)
		cmdsched_scheduler_request_sweep(slot);
	cmdsched_wakeup_note_everything();
}

/* Once a session: nobody may be there to run what was just scheduled. */
void
cmdsched_control_warn_without_worker(void)
{
	static bool checked = false;

	if (checked)
		return;
	checked = true;
	if (cmdsched_shared_state_attach() &&
		(cmdsched_shared_state_is_preloaded() ||
		 cmdsched_scheduler_pid(cmdsched_database_add(MyDatabaseId), NULL) !=
			 0))
		return;
	ereport(WARNING,
			errmsg("no scheduler is running in this database"),
			errhint("Add cmdsched to shared_preload_libraries, use "
					"cmdsched.start(), or dispatch by hand with "
					"cmdsched.run_once()."));
}
