/*-------------------------------------------------------------------------
 *
 * lease_slots.h
 *	  The roles with commands for applications, and the mark of each.
 *
 * IDENTIFICATION
 *	  src/worker/lease_slots.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_LEASE_SLOTS_H
#define CMDSCHED_LEASE_SLOTS_H

#include "datatype/timestamp.h"

#include "command/command.h"
#include "worker/mark.h"

extern int cmdsched_lease_slot_find_or_add(Oid database, Oid role);
extern void cmdsched_lease_slot_lower(int slot, Oid database, Oid role,
									  TimestampTz claimable_at);
extern void cmdsched_lease_slots_look_again(Oid database);
extern void cmdsched_lease_slot_take(int slot, MarkTake *take);
extern void cmdsched_lease_slot_finish(int slot, const MarkTake *take,
									   const CommandPosition *reached);

#endif
