/*-------------------------------------------------------------------------
 *
 * attempt.h
 *	  How an attempt ends: decided, recorded and told.
 *
 * IDENTIFICATION
 *	  src/worker/attempt.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_ATTEMPT_H
#define CMDSCHED_ATTEMPT_H

#include "command/command.h"
#include "command/invoke.h"
#include "schedule/retry.h"

/* See tally.c. */
typedef struct Tally Tally;

typedef enum AttemptEnd
{
	ATTEMPT_FAILED, /* and will be made again, later */
	ATTEMPT_FAILED_FOR_GOOD,
	ATTEMPT_CONFLICTED, /* does not count, and is made again at once */
	ATTEMPT_SNOOZED,
	ATTEMPT_ABANDONED,
	ATTEMPT_HELD, /* none was made, since none can be */
} AttemptEnd;

/* What has to be known of an attempt to record how it ended. */
typedef struct AttemptRecord
{
	bool running; /* it was this one, when the error came */
	CommandKey key;
	char id_space[VARHDRSZ + CMDSCHED_MAX_NAME];
	char type_name[CMDSCHED_MAX_NAME + 1]; /* for the log */
	int attempts;
	int conflicts;
	TimestampTz execute_at;
	TimestampTz due_at;
	TimestampTz started;
	RetryPolicy retry;
	bool external; /* it is for an application */
	Oid function;
	HistoryPolicy history;
	Tally *tally;	  /* NULL = not counted */
	int64 blocks_hit; /* by this process, when it started */
	int64 blocks_read;
	uint64 wal_bytes;
	bool is_occurrence; /* of a recurring schedule */
	/* Where hooks are told of it; what follows is known only then. */
	bool watched;
	bool is_procedure;
	InvokeHost host;
	int depth;
	char correlation_id[CMDSCHED_MAX_NAME + 1]; /* "" = none */
} AttemptRecord;

extern void cmdsched_attempt_remember(AttemptRecord *record,
									  const Command *command,
									  Handler *handler);
extern void cmdsched_attempt_begin(AttemptRecord *record, TimestampTz now);
extern void cmdsched_attempt_succeeded(const AttemptRecord *record,
									   const Command *command,
									   NullableDatum result,
									   TimestampTz ended);
extern bool cmdsched_attempt_record(const AttemptRecord *record,
									const Outcome *outcome, TimestampTz now);
extern bool cmdsched_attempt_hold(const AttemptRecord *record,
								  const CommandError *error, TimestampTz now);

#endif
