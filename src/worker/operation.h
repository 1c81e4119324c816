/*-------------------------------------------------------------------------
 *
 * operation.h
 *	  Tells hooks when an operation begins and how it ends.
 *
 * IDENTIFICATION
 *	  src/worker/operation.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_OPERATION_H
#define CMDSCHED_OPERATION_H

#include "datatype/timestamp.h"

#include "command/command.h"
#include "command/invoke.h"
#include "worker/attempt.h"

/* A batch */
extern TimestampTz cmdsched_operation_batch_begins(InvokeHost host);
extern void cmdsched_operation_batch_ends(TimestampTz began, InvokeHost host,
										  bool succeeded);

/* An attempt, if anybody wants to know */
extern bool cmdsched_operation_is_watched(void);
extern void cmdsched_operation_attempt_begins(AttemptRecord *record,
											  const Command *command,
											  InvokeHost host);
extern void cmdsched_operation_attempt_ends(const AttemptRecord *record,
											const char *outcome);

/* When hooks get in the way */
extern void cmdsched_operation_mute(bool mute);
extern bool cmdsched_operation_called_hooks(void);
extern void cmdsched_operation_blame_hooks(void);
extern bool cmdsched_operation_hook_is_running(void);
extern void cmdsched_operation_blame_running_hook(void);

#endif
