/*-------------------------------------------------------------------------
 *
 * schedule_id.h
 *	  Generates schedule ids.
 *
 * IDENTIFICATION
 *	  src/command/schedule_id.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_SCHEDULE_ID_H
#define CMDSCHED_SCHEDULE_ID_H

#include "datatype/timestamp.h"

#define CMDSCHED_ULID_LENGTH 26

extern text *cmdsched_schedule_id_generate(TimestampTz now);

#endif
