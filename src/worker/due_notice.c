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
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "command/lease_scan.h"
#include "command/lease_store.h"
#include "worker/claim.h"
#include "worker/due_notice.h"
#include "worker/lease_end.h"
#include "worker/shared_state.h"

/* Commands that become due in swarms cause no more notifications than that. */
#define NOTICE_INTERVAL_US (5 * 1000L)

/* So many are stepped over before looking again from there. */
#define MAX_DEAD_ENTRIES 1000

/* One look at the table. */
typedef struct DueNotice
{
	TimestampTz now;
	TimestampTz next;
	List *due;	   /* types */
	List *expired; /* of LeasedCommand */
} DueNotice;

static TimestampTz next_due = DT_NOBEGIN; /* all before it was told of */
static TimestampTz last_notice = 0;

/* Tell of all that is due, whether it was told of or not. */
void
cmdsched_due_notice_begin_anew(void)
{
	next_due = DT_NOBEGIN;
	last_notice = 0;
	cmdsched_lease_slots_look_again(MyDatabaseId);
}

/* A lease that ended, in memory of its own. */
static LeasedCommand *
keep(const LeaseCandidate *candidate)
{
	LeasedCommand *leased = palloc(sizeof(LeasedCommand));

	cmdsched_claim_identify(leased, candidate);
	leased->key.schedule_id =
		DatumGetTextPCopy(PointerGetDatum(leased->key.schedule_id));
	leased->command_type =
		DatumGetTextPCopy(PointerGetDatum(leased->command_type));
	leased->command_module =
		DatumGetTextPCopy(PointerGetDatum(leased->command_module));
	leased->claim_token = datumCopy(leased->claim_token, false, UUID_LEN);
	return leased;
}

/*
 * The commands of one type and role: whether something became due, whose
 * leases ended, and when to look again.
 */
static void
look_at_group(DueNotice *notice, LeaseTable *table, const LeaseType *type,
			  Oid role)
{
	CommandPosition from = {.due_at = next_due};
	LeaseCandidate candidate;
	TimestampTz next;
	LeaseScan *scan;

	scan = cmdsched_lease_scan_begin(table,
									 type->command_type,
									 type->command_module,
									 role,
									 &from);
	while (cmdsched_lease_scan_next(scan, notice->now, &candidate))
	{
		if (candidate.is_claimed)
			notice->expired = lappend(notice->expired, keep(&candidate));
		else if (!type->paused)
			notice->due =
				list_append_unique_ptr(notice->due, type->command_type);
	}
	cmdsched_lease_scan_end(scan);

	from.due_at = notice->now + 1;
	scan = cmdsched_lease_scan_begin(table,
									 type->command_type,
									 type->command_module,
									 role,
									 &from);
	next = cmdsched_lease_scan_peek(scan, MAX_DEAD_ENTRIES);
	notice->next = Min(notice->next, next);
	cmdsched_lease_scan_end(scan);
}

static void
look_at_types(DueNotice *notice)
{
	LeaseTable *table = cmdsched_lease_table_open();
	List *types = cmdsched_lease_list_types((Datum) 0);
	ListCell *cell;

	foreach(cell, types)
	{
		LeaseType *type = lfirst(cell);
		Oid role = InvalidOid;

		while (OidIsValid(role = cmdsched_lease_next_role(table,
														  type->command_type,
														  type->command_module,
														  role)))
			look_at_group(notice, table, type, role);
	}
	cmdsched_lease_table_close(table);
}

/* Look at the table, and tell of what became due. */
static void
look_at_commands(TimestampTz now)
{
	DueNotice notice = {.now = now, .next = DUE_NEVER};
	ListCell *cell;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	look_at_types(&notice);
	/* With that they are due: the next round tells of them. */
	foreach(cell, notice.expired)
		(void) cmdsched_lease_end_expire(lfirst(cell), now);
	foreach(cell, notice.due)
		Async_Notify("cmdsched_due", text_to_cstring(lfirst(cell)));
	PopActiveSnapshot();
	CommitTransactionCommand();
	next_due = notice.next;
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
