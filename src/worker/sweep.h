/*-------------------------------------------------------------------------
 *
 * sweep.h
 *	  The scheduler's look at the table.
 *
 * IDENTIFICATION
 *	  src/worker/sweep.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_SWEEP_H
#define CMDSCHED_SWEEP_H

#include "datatype/timestamp.h"

extern void cmdsched_sweep(TimestampTz now);
extern void cmdsched_sweep_close_cases(TimestampTz now);

#endif
