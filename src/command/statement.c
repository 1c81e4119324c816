/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  SQL of our own: fixed text, run as the extension's owner.
 *
 * Everything that differs from one run to the next is a parameter.
 *
 * IDENTIFICATION
 *	  src/command/statement.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/snapmgr.h"

#include "command/statement.h"

/*
 * Run a statement; its result can be read until cmdsched_statement_finish().
 * Returns the number of rows.
 */
uint64
cmdsched_statement_run(FixedStatement *statement, Datum *values,
					   const char *nulls, OwnerScope *scope)
{
	int result;

	cmdsched_owner_enter(scope);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (statement->plan == NULL)
	{
		SPIPlanPtr plan =
			SPI_prepare(statement->sql, statement->nargs, statement->argtypes);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare \"%s\"", statement->sql);
		statement->plan = plan;
	}
	result = SPI_execute_plan(statement->plan, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR,
			 "could not run \"%s\": %s",
			 statement->sql,
			 SPI_result_code_string(result));
	PopActiveSnapshot();
	return SPI_processed;
}

Datum
cmdsched_statement_result(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row],
						 SPI_tuptable->tupdesc,
						 column,
						 isnull);
}

void
cmdsched_statement_finish(const OwnerScope *scope)
{
	SPI_finish();
	cmdsched_owner_leave(scope);
}
