/*-------------------------------------------------------------------------
 *
 * wakeup.h
 *	  Tells the workers, when a transaction ends, what it changed.
 *
 * IDENTIFICATION
 *	  src/worker/wakeup.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_WAKEUP_H
#define CMDSCHED_WAKEUP_H

#include "datatype/timestamp.h"

#include "command/command_store.h"

extern void cmdsched_wakeup_note(Oid role, TimestampTz due_at);
extern void cmdsched_wakeup_note_claimable(Oid role, TimestampTz claimable_at);
extern void cmdsched_wakeup_note_claim(Oid role, TimestampTz from,
									   TimestampTz earliest,
									   TimestampTz ends_at);
extern void cmdsched_wakeup_note_change(Oid role, const DueTimes *times);
extern void cmdsched_wakeup_note_everything(void);

#endif
