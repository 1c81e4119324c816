/*-------------------------------------------------------------------------
 *
 * database_slots.h
 *	  The databases, and the scheduler of each.
 *
 * IDENTIFICATION
 *	  src/worker/database_slots.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_DATABASE_SLOTS_H
#define CMDSCHED_DATABASE_SLOTS_H

#include "datatype/timestamp.h"

typedef enum SchedulerState
{
	SCHEDULER_UNKNOWN,	/* nobody has looked yet, or it left */
	SCHEDULER_WANTED,	/* somebody asked for one */
	SCHEDULER_STARTING, /* registered, not yet at work */
	SCHEDULER_RUNNING,
	SCHEDULER_ABSENT,  /* the database does not have the extension */
	SCHEDULER_STOPPED, /* by cmdsched.stop() */
} SchedulerState;

extern int cmdsched_database_find(Oid database);
extern int cmdsched_database_add(Oid database);
extern void cmdsched_database_forget(int slot);
extern int cmdsched_database_next(int slot);
extern Oid cmdsched_database_oid(int slot);
extern SchedulerState cmdsched_database_state(int slot);
extern bool cmdsched_database_change(int slot, SchedulerState from,
									 SchedulerState to, TimestampTz now);
extern void cmdsched_database_set_state(int slot, SchedulerState state,
										TimestampTz now);
extern bool cmdsched_scheduler_attach(int slot, TimestampTz now);
extern void cmdsched_scheduler_detach(int slot, SchedulerState state,
									  TimestampTz now);
extern void cmdsched_database_lower_claimable(int slot,
											  TimestampTz claimable_at);
extern TimestampTz cmdsched_database_take_claimable(int slot);
extern void cmdsched_database_watch_claimable(int slot,
											  TimestampTz wake_before);
extern int cmdsched_scheduler_pid(int slot, TimestampTz *since);
extern void cmdsched_scheduler_wake(int slot);
extern void cmdsched_database_note_clock_step(int slot, int64 step_us,
											  TimestampTz now);
extern void cmdsched_database_forget_clock_steps(int slot);
extern int cmdsched_database_clock_steps(int slot, int64 *last_us,
										 TimestampTz *last_at);
extern void cmdsched_scheduler_request_sweep(int slot);
extern bool cmdsched_scheduler_take_sweep_request(int slot);
extern void cmdsched_database_want_places(int slot, int of_any, int of_idle);
extern bool cmdsched_database_take_wanted_place(int slot, bool idle);

#endif
