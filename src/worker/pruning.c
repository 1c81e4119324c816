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
#include "settings.h"
#include "worker/pruning.h"
#include "worker/shared_state.h"

/* How often to look while executors may write history. */
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

/* Not too soon after the last time: an idle scheduler runs no queries. */
void
cmdsched_pruning_run(TimestampTz now)
{
	static TimestampTz last_look = 0;
	int64 interval_us =
		cmdsched_executor_next(MyDatabaseId, NO_SLOT) != NO_SLOT
			? LOOK_US
			: cmdsched_poll_interval * (int64) USECS_PER_SEC;

	if (now >= last_look && now - last_look < interval_us)
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
