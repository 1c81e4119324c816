/*-------------------------------------------------------------------------
 *
 * lease_end.h
 *	  How a claim ends that did not succeed.
 *
 * IDENTIFICATION
 *	  src/worker/lease_end.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_LEASE_END_H
#define CMDSCHED_LEASE_END_H

#include "command/lease_store.h"

extern bool cmdsched_lease_end_fail(const LeasedCommand *command,
									const CommandError *error,
									const TimestampTz *again_at,
									TimestampTz now);
extern bool cmdsched_lease_end_expire(const LeasedCommand *command,
									  TimestampTz now);

#endif
