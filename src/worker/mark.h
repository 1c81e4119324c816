/*-------------------------------------------------------------------------
 *
 * mark.h
 *	  Low-water marks: where a scan of commands may begin.
 *
 * IDENTIFICATION
 *	  src/worker/mark.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_MARK_H
#define CMDSCHED_MARK_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/spin.h"

#include "command/command.h"

/* In shared memory. */
typedef struct Mark
{
	pg_atomic_uint64 pending_min;
	slock_t lock;
	uint32 version;
	CommandPosition position;
} Mark;

/* Which part of the commands a batch has to look at. */
typedef struct MarkTake
{
	CommandPosition from;
	bool took_pending; /* and so answers for what it leaves behind */
	uint32 version;
} MarkTake;

/* Lower a moment that others lower, too. */
static inline void
cmdsched_lower(pg_atomic_uint64 *value, TimestampTz due_at)
{
	uint64 old = pg_atomic_read_u64(value);

	while (due_at < (TimestampTz) old)
	{
		if (pg_atomic_compare_exchange_u64(value, &old, (uint64) due_at))
			break;
	}
}

extern void cmdsched_mark_initialize(Mark *mark);
extern void cmdsched_mark_begin_anew(Mark *mark);
extern void cmdsched_mark_take(Mark *mark, MarkTake *take);
extern void cmdsched_mark_finish(Mark *mark, const MarkTake *take,
								 const CommandPosition *reached);

#endif
