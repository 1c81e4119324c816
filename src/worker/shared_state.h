/*-------------------------------------------------------------------------
 *
 * shared_state.h
 *	  What the processes of cmdsched know of one another.
 *
 * Slots are named by their index.  A database slot is a database in which
 * somebody used the extension, a role slot is a role with commands in such
 * a database, an executor slot is a process.
 *
 * IDENTIFICATION
 *	  src/worker/shared_state.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_SHARED_STATE_H
#define CMDSCHED_SHARED_STATE_H

#include "datatype/timestamp.h"
#include "storage/latch.h"

#include "command/command.h"

#define NO_SLOT (-1)

#define CMDSCHED_MAX_EXECUTORS 64

/* What a new executor is told: which slot, and which reservation of it. */
#define CMDSCHED_PLACE(slot, reservation) \
	((int64) (((uint64) (reservation) << 32) | (uint32) (slot)))
#define CMDSCHED_PLACE_SLOT(place) ((int) ((uint64) (place) &0xffffffff))
#define CMDSCHED_PLACE_RESERVATION(place) ((uint32) ((uint64) (place) >> 32))

/* Commands that take less than that on average are not worth sharing. */
#define CMDSCHED_QUICK_COMMAND_US 100

typedef enum SchedulerState
{
	SCHEDULER_UNKNOWN,	/* nobody has looked yet, or it left */
	SCHEDULER_WANTED,	/* somebody asked for one */
	SCHEDULER_STARTING, /* registered, not yet at work */
	SCHEDULER_RUNNING,
	SCHEDULER_ABSENT,  /* the database does not have the extension */
	SCHEDULER_STOPPED, /* by cmdsched.stop() */
} SchedulerState;

typedef enum ExecutorState
{
	EXECUTOR_FREE,
	EXECUTOR_STARTING,
	EXECUTOR_IDLE,
	EXECUTOR_RUNNING,
} ExecutorState;

/* Does a role need another executor? */
typedef enum HelpWanted
{
	HELP_NONE,
	HELP_NOW,
	HELP_WHEN_DUE, /* one that had come to help has left */
} HelpWanted;

/* A copy of what is known of a worker, for cmdsched.workers. */
typedef struct WorkerInfo
{
	int pid;
	Oid role;
	ExecutorState state;
	bool leaving;
	TimestampTz since;
	uint64 commands_run;
	int id_len;
	char schedule_id[CMDSCHED_MAX_NAME + 1];
} WorkerInfo;

/* Which part of a role's commands a batch has to look at. */
typedef struct RoleTake
{
	CommandPosition from;
	bool took_pending; /* and so answers for what it leaves behind */
	uint32 mark_version;
} RoleTake;

/* Setting up */
extern void cmdsched_shared_state_install(void);
extern bool cmdsched_shared_state_attach(void);
extern bool cmdsched_shared_state_is_preloaded(void);

/* The launcher */
extern void cmdsched_launcher_attach(void);
extern void cmdsched_launcher_detach(void);
extern int cmdsched_launcher_pid(TimestampTz *since);
extern void cmdsched_launcher_wake(void);

/* Databases */
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
extern int cmdsched_scheduler_pid(int slot, TimestampTz *since);
extern void cmdsched_scheduler_wake(int slot);
extern void cmdsched_scheduler_request_sweep(int slot);
extern bool cmdsched_scheduler_take_sweep_request(int slot);
extern void cmdsched_database_want_places(int slot, int of_any, int of_idle);
extern bool cmdsched_database_take_wanted_place(int slot, bool idle);

/* Roles: when is something due, and who has to know */
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
extern HelpWanted cmdsched_role_help_wanted(int slot);
extern void cmdsched_role_clear_help(int slot);

/* An executor's view of its role */
extern void cmdsched_role_take(int slot, RoleTake *take);
extern void cmdsched_role_finish(int slot, const RoleTake *take,
								 const CommandPosition *reached);
extern void cmdsched_role_put_back(int slot, const RoleTake *take);
extern void cmdsched_role_count_death(int slot);
extern int cmdsched_role_deaths(int slot);
extern void cmdsched_role_count_failed_start(int slot);
extern void cmdsched_role_clear_failed_starts(int slot);
extern int cmdsched_role_failed_starts(int slot);
extern void cmdsched_executor_listen(int slot);
extern void cmdsched_executor_sleep(int slot, TimestampTz wake_before);
extern void cmdsched_executor_be_busy(int slot);
extern void cmdsched_executor_ask_for_help(int slot);

/* Executors */
extern int cmdsched_executor_reserve(int role_slot, TimestampTz now,
									 uint32 *reservation);
extern bool cmdsched_executor_release(int slot, uint32 reservation);
extern void cmdsched_executor_release_stale(Oid database, TimestampTz before);
extern bool cmdsched_executor_attach(int slot, uint32 reservation);
extern void cmdsched_executor_detach(int slot);
extern int cmdsched_executor_role_slot(int slot);
extern void cmdsched_executor_identify(int slot, Oid *database, Oid *role);
extern ExecutorState cmdsched_executor_state(int slot, TimestampTz *since);
extern void cmdsched_executor_set_state(int slot, ExecutorState state,
										TimestampTz now);
extern int cmdsched_executor_next(Oid database, int slot);
extern int cmdsched_executor_pid(int slot);
extern void cmdsched_executor_ask_to_leave(int slot);
extern bool cmdsched_executor_is_leaving(int slot);
extern void cmdsched_executor_nudge(int slot);
extern bool cmdsched_executor_take_nudge(int slot);
extern void cmdsched_executor_show_command(int slot, const Command *command);
extern bool cmdsched_executor_others_frontier(int slot,
											  CommandPosition *frontier);
extern bool cmdsched_executor_others_run(int slot, const Command *command);
extern bool cmdsched_executor_is_alone(int slot);
extern bool cmdsched_executor_is_additional(int slot);
extern void cmdsched_executor_count_commands(int slot, uint64 ncommands);
extern bool cmdsched_executor_info(int slot, Oid database, WorkerInfo *info);

#endif
