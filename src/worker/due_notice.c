/*-------------------------------------------------------------------------
 *
 * due_notice.c
 *	  Tells applications that commands of theirs are due: a part of what
 *	  the scheduler does, for commands whose handler is external.
 *
 * A notification says that something of a type became due since the last
 * one, not that there is nothing else.  What nobody has claimed is told of
 * again after each sweep only.
 *
 * IDENTIFICATION
 *	  src/worker/due_notice.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "command/lease_store.h"
#include "worker/due_notice.h"
#include "worker/occurrence.h"
#include "worker/shared_state.h"

/* Commands that become due in swarms cause no more notifications than that. */
#define NOTICE_INTERVAL_US (5 * 1000L)

static TimestampTz next_due = DT_NOBEGIN; /* all before it was told of */
static TimestampTz last_notice = 0;

/* Tell of all that is due, whether it was told of or not. */
void
cmdsched_due_notice_begin_anew(void)
{
	next_due = DT_NOBEGIN;
	last_notice = 0;
}

static void
notify(text *command_type, void *arg)
{
	Async_Notify("cmdsched_due", text_to_cstring(command_type));
}

/* Look at the table, and tell of what became due. */
static void
look_at_commands(TimestampTz now)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	cmdsched_lease_fail_used_up(now, cmdsched_occurrence_end_external);
	cmdsched_lease_end_expired(now);
	cmdsched_lease_list_due(next_due, now, notify, NULL);
	next_due = cmdsched_lease_next_due(now);
	PopActiveSnapshot();
	CommitTransactionCommand();
	last_notice = now;
}

/*
 * One round.  Returns when the next is needed, unless the latch is set
 * before.
 */
TimestampTz
cmdsched_due_notice_pass(int database_slot, TimestampTz now)
{
	TimestampTz news;

	/* First listen, then look: what comes in between sets the latch. */
	cmdsched_database_watch_claimable(database_slot, DT_NOEND);
	news = cmdsched_database_take_claimable(database_slot);
	next_due = Min(next_due, news);
	if (next_due <= now)
	{
		if (now < last_notice + NOTICE_INTERVAL_US)
		{
			cmdsched_database_watch_claimable(database_slot, DT_NOBEGIN);
			return last_notice + NOTICE_INTERVAL_US;
		}
		look_at_commands(now);
	}
	cmdsched_database_watch_claimable(database_slot, next_due);
	return next_due;
}
