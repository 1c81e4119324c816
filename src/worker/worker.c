/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  What every process of ours does alike: being registered, signals,
 *	  waiting, reloading settings, getting out of the way.
 *
 * IDENTIFICATION
 *	  src/worker/worker.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "worker/worker.h"

/* No wait is longer, so that a clock that is set cannot freeze us. */
#define MAX_WAIT_US (60 * USECS_PER_SEC)

static uint32 main_wait_event = PG_WAIT_EXTENSION;

/* ------------------------------------------------------------------------
 * Registering
 * ------------------------------------------------------------------------
 */

static void
fill_worker(BackgroundWorker *worker, const char *main_function)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags =
		BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker->bgw_library_name, "cmdsched", BGW_MAXLEN);
	strlcpy(worker->bgw_function_name, main_function, BGW_MAXLEN);
}

/* The launcher is the only one that the postmaster itself brings back. */
void
cmdsched_worker_register_launcher(void)
{
	BackgroundWorker worker;

	fill_worker(&worker, "cmdsched_launcher_main");
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_type, "cmdsched launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "cmdsched launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

/* NULL where the server has no free worker slot. */
BackgroundWorkerHandle *
cmdsched_worker_start(WorkerKind kind, Oid database, Datum arg)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;
	const char *type;

	if (kind == WORKER_SCHEDULER)
	{
		type = "cmdsched scheduler";
		fill_worker(&worker, "cmdsched_scheduler_main");
	}
	else
	{
		type = "cmdsched executor";
		fill_worker(&worker, "cmdsched_executor_main");
	}
	worker.bgw_main_arg = arg;
	strlcpy(worker.bgw_type, type, BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "%s for database %u", type, database);
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		return NULL;
	return handle;
}

bool
cmdsched_worker_has_ended(BackgroundWorkerHandle *handle)
{
	pid_t pid;
	BgwHandleStatus status = GetBackgroundWorkerPid(handle, &pid);

	return status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED;
}

/* ------------------------------------------------------------------------
 * Running
 * ------------------------------------------------------------------------
 */

/*
 * First thing in a worker's main function.  wait_event is what it waits for
 * where there is nothing to do.
 */
void
cmdsched_worker_setup(const char *wait_event, pqsigfunc sigint_handler,
					  pqsigfunc sigterm_handler)
{
	main_wait_event = cmdsched_wait_event_new(wait_event);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGINT, sigint_handler);
	pqsignal(SIGTERM, sigterm_handler);
	BackgroundWorkerUnblockSignals();
#if defined(__linux__) && defined(PR_SET_TIMERSLACK)
	/* The kernel may otherwise be 50 us late with every wake-up. */
	(void) prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
#endif
}

/* True if the settings may be others now. */
bool
cmdsched_worker_handle_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
	if (!ConfigReloadPending)
		return false;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	return true;
}

bool
cmdsched_worker_shutdown_requested(void)
{
	return ProcDiePending;
}

/*
 * Sleep until that instant or until the latch is set.  The server counts
 * waits in whole milliseconds; the rest of the last one is slept through,
 * which is short enough to let the latch wait.
 */
void
cmdsched_worker_wait(TimestampTz until)
{
	TimestampTz now = GetCurrentTimestamp();
	int64 wait_us = until <= now ? 0 : MAX_WAIT_US;

	if (until > now && until < now + MAX_WAIT_US)
		wait_us = until - now;
	if (wait_us >= 1000)
	{
		if (WaitLatch(MyLatch,
					  WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					  wait_us / 1000,
					  main_wait_event) &
			WL_LATCH_SET)
			wait_us = 0;
		else
			wait_us = until - GetCurrentTimestamp();
	}
	if (wait_us > 0 && wait_us < 1000)
		pg_usleep(wait_us);
	ResetLatch(MyLatch);
}

/* Is it earlier than when last asked?  Called once a turn of a main loop. */
bool
cmdsched_worker_clock_was_set_back(TimestampTz now)
{
	static TimestampTz last = 0;
	bool set_back = now < last;

	last = now;
	return set_back;
}

/*
 * By how much was it set since this was last asked?  0: by less than a second,
 * which is what keeping it in step may do.
 */
int64
cmdsched_worker_clock_step_us(TimestampTz now)
{
	static TimestampTz last = 0;
	static instr_time last_steady;
	instr_time steady;
	instr_time passed;
	int64 step_us = 0;

	INSTR_TIME_SET_CURRENT(steady);
	if (last != 0)
	{
		passed = steady;
		INSTR_TIME_SUBTRACT(passed, last_steady);
		step_us = now - last - (int64) INSTR_TIME_GET_MICROSEC(passed);
	}
	last = now;
	last_steady = steady;
	return step_us >= USECS_PER_SEC || step_us <= -USECS_PER_SEC ? step_us : 0;
}

/* In any session: wait for a condition that others bring about. */
bool
cmdsched_worker_wait_until(WorkerCondition condition, void *arg,
						   int timeout_ms)
{
	static uint32 wait_event = 0;
	TimestampTz deadline =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);

	if (wait_event == 0)
		wait_event = cmdsched_wait_event_new("CmdschedWorkerState");

	while (!condition(arg))
	{
		if (GetCurrentTimestamp() >= deadline)
			return false;
		/* Not everything that we wait for sets our latch. */
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 10,
						 wait_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

/*
 * Does somebody wait for this database to be free of connections, to drop,
 * rename or copy it?  They hold a lock on it that we cannot get past.
 */
bool
cmdsched_worker_database_is_wanted(void)
{
	LOCKTAG tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, MyDatabaseId, 0);
	if (LockAcquire(&tag, RowExclusiveLock, true, true) ==
		LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, RowExclusiveLock, true);
	return false;
}
