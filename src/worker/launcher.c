/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  The process, one a server, that keeps a scheduler in every database
 *	  that has the extension.
 *
 * It is connected to no database, so it cannot see who has the extension: it
 * starts a scheduler everywhere once, and one that finds no extension says
 * so and leaves.  CREATE EXTENSION asks for another look.
 *
 * At every wake-up it compares what runs with what should; nothing depends
 * on having seen an event.
 *
 * IDENTIFICATION
 *	  src/worker/launcher.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "settings.h"
#include "worker/shared_state.h"
#include "worker/worker.h"

/* How often to look for new databases. */
#define ROUND_US (60 * USECS_PER_SEC)

/* A scheduler that left is started again after that. */
#define RESTART_US (1 * USECS_PER_SEC)

/* One that is not at work by then never will be. */
#define START_TIMEOUT_US (10 * USECS_PER_SEC)

/* A scheduler of which we know only that it was started. */
typedef struct StartedScheduler
{
	int slot;
	BackgroundWorkerHandle *handle;
} StartedScheduler;

static List *started = NIL;
static bool full_logged = false;

/* The databases that may have a scheduler, in caller's memory. */
static List *
list_databases(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List *databases = NIL;
	Relation catalog;
	TableScanDesc scan;
	HeapTuple tuple;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	catalog = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(catalog, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (form->datallowconn && !form->datistemplate &&
			cmdsched_setting_names_database(NameStr(form->datname)))
		{
			MemoryContext transaction = MemoryContextSwitchTo(caller);

			databases = lappend_oid(databases, form->oid);
			MemoryContextSwitchTo(transaction);
		}
	}
	table_endscan(scan);
	table_close(catalog, AccessShareLock);
	CommitTransactionCommand();
	return databases;
}

/* Those that ended before they were at work may be started again. */
static void
reap_schedulers(TimestampTz now)
{
	ListCell *cell;

	foreach(cell, started)
	{
		StartedScheduler *scheduler = lfirst(cell);

		if (!cmdsched_worker_has_ended(scheduler->handle))
			continue;
		cmdsched_database_change(scheduler->slot,
								 SCHEDULER_STARTING,
								 SCHEDULER_UNKNOWN,
								 now);
		pfree(scheduler->handle);
		pfree(scheduler);
		started = foreach_delete_current(started, cell);
	}
}

static void
remember_scheduler(int slot, BackgroundWorkerHandle *handle)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	StartedScheduler *scheduler = palloc(sizeof(StartedScheduler));

	scheduler->slot = slot;
	scheduler->handle = handle;
	started = lappend(started, scheduler);
	MemoryContextSwitchTo(caller);
}

static bool
start_scheduler(Oid database, int slot, TimestampTz now)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	BackgroundWorkerHandle *handle;

	/* First: it may be at work before we know that it was started. */
	cmdsched_database_set_state(slot, SCHEDULER_STARTING, now);
	handle = cmdsched_worker_start(WORKER_SCHEDULER,
								   database,
								   ObjectIdGetDatum(database));
	MemoryContextSwitchTo(caller);
	if (handle != NULL)
	{
		remember_scheduler(slot, handle);
		full_logged = false;
		return true;
	}
	cmdsched_database_set_state(slot, SCHEDULER_WANTED, now);
	if (!full_logged)
		ereport(LOG,
				errmsg("cmdsched found no free background worker slot for a "
					   "scheduler"),
				errhint("Consider raising max_worker_processes."));
	full_logged = true;
	return false;
}

/*
 * Does this database want a scheduler, now or when?  One that left for
 * somebody who waits for the database, or on an error, is given a moment.
 */
static TimestampTz
wants_scheduler_at(int slot, TimestampTz now)
{
	TimestampTz since;
	int pid = cmdsched_scheduler_pid(slot, &since);

	switch (cmdsched_database_state(slot))
	{
		case SCHEDULER_WANTED:
			return DT_NOBEGIN;
		case SCHEDULER_UNKNOWN:
			/* In the future where the clock was set back. */
			return since == 0 || since > now ? DT_NOBEGIN : since + RESTART_US;
		case SCHEDULER_STARTING:
			/* Whoever started it may be gone, and may not have seen it fail. */
			if (pid != 0)
				return DT_NOEND;
			return since > now ? DT_NOBEGIN : since + START_TIMEOUT_US;
		default:
			return DT_NOEND;
	}
}

/* A database without the extension that somebody asked to look at again. */
static void
notice_request(int slot, TimestampTz now)
{
	if (cmdsched_database_state(slot) == SCHEDULER_ABSENT &&
		cmdsched_scheduler_take_sweep_request(slot))
		cmdsched_database_change(slot, SCHEDULER_ABSENT, SCHEDULER_WANTED, now);
}

static void
forget_dropped_databases(List *databases)
{
	int slot = NO_SLOT;

	while ((slot = cmdsched_database_next(slot)) != NO_SLOT)
	{
		if (!list_member_oid(databases, cmdsched_database_oid(slot)) &&
			cmdsched_scheduler_pid(slot, NULL) == 0 &&
			cmdsched_database_state(slot) != SCHEDULER_STARTING)
		{
			cmdsched_handler_slots_forget(cmdsched_database_oid(slot));
			cmdsched_database_forget(slot);
		}
	}
}

static void
complain_of_too_many(void)
{
	static bool logged = false;

	if (!logged)
		ereport(LOG,
				errmsg("cmdsched serves as many databases as it can"),
				errhint("Set cmdsched.databases to those that need it."));
	logged = true;
}

/* One round.  Returns when the next is needed. */
static TimestampTz
launcher_pass(TimestampTz now)
{
	TimestampTz next = now + ROUND_US;
	List *databases = list_databases();
	ListCell *cell;

	reap_schedulers(now);
	forget_dropped_databases(databases);
	foreach(cell, databases)
	{
		int slot = cmdsched_database_add(lfirst_oid(cell));
		TimestampTz at;

		if (slot == NO_SLOT)
		{
			complain_of_too_many();
			continue;
		}
		notice_request(slot, now);
		at = wants_scheduler_at(slot, now);
		if (at > now)
			next = Min(next, at);
		else if (!start_scheduler(lfirst_oid(cell), slot, now))
			next = Min(next, now + RESTART_US);
	}
	list_free(databases);
	return next;
}

static void
leave(int code, Datum arg)
{
	cmdsched_launcher_detach();
}

void
cmdsched_launcher_main(Datum arg)
{
	cmdsched_worker_setup("CmdschedLauncherMain", SIG_IGN, die);
	if (!cmdsched_shared_state_attach())
		proc_exit(1);
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	cmdsched_launcher_attach();
	before_shmem_exit(leave, (Datum) 0);
	pgstat_report_activity(STATE_IDLE, NULL);
	for (;;)
	{
		(void) cmdsched_worker_handle_interrupts();
		cmdsched_worker_wait(launcher_pass(GetCurrentTimestamp()));
	}
}
