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

/* What an application asks for. */
typedef struct LeaseRequest
{
	Oid caller;
	Datum command_types; /* text[], 0 = all */
	int max_commands;
	TimestampTz now;
	TimestampTz ends_at;
} LeaseRequest;

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
	text *command_type;
	text *command_module;
	int attempts; /* with the one being made */
	TimestampTz ends_at;
} LeasedCommand;

/* A claimed command, in the order of the columns of claim_due_commands(). */
#define LEASE_COLUMNS 7

typedef void (*LeaseCallback)(Datum *values, bool *nulls, void *arg);
typedef void (*OccurrenceCallback)(const CommandKey *key, TimestampTz now);
typedef void (*DueTypeCallback)(text *command_type, void *arg);

extern void cmdsched_lease_fail_used_up(TimestampTz now,
										OccurrenceCallback callback);
extern TimestampTz cmdsched_lease_claim(const LeaseRequest *request,
										LeaseCallback callback, void *arg);
extern bool cmdsched_lease_find(const Lease *lease, LeasedCommand *command);
extern bool cmdsched_lease_complete(const Lease *lease, Command *command);
extern void cmdsched_lease_settle(const LeasedCommand *command,
								  const Settlement *settlement,
								  TimestampTz now);
extern bool cmdsched_lease_extend(const Lease *lease, TimestampTz ends_at);

/* The scheduler */
extern void cmdsched_lease_end_expired(TimestampTz now);
extern void cmdsched_lease_list_due(TimestampTz from, TimestampTz now,
									DueTypeCallback callback, void *arg);
extern TimestampTz cmdsched_lease_next_due(TimestampTz now);

#endif
