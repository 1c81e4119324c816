/*-------------------------------------------------------------------------
 *
 * command_store.h
 *	  The rows of cmdsched.scheduled_commands.
 *
 * IDENTIFICATION
 *	  src/command/command_store.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_COMMAND_STORE_H
#define CMDSCHED_COMMAND_STORE_H

#include "access/tableam.h"
#include "executor/tuptable.h"

#include "command/command.h"

typedef enum OnConflict
{
	ON_CONFLICT_KEEP,
	ON_CONFLICT_REPLACE,
	ON_CONFLICT_ERROR,
} OnConflict;

/* How a command leaves an attempt, or is set aside before one. */
typedef struct Settlement
{
	const char *status;
	int attempts;
	int conflicts;
	TimestampTz execute_at;
	TimestampTz due_at;
	TimestampTz claimable_at;
	const CommandError *error; /* NULL leaves last_error as it is */
} Settlement;

/* Where those who carry commands out have to look; DUE_NEVER = nowhere. */
typedef struct DueTimes
{
	TimestampTz due_at;		  /* workers */
	TimestampTz claimable_at; /* applications */
} DueTimes;

typedef enum ClaimResult
{
	CLAIM_OK,
	CLAIM_GONE,	  /* somebody else has dealt with it */
	CLAIM_LOCKED, /* somebody else is dealing with it */
} ClaimResult;

typedef struct CommandScan CommandScan;

extern Datum cmdsched_command_error_as_jsonb(const CommandError *error,
											 TimestampTz now);

/* Writing a command down */
extern void cmdsched_command_set_due(Command *command, bool external,
									 TimestampTz now);
extern void cmdsched_command_insert_new(const Command *command,
										TimestampTz now);
extern bool cmdsched_command_insert(const Command *command, TimestampTz now,
									OnConflict on_conflict);

/* For those who scan and claim by themselves */
extern bool cmdsched_command_table_is_as_installed(Relation commands);
extern TM_Result cmdsched_command_update_row(Relation commands,
											 ItemPointer tid,
											 Snapshot snapshot,
											 TupleTableSlot *new_row);
extern void cmdsched_command_read(Command *command, TupleTableSlot *slot);

/* Reading them in the order in which they fall due, and claiming */
extern CommandScan *cmdsched_command_scan_begin(Oid role,
												const CommandPosition *from);
extern bool cmdsched_command_scan_next(CommandScan *scan, Command *command);
extern ClaimResult cmdsched_command_claim(CommandScan *scan);
extern bool cmdsched_command_keep(CommandScan *scan);
extern Datum cmdsched_command_row(CommandScan *scan);
extern void cmdsched_command_copy(Command *command, Datum row);
extern void cmdsched_command_scan_end(CommandScan *scan);
extern void cmdsched_command_position(CommandPosition *position,
									  const Command *command);
extern int cmdsched_command_position_compare(const CommandPosition *a,
											 const CommandPosition *b);

/* Transitions; false where the command is not in the expected state */
extern bool cmdsched_command_settle(const CommandKey *key,
									int expected_attempts,
									const Settlement *settlement,
									TimestampTz now);
extern bool cmdsched_command_find(text *schedule_id, Oid caller,
								  CommandKey *key, text **command_type,
								  text **command_module);
extern bool cmdsched_command_find_time(const CommandKey *key,
									   TimestampTz *execute_at);
extern bool cmdsched_command_is_due(const CommandKey *key, TimestampTz now);
extern bool cmdsched_command_role_is_due(Oid role, TimestampTz now);
extern int64 cmdsched_command_count(Oid role, int64 limit);
extern bool cmdsched_command_wait_for(const CommandKey *key);
extern bool cmdsched_command_delete(const CommandKey *key, DueTimes *times,
									Command *command);
/* For a RETURNING, from that column on */
#define CMDSCHED_DELETED_COLUMNS \
	"command_type, command_module, scheduled_by_name, attempts, " \
	"execute_at, metadata"
extern void cmdsched_command_read_deleted(Command *command,
										  const CommandKey *key, int column);
extern bool cmdsched_command_delete_unchanged(const CommandKey *key,
											  TimestampTz execute_at);
extern bool cmdsched_command_reschedule(const CommandKey *key,
										TimestampTz execute_at,
										TimestampTz now, DueTimes *times);
extern bool cmdsched_command_retry(const CommandKey *key, bool external,
								   TimestampTz now);

/* For commands that run over several transactions */
extern bool cmdsched_command_lock(const CommandKey *key, bool for_session);
extern void cmdsched_command_unlock(const CommandKey *key);

/* Many at a time */
typedef void (*RoleDueCallback)(Oid role, TimestampTz due_at, void *arg);

extern void cmdsched_command_release(text *command_type, text *command_module,
									 bool to_applications, TimestampTz now,
									 RoleDueCallback callback, void *arg);
extern void cmdsched_command_hold_role(Oid role, const CommandError *error,
									   TimestampTz now);
extern void cmdsched_command_sweep(RoleDueCallback callback, void *arg);
extern bool cmdsched_command_none_exist(void);
extern bool cmdsched_command_prepared_exist(void);

#endif
