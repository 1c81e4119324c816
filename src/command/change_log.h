/*-------------------------------------------------------------------------
 *
 * change_log.h
 *	  The line in the server log that says what became of a command.
 *
 * IDENTIFICATION
 *	  src/command/change_log.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_CHANGE_LOG_H
#define CMDSCHED_CHANGE_LOG_H

#include "command/command.h"

extern void cmdsched_change_log(int level, text *schedule_id,
								const char *command_type, const char *outcome,
								int attempt, const CommandError *error);
extern void cmdsched_change_log_slow(text *schedule_id,
									 const char *command_type, int attempt,
									 int64 duration_us);

#endif
