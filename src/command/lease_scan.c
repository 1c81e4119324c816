/*-------------------------------------------------------------------------
 *
 * lease_scan.c
 *	  Reads the commands that are for applications, and claims them.
 *
 * They are in an index of their own, by type, module, role and the time from
 * which they can be claimed.  Each scan reads those of one type and role, so
 * that none has to step over what its caller may not have.
 *
 * It sees what is committed now, whatever the isolation level: a claim takes
 * what there is, and steps over what others are changing.
 *
 * IDENTIFICATION
 *	  src/command/lease_scan.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "command/extension.h"
#include "command/lease_scan.h"
#include "command/lease_store.h"
#include "compat.h"

/* Columns of the index. */
#define INDEX_TYPE 1
#define INDEX_MODULE 2
#define INDEX_ROLE 3
#define INDEX_TIME 4
#define INDEX_ID 5

struct LeaseTable
{
	Relation commands;
	Relation index;
	Snapshot snapshot;
	bool as_installed;
	TupleTableSlot *new_row;
};

struct LeaseScan
{
	LeaseTable *table;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ScanKeyData start_row[2];
};

/*
 * To be opened and closed under the same resource owner, that is within the
 * same subtransaction.
 */
LeaseTable *
cmdsched_lease_table_open(void)
{
	const ExtensionObjects *objects = cmdsched_extension_get();
	LeaseTable *table = palloc(sizeof(LeaseTable));

	table->commands = table_open(objects->commands, RowExclusiveLock);
	table->index = index_open(objects->parked_index, RowExclusiveLock);
	table->snapshot = RegisterSnapshot(GetLatestSnapshot());
	table->as_installed =
		cmdsched_command_table_is_as_installed(table->commands);
	table->new_row =
		MakeSingleTupleTableSlot(RelationGetDescr(table->commands),
								 &TTSOpsVirtual);
	return table;
}

void
cmdsched_lease_table_close(LeaseTable *table)
{
	ExecDropSingleTupleTableSlot(table->new_row);
	UnregisterSnapshot(table->snapshot);
	index_close(table->index, NoLock);
	table_close(table->commands, NoLock);
	pfree(table);
}

/* "command_type = ... and command_module = ..." */
static void
fill_type_keys(ScanKey keys, text *command_type, text *command_module)
{
	ScanKeyEntryInitialize(&keys[0],
						   0,
						   INDEX_TYPE,
						   BTEqualStrategyNumber,
						   InvalidOid,
						   C_COLLATION_OID,
						   F_TEXTEQ,
						   PointerGetDatum(command_type));
	ScanKeyEntryInitialize(&keys[1],
						   0,
						   INDEX_MODULE,
						   BTEqualStrategyNumber,
						   InvalidOid,
						   C_COLLATION_OID,
						   F_TEXTEQ,
						   PointerGetDatum(command_module));
}

/*
 * The next role of which the index has commands of this type, dead or alive;
 * InvalidOid at the end.  Reads one entry.
 */
Oid
cmdsched_lease_next_role(LeaseTable *table, text *command_type,
						 text *command_module, Oid after)
{
	IndexScanDesc scan = cmdsched_index_beginscan(table->commands,
												  table->index,
												  table->snapshot,
												  3);
	ScanKeyData keys[3];
	Oid role = InvalidOid;
	bool isnull;

	fill_type_keys(keys, command_type, command_module);
	ScanKeyInit(&keys[2],
				INDEX_ROLE,
				BTGreaterStrategyNumber,
				F_OIDGT,
				ObjectIdGetDatum(after));
	scan->xs_want_itup = true;
	/* Not to the first that lives, which may be far away. */
	scan->ignore_killed_tuples = false;
	index_rescan(scan, keys, 3, NULL, 0);
	if (index_getnext_tid(scan, ForwardScanDirection) != NULL)
		role = DatumGetObjectId(index_getattr(scan->xs_itup,
											  INDEX_ROLE,
											  scan->xs_itupdesc,
											  &isnull));
	index_endscan(scan);
	return role;
}

/* "(claimable_at, schedule_id) >= from", in the form that nbtree wants. */
static void
fill_start_key(LeaseScan *scan, ScanKey key, const CommandPosition *from)
{
	text *id = cstring_to_text_with_len(from->id, from->id_len);

	if (from->id_len == 0)
	{
		ScanKeyInit(key,
					INDEX_TIME,
					BTGreaterEqualStrategyNumber,
					F_TIMESTAMPTZ_GE,
					TimestampTzGetDatum(from->due_at));
		return;
	}
	ScanKeyEntryInitialize(&scan->start_row[0],
						   SK_ROW_MEMBER,
						   INDEX_TIME,
						   BTGreaterEqualStrategyNumber,
						   InvalidOid,
						   InvalidOid,
						   F_TIMESTAMPTZ_CMP,
						   TimestampTzGetDatum(from->due_at));
	ScanKeyEntryInitialize(&scan->start_row[1],
						   SK_ROW_MEMBER | SK_ROW_END,
						   INDEX_ID,
						   BTGreaterEqualStrategyNumber,
						   InvalidOid,
						   C_COLLATION_OID,
						   F_BTTEXTCMP,
						   PointerGetDatum(id));
	memset(key, 0, sizeof(ScanKeyData));
	key->sk_flags = SK_ROW_HEADER;
	key->sk_attno = INDEX_TIME;
	key->sk_strategy = BTGreaterEqualStrategyNumber;
	key->sk_argument = PointerGetDatum(scan->start_row);
}

LeaseScan *
cmdsched_lease_scan_begin(LeaseTable *table, text *command_type,
						  text *command_module, Oid role,
						  const CommandPosition *from)
{
	LeaseScan *scan = palloc0(sizeof(LeaseScan));
	ScanKeyData keys[4];

	scan->table = table;
	scan->slot = table_slot_create(table->commands, NULL);
	scan->scan = cmdsched_index_beginscan(table->commands,
										  table->index,
										  table->snapshot,
										  4);
	fill_type_keys(keys, command_type, command_module);
	ScanKeyInit(&keys[2],
				INDEX_ROLE,
				BTEqualStrategyNumber,
				F_OIDEQ,
				ObjectIdGetDatum(role));
	fill_start_key(scan, &keys[3], from);
	scan->scan->xs_want_itup = true;
	index_rescan(scan->scan, keys, 4, NULL, 0);
	return scan;
}

/* Step to the next entry, dead or alive; false at the end. */
static bool
next_entry(LeaseScan *scan, TimestampTz *claimable_at)
{
	bool isnull;
	Datum value;

	if (index_getnext_tid(scan->scan, ForwardScanDirection) == NULL)
		return false;
	value = index_getattr(scan->scan->xs_itup,
						  INDEX_TIME,
						  scan->scan->xs_itupdesc,
						  &isnull);
	*claimable_at = DatumGetTimestampTz(value);
	/* Held, failed and paused ones come last. */
	return !isnull;
}

/* The next command that can be claimed by then; false where there is none. */
bool
cmdsched_lease_scan_next(LeaseScan *scan, TimestampTz until,
						 LeaseCandidate *candidate)
{
	TimestampTz claimable_at;

	while (next_entry(scan, &claimable_at) && claimable_at <= until)
	{
		CHECK_FOR_INTERRUPTS();
		if (!index_fetch_heap(scan->scan, scan->slot))
			continue;
		slot_getallattrs(scan->slot);
		cmdsched_command_read(&candidate->command, scan->slot);
		candidate->is_claimed =
			!scan->slot->tts_isnull[Anum_command_claim_token - 1];
		candidate->claim_token =
			scan->slot->tts_values[Anum_command_claim_token - 1];
		return true;
	}
	return false;
}

/*
 * When the next command can be claimed; DUE_NEVER where there is none.  After
 * so many dead entries, the time of the last of them: then look again from
 * there.
 */
TimestampTz
cmdsched_lease_scan_peek(LeaseScan *scan, int max_entries)
{
	TimestampTz claimable_at;

	while (next_entry(scan, &claimable_at))
	{
		if (--max_entries <= 0 || index_fetch_heap(scan->scan, scan->slot))
			return claimable_at;
	}
	return DUE_NEVER;
}

static void
fill_claimed_row(TupleTableSlot *new_row, TupleTableSlot *row,
				 TimestampTz ends_at)
{
	Datum *values = new_row->tts_values;
	int attempts =
		DatumGetInt16(row->tts_values[Anum_command_attempts - 1]) + 1;

	ExecCopySlot(new_row, row);
	slot_getallattrs(new_row);
	values[Anum_command_attempts - 1] =
		Int16GetDatum(Min(attempts, PG_INT16_MAX));
	values[Anum_command_execute_at - 1] = TimestampTzGetDatum(ends_at);
	values[Anum_command_claimable_at - 1] = TimestampTzGetDatum(ends_at);
	values[Anum_command_claim_token - 1] =
		DirectFunctionCall1(gen_random_uuid, (Datum) 0);
	new_row->tts_isnull[Anum_command_claim_token - 1] = false;
}

static void
put_columns(TupleTableSlot *row, Datum *values, bool *nulls)
{
	static const AttrNumber columns[LEASE_COLUMNS] = {
		Anum_command_schedule_id,
		Anum_command_command_type,
		Anum_command_command_module,
		Anum_command_command_data,
		Anum_command_metadata,
		Anum_command_attempts,
		Anum_command_claim_token,
	};

	for (int i = 0; i < LEASE_COLUMNS; i++)
	{
		values[i] = row->tts_values[columns[i] - 1];
		nulls[i] = row->tts_isnull[columns[i] - 1];
	}
	values[LEASE_ATTEMPTS] =
		Int32GetDatum(DatumGetInt16(values[LEASE_ATTEMPTS]));
}

/*
 * Claim the command on which the scan stands.  Never waits.  values are good
 * until the next one is claimed.
 */
ClaimResult
cmdsched_lease_scan_claim(LeaseScan *scan, TimestampTz ends_at, Datum *values,
						  bool *nulls)
{
	TupleTableSlot *new_row = scan->table->new_row;
	TM_Result result;

	fill_claimed_row(new_row, scan->slot, ends_at);
	if (scan->table->as_installed)
		result = cmdsched_command_update_row(scan->table->commands,
											 &scan->slot->tts_tid,
											 scan->table->snapshot,
											 new_row);
	else
		result = cmdsched_lease_claim_row(&scan->slot->tts_tid,
										  new_row->tts_values);
	put_columns(new_row, values, nulls);
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

void
cmdsched_lease_scan_end(LeaseScan *scan)
{
	index_endscan(scan->scan);
	ExecDropSingleTupleTableSlot(scan->slot);
	pfree(scan);
}
