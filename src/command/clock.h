/*-------------------------------------------------------------------------
 *
 * clock.h
 *	  What time it is, for commands.
 *
 * IDENTIFICATION
 *	  src/command/clock.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_CLOCK_H
#define CMDSCHED_CLOCK_H

#include "datatype/timestamp.h"

extern TimestampTz cmdsched_clock_now(void);
extern bool cmdsched_clock_is_moved(void);
extern TimestampTz cmdsched_clock_at(TimestampTz moment);
extern TimestampTz cmdsched_clock_transaction_start(void);
extern void cmdsched_clock_move(TimestampTz to);
extern void cmdsched_clock_reset(void);

#endif
