/*-------------------------------------------------------------------------
 *
 * lease_store.h
 *	  Commands that are in the hands of an application.
 *
 * IDENTIFICATION
 *	  src/command/lease_store.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_LEASE_STORE_H
#define CMDSCHED_LEASE_STORE_H

#include "command/command_store.h"

/* A command type that is for applications. */
typedef struct LeaseType
{
	text *command_type;
	text *command_module;
	int max_attempts;
	bool paused;
	bool wanted;
} LeaseType;

/* What it says to prove that a command is in its hands. */
typedef struct Lease
{
	Oid caller;
	text *schedule_id;
	Datum claim_token;
	TimestampTz now;
} Lease;

/* The command of a lease. */
typedef struct LeasedCommand
{
	CommandKey key;
	Datum claim_token;
	text *command_type;
	text *command_module;
	int attempts; /* with the one being made */
	TimestampTz ends_at;
} LeasedCommand;

extern List *cmdsched_lease_list_types(Datum command_types);
extern TM_Result cmdsched_lease_claim_row(ItemPointer tid,
										  const Datum *new_row);
extern bool cmdsched_lease_find(const Lease *lease, LeasedCommand *command);
extern bool cmdsched_lease_complete(const Lease *lease, Command *command);
extern bool cmdsched_lease_settle(const LeasedCommand *command,
								  const Settlement *settlement,
								  TimestampTz now);
extern Oid cmdsched_lease_extend(const Lease *lease, TimestampTz ends_at);

#endif
