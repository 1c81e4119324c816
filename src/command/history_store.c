/*-------------------------------------------------------------------------
 *
 * history_store.c
 *	  The rows of cmdsched.command_history: the only file that touches them.
 *
 * A row is written in the transaction that settles the command, so that the
 * history says what happened and nothing else.
 *
 * The table has a fixed number of parts, the slots.  Rows are written to one
 * of them, which cmdsched.history_position names.  A slot is emptied at once,
 * by truncating it, when its newest row is too old, or when there are too
 * many rows and it is the oldest slot.  What is too old is told by the rows
 * alone: a slot may as well have been restored, been skipped, or been filled
 * under other settings or a clock that was wrong.
 *
 * IDENTIFICATION
 *	  src/command/history_store.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "command/history_store.h"
#include "command/statement.h"
#include "settings.h"

/* As in the installation script. */
#define N_SLOTS 16

/* All but the one being written and one that is on its way out. */
#define N_FULL_SLOTS (N_SLOTS - 2)

/* At most so long rows that have got too old are not noticed. */
#define CHECK_US (60 * USECS_PER_SEC)

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

#define HISTORY_COLUMNS \
	"INSERT INTO cmdsched.command_history (outcome, attempt, scheduled_for, " \
	"started_at, finished_at, result, schedule_id, command_type, " \
	"command_module, error, correlation_id, scheduled_by, " \
	"scheduled_by_name, slot) "
#define INSERT_HISTORY HISTORY_COLUMNS "SELECT $1, $2, $3, $4, $5, $6, "
#define INSERT_HELD /* scheduled_for as in the row */ \
	HISTORY_COLUMNS "SELECT $1, $2, coalesce($3, c.execute_at), $4, $5, $6, "
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
	if (entry->scheduled_for == 0)
		nulls[2] = 'n';
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

/* Of all the commands of a role that were held in this transaction, just now. */
void
cmdsched_history_record_held(Oid role, TimestampTz now)
{
	static FixedStatement statement =
		{INSERT_HELD
		 "c.schedule_id, c.command_type, c.command_module, c.last_error, "
		 "c.metadata->>'correlation_id', c.scheduled_by, "
		 "c.scheduled_by_name, " CURRENT_SLOT
		 " FROM cmdsched.scheduled_commands AS c LEFT JOIN cmdsched.handlers "
		 "AS p ON p.command_type = c.command_type "
		 "AND p.command_module = c.command_module "
		 "WHERE c.scheduled_by = $7 AND c.due_at = 'infinity' "
		 "AND c.status = 'held' AND p.history IS DISTINCT FROM 'none' "
		 "AND c.xmin = pg_current_xact_id()::xid",
		 7,
		 {ENTRY_ARGS, OIDOID}};
	HistoryEntry entry = {.outcome = HISTORY_HELD, .finished_at = now};
	char nulls[] = "       ";
	Datum values[7];
	OwnerScope scope;

	fill_entry_args(&entry, values, nulls);
	values[6] = ObjectIdGetDatum(role);
	cmdsched_statement_run(&statement, values, nulls, &scope);
	cmdsched_statement_finish(&scope);
}

/* ------------------------------------------------------------------------
 * Removing what is old
 * ------------------------------------------------------------------------
 */

typedef struct HistorySlot
{
	Oid table;
	double rows;		/* about; 0 = it is empty */
	TimestampTz oldest; /* DT_NOEND = no row */
	TimestampTz newest; /* DT_NOEND = no row, or only later than now */
} HistorySlot;

/* Blocks of all slots at the last look; -1 = something is still to be done. */
static int64 last_total = -1;

/* Lock all that will be read.  False where somebody else has a part of it. */
static bool
lock_slots(HistorySlot *slots)
{
	Oid schema = get_namespace_oid("cmdsched", false);

	if (!ConditionalLockRelationOid(get_relname_relid("command_history",
													  schema),
									AccessShareLock))
		return false;
	for (int i = 0; i < N_SLOTS; i++)
	{
		slots[i].table =
			get_relname_relid(psprintf("command_history_%d", i), schema);
		if (!ConditionalLockRelationOid(slots[i].table, AccessShareLock))
			return false;
	}
	return true;
}

static BlockNumber
count_blocks(const HistorySlot *slot)
{
	Relation table = table_open(slot->table, NoLock);
	BlockNumber nblocks = RelationGetNumberOfBlocks(table);

	table_close(table, NoLock);
	return nblocks;
}

/* About how many rows are there?  As many to a block as in the middle one. */
static double
estimate_rows(const HistorySlot *slot)
{
	Relation table = table_open(slot->table, NoLock);
	BlockNumber nblocks = RelationGetNumberOfBlocks(table);
	double rows = 0;

	if (nblocks > 0)
	{
		Buffer buffer = ReadBuffer(table, nblocks / 2);

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		rows = (double) Max(PageGetMaxOffsetNumber(BufferGetPage(buffer)), 1) *
			   nblocks;
		UnlockReleaseBuffer(buffer);
	}
	table_close(table, NoLock);
	return rows;
}

/*
 * How old the rows are.  Those later than now, of a clock that was set back
 * or moved for a test, say nothing.
 */
static void
read_ages(HistorySlot *slots, TimestampTz now)
{
	static FixedStatement statement =
		{"SELECT (SELECT min(h.finished_at) FROM cmdsched.command_history "
		 "AS h WHERE h.slot = s.slot), "
		 "(SELECT max(h.finished_at) FROM cmdsched.command_history AS h "
		 "WHERE h.slot = s.slot AND h.finished_at <= $1) "
		 "FROM generate_series(0, 15) AS s (slot) ORDER BY s.slot",
		 1,
		 {TIMESTAMPTZOID}};
	Datum values[1] = {TimestampTzGetDatum(now)};
	OwnerScope scope;

	cmdsched_statement_run(&statement, values, NULL, &scope);
	for (int i = 0; i < N_SLOTS; i++)
	{
		bool isnull;
		Datum value = cmdsched_statement_result(i, 1, &isnull);

		slots[i].oldest = isnull ? DT_NOEND : DatumGetTimestampTz(value);
		value = cmdsched_statement_result(i, 2, &isnull);
		slots[i].newest = isnull ? DT_NOEND : DatumGetTimestampTz(value);
	}
	cmdsched_statement_finish(&scope);
}

static int
get_position(void)
{
	static FixedStatement statement =
		{"SELECT slot FROM cmdsched.history_position "
		 "ORDER BY since DESC LIMIT 1",
		 0};
	OwnerScope scope;
	bool isnull;
	int position = 0;

	if (cmdsched_statement_run(&statement, NULL, NULL, &scope) > 0)
		position = DatumGetInt16(cmdsched_statement_result(0, 1, &isnull));
	cmdsched_statement_finish(&scope);
	return position;
}

static void
set_position(int position, TimestampTz now)
{
	static FixedStatement forget = {"DELETE FROM cmdsched.history_position",
									0};
	static FixedStatement remember =
		{"INSERT INTO cmdsched.history_position VALUES ($1, $2)",
		 2,
		 {INT2OID, TIMESTAMPTZOID}};
	Datum values[2] = {Int16GetDatum(position), TimestampTzGetDatum(now)};
	OwnerScope scope;

	cmdsched_statement_run(&forget, NULL, NULL, &scope);
	cmdsched_statement_finish(&scope);
	cmdsched_statement_run(&remember, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
}

static bool
lock_slot_to_empty(const HistorySlot *slot)
{
	Relation table = table_open(slot->table, NoLock);
	Oid toast = table->rd_rel->reltoastrelid;

	table_close(table, NoLock);
	return ConditionalLockRelationOid(slot->table, AccessExclusiveLock) &&
		   (!OidIsValid(toast) ||
			ConditionalLockRelationOid(toast, AccessExclusiveLock));
}

/* Not now, where somebody reads it or its rows are not committed yet. */
static void
empty_slot(HistorySlot *slot)
{
	OwnerScope scope;

	if (!lock_slot_to_empty(slot))
	{
		last_total = -1;
		return;
	}
	cmdsched_owner_enter(&scope);
	SPI_connect();
	SPI_execute(psprintf("TRUNCATE cmdsched.%s", get_rel_name(slot->table)),
				false,
				0);
	SPI_finish();
	cmdsched_owner_leave(&scope);
	slot->rows = 0;
	slot->oldest = slot->newest = DT_NOEND;
}

static void
empty_by_age(HistorySlot *slots, int position, TimestampTz now)
{
	for (int i = 0; i < N_SLOTS; i++)
	{
		if (i != position && slots[i].newest != DT_NOEND &&
			slots[i].newest <
				now - cmdsched_history_retention * (int64) USECS_PER_SEC)
			empty_slot(&slots[i]);
	}
}

static void
empty_by_count(HistorySlot *slots, int position)
{
	double total = 0;

	for (int i = 0; i < N_SLOTS; i++)
		total += slots[i].rows;
	while (total > cmdsched_history_max_rows)
	{
		HistorySlot *oldest = NULL;
		double rows;

		for (int i = 0; i < N_SLOTS; i++)
		{
			if (i != position && slots[i].rows > 0 &&
				(oldest == NULL || slots[i].newest < oldest->newest))
				oldest = &slots[i];
		}
		if (oldest == NULL)
			break;
		rows = oldest->rows;
		empty_slot(oldest);
		if (oldest->rows > 0)
			break;
		total -= rows;
	}
}

/* Is there as much in the slot being written as one may have? */
static bool
slot_is_full(const HistorySlot *slot, TimestampTz now)
{
	if (cmdsched_history_max_rows > 0 &&
		slot->rows > cmdsched_history_max_rows / N_FULL_SLOTS)
		return true;
	return cmdsched_history_retention > 0 && slot->oldest != DT_NOEND &&
		   slot->oldest < now - cmdsched_history_retention *
									(int64) USECS_PER_SEC / N_FULL_SLOTS;
}

/* Go on in an empty slot; where there is none, stay. */
static void
move_on(const HistorySlot *slots, int position, TimestampTz now)
{
	for (int i = 1; i < N_SLOTS; i++)
	{
		int next = (position + i) % N_SLOTS;

		if (slots[next].rows == 0)
		{
			set_position(next, now);
			break;
		}
	}
}

/* Has anything been written since the last look, or time gone by? */
static bool
must_look(const HistorySlot *slots, TimestampTz now)
{
	static TimestampTz last_look = 0;
	int64 wait_us =
		Min(cmdsched_history_retention * (int64) USECS_PER_SEC / N_FULL_SLOTS,
			CHECK_US);
	int64 total = 0;

	for (int i = 0; i < N_SLOTS; i++)
		total += count_blocks(&slots[i]);
	if (total == last_total && now >= last_look && now - last_look < wait_us)
		return false;
	last_total = total;
	last_look = now;
	return true;
}

/*
 * Remove what is too old or too much, and move on to another slot where that
 * is due.  To be called every few seconds, in a transaction that does nothing
 * else: it keeps readers out of what it empties.  Waits for nobody: what is
 * locked is left for the next time.
 */
void
cmdsched_history_prune(TimestampTz now)
{
	HistorySlot slots[N_SLOTS];
	int position;

	if (!lock_slots(slots) || !must_look(slots, now))
		return;
	for (int i = 0; i < N_SLOTS; i++)
		slots[i].rows = estimate_rows(&slots[i]);
	read_ages(slots, now);
	position = get_position();
	if (cmdsched_history_retention > 0)
		empty_by_age(slots, position, now);
	if (cmdsched_history_max_rows > 0)
		empty_by_count(slots, position);
	if (slot_is_full(&slots[position], now))
		move_on(slots, position, now);
}
