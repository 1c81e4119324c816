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

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "command/lease_store.h"
#include "command/statement.h"

static Datum
expiry_as_jsonb(TimestampTz now)
{
	static const CommandError expired = {
		.sqlerrcode = ERRCODE_QUERY_CANCELED,
		.message = "lease expired",
	};

	return cmdsched_command_error_as_jsonb(&expired, now);
}

/* ------------------------------------------------------------------------
 * Claiming
 * ------------------------------------------------------------------------
 */

/*
 * Leases that ended with the last attempt a command has.  Tells of those that
 * are occurrences of a recurring schedule.
 */
void
cmdsched_lease_fail_used_up(TimestampTz now, OccurrenceCallback callback)
{
	static FixedStatement statement =
		{"WITH failed AS (UPDATE cmdsched.scheduled_commands "
		 "SET status = 'failed', "
		 "claimable_at = NULL, claim_token = NULL, last_error = $2 "
		 "WHERE ctid = ANY (ARRAY(SELECT c.ctid FROM cmdsched.handlers AS h "
		 "JOIN cmdsched.scheduled_commands AS c "
		 "ON c.command_type = h.command_type "
		 "AND c.command_module = h.command_module "
		 "WHERE h.external AND c.due_at = 'infinity' "
		 "AND c.claimable_at <= $1 AND c.claim_token IS NOT NULL "
		 "AND c.attempts >= h.max_attempts "
		 "FOR NO KEY UPDATE OF c SKIP LOCKED)) "
		 "RETURNING schedule_id, scheduled_by, recurring) "
		 "SELECT schedule_id, scheduled_by FROM failed "
		 "WHERE recurring IS NOT NULL",
		 2,
		 {TIMESTAMPTZOID, JSONBOID}};
	Datum values[2] = {TimestampTzGetDatum(now), expiry_as_jsonb(now)};
	MemoryContext caller_context = CurrentMemoryContext;
	MemoryContext spi_context;
	OwnerScope scope;
	CommandKey *keys;
	uint64 nrows;
	bool isnull;

	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	spi_context = MemoryContextSwitchTo(caller_context);
	keys = palloc(nrows * sizeof(CommandKey));
	for (uint64 row = 0; row < nrows; row++)
	{
		keys[row].schedule_id =
			DatumGetTextPCopy(cmdsched_statement_result(row, 1, &isnull));
		keys[row].scheduled_by =
			DatumGetObjectId(cmdsched_statement_result(row, 2, &isnull));
	}
	MemoryContextSwitchTo(spi_context);
	cmdsched_statement_finish(&scope);
	for (uint64 row = 0; row < nrows; row++)
		callback(&keys[row], now);
}

/*
 * Take what is due, and pass it on in that order, after
 * cmdsched_lease_fail_used_up().  Never waits.  Returns where one has to look
 * for them again if this is rolled back.
 */
TimestampTz
cmdsched_lease_claim(const LeaseRequest *request, LeaseCallback callback,
					 void *arg)
{
	static FixedStatement statement =
		{"WITH due AS (SELECT c.ctid AS tid, c.execute_at, c.claimable_at "
		 "FROM cmdsched.handlers AS h "
		 "JOIN cmdsched.scheduled_commands AS c "
		 "ON c.command_type = h.command_type "
		 "AND c.command_module = h.command_module "
		 "WHERE h.external AND NOT h.paused "
		 "AND ($2 IS NULL OR h.command_type = ANY ($2)) "
		 "AND c.due_at = 'infinity' AND c.claimable_at <= $4 "
		 "AND pg_has_role($1, c.scheduled_by, 'USAGE') "
		 "ORDER BY c.claimable_at, c.schedule_id LIMIT $3 "
		 "FOR NO KEY UPDATE OF c SKIP LOCKED), "
		 "claimed AS (UPDATE cmdsched.scheduled_commands AS c "
		 "SET attempts = least(c.attempts + 1, 32767), execute_at = $5, "
		 "claimable_at = $5, claim_token = gen_random_uuid(), "
		 "last_error = CASE WHEN c.claim_token IS NULL THEN c.last_error "
		 "ELSE $6 END FROM due WHERE c.ctid = due.tid "
		 "RETURNING c.*, due.execute_at AS was_due_at, "
		 "due.claimable_at AS was_claimable_at) "
		 "SELECT schedule_id, command_type, command_module, command_data, "
		 "metadata, attempts::integer, claim_token, was_claimable_at "
		 "FROM claimed "
		 "ORDER BY was_due_at, schedule_id",
		 6,
		 {OIDOID,
		  TEXTARRAYOID,
		  INT8OID,
		  TIMESTAMPTZOID,
		  TIMESTAMPTZOID,
		  JSONBOID}};
	char nulls[] = "      ";
	Datum values[6];
	TimestampTz earliest = DUE_NEVER;
	OwnerScope scope;
	uint64 nrows;

	values[0] = ObjectIdGetDatum(request->caller);
	values[1] = request->command_types;
	if (request->command_types == (Datum) 0)
		nulls[1] = 'n';
	values[2] = Int64GetDatum(request->max_commands);
	values[3] = TimestampTzGetDatum(request->now);
	values[4] = TimestampTzGetDatum(request->ends_at);
	values[5] = expiry_as_jsonb(request->now);
	nrows = cmdsched_statement_run(&statement, values, nulls, &scope);
	for (uint64 row = 0; row < nrows; row++)
	{
		Datum columns[LEASE_COLUMNS];
		bool isnull[LEASE_COLUMNS];
		bool never_null;
		Datum was_claimable_at =
			cmdsched_statement_result(row, LEASE_COLUMNS + 1, &never_null);

		earliest = Min(earliest, DatumGetTimestampTz(was_claimable_at));
		for (int i = 0; i < LEASE_COLUMNS; i++)
			columns[i] = cmdsched_statement_result(row, i + 1, &isnull[i]);
		callback(columns, isnull, arg);
	}
	cmdsched_statement_finish(&scope);
	return earliest;
}

/* ------------------------------------------------------------------------
 * With the token
 * ------------------------------------------------------------------------
 */

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

/* Remove the command of a lease, and say what it was. */
bool
cmdsched_lease_complete(const Lease *lease, Command *command)
{
	static FixedStatement statement =
		{"DELETE FROM cmdsched.scheduled_commands " LEASE_IS_VALID
		 "RETURNING scheduled_by, " CMDSCHED_DELETED_COLUMNS,
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
		CommandKey key = {.schedule_id = lease->schedule_id};

		key.scheduled_by =
			DatumGetObjectId(cmdsched_statement_result(0, 1, &isnull));
		cmdsched_command_read_deleted(command, &key, 2);
		MemoryContextSwitchTo(spi_context);
	}
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/* Record that the attempt did not succeed, after cmdsched_lease_find(). */
void
cmdsched_lease_settle(const LeasedCommand *command,
					  const Settlement *settlement, TimestampTz now)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.scheduled_commands SET status = $3, "
		 "execute_at = $4, due_at = $5, claimable_at = $6, "
		 "claim_token = NULL, last_error = $7 "
		 "WHERE schedule_id = $1 AND scheduled_by = $2",
		 7,
		 {TEXTOID,
		  OIDOID,
		  TEXTOID,
		  TIMESTAMPTZOID,
		  TIMESTAMPTZOID,
		  TIMESTAMPTZOID,
		  JSONBOID}};
	char nulls[] = "       ";
	Datum values[7];
	OwnerScope scope;

	values[0] = PointerGetDatum(command->key.schedule_id);
	values[1] = ObjectIdGetDatum(command->key.scheduled_by);
	values[2] = CStringGetTextDatum(settlement->status);
	values[3] = TimestampTzGetDatum(settlement->execute_at);
	values[4] = TimestampTzGetDatum(settlement->due_at);
	values[5] = TimestampTzGetDatum(settlement->claimable_at);
	if (settlement->claimable_at == DUE_NEVER)
		nulls[5] = 'n';
	values[6] = cmdsched_command_error_as_jsonb(settlement->error, now);
	cmdsched_statement_run(&statement, values, nulls, &scope);
	cmdsched_statement_finish(&scope);
}

bool
cmdsched_lease_extend(const Lease *lease, TimestampTz ends_at)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.scheduled_commands SET execute_at = $5, "
		 "claimable_at = CASE WHEN claimable_at IS NOT NULL THEN $5 END, "
		 "due_at = CASE WHEN claimable_at IS NULL THEN $5 ELSE due_at END " LEASE_IS_VALID,
		 5,
		 {LEASE_ARGS, TIMESTAMPTZOID}};
	Datum values[5];
	OwnerScope scope;
	uint64 nrows;

	fill_lease_args(lease, values);
	values[4] = TimestampTzGetDatum(ends_at);
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
	return nrows > 0;
}

/* ------------------------------------------------------------------------
 * For the scheduler
 * ------------------------------------------------------------------------
 */

/*
 * Take the commands whose lease ended out of the hands they were in, after
 * cmdsched_lease_fail_used_up().
 */
void
cmdsched_lease_end_expired(TimestampTz now)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.scheduled_commands SET claim_token = NULL, "
		 "last_error = $2 WHERE ctid = ANY (ARRAY("
		 "SELECT c.ctid FROM cmdsched.handlers AS h "
		 "JOIN cmdsched.scheduled_commands AS c "
		 "ON c.command_type = h.command_type "
		 "AND c.command_module = h.command_module "
		 "WHERE h.external AND c.due_at = 'infinity' "
		 "AND c.claimable_at <= $1 AND c.claim_token IS NOT NULL "
		 "FOR NO KEY UPDATE OF c SKIP LOCKED))",
		 2,
		 {TIMESTAMPTZOID, JSONBOID}};
	Datum values[2] = {TimestampTzGetDatum(now), expiry_as_jsonb(now)};
	OwnerScope scope;

	cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
}

/* The types of which something became due since then. */
void
cmdsched_lease_list_due(TimestampTz from, TimestampTz now,
						DueTypeCallback callback, void *arg)
{
	static FixedStatement statement =
		{"SELECT DISTINCT h.command_type FROM cmdsched.handlers AS h "
		 "WHERE h.external AND NOT h.paused AND EXISTS ("
		 "SELECT FROM cmdsched.scheduled_commands AS c "
		 "WHERE c.command_type = h.command_type "
		 "AND c.command_module = h.command_module "
		 "AND c.due_at = 'infinity' AND c.claimable_at >= $1 "
		 "AND c.claimable_at <= $2)",
		 2,
		 {TIMESTAMPTZOID, TIMESTAMPTZOID}};
	Datum values[2] = {TimestampTzGetDatum(from), TimestampTzGetDatum(now)};
	OwnerScope scope;
	uint64 nrows;
	bool isnull;

	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	for (uint64 row = 0; row < nrows; row++)
		callback(DatumGetTextPP(cmdsched_statement_result(row, 1, &isnull)),
				 arg);
	cmdsched_statement_finish(&scope);
}

/* When the next one is due after that; DUE_NEVER where there is none. */
TimestampTz
cmdsched_lease_next_due(TimestampTz now)
{
	static FixedStatement statement =
		{"SELECT min(c.claimable_at) FROM cmdsched.handlers AS h "
		 "JOIN cmdsched.scheduled_commands AS c "
		 "ON c.command_type = h.command_type "
		 "AND c.command_module = h.command_module "
		 "WHERE h.external AND NOT h.paused AND c.due_at = 'infinity' "
		 "AND c.claimable_at > $1",
		 1,
		 {TIMESTAMPTZOID}};
	Datum values[1] = {TimestampTzGetDatum(now)};
	OwnerScope scope;
	TimestampTz next = DUE_NEVER;
	bool isnull;
	Datum value;

	cmdsched_statement_run(&statement, values, NULL, &scope);
	value = cmdsched_statement_result(0, 1, &isnull);
	if (!isnull)
		next = DatumGetTimestampTz(value);
	cmdsched_statement_finish(&scope);
	return next;
}
