/*-------------------------------------------------------------------------
 *
 * pruning.c
 *	  Keeps the command history from growing without end: a part of the
 *	  scheduler's round.
 *
 * IDENTIFICATION
 *	  src/worker/pruning.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "command/extension.h"
#include "command/history_store.h"
#include "worker/pruning.h"

/* How often to look; no more often than the scheduler wakes up anyway. */
#define LOOK_US (2 * USECS_PER_SEC)

/* The scheduler has better things to do than to wait for an index. */
#define LOCK_TIMEOUT "20ms"

static void
prune(TimestampTz now)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) set_config_option("lock_timeout",
							 LOCK_TIMEOUT,
							 PGC_USERSET,
							 PGC_S_SESSION,
							 GUC_ACTION_LOCAL,
							 true,
							 0,
							 false);
	if (cmdsched_extension_find() != NULL)
		cmdsched_history_prune(now);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* Not before LOOK_US have gone by since the last time. */
void
cmdsched_pruning_run(TimestampTz now)
{
	static TimestampTz last_look = 0;

	if (now >= last_look && now - last_look < LOOK_US)
		return;
	last_look = now;
	PG_TRY();
	{
		prune(now);
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
			EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
}
