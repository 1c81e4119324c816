/*-------------------------------------------------------------------------
 *
 * clock.c
 *	  What time it is, for commands.
 *
 * A session can move its clock, to test what happens later.  A moved clock
 * belongs to the transaction that moved it, and stands still between moves;
 * a subtransaction that is rolled back takes its moves with it.  Nobody else
 * ever sees it.
 *
 * now() follows, since the server lets us say when the transaction began,
 * which is meant for parallel workers.  A server built with assertions makes
 * sure that it is one: there, only cmdsched.now() moves.
 *
 * IDENTIFICATION
 *	  src/command/clock.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "command/clock.h"

/* What a subtransaction found, before it moved the clock. */
typedef struct ClockMove
{
	struct ClockMove *outer;
	int nest_level;
	TimestampTz before; /* 0 = not moved */
} ClockMove;

static TimestampTz moved_to = 0; /* 0 = not moved */
static TimestampTz began_at;	 /* the transaction, really */
static ClockMove *moves = NULL;	 /* in TopTransactionContext */

/* The moved clock, or else the time of day. */
TimestampTz
cmdsched_clock_now(void)
{
	return moved_to != 0 ? moved_to : GetCurrentTimestamp();
}

/* What this clock showed at some moment a moment ago, by the time of day. */
TimestampTz
cmdsched_clock_at(TimestampTz moment)
{
	return moved_to != 0 ? moved_to : moment;
}

bool
cmdsched_clock_is_moved(void)
{
	return moved_to != 0;
}

/* The moved clock, or else when this transaction began, as now() has it. */
TimestampTz
cmdsched_clock_transaction_start(void)
{
	return moved_to != 0 ? moved_to : GetCurrentTransactionStartTimestamp();
}

static void
tell_server(void)
{
#ifndef USE_ASSERT_CHECKING
	SetParallelStartTimestamps(moved_to != 0 ? moved_to : began_at,
							   GetCurrentStatementStartTimestamp());
#endif
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	/* The server sets its own clock when the next transaction begins. */
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			moved_to = 0;
			moves = NULL;
			break;
		default:
			break;
	}
}

/* Undo what was done at this level. */
static void
take_back_moves(int nest_level)
{
	if (moves == NULL || moves->nest_level < nest_level)
		return;
	while (moves != NULL && moves->nest_level >= nest_level)
	{
		moved_to = moves->before;
		moves = moves->outer;
	}
	tell_server();
}

/* What was done at this level was done by the one around it. */
static void
hand_moves_up(int nest_level)
{
	if (moves == NULL || moves->nest_level < nest_level)
		return;
	if (moves->outer != NULL && moves->outer->nest_level == nest_level - 1)
		moves = moves->outer;
	else
		moves->nest_level = nest_level - 1;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mine,
					  SubTransactionId parent, void *arg)
{
	int nest_level = GetCurrentTransactionNestLevel();

	if (event == SUBXACT_EVENT_ABORT_SUB)
		take_back_moves(nest_level);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		hand_moves_up(nest_level);
}

static void
remember_clock(void)
{
	static bool registered = false;
	int nest_level = GetCurrentTransactionNestLevel();
	ClockMove *move;

	if (!registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		RegisterSubXactCallback(at_subtransaction_end, NULL);
		registered = true;
	}
	if (moves != NULL && moves->nest_level == nest_level)
		return;
	move = MemoryContextAlloc(TopTransactionContext, sizeof(ClockMove));
	move->outer = moves;
	move->nest_level = nest_level;
	move->before = moved_to;
	moves = move;
}

static void
set(TimestampTz to)
{
	if (moved_to == 0)
		began_at = GetCurrentTransactionStartTimestamp();
	remember_clock();
	moved_to = to;
	tell_server();
}

/* Time moves forward only: the caller has made sure of that. */
void
cmdsched_clock_move(TimestampTz to)
{
	set(to);
}

void
cmdsched_clock_reset(void)
{
	if (moved_to != 0)
		set(0);
}
