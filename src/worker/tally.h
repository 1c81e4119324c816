/*-------------------------------------------------------------------------
 *
 * tally.h
 *	  Counts attempts and how they ended.
 *
 * IDENTIFICATION
 *	  src/worker/tally.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_TALLY_H
#define CMDSCHED_TALLY_H

#include "command/command.h"
#include "command/handler_store.h"
#include "worker/attempt.h"

extern Tally *cmdsched_tally_make(const Command *command);
extern void cmdsched_tally_begin(AttemptRecord *record);
extern void cmdsched_tally_success(const AttemptRecord *record,
								   TimestampTz ended);
extern void cmdsched_tally_end(const AttemptRecord *record, AttemptEnd end,
							   const CommandError *error, TimestampTz ended);

/* Where the commands of a handler are counted; NULL = nowhere. */
static inline Tally *
cmdsched_tally_of(Handler *handler, const Command *command)
{
	if (handler->tally == NULL)
		handler->tally = cmdsched_tally_make(command);
	return handler->tally;
}

#endif
