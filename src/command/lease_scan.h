/*-------------------------------------------------------------------------
 *
 * lease_scan.h
 *	  Reads the commands that are for applications, and claims them.
 *
 * IDENTIFICATION
 *	  src/command/lease_scan.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_LEASE_SCAN_H
#define CMDSCHED_LEASE_SCAN_H

#include "command/command_store.h"

/* The table, as of one snapshot. */
typedef struct LeaseTable LeaseTable;

/* The commands of one type and role, in the order in which they fall due. */
typedef struct LeaseScan LeaseScan;

/* A command on which a scan stands. */
typedef struct LeaseCandidate
{
	Command command;
	bool is_claimed; /* by somebody whose lease has ended, if it is due */
	Datum claim_token;
} LeaseCandidate;

/* A claimed command, in the order of the columns of claim_due_commands(). */
#define LEASE_COLUMNS 7
#define LEASE_ATTEMPTS 5

extern LeaseTable *cmdsched_lease_table_open(void);
extern void cmdsched_lease_table_close(LeaseTable *table);
extern Oid cmdsched_lease_next_role(LeaseTable *table, text *command_type,
									text *command_module, Oid after);
extern LeaseScan *cmdsched_lease_scan_begin(LeaseTable *table,
											text *command_type,
											text *command_module, Oid role,
											const CommandPosition *from);
extern bool cmdsched_lease_scan_next(LeaseScan *scan, TimestampTz until,
									 LeaseCandidate *candidate);
extern TimestampTz cmdsched_lease_scan_peek(LeaseScan *scan, int max_entries);
extern ClaimResult cmdsched_lease_scan_claim(LeaseScan *scan,
											 TimestampTz ends_at,
											 Datum *values, bool *nulls);
extern void cmdsched_lease_scan_end(LeaseScan *scan);

#endif
