/*-------------------------------------------------------------------------
 *
 * staffing.h
 *	  Which role gets an executor, and when.
 *
 * IDENTIFICATION
 *	  src/worker/staffing.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_STAFFING_H
#define CMDSCHED_STAFFING_H

#include "datatype/timestamp.h"

extern void cmdsched_staffing_begin(int slot);
extern TimestampTz cmdsched_staffing_pass(TimestampTz now, bool at_home);
extern bool cmdsched_staffing_take_failed_start(void);
extern bool cmdsched_staffing_serves(int role_slot);
extern void cmdsched_staffing_release_stale(TimestampTz now);
extern void cmdsched_staffing_send_away(void);
extern void cmdsched_staffing_forget_times(void);

#endif
