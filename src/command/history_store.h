/*-------------------------------------------------------------------------
 *
 * history_store.h
 *	  The rows of cmdsched.command_history: what became of commands.
 *
 * IDENTIFICATION
 *	  src/command/history_store.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_HISTORY_STORE_H
#define CMDSCHED_HISTORY_STORE_H

#include "command/command.h"

/* What is kept of a command type; as long as nobody says, the first. */
typedef enum HistoryPolicy
{
	HISTORY_FAILURES,
	HISTORY_NONE,
	HISTORY_ALL,
} HistoryPolicy;

typedef enum HistoryOutcome
{
	HISTORY_SUCCEEDED,
	HISTORY_ATTEMPT_FAILED, /* and will be made again */
	HISTORY_FAILED,
	HISTORY_CANCELLED,
	HISTORY_SNOOZED,
	HISTORY_ABANDONED,
	HISTORY_HELD,
} HistoryOutcome;

/* How it ended; the command itself is told beside it. */
typedef struct HistoryEntry
{
	HistoryPolicy policy;
	HistoryOutcome outcome;
	int attempt;			   /* 0 = none was made */
	TimestampTz scheduled_for; /* 0 = unknown: a claim has moved it */
	TimestampTz started_at;	   /* 0 = unknown, or none was made */
	TimestampTz finished_at;
	Datum result; /* jsonb */
	bool has_result;
} HistoryEntry;

extern HistoryPolicy cmdsched_history_policy(const char *name);
extern void cmdsched_history_record(const HistoryEntry *entry,
									const Command *command);
extern void cmdsched_history_record_kept(const HistoryEntry *entry,
										 const CommandKey *key);
extern void cmdsched_history_record_held(Oid role, TimestampTz now);
extern void cmdsched_history_take_from_strangers(void);
extern void cmdsched_history_give_to_namesakes(void);
extern void cmdsched_history_prune(TimestampTz now);

#endif
