/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  SQL of our own: fixed text, run as the extension's owner.
 *
 * IDENTIFICATION
 *	  src/command/statement.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_STATEMENT_H
#define CMDSCHED_STATEMENT_H

#include "executor/spi.h"

#include "command/extension.h"

#define MAX_STATEMENT_ARGS 31

/* To be static: it is prepared at its first use. */
typedef struct FixedStatement
{
	const char *sql;
	int nargs;
	Oid argtypes[MAX_STATEMENT_ARGS];
	SPIPlanPtr plan;
} FixedStatement;

extern uint64 cmdsched_statement_run(FixedStatement *statement, Datum *values,
									 const char *nulls, OwnerScope *scope);
extern Datum cmdsched_statement_result(uint64 row, int column, bool *isnull);
extern void cmdsched_statement_finish(const OwnerScope *scope);

#endif
