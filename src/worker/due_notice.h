/*-------------------------------------------------------------------------
 *
 * due_notice.h
 *	  Tells applications that commands of theirs are due.
 *
 * IDENTIFICATION
 *	  src/worker/due_notice.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_DUE_NOTICE_H
#define CMDSCHED_DUE_NOTICE_H

#include "datatype/timestamp.h"

extern TimestampTz cmdsched_due_notice_pass(int database_slot,
											TimestampTz now);
extern void cmdsched_due_notice_begin_anew(void);

#endif
