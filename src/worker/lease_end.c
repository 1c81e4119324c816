/*-------------------------------------------------------------------------
 *
 * lease_end.c
 *	  How a claim ends that did not succeed: decided, recorded in its
 *	  command's row, and told.
 *
 * The attempt was counted when it began, by the claim.
 *
 * IDENTIFICATION
 *	  src/worker/lease_end.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "command/change_log.h"
#include "command/handler_store.h"
#include "command/history_store.h"
#include "command/occurrence_id.h"
#include "worker/lease_end.h"
#include "worker/occurrence.h"
#include "worker/wakeup.h"

/* Everybody who wants to know. */
static void
tell(const LeasedCommand *command, const Handler *handler,
	 const Settlement *settlement, TimestampTz now)
{
	bool for_good = strcmp(settlement->status, "failed") == 0;
	HistoryEntry entry = {
		.policy = handler->history,
		.outcome = for_good ? HISTORY_FAILED : HISTORY_ATTEMPT_FAILED,
		.attempt = command->attempts,
		.finished_at = now,
	};

	cmdsched_history_record_kept(&entry, &command->key);
	cmdsched_change_log(for_good ? LOG : DEBUG1,
						command->key.schedule_id,
						text_to_cstring(command->command_type),
						for_good ? "failed" : "attempt_failed",
						command->attempts,
						settlement->error);
	if (for_good &&
		cmdsched_occurrence_id_schedule(command->key.schedule_id) != NULL)
		cmdsched_occurrence_end_external(&command->key, now);
}

/* again_at DUE_NEVER: it has failed for good. */
static bool
settle(const LeasedCommand *command, const Handler *handler,
	   TimestampTz again_at, const CommandError *error, TimestampTz now)
{
	bool for_good = again_at == DUE_NEVER;
	Settlement settlement = {
		.status = for_good ? "failed" : "pending",
		.execute_at = for_good ? command->ends_at : again_at,
		/* Where the handler is gone, a worker holds the command. */
		.due_at = handler->external ? DUE_NEVER : again_at,
		.claimable_at = handler->external ? again_at : DUE_NEVER,
		.error = error,
	};
	DueTimes times = {
		.due_at = settlement.due_at,
		.claimable_at = settlement.claimable_at,
	};

	if (!cmdsched_lease_settle(command, &settlement, now))
		return false;
	tell(command, handler, &settlement, now);
	cmdsched_wakeup_note_change(command->key.scheduled_by, &times);
	return true;
}

/*
 * The application says that the attempt failed, and perhaps when to try
 * again; else the handler's backoff says so.
 */
bool
cmdsched_lease_end_fail(const LeasedCommand *command,
						const CommandError *error, const TimestampTz *again_at,
						TimestampTz now)
{
	const Handler *handler =
		cmdsched_handler_find(command->command_type, command->command_module);
	TimestampTz retry_at = now;

	if (handler->registered)
		retry_at = cmdsched_retry_next(&handler->retry,
									   command->attempts,
									   now,
									   pg_prng_double(&pg_global_prng_state));
	if (retry_at != DUE_NEVER && again_at != NULL)
		retry_at = *again_at;
	return settle(command, handler, retry_at, error, now);
}

/* The lease has ended: it is due again, if it has an attempt left. */
bool
cmdsched_lease_end_expire(const LeasedCommand *command, TimestampTz now)
{
	static const CommandError expired = {
		.sqlerrcode = ERRCODE_QUERY_CANCELED,
		.message = "lease expired",
	};
	const Handler *handler =
		cmdsched_handler_find(command->command_type, command->command_module);
	bool used_up = handler->registered &&
				   command->attempts >= handler->retry.max_attempts;

	return settle(command,
				  handler,
				  used_up ? DUE_NEVER : command->ends_at,
				  &expired,
				  now);
}
