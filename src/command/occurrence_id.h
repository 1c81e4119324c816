/*-------------------------------------------------------------------------
 *
 * occurrence_id.h
 *	  The schedule ids of occurrences of a recurring schedule.
 *
 * IDENTIFICATION
 *	  src/command/occurrence_id.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_OCCURRENCE_ID_H
#define CMDSCHED_OCCURRENCE_ID_H

#include "datatype/timestamp.h"

extern text *cmdsched_occurrence_id_make(text *name, TimestampTz at);
extern text *cmdsched_occurrence_id_schedule(const text *schedule_id);

#endif
