/*-------------------------------------------------------------------------
 *
 * mark.c
 *	  Low-water marks: where a scan of commands may begin.
 *
 * Dead index entries cannot be skipped while an old snapshot is open, so a
 * scan must not begin at the first entry but where the last one got to.
 * Three words make that safe for any number of processes that scan:
 *
 * - position: everything before it has been seen by one that has dealt with
 *	 it, or is in the hands of one that will put it back;
 * - pending_min: lowered by every commit that makes something due, after it
 *	 has become visible.  A batch exchanges it for infinity *before* it takes
 *	 its snapshot and begins at the lesser of it and the position;
 * - version: grows when a batch that took pending_min, or that gave up
 *	 claims which others had stepped over (a group rolled back), ends before
 *	 the position.  Others that began under the old version must not raise
 *	 the position over what that batch left for later.
 *
 * A batch that does not commit gives back what it took, by lowering
 * pending_min to where it began.
 *
 * IDENTIFICATION
 *	  src/worker/mark.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "command/command_store.h"
#include "worker/mark.h"

void
cmdsched_mark_initialize(Mark *mark)
{
	pg_atomic_init_u64(&mark->pending_min, (uint64) DT_NOEND);
	SpinLockInit(&mark->lock);
}

/* Nothing is known yet.  For one that nobody else uses. */
void
cmdsched_mark_begin_anew(Mark *mark)
{
	pg_atomic_write_u64(&mark->pending_min, (uint64) DT_NOEND);
	mark->version = 0;
	memset(&mark->position, 0, sizeof(CommandPosition));
	mark->position.due_at = DT_NOBEGIN;
}

/* Before a batch takes its snapshot: where it has to begin. */
void
cmdsched_mark_take(Mark *mark, MarkTake *take)
{
	TimestampTz pending =
		(TimestampTz) pg_atomic_exchange_u64(&mark->pending_min,
											 (uint64) DT_NOEND);

	SpinLockAcquire(&mark->lock);
	take->from = mark->position;
	take->version = mark->version;
	SpinLockRelease(&mark->lock);
	take->took_pending = pending != DT_NOEND;
	if (pending < take->from.due_at ||
		(pending == take->from.due_at && take->from.id_len > 0))
	{
		take->from.due_at = pending;
		take->from.id_len = 0;
	}
}

/* When it has dealt with everything up to there. */
void
cmdsched_mark_finish(Mark *mark, const MarkTake *take,
					 const CommandPosition *reached)
{
	int order;

	SpinLockAcquire(&mark->lock);
	order = cmdsched_command_position_compare(reached, &mark->position);
	if (order > 0 && take->version == mark->version)
		mark->position = *reached;
	else if (order < 0 && take->took_pending)
	{
		mark->position = *reached;
		mark->version++;
	}
	SpinLockRelease(&mark->lock);
}
