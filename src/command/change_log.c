/*-------------------------------------------------------------------------
 *
 * change_log.c
 *	  The line in the server log that says what became of a command.
 *
 * All begin alike: command, type, outcome.  None has a payload, or the text
 * of an error, unless cmdsched.log_error_messages is on.
 *
 * What somebody may have to act on is LOG; a command comes to that once.
 * What happens again and again by itself, or because somebody asked for it,
 * is DEBUG1, so that a storm of retries does not fill the log.
 *
 * IDENTIFICATION
 *	  src/command/change_log.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "command/change_log.h"
#include "settings.h"

/* attempt 0: none was made. */
static char *
describe_attempt(int attempt)
{
	return attempt > 0 ? psprintf(", attempt %d", attempt) : "";
}

static char *
describe_error(const CommandError *error)
{
	return error != NULL
			   ? psprintf(", SQLSTATE %s", unpack_sql_state(error->sqlerrcode))
			   : "";
}

void
cmdsched_change_log(int level, text *schedule_id, const char *command_type,
					const char *outcome, int attempt,
					const CommandError *error)
{
	ereport(level,
			errmsg("command \"%s\" of type \"%s\": %s%s%s",
				   text_to_cstring(schedule_id),
				   command_type,
				   outcome,
				   describe_attempt(attempt),
				   describe_error(error)),
			error != NULL && cmdsched_log_error_messages
				? errdetail_internal("%s", error->message)
				: 0,
			error != NULL
				? errhint("See last_error in cmdsched.scheduled_commands.")
				: 0);
}

/* One that succeeded, but took as long as cmdsched.log_min_duration says. */
void
cmdsched_change_log_slow(text *schedule_id, const char *command_type,
						 int attempt, int64 duration_us)
{
	ereport(LOG,
			errmsg("command \"%s\" of type \"%s\": succeeded%s, took %.3f ms",
				   text_to_cstring(schedule_id),
				   command_type,
				   describe_attempt(attempt),
				   duration_us / 1000.0));
}
