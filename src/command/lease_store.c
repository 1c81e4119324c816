/*-------------------------------------------------------------------------
 *
 * lease_store.c
 *	  Commands that are in the hands of an application: the rows of
 *	  cmdsched.scheduled_commands whose handler is external.
 *
 * A claim is an update that gives the command a token and moves it to the
 * end of the lease.  There it is due again by itself, whatever becomes of
 * the application.  Whoever changes the command meanwhile takes the token
 * away, and with it the claim.
 *
 * IDENTIFICATION
 *	  src/command/lease_store.c
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
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "command/extension.h"
#include "command/lease_store.h"
#include "command/statement.h"
#include "compat.h"

/*
 * The types that are for applications, of which the named ones, or all, are
 * wanted; a list of LeaseType.
 */
List *
cmdsched_lease_list_types(Datum command_types)
{
	static FixedStatement statement =
		{"SELECT command_type, command_module, max_attempts, paused, "
		 "$1 IS NULL OR command_type = ANY ($1) "
		 "FROM cmdsched.handlers WHERE external",
		 1,
		 {TEXTARRAYOID}};
	MemoryContext caller_context = CurrentMemoryContext;
	MemoryContext spi_context;
	List *types = NIL;
	OwnerScope scope;
	uint64 nrows;
	bool isnull;

	nrows = cmdsched_statement_run(&statement,
								   &command_types,
								   command_types == (Datum) 0 ? "n" : NULL,
								   &scope);
	spi_context = MemoryContextSwitchTo(caller_context);
	for (uint64 row = 0; row < nrows; row++)
	{
		LeaseType *type = palloc(sizeof(LeaseType));

		type->command_type =
			DatumGetTextPCopy(cmdsched_statement_result(row, 1, &isnull));
		type->command_module =
			DatumGetTextPCopy(cmdsched_statement_result(row, 2, &isnull));
		type->max_attempts =
			DatumGetInt32(cmdsched_statement_result(row, 3, &isnull));
		type->paused =
			DatumGetBool(cmdsched_statement_result(row, 4, &isnull));
		type->wanted =
			!type->paused &&
			DatumGetBool(cmdsched_statement_result(row, 5, &isnull));
		types = lappend(types, type);
	}
	MemoryContextSwitchTo(spi_context);
	cmdsched_statement_finish(&scope);
	return types;
}

/*
 * Claim by a statement, which copes with whatever a superuser added to the
 * table.  new_row has all the columns.
 */
TM_Result
cmdsched_lease_claim_row(ItemPointer tid, const Datum *new_row)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.scheduled_commands SET attempts = $2, "
		 "execute_at = $3, claimable_at = $3, claim_token = $4 "
		 "WHERE ctid = (SELECT ctid FROM cmdsched.scheduled_commands "
		 "WHERE ctid = $1 FOR NO KEY UPDATE SKIP LOCKED)",
		 4,
		 {TIDOID, INT2OID, TIMESTAMPTZOID, UUIDOID}};
	Datum values[4];
	OwnerScope scope;
	uint64 nrows;

	values[0] = PointerGetDatum(tid);
	values[1] = new_row[Anum_command_attempts - 1];
	values[2] = new_row[Anum_command_claimable_at - 1];
	values[3] = new_row[Anum_command_claim_token - 1];
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
	return nrows > 0 ? TM_Ok : TM_BeingModified;
}

#define LEASE_ARGS TEXTOID, UUIDOID, OIDOID, TIMESTAMPTZOID
#define LEASE_IS_VALID \
	"WHERE schedule_id = $1 AND claim_token = $2 " \
	"AND pg_has_role($3, scheduled_by, 'USAGE') AND execute_at > $4 "

static void
fill_lease_args(const Lease *lease, Datum *values)
{
	values[0] = PointerGetDatum(lease->schedule_id);
	values[1] = lease->claim_token;
	values[2] = ObjectIdGetDatum(lease->caller);
	values[3] = TimestampTzGetDatum(lease->now);
}

/* Lock the command of a lease; false where that is no longer valid. */
bool
cmdsched_lease_find(const Lease *lease, LeasedCommand *command)
{
	static FixedStatement statement =
		{"SELECT scheduled_by, command_type, command_module, "
		 "attempts::integer, execute_at FROM cmdsched.scheduled_commands " LEASE_IS_VALID
		 "FOR NO KEY UPDATE",
		 4,
		 {LEASE_ARGS}};
	MemoryContext caller_context = CurrentMemoryContext;
	Datum values[4];
	OwnerScope scope;
	uint64 nrows;
	bool isnull;

	fill_lease_args(lease, values);
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	if (nrows > 0)
	{
		MemoryContext spi_context = MemoryContextSwitchTo(caller_context);

		command->key.schedule_id = lease->schedule_id;
		command->claim_token = lease->claim_token;
		command->key.scheduled_by =
			DatumGetObjectId(cmdsched_statement_result(0, 1, &isnull));
		command->command_type =
			DatumGetTextPCopy(cmdsched_statement_result(0, 2, &isnull));
		command->command_module =
			DatumGetTextPCopy(cmdsched_statement_result(0, 3, &isnull));
		command->attempts =
			DatumGetInt32(cmdsched_statement_result(0, 4, &isnull));
		command->ends_at =
			DatumGetTimestampTz(cmdsched_statement_result(0, 5, &isnull));
		MemoryContextSwitchTo(spi_context);
	}
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/* Does this row, as of now, belong to the lease? */
static bool
lease_is_valid(const Lease *lease, TupleTableSlot *row)
{
	Datum *values;

	slot_getallattrs(row);
	values = row->tts_values;
	return !row->tts_isnull[Anum_command_claim_token - 1] &&
		   memcmp(DatumGetPointer(values[Anum_command_claim_token - 1]),
				  DatumGetPointer(lease->claim_token),
				  UUID_LEN) == 0 &&
		   DatumGetTimestampTz(values[Anum_command_execute_at - 1]) >
			   lease->now &&
		   has_privs_of_role(lease->caller,
							 DatumGetObjectId(
								 values[Anum_command_scheduled_by - 1]));
}

/* What is to be known of a command whose row is about to go. */
static void
keep_command(Command *command, const Lease *lease, TupleTableSlot *row)
{
	Command in_row;

	cmdsched_command_read(&in_row, row);
	*command = in_row;
	command->schedule_id = lease->schedule_id;
	command->command_type =
		DatumGetTextPCopy(PointerGetDatum(in_row.command_type));
	command->command_module =
		DatumGetTextPCopy(PointerGetDatum(in_row.command_module));
	command->scheduled_by_name = pstrdup(in_row.scheduled_by_name);
	command->command_data = (Datum) 0;
	if (in_row.has_metadata)
		command->metadata =
			PointerGetDatum(PG_DETOAST_DATUM_COPY(in_row.metadata));
	if (in_row.recurring != NULL)
		command->recurring =
			DatumGetTextPCopy(PointerGetDatum(in_row.recurring));
}

/*
 * Remove the row of a lease as it is now; waits for whoever is changing it.
 * *changed: look again, it was.
 */
static bool
delete_leased_row(const Lease *lease, Relation commands, Relation index,
				  Command *command, bool *changed)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *row = table_slot_create(commands, NULL);
	IndexScanDesc scan =
		cmdsched_index_beginscan(commands, index, snapshot, 1);
	TM_Result result = TM_Deleted;
	TM_FailureData failure;
	ScanKeyData key;

	*changed = false;
	ScanKeyEntryInitialize(&key,
						   0,
						   1,
						   BTEqualStrategyNumber,
						   InvalidOid,
						   C_COLLATION_OID,
						   F_TEXTEQ,
						   PointerGetDatum(lease->schedule_id));
	index_rescan(scan, &key, 1, NULL, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, row))
	{
		if (!lease_is_valid(lease, row))
			continue;
		keep_command(command, lease, row);
		result = table_tuple_delete(commands,
									&row->tts_tid,
									GetCurrentCommandId(true),
									snapshot,
									InvalidSnapshot,
									true,
									&failure,
									false);
		*changed = result != TM_Ok;
		break;
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(row);
	UnregisterSnapshot(snapshot);
	return result == TM_Ok;
}

/*
 * Remove the command of a lease, and say what it was.  By table access, since
 * it is done for every command.
 */
bool
cmdsched_lease_complete(const Lease *lease, Command *command)
{
	const ExtensionObjects *objects = cmdsched_extension_get();
	Relation commands = table_open(objects->commands, RowExclusiveLock);
	Relation index = index_open(objects->commands_pkey, RowExclusiveLock);
	bool changed;
	bool found;

	/* See what this statement did before. */
	CommandCounterIncrement();
	do
	{
		CHECK_FOR_INTERRUPTS();
		found = delete_leased_row(lease, commands, index, command, &changed);
	} while (changed);
	index_close(index, NoLock);
	table_close(commands, NoLock);
	CommandCounterIncrement();
	return found;
}

/*
 * Record that the attempt did not succeed.  False, without waiting, where
 * somebody else has changed or is changing the command.
 */
bool
cmdsched_lease_settle(const LeasedCommand *command,
					  const Settlement *settlement, TimestampTz now)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.scheduled_commands SET status = $4, "
		 "execute_at = $5, due_at = $6, claimable_at = $7, "
		 "claim_token = NULL, last_error = $8 "
		 "WHERE ctid = (SELECT ctid FROM cmdsched.scheduled_commands "
		 "WHERE schedule_id = $1 AND scheduled_by = $2 "
		 "AND claim_token = $3 FOR NO KEY UPDATE SKIP LOCKED)",
		 8,
		 {TEXTOID,
		  OIDOID,
		  UUIDOID,
		  TEXTOID,
		  TIMESTAMPTZOID,
		  TIMESTAMPTZOID,
		  TIMESTAMPTZOID,
		  JSONBOID}};
	char nulls[] = "        ";
	Datum values[8];
	OwnerScope scope;
	uint64 nrows;

	values[0] = PointerGetDatum(command->key.schedule_id);
	values[1] = ObjectIdGetDatum(command->key.scheduled_by);
	values[2] = command->claim_token;
	values[3] = CStringGetTextDatum(settlement->status);
	values[4] = TimestampTzGetDatum(settlement->execute_at);
	values[5] = TimestampTzGetDatum(settlement->due_at);
	values[6] = TimestampTzGetDatum(settlement->claimable_at);
	if (settlement->claimable_at == DUE_NEVER)
		nulls[6] = 'n';
	values[7] = cmdsched_command_error_as_jsonb(settlement->error, now);
	nrows = cmdsched_statement_run(&statement, values, nulls, &scope);
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/* Let a lease end later, or sooner; returns the role whose command it is. */
Oid
cmdsched_lease_extend(const Lease *lease, TimestampTz ends_at)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.scheduled_commands SET execute_at = $5, "
		 "claimable_at = CASE WHEN claimable_at IS NOT NULL THEN $5 END, "
		 "due_at = CASE WHEN claimable_at IS NULL THEN $5 ELSE due_at END " LEASE_IS_VALID
		 "RETURNING scheduled_by",
		 5,
		 {LEASE_ARGS, TIMESTAMPTZOID}};
	Datum values[5];
	OwnerScope scope;
	Oid role = InvalidOid;
	bool isnull;

	fill_lease_args(lease, values);
	values[4] = TimestampTzGetDatum(ends_at);
	if (cmdsched_statement_run(&statement, values, NULL, &scope) > 0)
		role = DatumGetObjectId(cmdsched_statement_result(0, 1, &isnull));
	cmdsched_statement_finish(&scope);
	return role;
}
