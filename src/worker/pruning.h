/*-------------------------------------------------------------------------
 *
 * pruning.h
 *	  Keeps the command history from growing without end.
 *
 * IDENTIFICATION
 *	  src/worker/pruning.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_PRUNING_H
#define CMDSCHED_PRUNING_H

#include "datatype/timestamp.h"

extern void cmdsched_pruning_run(TimestampTz now);

#endif
