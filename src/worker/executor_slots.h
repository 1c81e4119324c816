/*-------------------------------------------------------------------------
 *
 * executor_slots.h
 *	  The executors: their places, whom they watch over, what they run.
 *
 * IDENTIFICATION
 *	  src/worker/executor_slots.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_EXECUTOR_SLOTS_H
#define CMDSCHED_EXECUTOR_SLOTS_H

#include "datatype/timestamp.h"

#include "command/command.h"

#define CMDSCHED_MAX_EXECUTORS 64

/* What a new executor is told: which slot, and which reservation of it. */
#define CMDSCHED_PLACE(slot, reservation) \
	((int64) (((uint64) (reservation) << 32) | (uint32) (slot)))
#define CMDSCHED_PLACE_SLOT(place) ((int) ((uint64) (place) &0xffffffff))
#define CMDSCHED_PLACE_RESERVATION(place) ((uint32) ((uint64) (place) >> 32))

/* Commands that take less than that on average are not worth sharing. */
#define CMDSCHED_QUICK_COMMAND_US 100

typedef enum ExecutorState
{
	EXECUTOR_FREE,
	EXECUTOR_STARTING,
	EXECUTOR_IDLE,
	EXECUTOR_RUNNING,
} ExecutorState;

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
	int type_len;
	char command_type[CMDSCHED_MAX_NAME + 1];
	TimestampTz command_since;
} WorkerInfo;

/* Places */
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
extern void cmdsched_executor_doubt_idle(Oid database);
extern int cmdsched_executor_next(Oid database, int slot);
extern int cmdsched_executor_pid(int slot);
extern void cmdsched_executor_ask_to_leave(int slot);
extern bool cmdsched_executor_is_leaving(int slot);
extern void cmdsched_executor_nudge(int slot);
extern bool cmdsched_executor_take_nudge(int slot);

/* Who watches over the role */
extern void cmdsched_executor_listen(int slot);
extern void cmdsched_executor_sleep(int slot, TimestampTz wake_before);
extern void cmdsched_executor_be_busy(int slot);
extern void cmdsched_executor_ask_for_help(int slot);

/* What they run */
extern void cmdsched_executor_show_command(int slot, const Command *command,
										   TimestampTz since);
extern bool cmdsched_executor_others_frontier(int slot,
											  CommandPosition *frontier);
extern bool cmdsched_executor_others_run(int slot, const Command *command);
extern bool cmdsched_executor_is_alone(int slot);
extern bool cmdsched_executor_is_additional(int slot);
extern void cmdsched_executor_count_commands(int slot, uint64 ncommands);
extern bool cmdsched_executor_info(int slot, Oid database, WorkerInfo *info);

#endif
