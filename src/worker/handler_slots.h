/*-------------------------------------------------------------------------
 *
 * handler_slots.h
 *	  What became of the commands of each handler, since the server started.
 *
 * IDENTIFICATION
 *	  src/worker/handler_slots.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_HANDLER_SLOTS_H
#define CMDSCHED_HANDLER_SLOTS_H

#include "datatype/timestamp.h"
#include "storage/lwlock.h"

#include "command/command.h"
#include "worker/histogram.h"

/* So many classes of SQLSTATEs are told apart; the last is for all others. */
#define FAILURE_CLASSES 16

/* Unused bytes are zero. */
typedef struct HandlerName
{
	char command_type[CMDSCHED_MAX_NAME + 1];
	char command_module[CMDSCHED_MAX_NAME + 1];
} HandlerName;

typedef struct FailureClass
{
	int category; /* as of ERRCODE_TO_CATEGORY() */
	uint64 failures;
} FailureClass;

typedef struct HandlerCounters
{
	uint64 succeeded;
	uint64 failures; /* those for good included */
	uint64 failed_for_good;
	uint64 retries;
	uint64 conflicts;
	uint64 snoozed;
	uint64 held;
	uint64 blocks_hit;
	uint64 blocks_read;
	uint64 wal_bytes;
	FailureClass classes[FAILURE_CLASSES];
	Histogram lateness;
	Histogram run_time;
} HandlerCounters;

/* A copy of what is known of a handler, for cmdsched.stat_handlers. */
typedef struct HandlerInfo
{
	bool is_overflow; /* of all that had no place of their own */
	HandlerName name;
	TimestampTz since;
	HandlerCounters counters;
} HandlerInfo;

extern Size cmdsched_handler_slots_size(bool preloaded);
extern void cmdsched_handler_slots_attach(bool preloaded, int tranche);
extern bool cmdsched_handler_slots_exist(void);
extern void cmdsched_handler_slots_begin_adding(void);
extern void cmdsched_handler_slot_add(Oid database, const HandlerName *name,
									  int *hint, const HandlerCounters *more);
extern void cmdsched_handler_slots_end_adding(void);
extern int cmdsched_handler_slot_next(Oid database, int slot,
									  HandlerInfo *info);
extern void cmdsched_handler_slots_forget(Oid database);
extern void cmdsched_handler_slots_reset(Oid database);

extern void cmdsched_handler_counters_add(HandlerCounters *counters,
										  const HandlerCounters *more);
extern void cmdsched_handler_counters_count_class(HandlerCounters *counters,
												  int category,
												  uint64 failures);

#endif
