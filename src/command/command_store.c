/*-------------------------------------------------------------------------
 *
 * command_store.c
 *	  The rows of cmdsched.scheduled_commands: the only file that touches
 *	  them.
 *
 * The hot path (insert, scan, claim) is table access without SPI; the rest
 * is fixed SQL that runs as the extension's owner.  Each transition names
 * the state it expects, so that losing a race returns false.  Decisions and
 * transactions are the caller's.
 *
 * A claim is a delete that does not wait.  It stands or falls with the
 * transaction that runs the command: there is no "running" state that could
 * outlive a crash.
 *
 * IDENTIFICATION
 *	  src/command/command_store.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/twophase.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "command/command_store.h"
#include "command/extension.h"
#include "command/statement.h"
#include "compat.h"

/* What is kept of one error, 8 kB in all. */
#define MAX_MESSAGE_LENGTH 2048
#define MAX_DETAIL_LENGTH 2048
#define MAX_CONTEXT_LENGTH 3584

/* ------------------------------------------------------------------------
 * Inserting
 * ------------------------------------------------------------------------
 */

/*
 * Who is to look for it, and when.  A time in the past means now: where all
 * has been done, nobody looks again.
 */
void
cmdsched_command_set_due(Command *command, bool external, TimestampTz now)
{
	TimestampTz due_at = Max(command->execute_at, now);

	command->due_at = external ? DUE_NEVER : due_at;
	command->claimable_at = external ? due_at : DUE_NEVER;
}

static void
fill_row(TupleTableSlot *slot, const Command *command, TimestampTz now)
{
	static NameData name;
	Datum *values = slot->tts_values;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, 0, Natts_command * sizeof(bool));
	namestrcpy(&name, command->scheduled_by_name);
	values[Anum_command_schedule_id - 1] =
		PointerGetDatum(command->schedule_id);
	values[Anum_command_command_type - 1] =
		PointerGetDatum(command->command_type);
	values[Anum_command_command_module - 1] =
		PointerGetDatum(command->command_module);
	values[Anum_command_command_data - 1] = command->command_data;
	values[Anum_command_execute_at - 1] =
		TimestampTzGetDatum(command->execute_at);
	values[Anum_command_status - 1] = CStringGetTextDatum("pending");
	values[Anum_command_created_at - 1] = TimestampTzGetDatum(now);
	values[Anum_command_metadata - 1] = command->metadata;
	slot->tts_isnull[Anum_command_metadata - 1] = !command->has_metadata;
	values[Anum_command_scheduled_by - 1] =
		ObjectIdGetDatum(command->scheduled_by);
	values[Anum_command_attempts - 1] = Int16GetDatum(0);
	values[Anum_command_conflicts - 1] = Int16GetDatum(0);
	values[Anum_command_depth - 1] = Int16GetDatum(command->depth);
	values[Anum_command_last_error - 1] = (Datum) 0;
	slot->tts_isnull[Anum_command_last_error - 1] = true;
	values[Anum_command_scheduled_by_name - 1] = NameGetDatum(&name);
	values[Anum_command_due_at - 1] = TimestampTzGetDatum(command->due_at);
	values[Anum_command_claimable_at - 1] =
		TimestampTzGetDatum(command->claimable_at);
	slot->tts_isnull[Anum_command_claimable_at - 1] =
		command->claimable_at == DUE_NEVER;
	/* Occurrences are written under an id of their own. */
	slot->tts_isnull[Anum_command_recurring - 1] = true;
	slot->tts_isnull[Anum_command_occurrence_at - 1] = true;
	slot->tts_isnull[Anum_command_claim_token - 1] = true;
	ExecStoreVirtualTuple(slot);
}

/* Has the table our three indexes and no other, and no triggers? */
bool
cmdsched_command_table_is_as_installed(Relation commands)
{
	const ExtensionObjects *objects = cmdsched_extension_get();
	List *indexes;
	bool as_installed;

	if (commands->trigdesc != NULL)
		return false;
	indexes = RelationGetIndexList(commands);
	as_installed = list_length(indexes) == 3 &&
				   list_member_oid(indexes, objects->commands_pkey) &&
				   list_member_oid(indexes, objects->due_index) &&
				   list_member_oid(indexes, objects->parked_index);
	list_free(indexes);
	return as_installed;
}

static void
insert_index_entry(Oid index_oid, Relation commands, TupleTableSlot *slot,
				   int ncolumns, const AttrNumber *columns)
{
	Relation index = index_open(index_oid, RowExclusiveLock);
	Datum values[INDEX_MAX_KEYS];
	bool isnull[INDEX_MAX_KEYS];

	for (int i = 0; i < ncolumns; i++)
	{
		values[i] = slot->tts_values[columns[i] - 1];
		isnull[i] = slot->tts_isnull[columns[i] - 1];
	}
	index_insert(index,
				 values,
				 isnull,
				 &slot->tts_tid,
				 commands,
				 index->rd_index->indisunique ? UNIQUE_CHECK_YES
											  : UNIQUE_CHECK_NO,
				 false,
				 NULL);
	index_close(index, NoLock);
}

static void
insert_index_entries(Relation commands, TupleTableSlot *slot)
{
	const ExtensionObjects *objects = cmdsched_extension_get();
	static const AttrNumber pkey[] = {Anum_command_schedule_id,
									  Anum_command_scheduled_by};
	static const AttrNumber due[] = {Anum_command_scheduled_by,
									 Anum_command_due_at,
									 Anum_command_schedule_id};
	static const AttrNumber parked[] = {Anum_command_command_type,
										Anum_command_command_module,
										Anum_command_scheduled_by,
										Anum_command_claimable_at,
										Anum_command_schedule_id};

	insert_index_entry(objects->commands_pkey,
					   commands,
					   slot,
					   lengthof(pkey),
					   pkey);
	insert_index_entry(objects->due_index, commands, slot, lengthof(due), due);
	if (DatumGetTimestampTz(slot->tts_values[Anum_command_due_at - 1]) ==
		DUE_NEVER)
		insert_index_entry(objects->parked_index,
						   commands,
						   slot,
						   lengthof(parked),
						   parked);
}

/* The quick way: no executor state, no partial index to be evaluated. */
static void
insert_row(Relation commands, TupleTableSlot *slot)
{
	table_tuple_insert(commands, slot, GetCurrentCommandId(true), 0, NULL);
	insert_index_entries(commands, slot);
}

/*
 * Is it we who have locked the row, by rescheduling it in this transaction,
 * for one?  A change that does not wait cannot tell.
 */
static bool
lock_row(Relation commands, ItemPointer tid, Snapshot snapshot)
{
	TupleTableSlot *slot = table_slot_create(commands, NULL);
	TM_FailureData failure;
	TM_Result result = table_tuple_lock(commands,
										tid,
										snapshot,
										slot,
										snapshot->curcid,
										LockTupleExclusive,
										LockWaitSkip,
										0,
										&failure);

	ExecDropSingleTupleTableSlot(slot);
	return result == TM_Ok;
}

static TM_Result
update_row(Relation commands, ItemPointer tid, Snapshot snapshot,
		   TupleTableSlot *new_row, bool wait)
{
	bool needs_entries;
	TM_Result result;

	(void) GetCurrentCommandId(true);
	new_row->tts_tableOid = RelationGetRelid(commands);
	result = cmdsched_table_tuple_update(commands,
										 tid,
										 new_row,
										 snapshot->curcid,
										 snapshot,
										 wait,
										 &needs_entries);
	if (result == TM_Ok && needs_entries)
		insert_index_entries(commands, new_row);
	return result;
}

/*
 * Put a row in the place of the one at tid, in a table that is as installed.
 * Never waits.
 */
TM_Result
cmdsched_command_update_row(Relation commands, ItemPointer tid,
							Snapshot snapshot, TupleTableSlot *new_row)
{
	TM_Result result = update_row(commands, tid, snapshot, new_row, false);

	if (result == TM_BeingModified && lock_row(commands, tid, snapshot))
		result = update_row(commands, tid, snapshot, new_row, true);
	return result;
}

/* The way that copes with whatever a superuser added to the table. */
static void
insert_row_by_executor(Relation commands, TupleTableSlot *slot)
{
	OwnerScope scope;
	EState *estate;
	ResultRelInfo *result;

	cmdsched_owner_enter(&scope);
	PushActiveSnapshot(GetTransactionSnapshot());
	estate = CreateExecutorState();
	result = makeNode(ResultRelInfo);
	InitResultRelInfo(result, commands, 1, NULL, 0);
	AfterTriggerBeginQuery();
	ExecOpenIndices(result, false);
	ExecSimpleRelationInsert(result, estate, slot);
	AfterTriggerEndQuery(estate);
	ExecCloseIndices(result);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	PopActiveSnapshot();
	cmdsched_owner_leave(&scope);
}

#define INSERT_COMMAND \
	"INSERT INTO cmdsched.scheduled_commands AS c (schedule_id, " \
	"command_type, command_module, command_data, execute_at, created_at, " \
	"metadata, scheduled_by, scheduled_by_name, due_at, depth, " \
	"claimable_at, recurring, occurrence_at) " \
	"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) " \
	"ON CONFLICT (schedule_id, scheduled_by) "
#define INSERT_ARGS \
	14, \
	{ \
		TEXTOID, TEXTOID, TEXTOID, JSONBOID, TIMESTAMPTZOID, TIMESTAMPTZOID, \
			JSONBOID, OIDOID, NAMEOID, TIMESTAMPTZOID, INT2OID, \
			TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID \
	}

/*
 * Write down a command under the caller's own schedule_id.  False if that is
 * waiting already and was left as it is.  Where an attempt at it is running,
 * this waits for the outcome.
 */
bool
cmdsched_command_insert(const Command *command, TimestampTz now,
						OnConflict on_conflict)
{
	static FixedStatement keep = {INSERT_COMMAND "DO NOTHING", INSERT_ARGS};
	static FixedStatement replace =
		{INSERT_COMMAND
		 "DO UPDATE SET command_type = EXCLUDED.command_type, "
		 "command_module = EXCLUDED.command_module, "
		 "command_data = EXCLUDED.command_data, "
		 "execute_at = EXCLUDED.execute_at, status = 'pending', "
		 "created_at = EXCLUDED.created_at, metadata = EXCLUDED.metadata, "
		 "attempts = 0, last_error = NULL, due_at = EXCLUDED.due_at, "
		 "conflicts = 0, depth = EXCLUDED.depth, "
		 "claimable_at = EXCLUDED.claimable_at, claim_token = NULL",
		 INSERT_ARGS};
	NameData name;
	char nulls[] = "              ";
	Datum values[14];
	OwnerScope scope;
	uint64 nrows;

	namestrcpy(&name, command->scheduled_by_name);
	values[0] = PointerGetDatum(command->schedule_id);
	values[1] = PointerGetDatum(command->command_type);
	values[2] = PointerGetDatum(command->command_module);
	values[3] = command->command_data;
	values[4] = TimestampTzGetDatum(command->execute_at);
	values[5] = TimestampTzGetDatum(now);
	values[6] = command->metadata;
	if (!command->has_metadata)
		nulls[6] = 'n';
	values[7] = ObjectIdGetDatum(command->scheduled_by);
	values[8] = NameGetDatum(&name);
	values[9] = TimestampTzGetDatum(command->due_at);
	values[10] = Int16GetDatum(command->depth);
	values[11] = TimestampTzGetDatum(command->claimable_at);
	if (command->claimable_at == DUE_NEVER)
		nulls[11] = 'n';
	values[12] = PointerGetDatum(command->recurring);
	values[13] = TimestampTzGetDatum(command->occurrence_at);
	if (command->recurring == NULL)
		nulls[12] = nulls[13] = 'n';

	nrows =
		cmdsched_statement_run(on_conflict == ON_CONFLICT_REPLACE ? &replace
																  : &keep,
							   values,
							   nulls,
							   &scope);
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/* Write down a command whose schedule_id was just generated. */
void
cmdsched_command_insert_new(const Command *command, TimestampTz now)
{
	const ExtensionObjects *objects = cmdsched_extension_get();
	Relation commands = table_open(objects->commands, RowExclusiveLock);

	/* A later script has more, and waits for a restart with its library. */
	if (RelationGetNumberOfAttributes(commands) != Natts_command)
		(void) cmdsched_command_insert(command, now, ON_CONFLICT_KEEP);
	else
	{
		TupleTableSlot *slot =
			MakeSingleTupleTableSlot(RelationGetDescr(commands),
									 &TTSOpsVirtual);

		fill_row(slot, command, now);
		slot->tts_tableOid = RelationGetRelid(commands);
		if (cmdsched_command_table_is_as_installed(commands))
			insert_row(commands, slot);
		else
			insert_row_by_executor(commands, slot);
		ExecDropSingleTupleTableSlot(slot);
	}
	table_close(commands, NoLock);
	CommandCounterIncrement();
}

/* ------------------------------------------------------------------------
 * Scanning and claiming
 * ------------------------------------------------------------------------
 */

struct CommandScan
{
	Relation commands;
	Relation due_index;
	Snapshot snapshot;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ScanKeyData start_row[2];
};

/*
 * Scan keys for "scheduled_by = role and (due_at, schedule_id) >= from and
 * due_at < infinity".
 */
static int
make_scan_keys(CommandScan *scan, ScanKey keys, Oid role,
			   const CommandPosition *from)
{
	ScanKeyInit(&keys[0],
				1,
				BTEqualStrategyNumber,
				F_OIDEQ,
				ObjectIdGetDatum(role));
	ScanKeyInit(&keys[1],
				2,
				BTLessStrategyNumber,
				F_TIMESTAMPTZ_LT,
				TimestampTzGetDatum(DUE_NEVER));
	if (from->id_len == 0)
	{
		ScanKeyInit(&keys[2],
					2,
					BTGreaterEqualStrategyNumber,
					F_TIMESTAMPTZ_GE,
					TimestampTzGetDatum(from->due_at));
		return 3;
	}

	/* A row comparison, in the form that nbtree wants. */
	ScanKeyEntryInitialize(&scan->start_row[0],
						   SK_ROW_MEMBER,
						   2,
						   BTGreaterEqualStrategyNumber,
						   InvalidOid,
						   InvalidOid,
						   F_TIMESTAMPTZ_CMP,
						   TimestampTzGetDatum(from->due_at));
	ScanKeyEntryInitialize(&scan->start_row[1],
						   SK_ROW_MEMBER | SK_ROW_END,
						   3,
						   BTGreaterEqualStrategyNumber,
						   InvalidOid,
						   C_COLLATION_OID,
						   F_BTTEXTCMP,
						   PointerGetDatum(
							   cstring_to_text_with_len(from->id,
														from->id_len)));
	memset(&keys[2], 0, sizeof(ScanKeyData));
	keys[2].sk_flags = SK_ROW_HEADER;
	keys[2].sk_attno = 2;
	keys[2].sk_strategy = BTGreaterEqualStrategyNumber;
	keys[2].sk_argument = PointerGetDatum(scan->start_row);
	return 3;
}

/*
 * Begin to read a role's commands in the order in which they fall due.  To
 * be begun and ended under the same resource owner, that is within the same
 * subtransaction.
 */
CommandScan *
cmdsched_command_scan_begin(Oid role, const CommandPosition *from)
{
	const ExtensionObjects *objects = cmdsched_extension_get();
	CommandScan *scan = palloc0(sizeof(CommandScan));
	ScanKeyData keys[3];
	int nkeys = make_scan_keys(scan, keys, role, from);

	scan->commands = table_open(objects->commands, RowExclusiveLock);
	scan->due_index = index_open(objects->due_index, RowExclusiveLock);
	scan->snapshot = RegisterSnapshot(GetTransactionSnapshot());
	scan->slot = table_slot_create(scan->commands, NULL);
	scan->scan = cmdsched_index_beginscan(scan->commands,
										  scan->due_index,
										  scan->snapshot,
										  nkeys);
	index_rescan(scan->scan, keys, nkeys, NULL, 0);
	return scan;
}

static void
read_columns(Command *command, const Datum *values, const bool *isnull)
{
	command->schedule_id =
		DatumGetTextPP(values[Anum_command_schedule_id - 1]);
	command->command_type =
		DatumGetTextPP(values[Anum_command_command_type - 1]);
	command->command_module =
		DatumGetTextPP(values[Anum_command_command_module - 1]);
	command->command_data = values[Anum_command_command_data - 1];
	command->metadata = values[Anum_command_metadata - 1];
	command->has_metadata = !isnull[Anum_command_metadata - 1];
	command->execute_at =
		DatumGetTimestampTz(values[Anum_command_execute_at - 1]);
	command->due_at = DatumGetTimestampTz(values[Anum_command_due_at - 1]);
	command->claimable_at =
		isnull[Anum_command_claimable_at - 1]
			? DUE_NEVER
			: DatumGetTimestampTz(values[Anum_command_claimable_at - 1]);
	command->scheduled_by =
		DatumGetObjectId(values[Anum_command_scheduled_by - 1]);
	command->scheduled_by_name =
		NameStr(*DatumGetName(values[Anum_command_scheduled_by_name - 1]));
	command->attempts = DatumGetInt16(values[Anum_command_attempts - 1]);
	command->conflicts = DatumGetInt16(values[Anum_command_conflicts - 1]);
	command->depth = DatumGetInt16(values[Anum_command_depth - 1]);
	command->recurring = NULL;
	if (!isnull[Anum_command_recurring - 1])
	{
		command->recurring =
			DatumGetTextPP(values[Anum_command_recurring - 1]);
		command->occurrence_at =
			DatumGetTimestampTz(values[Anum_command_occurrence_at - 1]);
	}
}

/* From a slot whose columns were fetched. */
void
cmdsched_command_read(Command *command, TupleTableSlot *slot)
{
	read_columns(command, slot->tts_values, slot->tts_isnull);
}

/* The next pending command, due or not; false at the end. */
bool
cmdsched_command_scan_next(CommandScan *scan, Command *command)
{
	if (!index_getnext_slot(scan->scan, ForwardScanDirection, scan->slot))
		return false;
	slot_getallattrs(scan->slot);
	read_columns(command, scan->slot->tts_values, scan->slot->tts_isnull);
	return true;
}

/*
 * Deletes as of the scan's own command id: a row that a handler has changed
 * since then is one that we modified ourselves, not an invisible one.
 */
static TM_Result
delete_row(CommandScan *scan, bool wait)
{
	TM_FailureData failure;
	TM_Result result;

	(void) GetCurrentCommandId(true);
	result = table_tuple_delete(scan->commands,
								&scan->slot->tts_tid,
								scan->snapshot->curcid,
								scan->snapshot,
								InvalidSnapshot,
								wait,
								&failure,
								false);
	return result;
}

/* Take the command that the scan stands on.  Never waits. */
ClaimResult
cmdsched_command_claim(CommandScan *scan)
{
	TM_Result result = delete_row(scan, false);

	if (result == TM_BeingModified &&
		lock_row(scan->commands, &scan->slot->tts_tid, scan->snapshot))
		result = delete_row(scan, true);
	switch (result)
	{
		case TM_Ok:
			return CLAIM_OK;
		case TM_BeingModified:
			return CLAIM_LOCKED;
		default:
			return CLAIM_GONE;
	}
}

/* Keep others from the command that the scan stands on.  Never waits. */
bool
cmdsched_command_keep(CommandScan *scan)
{
	return lock_row(scan->commands, &scan->slot->tts_tid, scan->snapshot);
}

/* The row that the scan stands on, as a composite value. */
Datum
cmdsched_command_row(CommandScan *scan)
{
	return ExecFetchSlotHeapTupleDatum(scan->slot);
}

/* Read a command from such a composite value instead of from a scan. */
void
cmdsched_command_copy(Command *command, Datum row)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(row);
	TupleDesc descriptor =
		lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
							   HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {.t_data = header,
						   .t_len = HeapTupleHeaderGetDatumLength(header)};
	Datum *values = palloc(descriptor->natts * sizeof(Datum));
	bool *isnull = palloc(descriptor->natts * sizeof(bool));

	heap_deform_tuple(&tuple, descriptor, values, isnull);
	ReleaseTupleDesc(descriptor);
	read_columns(command, values, isnull);
}

void
cmdsched_command_scan_end(CommandScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	UnregisterSnapshot(scan->snapshot);
	index_close(scan->due_index, NoLock);
	table_close(scan->commands, NoLock);
	pfree(scan);
}

void
cmdsched_command_position(CommandPosition *position, const Command *command)
{
	position->due_at = command->due_at;
	position->id_len =
		Min(VARSIZE_ANY_EXHDR(command->schedule_id), sizeof(position->id));
	memcpy(position->id, VARDATA_ANY(command->schedule_id), position->id_len);
}

int
cmdsched_command_position_compare(const CommandPosition *a,
								  const CommandPosition *b)
{
	int order;

	if (a->due_at != b->due_at)
		return a->due_at < b->due_at ? -1 : 1;
	order = memcmp(a->id, b->id, Min(a->id_len, b->id_len));
	if (order == 0)
		order = (int) a->id_len - (int) b->id_len;
	return order;
}

/* ------------------------------------------------------------------------
 * Transitions
 * ------------------------------------------------------------------------
 */

static void
push_pair(JsonbParseState **state, const char *key, const char *value, int max)
{
	JsonbValue k = {.type = jbvString};
	JsonbValue v = {.type = jbvString};

	if (value == NULL)
		return;
	k.val.string.val = unconstify(char *, key);
	k.val.string.len = strlen(key);
	v.val.string.val = unconstify(char *, value);
	v.val.string.len = pg_mbcliplen(value, strlen(value), max);
	pushJsonbValue(state, WJB_KEY, &k);
	pushJsonbValue(state, WJB_VALUE, &v);
}

/* As it is kept in last_error. */
Datum
cmdsched_command_error_as_jsonb(const CommandError *error, TimestampTz now)
{
	JsonbParseState *state = NULL;
	JsonbValue *object;
	char *at = DatumGetCString(
		DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(now)));

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_pair(&state, "sqlstate", unpack_sql_state(error->sqlerrcode), 5);
	push_pair(&state, "message", error->message, MAX_MESSAGE_LENGTH);
	push_pair(&state, "detail", error->detail, MAX_DETAIL_LENGTH);
	push_pair(&state, "context", error->context, MAX_CONTEXT_LENGTH);
	push_pair(&state, "at", at, 64);
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(object));
}

/*
 * Record how an attempt ended, or why there was none.  False, without
 * waiting, where somebody else has changed or is changing the command: then
 * that is its outcome.
 */
bool
cmdsched_command_settle(const CommandKey *key, int expected_attempts,
						const Settlement *settlement, TimestampTz now)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.scheduled_commands SET status = $4, "
		 "attempts = $5, execute_at = $6, due_at = $7, "
		 "last_error = coalesce($8, last_error), conflicts = $9, "
		 "claimable_at = $10, claim_token = NULL "
		 "WHERE ctid = (SELECT ctid FROM cmdsched.scheduled_commands "
		 "WHERE schedule_id = $1 AND scheduled_by = $2 AND attempts = $3 "
		 "AND status = 'pending' FOR NO KEY UPDATE SKIP LOCKED)",
		 10,
		 {TEXTOID,
		  OIDOID,
		  INT2OID,
		  TEXTOID,
		  INT2OID,
		  TIMESTAMPTZOID,
		  TIMESTAMPTZOID,
		  JSONBOID,
		  INT2OID,
		  TIMESTAMPTZOID}};
	char nulls[] = "          ";
	Datum values[10];
	OwnerScope scope;
	uint64 nrows;

	values[0] = PointerGetDatum(key->schedule_id);
	values[1] = ObjectIdGetDatum(key->scheduled_by);
	values[2] = Int16GetDatum(expected_attempts);
	values[3] = CStringGetTextDatum(settlement->status);
	values[4] = Int16GetDatum(settlement->attempts);
	values[5] = TimestampTzGetDatum(settlement->execute_at);
	values[6] = TimestampTzGetDatum(settlement->due_at);
	if (settlement->error != NULL)
		values[7] = cmdsched_command_error_as_jsonb(settlement->error, now);
	else
		nulls[7] = 'n';
	values[8] = Int16GetDatum(settlement->conflicts);
	values[9] = TimestampTzGetDatum(settlement->claimable_at);
	if (settlement->claimable_at == DUE_NEVER)
		nulls[9] = 'n';

	nrows = cmdsched_statement_run(&statement, values, nulls, &scope);
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/*
 * Which command is meant by a schedule_id: the caller's own, or else that of
 * a role whose privileges the caller has.
 */
bool
cmdsched_command_find(text *schedule_id, Oid caller, CommandKey *key,
					  text **command_type, text **command_module)
{
	static FixedStatement statement =
		{"SELECT scheduled_by, command_type, command_module "
		 "FROM cmdsched.scheduled_commands "
		 "WHERE schedule_id = $1 AND (scheduled_by = $2 "
		 "OR pg_has_role($2, scheduled_by, 'USAGE')) "
		 "ORDER BY scheduled_by = $2 DESC LIMIT 2",
		 2,
		 {TEXTOID, OIDOID}};
	MemoryContext caller_context = CurrentMemoryContext;
	Datum values[2];
	OwnerScope scope;
	uint64 nrows;
	bool isnull;

	values[0] = PointerGetDatum(schedule_id);
	values[1] = ObjectIdGetDatum(caller);
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	if (nrows > 0)
	{
		MemoryContext spi_context = MemoryContextSwitchTo(caller_context);

		key->schedule_id = schedule_id;
		key->scheduled_by =
			DatumGetObjectId(cmdsched_statement_result(0, 1, &isnull));
		*command_type =
			DatumGetTextPCopy(cmdsched_statement_result(0, 2, &isnull));
		*command_module =
			DatumGetTextPCopy(cmdsched_statement_result(0, 3, &isnull));
		MemoryContextSwitchTo(spi_context);
	}
	cmdsched_statement_finish(&scope);

	if (nrows > 1 && key->scheduled_by != caller)
		ereport(ERROR,
				errcode(ERRCODE_CARDINALITY_VIOLATION),
				errmsg("schedule_id \"%s\" is ambiguous",
					   text_to_cstring(schedule_id)),
				errdetail("More than one role scheduled a command under "
						  "it."),
				errhint("Use SET ROLE to become the role that is meant."));
	return nrows > 0;
}

/* When the next attempt is made; false where there is no such command. */
bool
cmdsched_command_find_time(const CommandKey *key, TimestampTz *execute_at)
{
	static FixedStatement statement =
		{"SELECT execute_at FROM cmdsched.scheduled_commands "
		 "WHERE schedule_id = $1 AND scheduled_by = $2",
		 2,
		 {TEXTOID, OIDOID}};
	Datum values[] = {PointerGetDatum(key->schedule_id),
					  ObjectIdGetDatum(key->scheduled_by)};
	OwnerScope scope;
	bool isnull;
	bool found = cmdsched_statement_run(&statement, values, NULL, &scope) > 0;

	if (found)
		*execute_at =
			DatumGetTimestampTz(cmdsched_statement_result(0, 1, &isnull));
	cmdsched_statement_finish(&scope);
	return found;
}

bool
cmdsched_command_is_due(const CommandKey *key, TimestampTz now)
{
	static FixedStatement statement =
		{"SELECT 1 FROM cmdsched.scheduled_commands "
		 "WHERE schedule_id = $1 AND scheduled_by = $2 AND due_at <= $3",
		 3,
		 {TEXTOID, OIDOID, TIMESTAMPTZOID}};
	Datum values[3];
	OwnerScope scope;
	uint64 nrows;

	values[0] = PointerGetDatum(key->schedule_id);
	values[1] = ObjectIdGetDatum(key->scheduled_by);
	values[2] = TimestampTzGetDatum(now);
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/* Is anything of a role? */
bool
cmdsched_command_role_is_due(Oid role, TimestampTz now)
{
	static FixedStatement statement =
		{"SELECT 1 FROM cmdsched.scheduled_commands "
		 "WHERE scheduled_by = $1 AND due_at <= $2 LIMIT 1",
		 2,
		 {OIDOID, TIMESTAMPTZOID}};
	Datum values[2];
	OwnerScope scope;
	uint64 nrows;

	values[0] = ObjectIdGetDatum(role);
	values[1] = TimestampTzGetDatum(now);
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/* How many commands has a role waiting?  Counts no further than limit. */
int64
cmdsched_command_count(Oid role, int64 limit)
{
	static FixedStatement statement =
		{"SELECT count(*) FROM (SELECT FROM cmdsched.scheduled_commands "
		 "WHERE scheduled_by = $1 LIMIT $2) AS c",
		 2,
		 {OIDOID, INT8OID}};
	Datum values[2];
	OwnerScope scope;
	int64 count;
	bool isnull;

	values[0] = ObjectIdGetDatum(role);
	values[1] = Int64GetDatum(limit);
	cmdsched_statement_run(&statement, values, NULL, &scope);
	count = DatumGetInt64(cmdsched_statement_result(0, 1, &isnull));
	cmdsched_statement_finish(&scope);
	return count;
}

/* The first two columns of the statement's only row. */
static void
read_due_times(DueTimes *times)
{
	bool isnull;
	Datum value = cmdsched_statement_result(0, 1, &isnull);

	times->due_at = DatumGetTimestampTz(value);
	value = cmdsched_statement_result(0, 2, &isnull);
	times->claimable_at = isnull ? DUE_NEVER : DatumGetTimestampTz(value);
}

/* What was known of a command that a statement has deleted. */
void
cmdsched_command_read_deleted(Command *command, const CommandKey *key,
							  int column)
{
	bool isnull;

	memset(command, 0, sizeof(*command));
	command->schedule_id = key->schedule_id;
	command->scheduled_by = key->scheduled_by;
	command->command_type =
		DatumGetTextPCopy(cmdsched_statement_result(0, column, &isnull));
	command->command_module =
		DatumGetTextPCopy(cmdsched_statement_result(0, column + 1, &isnull));
	command->scheduled_by_name = pstrdup(NameStr(
		*DatumGetName(cmdsched_statement_result(0, column + 2, &isnull))));
	command->attempts =
		DatumGetInt16(cmdsched_statement_result(0, column + 3, &isnull));
	command->execute_at =
		DatumGetTimestampTz(cmdsched_statement_result(0, column + 4, &isnull));
	command->metadata = cmdsched_statement_result(0, column + 5, &isnull);
	command->has_metadata = !isnull;
	if (command->has_metadata)
		command->metadata =
			PointerGetDatum(PG_DETOAST_DATUM_COPY(command->metadata));
}

/*
 * Lock a command, whatever its status; waits for a running attempt.  False
 * where there is none any more.
 */
bool
cmdsched_command_wait_for(const CommandKey *key)
{
	static FixedStatement statement =
		{"SELECT 1 FROM cmdsched.scheduled_commands "
		 "WHERE schedule_id = $1 AND scheduled_by = $2 FOR UPDATE",
		 2,
		 {TEXTOID, OIDOID}};
	Datum values[2] = {PointerGetDatum(key->schedule_id),
					   ObjectIdGetDatum(key->scheduled_by)};
	OwnerScope scope;
	uint64 nrows;

	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/*
 * Remove a command, whatever its status, and say what it was; waits for a
 * running attempt.
 */
bool
cmdsched_command_delete(const CommandKey *key, DueTimes *times,
						Command *command)
{
	static FixedStatement statement =
		{"DELETE FROM cmdsched.scheduled_commands "
		 "WHERE schedule_id = $1 AND scheduled_by = $2 "
		 "RETURNING due_at, claimable_at, " CMDSCHED_DELETED_COLUMNS,
		 2,
		 {TEXTOID, OIDOID}};
	MemoryContext caller_context = CurrentMemoryContext;
	Datum values[2];
	OwnerScope scope;
	uint64 nrows;

	values[0] = PointerGetDatum(key->schedule_id);
	values[1] = ObjectIdGetDatum(key->scheduled_by);
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	if (nrows > 0)
	{
		MemoryContext spi_context = MemoryContextSwitchTo(caller_context);

		read_due_times(times);
		cmdsched_command_read_deleted(command, key, 3);
		MemoryContextSwitchTo(spi_context);
	}
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/* Remove a command that ran, unless it was given another time meanwhile. */
bool
cmdsched_command_delete_unchanged(const CommandKey *key,
								  TimestampTz execute_at)
{
	static FixedStatement statement =
		{"DELETE FROM cmdsched.scheduled_commands "
		 "WHERE schedule_id = $1 AND scheduled_by = $2 AND execute_at = $3",
		 3,
		 {TEXTOID, OIDOID, TIMESTAMPTZOID}};
	Datum values[3];
	OwnerScope scope;
	uint64 nrows;

	values[0] = PointerGetDatum(key->schedule_id);
	values[1] = ObjectIdGetDatum(key->scheduled_by);
	values[2] = TimestampTzGetDatum(execute_at);
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/*
 * Move a pending command, and take it from the application that has claimed
 * it.  times are the earlier of its old and its new ones: where one has to
 * look, whether this commits or not.
 */
bool
cmdsched_command_reschedule(const CommandKey *key, TimestampTz execute_at,
							TimestampTz now, DueTimes *times)
{
	static FixedStatement statement =
		{"WITH old AS (SELECT schedule_id, scheduled_by, due_at, claimable_at "
		 "FROM cmdsched.scheduled_commands "
		 "WHERE schedule_id = $1 AND scheduled_by = $2 "
		 "AND status = 'pending' FOR NO KEY UPDATE) "
		 "UPDATE cmdsched.scheduled_commands AS c SET execute_at = $3, "
		 "due_at = CASE c.due_at WHEN 'infinity' THEN c.due_at "
		 "ELSE greatest($3, $4) END, "
		 "claimable_at = CASE WHEN c.claimable_at IS NOT NULL "
		 "THEN greatest($3, $4) END, claim_token = NULL FROM old "
		 "WHERE c.schedule_id = old.schedule_id "
		 "AND c.scheduled_by = old.scheduled_by "
		 "RETURNING least(c.due_at, old.due_at), "
		 "least(c.claimable_at, old.claimable_at)",
		 4,
		 {TEXTOID, OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID}};
	Datum values[4];
	OwnerScope scope;
	uint64 nrows;

	values[0] = PointerGetDatum(key->schedule_id);
	values[1] = ObjectIdGetDatum(key->scheduled_by);
	values[2] = TimestampTzGetDatum(execute_at);
	values[3] = TimestampTzGetDatum(now);
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	if (nrows > 0)
		read_due_times(times);
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/* Put a failed or held command back to pending, due now. */
bool
cmdsched_command_retry(const CommandKey *key, bool external, TimestampTz now)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.scheduled_commands SET status = 'pending', "
		 "attempts = 0, conflicts = 0, execute_at = $3, "
		 "due_at = CASE WHEN $4 THEN 'infinity' ELSE $3 END, "
		 "claimable_at = CASE WHEN $4 THEN $3 END "
		 "WHERE schedule_id = $1 AND scheduled_by = $2 "
		 "AND status IN ('failed', 'held')",
		 4,
		 {TEXTOID, OIDOID, TIMESTAMPTZOID, BOOLOID}};
	Datum values[4];
	OwnerScope scope;
	uint64 nrows;

	values[0] = PointerGetDatum(key->schedule_id);
	values[1] = ObjectIdGetDatum(key->scheduled_by);
	values[2] = TimestampTzGetDatum(now);
	values[3] = BoolGetDatum(external);
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/* ------------------------------------------------------------------------
 * Commands that run over several transactions
 * ------------------------------------------------------------------------
 */

/* Users' own advisory locks have 1 or 2 there. */
#define LOCK_CLASS 0xC5

static void
set_lock_tag(LOCKTAG *tag, const CommandKey *key)
{
	uint64 hash =
		DatumGetUInt64(hash_any_extended((const unsigned char *) VARDATA_ANY(
											 key->schedule_id),
										 VARSIZE_ANY_EXHDR(key->schedule_id),
										 key->scheduled_by));

	SET_LOCKTAG_ADVISORY(*tag,
						 MyDatabaseId,
						 (uint32) (hash >> 32),
						 (uint32) hash,
						 LOCK_CLASS);
}

/*
 * A procedure may commit, and with that gives up the lock on its row.  What
 * says that it is running is this lock.  An executor takes it for its
 * session and does not wait; others take it for their transaction, and wait
 * for the outcome.
 */
bool
cmdsched_command_lock(const CommandKey *key, bool for_session)
{
	LOCKTAG tag;

	set_lock_tag(&tag, key);
	return LockAcquire(&tag, ExclusiveLock, for_session, for_session) !=
		   LOCKACQUIRE_NOT_AVAIL;
}

void
cmdsched_command_unlock(const CommandKey *key)
{
	LOCKTAG tag;

	set_lock_tag(&tag, key);
	LockRelease(&tag, ExclusiveLock, true);
}

/* ------------------------------------------------------------------------
 * Many at a time
 * ------------------------------------------------------------------------
 */

/*
 * Make the commands of a type runnable that waited for their handler: held
 * for want of it, or set aside while it was paused or another's.  What is
 * claimed stays so until its lease ends.
 */
void
cmdsched_command_release(text *command_type, text *command_module,
						 bool to_applications, TimestampTz now,
						 RoleDueCallback callback, void *arg)
{
	static FixedStatement statement =
		{"WITH released AS (UPDATE cmdsched.scheduled_commands "
		 "SET status = 'pending', "
		 "due_at = CASE WHEN $4 THEN 'infinity' "
		 "ELSE greatest(execute_at, $3) END, "
		 "claimable_at = CASE WHEN $4 THEN greatest(execute_at, $3) END "
		 "WHERE due_at = 'infinity' AND command_type = $1 "
		 "AND command_module = $2 AND (status = 'pending' "
		 "AND (claimable_at IS NULL OR NOT $4) OR status = 'held' "
		 "AND last_error->>'sqlstate' IN ('42704', '42883', '42501')) "
		 "RETURNING scheduled_by, least(due_at, claimable_at) AS due_at) "
		 "SELECT scheduled_by, min(due_at) FROM released GROUP BY 1",
		 4,
		 {TEXTOID, TEXTOID, TIMESTAMPTZOID, BOOLOID}};
	Datum values[4];
	OwnerScope scope;
	uint64 nrows;

	values[0] = PointerGetDatum(command_type);
	values[1] = PointerGetDatum(command_module);
	values[2] = TimestampTzGetDatum(now);
	values[3] = BoolGetDatum(to_applications);
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	for (uint64 row = 0; row < nrows; row++)
	{
		bool isnull;
		Oid role =
			DatumGetObjectId(cmdsched_statement_result(row, 1, &isnull));

		callback(role,
				 DatumGetTimestampTz(
					 cmdsched_statement_result(row, 2, &isnull)),
				 arg);
	}
	cmdsched_statement_finish(&scope);
}

/* Hold all that a role has pending, because it cannot run anything. */
void
cmdsched_command_hold_role(Oid role, const CommandError *error,
						   TimestampTz now)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.scheduled_commands SET status = 'held', "
		 "due_at = 'infinity', last_error = $2 WHERE ctid = ANY (ARRAY("
		 "SELECT ctid FROM cmdsched.scheduled_commands "
		 "WHERE scheduled_by = $1 AND due_at < 'infinity' "
		 "FOR NO KEY UPDATE SKIP LOCKED))",
		 2,
		 {OIDOID, JSONBOID}};
	Datum values[2];
	OwnerScope scope;

	values[0] = ObjectIdGetDatum(role);
	values[1] = cmdsched_command_error_as_jsonb(error, now);
	cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
}

/*
 * Look at every role that has something pending, from the very beginning of
 * its commands, and say when the first is due.  Jumps from role to role
 * through the index.
 */
void
cmdsched_command_sweep(RoleDueCallback callback, void *arg)
{
	const ExtensionObjects *objects = cmdsched_extension_get();
	Relation commands = table_open(objects->commands, AccessShareLock);
	Relation index = index_open(objects->due_index, AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());
	TupleTableSlot *slot = table_slot_create(commands, NULL);
	IndexScanDesc scan =
		cmdsched_index_beginscan(commands, index, snapshot, 1);
	Oid last_role = InvalidOid;

	for (;;)
	{
		ScanKeyData key;
		bool isnull;
		Datum due_at;

		ScanKeyInit(&key,
					1,
					BTGreaterStrategyNumber,
					F_OIDGT,
					ObjectIdGetDatum(last_role));
		index_rescan(scan, &key, 1, NULL, 0);
		if (!index_getnext_slot(scan, ForwardScanDirection, slot))
			break;
		last_role = DatumGetObjectId(
			slot_getattr(slot, Anum_command_scheduled_by, &isnull));
		due_at = slot_getattr(slot, Anum_command_due_at, &isnull);
		if (DatumGetTimestampTz(due_at) != DUE_NEVER)
			callback(last_role, DatumGetTimestampTz(due_at), arg);
		CHECK_FOR_INTERRUPTS();
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	index_close(index, NoLock);
	table_close(commands, NoLock);
}

bool
cmdsched_command_none_exist(void)
{
	static FixedStatement statement =
		{"SELECT 1 FROM cmdsched.scheduled_commands LIMIT 1", 0};
	OwnerScope scope;
	uint64 nrows;

	nrows = cmdsched_statement_run(&statement, NULL, NULL, &scope);
	cmdsched_statement_finish(&scope);
	return nrows == 0;
}

/*
 * Are there prepared transactions in this database?  What they schedule
 * appears when another session commits them, and nothing tells us.
 */
bool
cmdsched_command_prepared_exist(void)
{
	static FixedStatement statement =
		{"SELECT 1 FROM pg_prepared_xacts "
		 "WHERE database = current_database() LIMIT 1",
		 0};
	OwnerScope scope;
	uint64 nrows;

	if (max_prepared_xacts == 0)
		return false;
	nrows = cmdsched_statement_run(&statement, NULL, NULL, &scope);
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}
