/*-------------------------------------------------------------------------
 *
 * role_slots.h
 *	  The roles, and the low-water mark of each.
 *
 * IDENTIFICATION
 *	  src/worker/role_slots.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_ROLE_SLOTS_H
#define CMDSCHED_ROLE_SLOTS_H

#include "datatype/timestamp.h"

#include "command/command.h"
#include "worker/mark.h"

/* Does a role need another executor? */
typedef enum HelpWanted
{
	HELP_NONE,
	HELP_NOW,
	HELP_WHEN_DUE, /* who is there may be in a slow handler */
} HelpWanted;

extern int cmdsched_role_find_or_add(Oid database, Oid role);
extern bool cmdsched_role_is(int slot, Oid database, Oid role);
extern int cmdsched_role_next(Oid database, int slot);
extern Oid cmdsched_role_oid(int slot);
extern void cmdsched_role_forget(int slot);
extern bool cmdsched_roles_are_scarce(void);
extern void cmdsched_role_lower(int slot, TimestampTz due_at);
extern TimestampTz cmdsched_role_due(int slot);
extern void cmdsched_role_set_next_due(int slot, TimestampTz due_at);
extern void cmdsched_role_watch(int slot, TimestampTz wake_before);
extern bool cmdsched_role_watched_by_scheduler(int slot);
extern void cmdsched_role_take_watch(int slot);
extern HelpWanted cmdsched_role_help_wanted(int slot);
extern void cmdsched_role_clear_help(int slot);

/* A batch */
extern void cmdsched_role_take(int slot, MarkTake *take);
extern void cmdsched_role_finish(int slot, const MarkTake *take,
								 const CommandPosition *reached);
extern void cmdsched_role_put_back(int slot, const MarkTake *take);
extern void cmdsched_role_count_death(int slot);
extern int cmdsched_role_deaths(int slot);
extern void cmdsched_role_count_failed_start(int slot);
extern void cmdsched_role_clear_failed_starts(int slot);
extern int cmdsched_role_failed_starts(int slot);

#endif
