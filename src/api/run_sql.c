/*-------------------------------------------------------------------------
 *
 * run_sql.c
 *	  The built-in handler that runs a text of SQL.
 *
 * A worker does not come here: see call_function() in command/invoke.c.
 *
 * IDENTIFICATION
 *	  src/api/run_sql.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "api/arguments.h"
#include "command/sql_text.h"

PG_FUNCTION_INFO_V1(cmdsched_run_sql);

Datum
cmdsched_run_sql(PG_FUNCTION_ARGS)
{
	cmdsched_argument_check_not_null(fcinfo, 0, "command_data");
	(void) cmdsched_sql_text_run(PG_GETARG_DATUM(0), false);
	PG_RETURN_VOID();
}
