/*-------------------------------------------------------------------------
 *
 * history_store.c
 *	  The rows of cmdsched.command_history: the only file that touches them.
 *
 * Rows are written by table access, as many come from the hot path; the rest
 * is fixed SQL.  A row is written in the transaction that settles the command,
 *so that the history says what happened and nothing else.
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

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "command/command_store.h"
#include "command/extension.h"
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

/* Columns of cmdsched.command_history. */
#define Anum_history_schedule_id 1
#define Anum_history_command_type 2
#define Anum_history_command_module 3
#define Anum_history_outcome 4
#define Anum_history_attempt 5
#define Anum_history_scheduled_for 6
#define Anum_history_started_at 7
#define Anum_history_finished_at 8
#define Anum_history_error 9
#define Anum_history_result 10
#define Anum_history_correlation_id 11
#define Anum_history_scheduled_by 12
#define Anum_history_scheduled_by_name 13
#define Anum_history_slot 14
#define Natts_history 14

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

/* Whatever the metadata has there, as text; false where that is nothing. */
static bool
get_correlation_id(const Command *command, Datum *correlation_id)
{
	static const char key[] = "correlation_id";
	Jsonb *metadata;
	JsonbValue space;
	JsonbValue *value;

	if (!command->has_metadata)
		return false;
	metadata = DatumGetJsonbP(command->metadata);
	if (!JB_ROOT_IS_OBJECT(metadata))
		return false;
	value = getKeyJsonValueFromContainer(&metadata->root,
										 key,
										 sizeof(key) - 1,
										 &space);
	if (value == NULL || value->type == jbvNull)
		return false;
	if (value->type == jbvString)
		*correlation_id =
			PointerGetDatum(cstring_to_text_with_len(value->val.string.val,
													 value->val.string.len));
	else
		*correlation_id = CStringGetTextDatum(
			JsonbToCString(NULL, &JsonbValueToJsonb(value)->root, 0));
	return true;
}

static void
fill_row(const HistoryEntry *entry, const Command *command,
		 NullableDatum error, NameData *name, Datum *values, bool *isnull)
{
	memset(isnull, 0, Natts_history * sizeof(bool));
	namestrcpy(name, command->scheduled_by_name);
	values[Anum_history_schedule_id - 1] =
		PointerGetDatum(command->schedule_id);
	values[Anum_history_command_type - 1] =
		PointerGetDatum(command->command_type);
	values[Anum_history_command_module - 1] =
		PointerGetDatum(command->command_module);
	values[Anum_history_outcome - 1] =
		CStringGetTextDatum(outcome_names[entry->outcome]);
	values[Anum_history_attempt - 1] = Int16GetDatum(entry->attempt);
	isnull[Anum_history_attempt - 1] = entry->attempt == 0;
	values[Anum_history_scheduled_for - 1] =
		TimestampTzGetDatum(entry->scheduled_for);
	isnull[Anum_history_scheduled_for - 1] = entry->scheduled_for == 0;
	values[Anum_history_started_at - 1] =
		TimestampTzGetDatum(entry->started_at);
	isnull[Anum_history_started_at - 1] = entry->started_at == 0;
	values[Anum_history_finished_at - 1] =
		TimestampTzGetDatum(entry->finished_at);
	values[Anum_history_error - 1] = error.value;
	isnull[Anum_history_error - 1] = error.isnull;
	values[Anum_history_result - 1] = entry->result;
	isnull[Anum_history_result - 1] = !entry->has_result;
	isnull[Anum_history_correlation_id - 1] =
		!get_correlation_id(command, &values[Anum_history_correlation_id - 1]);
	values[Anum_history_scheduled_by - 1] =
		ObjectIdGetDatum(command->scheduled_by);
	values[Anum_history_scheduled_by_name - 1] = NameGetDatum(name);
}

/*
 * Where rows are written.  It is looked up once a statement: to go on a little
 * in a slot that the scheduler has left does no harm.
 */
static Oid
find_slot(int *position)
{
	static TimestampTz looked_at = 0;
	static Oid commands = InvalidOid;
	static Oid table = InvalidOid;
	static int slot = 0;
	TimestampTz now = GetCurrentStatementStartTimestamp();

	if (looked_at != now || commands != cmdsched_extension_get()->commands)
	{
		slot = get_position();
		table = get_relname_relid(psprintf("command_history_%d", slot),
								  get_namespace_oid("cmdsched", false));
		commands = cmdsched_extension_get()->commands;
		looked_at = now;
	}
	*position = slot;
	return table;
}

/* Has the table our three indexes and no other, and no triggers? */
static bool
table_is_as_installed(Relation table, List *indexes)
{
	ListCell *cell;

	if (table->trigdesc != NULL || list_length(indexes) != 3 ||
		RelationGetNumberOfAttributes(table) != Natts_history)
		return false;
	foreach(cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), RowExclusiveLock);
		int column = index->rd_index->indkey.values[0];
		bool is_ours = index->rd_index->indnatts == 1 &&
					   (column == Anum_history_schedule_id ||
						column == Anum_history_finished_at);

		index_close(index, NoLock);
		if (!is_ours)
			return false;
	}
	return true;
}

/* The quick way: no executor state, no partial index to be evaluated. */
static void
insert_row(Relation table, List *indexes, Datum *values, bool *isnull,
		   bool is_failure)
{
	TupleTableSlot *slot =
		MakeSingleTupleTableSlot(RelationGetDescr(table), &TTSOpsVirtual);
	ListCell *cell;

	memcpy(slot->tts_values, values, Natts_history * sizeof(Datum));
	memcpy(slot->tts_isnull, isnull, Natts_history * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(table);
	table_tuple_insert(table, slot, GetCurrentCommandId(true), 0, NULL);
	foreach(cell, indexes)
	{
		Relation index = index_open(lfirst_oid(cell), RowExclusiveLock);
		int column = index->rd_index->indkey.values[0];

		/* The partial one is that of failures. */
		if (is_failure ||
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
			index_insert(index,
						 &values[column - 1],
						 &isnull[column - 1],
						 &slot->tts_tid,
						 table,
						 UNIQUE_CHECK_NO,
						 false,
						 NULL);
		index_close(index, NoLock);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* The way that copes with whatever a superuser added to the table. */
static void
insert_row_by_statement(Datum *values, const bool *isnull)
{
	static FixedStatement statement =
		{"INSERT INTO cmdsched.command_history VALUES "
		 "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
		 Natts_history,
		 {TEXTOID,
		  TEXTOID,
		  TEXTOID,
		  TEXTOID,
		  INT2OID,
		  TIMESTAMPTZOID,
		  TIMESTAMPTZOID,
		  TIMESTAMPTZOID,
		  JSONBOID,
		  JSONBOID,
		  TEXTOID,
		  OIDOID,
		  NAMEOID,
		  INT2OID}};
	char nulls[Natts_history + 1] = {0};
	OwnerScope scope;

	for (int i = 0; i < Natts_history; i++)
		nulls[i] = isnull[i] ? 'n' : ' ';
	cmdsched_statement_run(&statement, values, nulls, &scope);
	cmdsched_statement_finish(&scope);
}

static void
write_row(const HistoryEntry *entry, const Command *command,
		  NullableDatum error)
{
	Datum values[Natts_history];
	bool isnull[Natts_history];
	NameData name;
	int position;
	Relation table = table_open(find_slot(&position), RowExclusiveLock);
	List *indexes = RelationGetIndexList(table);

	fill_row(entry, command, error, &name, values, isnull);
	values[Anum_history_slot - 1] = Int16GetDatum(position);
	if (table_is_as_installed(table, indexes))
		insert_row(table,
				   indexes,
				   values,
				   isnull,
				   entry->outcome != HISTORY_SUCCEEDED);
	else
		insert_row_by_statement(values, isnull);
	list_free(indexes);
	table_close(table, NoLock);
	CommandCounterIncrement();
}

/* Of a command whose row is gone. */
void
cmdsched_history_record(const HistoryEntry *entry, const Command *command)
{
	if (is_wanted(entry))
		write_row(entry, command, (NullableDatum){.isnull = true});
}

/* Of a command whose row says the rest, the error among it. */
void
cmdsched_history_record_kept(const HistoryEntry *entry, const CommandKey *key)
{
	static FixedStatement statement =
		{"SELECT command_type, command_module, scheduled_by_name, attempts, "
		 "execute_at, metadata, last_error FROM cmdsched.scheduled_commands "
		 "WHERE schedule_id = $1 AND scheduled_by = $2",
		 2,
		 {TEXTOID, OIDOID}};
	Datum values[2] = {PointerGetDatum(key->schedule_id),
					   ObjectIdGetDatum(key->scheduled_by)};
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	NullableDatum error;
	Command command;
	OwnerScope scope;

	if (!is_wanted(entry))
		return;
	/* What is out of line can be read under a snapshot only. */
	PushActiveSnapshot(GetTransactionSnapshot());
	if (cmdsched_statement_run(&statement, values, NULL, &scope) == 0)
		elog(ERROR, "command to be recorded is gone");
	spi_context = MemoryContextSwitchTo(context);
	cmdsched_command_read_deleted(&command, key, 1);
	error.value = cmdsched_statement_result(0, 7, &error.isnull);
	error.isnull |= entry->outcome == HISTORY_SNOOZED;
	if (!error.isnull)
		error.value = PointerGetDatum(PG_DETOAST_DATUM_COPY(error.value));
	MemoryContextSwitchTo(spi_context);
	cmdsched_statement_finish(&scope);
	write_row(entry, &command, error);
	PopActiveSnapshot();
}

/* Of all the commands of a role that were held in this transaction, just now. */
void
cmdsched_history_record_held(Oid role, TimestampTz now)
{
	static FixedStatement statement =
		{"INSERT INTO cmdsched.command_history (schedule_id, command_type, "
		 "command_module, outcome, scheduled_for, finished_at, error, "
		 "correlation_id, scheduled_by, scheduled_by_name, slot) "
		 "SELECT c.schedule_id, c.command_type, c.command_module, 'held', "
		 "c.execute_at, $2, c.last_error, c.metadata->>'correlation_id', "
		 "c.scheduled_by, c.scheduled_by_name, $3 "
		 "FROM cmdsched.scheduled_commands AS c LEFT JOIN cmdsched.handlers "
		 "AS p ON p.command_type = c.command_type "
		 "AND p.command_module = c.command_module "
		 "WHERE c.scheduled_by = $1 AND c.due_at = 'infinity' "
		 "AND c.status = 'held' AND p.history IS DISTINCT FROM 'none' "
		 "AND c.xmin = pg_current_xact_id()::xid",
		 3,
		 {OIDOID, TIMESTAMPTZOID, INT2OID}};
	Datum values[3];
	OwnerScope scope;

	values[0] = ObjectIdGetDatum(role);
	values[1] = TimestampTzGetDatum(now);
	values[2] = Int16GetDatum(get_position());
	cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
}

/* ------------------------------------------------------------------------
 * In a copy of a database: see home.c
 * ------------------------------------------------------------------------
 */

/* The oid may be that of somebody else, who must not see the rows. */
void
cmdsched_history_take_from_strangers(void)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.command_history AS h SET scheduled_by = 4294967295 "
		 "WHERE NOT EXISTS (SELECT FROM pg_roles AS r "
		 "WHERE r.oid = h.scheduled_by AND r.rolname = h.scheduled_by_name)",
		 0};
	OwnerScope scope;

	cmdsched_statement_run(&statement, NULL, NULL, &scope);
	cmdsched_statement_finish(&scope);
}

void
cmdsched_history_give_to_namesakes(void)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.command_history AS h SET scheduled_by = r.oid "
		 "FROM pg_roles AS r WHERE r.rolname = h.scheduled_by_name "
		 "AND NOT EXISTS (SELECT FROM pg_roles AS o "
		 "WHERE o.oid = h.scheduled_by)",
		 0};
	OwnerScope scope;

	cmdsched_statement_run(&statement, NULL, NULL, &scope);
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
		slot->rows * N_FULL_SLOTS > cmdsched_history_max_rows)
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
