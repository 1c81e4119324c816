/*-------------------------------------------------------------------------
 *
 * history_store.c
 *	  The rows of cmdsched.command_history: the only file that touches them.
 *
 * A row is written in the transaction that settles the command, so that the
 * history says what happened and nothing else.
 *
 * IDENTIFICATION
 *	  src/command/history_store.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "command/history_store.h"
#include "command/statement.h"

static const char *const outcome_names[] = {
	[HISTORY_SUCCEEDED] = "succeeded",
	[HISTORY_ATTEMPT_FAILED] = "attempt_failed",
	[HISTORY_FAILED] = "failed",
	[HISTORY_CANCELLED] = "cancelled",
	[HISTORY_SNOOZED] = "snoozed",
	[HISTORY_ABANDONED] = "abandoned",
	[HISTORY_HELD] = "held",
};

/* What register_handler() calls it; it has been checked. */
HistoryPolicy
cmdsched_history_policy(const char *name)
{
	if (strcmp(name, "none") == 0)
		return HISTORY_NONE;
	return strcmp(name, "all") == 0 ? HISTORY_ALL : HISTORY_FAILURES;
}

static bool
is_wanted(const HistoryEntry *entry)
{
	switch (entry->outcome)
	{
		case HISTORY_SUCCEEDED:
		case HISTORY_CANCELLED:
		case HISTORY_SNOOZED:
			return entry->policy == HISTORY_ALL;
		default:
			return entry->policy != HISTORY_NONE;
	}
}

#define INSERT_HISTORY \
	"INSERT INTO cmdsched.command_history (outcome, attempt, scheduled_for, " \
	"started_at, finished_at, result, schedule_id, command_type, " \
	"command_module, error, correlation_id, scheduled_by, " \
	"scheduled_by_name, slot) SELECT $1, $2, $3, $4, $5, $6, "
#define CURRENT_SLOT \
	"coalesce((SELECT h.slot FROM cmdsched.history_position AS h " \
	"ORDER BY h.since DESC LIMIT 1), 0)"
#define ENTRY_ARGS \
	TEXTOID, INT2OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID

static void
fill_entry_args(const HistoryEntry *entry, Datum *values, char *nulls)
{
	values[0] = CStringGetTextDatum(outcome_names[entry->outcome]);
	values[1] = Int16GetDatum(entry->attempt);
	if (entry->attempt == 0)
		nulls[1] = 'n';
	values[2] = TimestampTzGetDatum(entry->scheduled_for);
	values[3] = TimestampTzGetDatum(entry->started_at);
	if (entry->started_at == 0)
		nulls[3] = 'n';
	values[4] = TimestampTzGetDatum(entry->finished_at);
	values[5] = entry->result;
	if (!entry->has_result)
		nulls[5] = 'n';
}

/* Of a command whose row is gone. */
void
cmdsched_history_record(const HistoryEntry *entry, const Command *command)
{
	static FixedStatement statement =
		{INSERT_HISTORY
		 "$7, $8, $9, NULL, $10->>'correlation_id', $11, $12, " CURRENT_SLOT,
		 12,
		 {ENTRY_ARGS, TEXTOID, TEXTOID, TEXTOID, JSONBOID, OIDOID, NAMEOID}};
	char nulls[] = "            ";
	Datum values[12];
	NameData name;
	OwnerScope scope;

	if (!is_wanted(entry))
		return;
	fill_entry_args(entry, values, nulls);
	namestrcpy(&name, command->scheduled_by_name);
	values[6] = PointerGetDatum(command->schedule_id);
	values[7] = PointerGetDatum(command->command_type);
	values[8] = PointerGetDatum(command->command_module);
	values[9] = command->metadata;
	if (!command->has_metadata)
		nulls[9] = 'n';
	values[10] = ObjectIdGetDatum(command->scheduled_by);
	values[11] = NameGetDatum(&name);
	cmdsched_statement_run(&statement, values, nulls, &scope);
	cmdsched_statement_finish(&scope);
}

/* Of a command whose row says the rest, the error among it. */
void
cmdsched_history_record_kept(const HistoryEntry *entry, const CommandKey *key)
{
	static FixedStatement statement =
		{INSERT_HISTORY
		 "c.schedule_id, c.command_type, c.command_module, "
		 "CASE $1 WHEN 'snoozed' THEN NULL ELSE c.last_error END, "
		 "c.metadata->>'correlation_id', c.scheduled_by, "
		 "c.scheduled_by_name, " CURRENT_SLOT
		 " FROM cmdsched.scheduled_commands AS c "
		 "WHERE c.schedule_id = $7 AND c.scheduled_by = $8",
		 8,
		 {ENTRY_ARGS, TEXTOID, OIDOID}};
	char nulls[] = "        ";
	Datum values[8];
	OwnerScope scope;

	if (!is_wanted(entry))
		return;
	fill_entry_args(entry, values, nulls);
	values[6] = PointerGetDatum(key->schedule_id);
	values[7] = ObjectIdGetDatum(key->scheduled_by);
	cmdsched_statement_run(&statement, values, nulls, &scope);
	cmdsched_statement_finish(&scope);
}
