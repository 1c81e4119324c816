/*-------------------------------------------------------------------------
 *
 * home.c
 *	  Do the commands of this database belong to it?
 *
 * A copy of a database must not run what the original runs too.  The table
 * cmdsched.home has the oid of the database in which it was filled.  A dump
 * leaves it out, and a copy by CREATE DATABASE ... TEMPLATE has another oid:
 * in both, commands wait for adopt().  pg_upgrade keeps the table and the
 * oid.
 *
 * The first schedule() in a database without any commands fills it, so that
 * nobody who starts anew has to know of it.  Sessions that do so at the same
 * time must not wait for one another: there may be several rows.
 *
 * IDENTIFICATION
 *	  src/command/home.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"

#include "command/calendar_store.h"
#include "command/command_store.h"
#include "command/extension.h"
#include "command/history_store.h"
#include "command/home.h"
#include "command/policy_store.h"
#include "command/statement.h"

/* The table of commands that was seen to belong here. */
static Oid known_table = InvalidOid;

/* The transaction that said so; it may yet be rolled back. */
static TransactionId moved_in_by = InvalidTransactionId;

/* Is this where the commands were scheduled? */
bool
cmdsched_home_is_here(void)
{
	static FixedStatement statement =
		{"SELECT 1 FROM cmdsched.home WHERE database = $1", 1, {OIDOID}};
	Oid table = cmdsched_extension_get()->commands;
	Datum values[1] = {ObjectIdGetDatum(MyDatabaseId)};
	OwnerScope scope;
	bool found;

	if (table == known_table)
		return true;
	found = cmdsched_statement_run(&statement, values, NULL, &scope) > 0;
	cmdsched_statement_finish(&scope);
	if (found && (!TransactionIdIsValid(moved_in_by) ||
				  moved_in_by != GetTopTransactionIdIfAny()))
		known_table = table;
	return found;
}

static void
move_in(void)
{
	static FixedStatement statement =
		{"INSERT INTO cmdsched.home (database) VALUES ($1)", 1, {OIDOID}};
	Datum values[1] = {ObjectIdGetDatum(MyDatabaseId)};
	OwnerScope scope;

	cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
	moved_in_by = GetTopTransactionId();
}

/* Before a command is written: is it the first one here? */
HomeState
cmdsched_home_settle(void)
{
	if (cmdsched_home_is_here())
		return HOME_IS_HERE;
	/* First the lock for writing: a reader of the indexes would meet REINDEX. */
	LockRelationOid(cmdsched_extension_get()->commands, RowExclusiveLock);
	/* They may be those of somebody who has moved in just now. */
	if (!cmdsched_command_none_exist())
		return cmdsched_home_is_here() ? HOME_IS_HERE : HOME_IS_ELSEWHERE;
	move_in();
	return HOME_IS_NEW;
}

/*
 * In another cluster the oid of a role may be that of somebody else.  So
 * commands whose role does not have the name any more are first given to
 * nobody, by an oid that no role has.
 */
static void
take_from_strangers(void)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.scheduled_commands AS c "
		 "SET scheduled_by = (4294967295 - s.n)::oid FROM ("
		 "SELECT d.scheduled_by, row_number() OVER () AS n FROM ("
		 "SELECT DISTINCT scheduled_by FROM cmdsched.scheduled_commands) AS d"
		 ") AS s WHERE s.scheduled_by = c.scheduled_by AND NOT EXISTS ("
		 "SELECT FROM pg_roles AS r WHERE r.oid = c.scheduled_by "
		 "AND r.rolname = c.scheduled_by_name)",
		 0};
	OwnerScope scope;

	cmdsched_statement_run(&statement, NULL, NULL, &scope);
	cmdsched_statement_finish(&scope);
}

/* The same of recurring schedules. */
static void
take_schedules_from_strangers(void)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.recurring AS c "
		 "SET scheduled_by = (4294967295 - s.n)::oid FROM ("
		 "SELECT d.scheduled_by, row_number() OVER () AS n FROM ("
		 "SELECT DISTINCT scheduled_by FROM cmdsched.recurring) AS d"
		 ") AS s WHERE s.scheduled_by = c.scheduled_by AND NOT EXISTS ("
		 "SELECT FROM pg_roles AS r WHERE r.oid = c.scheduled_by "
		 "AND r.rolname = c.scheduled_by_name)",
		 0};
	OwnerScope scope;

	cmdsched_statement_run(&statement, NULL, NULL, &scope);
	cmdsched_statement_finish(&scope);
}

/*
 * What belongs to no role goes to the one with the name.  Where that would
 * give it two commands with the same schedule_id, it gets one.
 */
static void
give_to_namesakes(void)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.scheduled_commands AS c SET scheduled_by = r.oid "
		 "FROM pg_roles AS r WHERE r.rolname = c.scheduled_by_name "
		 "AND NOT EXISTS (SELECT FROM pg_roles AS o "
		 "WHERE o.oid = c.scheduled_by) "
		 "AND NOT EXISTS (SELECT FROM cmdsched.scheduled_commands AS o "
		 "WHERE o.schedule_id = c.schedule_id AND (o.scheduled_by = r.oid "
		 "OR o.scheduled_by_name = c.scheduled_by_name "
		 "AND o.scheduled_by > c.scheduled_by))",
		 0};
	OwnerScope scope;

	cmdsched_statement_run(&statement, NULL, NULL, &scope);
	cmdsched_statement_finish(&scope);
}

static void
give_schedules_to_namesakes(void)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.recurring AS c SET scheduled_by = r.oid "
		 "FROM pg_roles AS r WHERE r.rolname = c.scheduled_by_name "
		 "AND NOT EXISTS (SELECT FROM pg_roles AS o "
		 "WHERE o.oid = c.scheduled_by) "
		 "AND NOT EXISTS (SELECT FROM cmdsched.recurring AS o "
		 "WHERE o.name = c.name AND (o.scheduled_by = r.oid "
		 "OR o.scheduled_by_name = c.scheduled_by_name "
		 "AND o.scheduled_by > c.scheduled_by))",
		 0};
	OwnerScope scope;

	cmdsched_statement_run(&statement, NULL, NULL, &scope);
	cmdsched_statement_finish(&scope);
}

/*
 * Let the commands of another database run here, each as the role that has
 * the name of the one that scheduled it.  Returns how many wait.
 */
int64
cmdsched_home_adopt(void)
{
	static FixedStatement count =
		{"SELECT count(*) FROM cmdsched.scheduled_commands "
		 "WHERE status = 'pending'",
		 0};
	OwnerScope scope;
	int64 npending;
	bool isnull;

	if (!cmdsched_home_is_here())
	{
		take_from_strangers();
		take_schedules_from_strangers();
		cmdsched_history_take_from_strangers();
		cmdsched_calendar_take_from_strangers();
		cmdsched_policy_take_from_strangers();
		move_in();
	}
	give_to_namesakes();
	give_schedules_to_namesakes();
	cmdsched_history_give_to_namesakes();
	cmdsched_calendar_give_to_namesakes();
	cmdsched_policy_give_to_namesakes();
	cmdsched_statement_run(&count, NULL, NULL, &scope);
	npending = DatumGetInt64(cmdsched_statement_result(0, 1, &isnull));
	cmdsched_statement_finish(&scope);
	return npending;
}
