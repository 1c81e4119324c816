/*-------------------------------------------------------------------------
 *
 * claim.h
 *	  Gives applications the commands that are due for them.
 *
 * IDENTIFICATION
 *	  src/worker/claim.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_CLAIM_H
#define CMDSCHED_CLAIM_H

#include "command/lease_scan.h"
#include "command/lease_store.h"

/* What an application asks for. */
typedef struct ClaimRequest
{
	Oid caller;
	Datum command_types; /* text[], 0 = all */
	int max_commands;
	TimestampTz now;
	TimestampTz ends_at;
} ClaimRequest;

/* Is given each command that was claimed, and when that was to be executed. */
typedef void (*ClaimCallback)(Datum *values, bool *nulls,
							  TimestampTz execute_at, void *arg);

extern void cmdsched_claim(const ClaimRequest *request, ClaimCallback callback,
						   void *arg);
extern void cmdsched_claim_identify(LeasedCommand *leased,
									const LeaseCandidate *candidate);

#endif
