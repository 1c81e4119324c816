/*-------------------------------------------------------------------------
 *
 * recurring_store.c
 *	  The rows of cmdsched.recurring: the only file that touches them.
 *
 * A row changes in the hands of whoever has locked the row of its next
 * occurrence in cmdsched.scheduled_commands, and where there is none, in
 * those of whoever has the lock of its name.  Sessions take that first, then
 * wait for the occurrence; workers do without, and never wait.
 *
 * A session that moves its clock over a year runs thousands of occurrences in
 * one transaction, and leaves a version of the row for each.  Walking over
 * all of them would make the last much slower than the first.  So rows are
 * found where they were seen last, and there are no locks but those of the
 * updates: one that stays with a version costs a multixact in each that
 * follows.
 *
 * IDENTIFICATION
 *	  src/command/recurring_store.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "command/clock.h"
#include "command/recurring_store.h"
#include "command/statement.h"

/* Users' own advisory locks have 1 or 2 there; see also command_store.c. */
#define LOCK_CLASS 0xC6

/* All columns, in the order of fill_values() and read_row(). */
#define COLUMNS \
	"name, scheduled_by, scheduled_by_name, cron, every, timezone, " \
	"command_type, command_module, command_data, metadata, dst_gap, " \
	"dst_overlap, catch_up, catch_up_limit, overlap, spread, starts_at, " \
	"ends_at, max_runs, created_at, status, reason, next_schedule_id, " \
	"next_at, runs, last_run_at, last_outcome, skipped, last_skipped_at, " \
	"calendar "
#define NCOLUMNS 30

/* Columns of results. */
#define TID_COLUMN (NCOLUMNS + 1)

/* ------------------------------------------------------------------------
 * Locks
 * ------------------------------------------------------------------------
 */

static uint64
hash_key(const RecurringKey *key)
{
	return DatumGetUInt64(
		hash_any_extended((const unsigned char *) VARDATA_ANY(key->name),
						  VARSIZE_ANY_EXHDR(key->name),
						  key->scheduled_by));
}

/* To the end of the transaction: of all who change a schedule, one at a time. */
void
cmdsched_recurring_lock_name(const RecurringKey *key)
{
	uint64 hash = hash_key(key);
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag,
						 MyDatabaseId,
						 (uint32) (hash >> 32),
						 (uint32) hash,
						 LOCK_CLASS);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* ------------------------------------------------------------------------
 * Where rows were seen last
 * ------------------------------------------------------------------------
 */

/* Only a guess: whoever uses it asks for the key, too. */
typedef struct Sighting
{
	uint64 hash; /* of the key */
	ItemPointerData tid;
} Sighting;

static Sighting sightings[64];

static Sighting *
sighting_of(uint64 hash)
{
	return &sightings[hash % lengthof(sightings)];
}

/* NULL where it was not seen yet. */
static ItemPointer
last_seen(const RecurringKey *key)
{
	uint64 hash = hash_key(key);
	Sighting *sighting = sighting_of(hash);

	return sighting->hash == hash && ItemPointerIsValid(&sighting->tid)
			   ? &sighting->tid
			   : NULL;
}

/* In the first row of the result of a statement. */
static void
note_sighting(const RecurringKey *key, int column)
{
	bool isnull;
	uint64 hash = hash_key(key);
	Sighting *sighting = sighting_of(hash);

	sighting->hash = hash;
	sighting->tid = *(ItemPointer) DatumGetPointer(
		cmdsched_statement_result(0, column, &isnull));
}

/* ------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------
 */

/*
 * Which schedule is meant by a name: the caller's own, or else that of a role
 * whose privileges the caller has.
 */
bool
cmdsched_recurring_find(text *name, Oid caller, RecurringKey *key)
{
	static FixedStatement statement =
		{"SELECT scheduled_by FROM cmdsched.recurring "
		 "WHERE name = $1 AND (scheduled_by = $2 "
		 "OR pg_has_role($2, scheduled_by, 'USAGE')) "
		 "ORDER BY scheduled_by = $2 DESC LIMIT 2",
		 2,
		 {TEXTOID, OIDOID}};
	Datum values[2] = {PointerGetDatum(name), ObjectIdGetDatum(caller)};
	OwnerScope scope;
	uint64 nrows;
	bool isnull;

	key->name = name;
	nrows = cmdsched_statement_run(&statement, values, NULL, &scope);
	if (nrows > 0)
		key->scheduled_by =
			DatumGetObjectId(cmdsched_statement_result(0, 1, &isnull));
	cmdsched_statement_finish(&scope);

	if (nrows > 1 && key->scheduled_by != caller)
		ereport(ERROR,
				errcode(ERRCODE_CARDINALITY_VIOLATION),
				errmsg("recurring schedule \"%s\" is ambiguous",
					   text_to_cstring(name)),
				errdetail("More than one role has one of this name."),
				errhint("Use SET ROLE to become the role that is meant."));
	return nrows > 0;
}

/* A copy of a column, in the current context. */
static Datum
copy_column(int column, bool typbyval, int typlen, bool *isnull)
{
	Datum value = cmdsched_statement_result(0, column, isnull);

	return *isnull ? (Datum) 0 : datumCopy(value, typbyval, typlen);
}

static text *
read_text(int column)
{
	bool isnull;
	Datum value = copy_column(column, false, -1, &isnull);

	return isnull ? NULL : DatumGetTextPP(value);
}

static Interval *
read_interval(int column)
{
	bool isnull;
	Datum value = copy_column(column, false, sizeof(Interval), &isnull);

	return isnull ? NULL : DatumGetIntervalP(value);
}

static int64
read_number(int column, int64 if_null)
{
	bool isnull;
	Datum value = cmdsched_statement_result(0, column, &isnull);

	return isnull ? if_null : DatumGetInt64(value);
}

static void
read_row(RecurringSchedule *schedule)
{
	bool isnull;

	schedule->key.name = read_text(1);
	schedule->key.scheduled_by =
		DatumGetObjectId(cmdsched_statement_result(0, 2, &isnull));
	schedule->scheduled_by_name = pstrdup(
		NameStr(*DatumGetName(cmdsched_statement_result(0, 3, &isnull))));
	schedule->cron = read_text(4);
	schedule->every = read_interval(5);
	schedule->timezone = read_text(6);
	schedule->command_type = read_text(7);
	schedule->command_module = read_text(8);
	schedule->command_data = copy_column(9, false, -1, &isnull);
	schedule->metadata = copy_column(10, false, -1, &isnull);
	schedule->has_metadata = !isnull;
	schedule->dst_gap = read_text(11);
	schedule->dst_overlap = read_text(12);
	schedule->catch_up = read_text(13);
	schedule->catch_up_limit =
		DatumGetInt32(cmdsched_statement_result(0, 14, &isnull));
	schedule->overlap = read_text(15);
	schedule->spread = read_interval(16);
	schedule->starts_at = read_number(17, 0);
	schedule->ends_at = read_number(18, 0);
	schedule->max_runs = read_number(19, RUNS_WITHOUT_END);
	schedule->created_at = read_number(20, 0);
	schedule->status = read_text(21);
	schedule->reason = read_text(22);
	schedule->next_schedule_id = read_text(23);
	schedule->next_at = read_number(24, NEVER_YET);
	schedule->runs = read_number(25, 0);
	schedule->last_run_at = read_number(26, NEVER_YET);
	schedule->last_outcome = read_text(27);
	schedule->skipped = read_number(28, 0);
	schedule->last_skipped_at = read_number(29, NEVER_YET);
	schedule->calendar = read_text(30);
}

static bool
run_select(FixedStatement *statement, const RecurringKey *key, ItemPointer tid,
		   RecurringSchedule *schedule)
{
	MemoryContext caller_context = CurrentMemoryContext;
	Datum values[3] = {PointerGetDatum(key->name),
					   ObjectIdGetDatum(key->scheduled_by),
					   PointerGetDatum(tid)};
	OwnerScope scope;
	bool found;

	found = cmdsched_statement_run(statement, values, NULL, &scope) > 0;
	if (found)
	{
		MemoryContext spi_context = MemoryContextSwitchTo(caller_context);

		read_row(schedule);
		note_sighting(key, TID_COLUMN);
		MemoryContextSwitchTo(spi_context);
	}
	cmdsched_statement_finish(&scope);
	return found;
}

#define SELECT_SCHEDULE \
	"SELECT " COLUMNS ", ctid FROM cmdsched.recurring " \
	"WHERE name = $1 AND scheduled_by = $2"

bool
cmdsched_recurring_read(const RecurringKey *key, RecurringSchedule *schedule)
{
	static FixedStatement by_key = {SELECT_SCHEDULE, 2, {TEXTOID, OIDOID}};
	static FixedStatement by_tid = {SELECT_SCHEDULE " AND ctid = $3",
									3,
									{TEXTOID, OIDOID, TIDOID}};
	ItemPointer tid = last_seen(key);

	return (tid != NULL && run_select(&by_tid, key, tid, schedule)) ||
		   run_select(&by_key, key, NULL, schedule);
}

/*
 * Lock and read it, without waiting.  A session that moves its clock may
 * wait, and locks it by its update.
 */
RecurringLock
cmdsched_recurring_take(const RecurringKey *key, RecurringSchedule *schedule)
{
	static FixedStatement statement = {SELECT_SCHEDULE
									   " FOR NO KEY UPDATE SKIP LOCKED",
									   2,
									   {TEXTOID, OIDOID}};

	if (!cmdsched_clock_is_moved() &&
		run_select(&statement, key, NULL, schedule))
		return RECURRING_LOCKED;
	if (!cmdsched_recurring_read(key, schedule))
		return RECURRING_GONE;
	return cmdsched_clock_is_moved() ? RECURRING_LOCKED : RECURRING_BUSY;
}

/* ------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------
 */

static void
set_text(Datum *values, char *nulls, int column, const text *value)
{
	values[column - 1] = PointerGetDatum(value);
	if (value == NULL)
		nulls[column - 1] = 'n';
}

static void
set_number(Datum *values, char *nulls, int column, int64 value, int64 if_null)
{
	values[column - 1] = Int64GetDatum(value);
	if (value == if_null)
		nulls[column - 1] = 'n';
}

static void
fill_values(Datum *values, char *nulls, const RecurringSchedule *schedule,
			Name scheduled_by_name)
{
	memset(nulls, ' ', NCOLUMNS);
	namestrcpy(scheduled_by_name, schedule->scheduled_by_name);
	set_text(values, nulls, 1, schedule->key.name);
	values[1] = ObjectIdGetDatum(schedule->key.scheduled_by);
	values[2] = NameGetDatum(scheduled_by_name);
	set_text(values, nulls, 4, schedule->cron);
	values[4] = IntervalPGetDatum(schedule->every);
	if (schedule->every == NULL)
		nulls[4] = 'n';
	set_text(values, nulls, 6, schedule->timezone);
	set_text(values, nulls, 7, schedule->command_type);
	set_text(values, nulls, 8, schedule->command_module);
	values[8] = schedule->command_data;
	values[9] = schedule->metadata;
	if (!schedule->has_metadata)
		nulls[9] = 'n';
	set_text(values, nulls, 11, schedule->dst_gap);
	set_text(values, nulls, 12, schedule->dst_overlap);
	set_text(values, nulls, 13, schedule->catch_up);
	values[13] = Int32GetDatum(schedule->catch_up_limit);
	set_text(values, nulls, 15, schedule->overlap);
	values[15] = IntervalPGetDatum(schedule->spread);
	values[16] = TimestampTzGetDatum(schedule->starts_at);
	values[17] = TimestampTzGetDatum(schedule->ends_at);
	set_number(values, nulls, 19, schedule->max_runs, RUNS_WITHOUT_END);
	values[19] = TimestampTzGetDatum(schedule->created_at);
	set_text(values, nulls, 21, schedule->status);
	set_text(values, nulls, 22, schedule->reason);
	set_text(values, nulls, 23, schedule->next_schedule_id);
	set_number(values, nulls, 24, schedule->next_at, NEVER_YET);
	values[24] = Int64GetDatum(schedule->runs);
	set_number(values, nulls, 26, schedule->last_run_at, NEVER_YET);
	set_text(values, nulls, 27, schedule->last_outcome);
	values[27] = Int64GetDatum(schedule->skipped);
	set_number(values, nulls, 29, schedule->last_skipped_at, NEVER_YET);
	set_text(values, nulls, 30, schedule->calendar);
}

#define SET_COLUMNS \
	"SET cron = $4, every = $5, timezone = $6, command_type = $7, " \
	"command_module = $8, command_data = $9, metadata = $10, dst_gap = $11, " \
	"dst_overlap = $12, catch_up = $13, catch_up_limit = $14, " \
	"overlap = $15, spread = $16, starts_at = $17, ends_at = $18, " \
	"max_runs = $19, status = $21, reason = $22, next_schedule_id = $23, " \
	"next_at = $24, runs = $25, last_run_at = $26, last_outcome = $27, " \
	"skipped = $28, last_skipped_at = $29, calendar = $30 "

#define COLUMN_TYPES \
	TEXTOID, OIDOID, NAMEOID, TEXTOID, INTERVALOID, TEXTOID, TEXTOID, \
		TEXTOID, JSONBOID, JSONBOID, TEXTOID, TEXTOID, TEXTOID, INT4OID, \
		TEXTOID, INTERVALOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, \
		TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID, \
		TIMESTAMPTZOID, TEXTOID, INT8OID, TIMESTAMPTZOID, TEXTOID

static bool
run_write(FixedStatement *statement, Datum *values, const char *nulls,
		  const RecurringKey *key)
{
	OwnerScope scope;
	bool written =
		cmdsched_statement_run(statement, values, nulls, &scope) > 0;

	if (written)
		note_sighting(key, 1);
	cmdsched_statement_finish(&scope);
	return written;
}

/* Write the row as it is now to be, whether it is there or not. */
void
cmdsched_recurring_write(const RecurringSchedule *schedule)
{
	static FixedStatement by_tid = {"UPDATE cmdsched.recurring " SET_COLUMNS
									"WHERE name = $1 AND scheduled_by = $2 "
									"AND ctid = $31 RETURNING ctid",
									NCOLUMNS + 1,
									{COLUMN_TYPES, TIDOID}};
	static FixedStatement by_key =
		{"INSERT INTO cmdsched.recurring (" COLUMNS ") "
		 "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "
		 "$14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, "
		 "$27, $28, $29, $30) ON CONFLICT (name, scheduled_by) DO UPDATE " SET_COLUMNS
		 "RETURNING ctid",
		 NCOLUMNS,
		 {COLUMN_TYPES}};
	ItemPointer tid = last_seen(&schedule->key);
	NameData scheduled_by_name;
	char nulls[NCOLUMNS + 1];
	Datum values[NCOLUMNS + 1];

	fill_values(values, nulls, schedule, &scheduled_by_name);
	values[NCOLUMNS] = PointerGetDatum(tid);
	nulls[NCOLUMNS] = ' ';
	if (tid == NULL || !run_write(&by_tid, values, nulls, &schedule->key))
		(void) run_write(&by_key, values, nulls, &schedule->key);
}

void
cmdsched_recurring_delete(const RecurringKey *key)
{
	static FixedStatement statement = {"DELETE FROM cmdsched.recurring "
									   "WHERE name = $1 AND scheduled_by = $2",
									   2,
									   {TEXTOID, OIDOID}};
	Datum values[2] = {PointerGetDatum(key->name),
					   ObjectIdGetDatum(key->scheduled_by)};
	OwnerScope scope;

	cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
}
