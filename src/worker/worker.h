/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  What every process of ours does alike.
 *
 * IDENTIFICATION
 *	  src/worker/worker.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_WORKER_H
#define CMDSCHED_WORKER_H

#include "datatype/timestamp.h"
#include "postmaster/bgworker.h"

typedef enum WorkerKind
{
	WORKER_SCHEDULER,
	WORKER_EXECUTOR,
} WorkerKind;

typedef bool (*WorkerCondition)(void *arg);

/* The entry points, found by name in the library */
extern PGDLLEXPORT void cmdsched_launcher_main(Datum arg);
extern PGDLLEXPORT void cmdsched_scheduler_main(Datum arg);
extern PGDLLEXPORT void cmdsched_executor_main(Datum arg);

extern void cmdsched_worker_register_launcher(void);
extern BackgroundWorkerHandle *cmdsched_worker_start(WorkerKind kind,
													 Oid database, Datum arg);
extern bool cmdsched_worker_has_ended(BackgroundWorkerHandle *handle);

extern void cmdsched_worker_setup(const char *wait_event,
								  pqsigfunc sigint_handler,
								  pqsigfunc sigterm_handler);
extern bool cmdsched_worker_handle_interrupts(void);
extern void cmdsched_worker_wait(TimestampTz until);
extern bool cmdsched_worker_clock_was_set_back(TimestampTz now);
extern int64 cmdsched_worker_clock_step_us(TimestampTz now);
extern bool cmdsched_worker_wait_until(WorkerCondition condition, void *arg,
									   int timeout_ms);
extern bool cmdsched_worker_database_is_wanted(void);
extern bool cmdsched_worker_shutdown_requested(void);

#endif
