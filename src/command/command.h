/*-------------------------------------------------------------------------
 *
 * command.h
 *	  The value types: what a command is and how an attempt ends.
 *
 * The states of a command:
 *
 *	  schedule() --> pending --- attempt succeeds ---> gone
 *	                 |  ^  ^---- attempt fails: attempts + 1, later
 *	                 |  |
 *	                 |  +-- retry() --- failed (attempts used up, abandon())
 *	                 |  +-- retry(), register_handler() --- held (cannot run)
 *	                 +----- cancel(), delete_executed() --> gone
 *
 * "Running" is no state: it is a lock on the row, held by the transaction
 * that runs it, so that nothing has to be repaired when that ends.
 *
 * A command of an external handler is carried out by an application, which
 * cannot hold a lock for so long.  It has a claim_token until claimable_at,
 * the end of its lease; then it is pending as before, with one attempt more.
 *
 * IDENTIFICATION
 *	  src/command/command.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_COMMAND_H
#define CMDSCHED_COMMAND_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* Columns of cmdsched.scheduled_commands. */
#define Anum_command_schedule_id 1
#define Anum_command_command_type 2
#define Anum_command_command_module 3
#define Anum_command_command_data 4
#define Anum_command_execute_at 5
#define Anum_command_status 6
#define Anum_command_created_at 7
#define Anum_command_metadata 8
#define Anum_command_scheduled_by 9
#define Anum_command_attempts 10
#define Anum_command_last_error 11
#define Anum_command_scheduled_by_name 12
#define Anum_command_due_at 13
#define Anum_command_conflicts 14
#define Anum_command_depth 15
#define Anum_command_claimable_at 16
#define Anum_command_claim_token 17
#define Anum_command_recurring 18
#define Anum_command_occurrence_at 19
#define Natts_command 19

/* Longest schedule_id, command_type and command_module, in bytes. */
#define CMDSCHED_MAX_NAME 255

/* A due_at at which no worker ever looks: held, failed, external, paused. */
#define DUE_NEVER DT_NOEND

/*
 * One row of cmdsched.scheduled_commands, as far as an executor needs it.
 * The pointers are into the slot it was read from.
 */
typedef struct Command
{
	text *schedule_id;
	text *command_type;
	text *command_module;
	Datum command_data;
	Datum metadata;
	bool has_metadata;
	TimestampTz execute_at;
	TimestampTz due_at;
	TimestampTz claimable_at; /* DUE_NEVER = not for an application */
	Oid scheduled_by;
	const char *scheduled_by_name;
	int attempts;
	int conflicts;
	int depth;		 /* commands from which it follows without a pause */
	text *recurring; /* NULL = no occurrence of a schedule */
	TimestampTz occurrence_at; /* of that */
} Command;

/* The key of a command, in memory of its own. */
typedef struct CommandKey
{
	text *schedule_id;
	Oid scheduled_by;
} CommandKey;

/* What is recorded of an error; all strings may be NULL but message. */
typedef struct CommandError
{
	int sqlerrcode;
	const char *message;
	const char *detail;
	const char *context;
} CommandError;

/*
 * A place in a role's commands, in the order in which they fall due.  The id
 * may be cut: then it stands for a place a little earlier.
 */
#define CMDSCHED_POSITION_ID_SIZE 40

typedef struct CommandPosition
{
	TimestampTz due_at;
	uint8 id_len;
	char id[CMDSCHED_POSITION_ID_SIZE - 1];
} CommandPosition;

#endif
