/*-------------------------------------------------------------------------
 *
 * sql_text.c
 *	  Runs a text of SQL, for cmdsched.run_sql().
 *
 * As the server runs what a client sends in one message: one transaction,
 * and statements that cannot run inside of one, as VACUUM, where they are
 * alone in the text.  That is why it is neither SPI nor a CALL, for both of
 * which every statement is inside of something.
 *
 * IDENTIFICATION
 *	  src/command/sql_text.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "nodes/parsenodes.h"
#include "parser/analyze.h"
#include "tcop/cmdtag.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "command/sql_text.h"
#include "compat.h"

static char *
get_sql(Datum command_data)
{
	Jsonb *data = DatumGetJsonbP(command_data);
	JsonbValue value;

	if (!JB_ROOT_IS_OBJECT(data) ||
		getKeyJsonValueFromContainer(&data->root, "sql", 3, &value) == NULL ||
		value.type != jbvString)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("command data has no SQL text"),
				errhint("It is given as {\"sql\": \"VACUUM\"}."));
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* What would end our transaction, or talk to a client that is not there. */
static void
check_statement(const Node *statement)
{
	if (IsA(statement, TransactionStmt))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				errmsg("cannot run %s",
					   GetCommandTagName(CreateCommandTag((Node *) statement))),
				errhint("The text is one transaction: leave it out."));
	if (IsA(statement, CopyStmt) &&
		((const CopyStmt *) statement)->filename == NULL)
		ereport(ERROR,
				errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				errmsg("cannot run COPY to or from a client"),
				errhint("There is no client: use a file, or INSERT."));
}

static List *
plan_statement(RawStmt *statement, const char *sql)
{
	bool needs_snapshot = analyze_requires_snapshot(statement);
	List *plans;

	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	plans = pg_analyze_and_rewrite_fixedparams(statement, sql, NULL, 0, NULL);
	plans = pg_plan_queries(plans, sql, CURSOR_OPT_PARALLEL_OK, NULL);
	if (needs_snapshot)
		PopActiveSnapshot();
	return plans;
}

/*
 * All that the statement needs is in the memory of its portal, which outlives
 * the transactions that it may end.
 */
static void
run_statement(const RawStmt *statement, const char *sql, bool is_top_level,
			  QueryCompletion *completion)
{
	Portal portal = CreateNewPortal();
	MemoryContext caller = MemoryContextSwitchTo(portal->portalContext);
	RawStmt *own = copyObject((RawStmt *) statement);
	char *own_sql = pstrdup(sql);

	portal->visible = false;
	PortalDefineQuery(portal,
					  NULL,
					  own_sql,
					  CreateCommandTag(own->stmt),
					  plan_statement(own, own_sql),
					  NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	MemoryContextSwitchTo(caller);
	(void) cmdsched_portal_run(portal, is_top_level, None_Receiver, completion);
	PortalDrop(portal, false);
	CommandCounterIncrement();
}

/* {"tag": "INSERT 0 3", "rows": 3}: what psql would say, and how many. */
static NullableDatum
describe(const QueryCompletion *completion)
{
	const char *name = GetCommandTagName(completion->commandTag);
	NullableDatum result = {.isnull =
								completion->commandTag == CMDTAG_UNKNOWN};
	char *description;

	if (result.isnull)
		return result;
	if (command_tag_display_rowcount(completion->commandTag))
		description =
			psprintf("{\"tag\": \"%s %s" UINT64_FORMAT
					 "\", \"rows\": " UINT64_FORMAT "}",
					 name,
					 completion->commandTag == CMDTAG_INSERT ? "0 " : "",
					 completion->nprocessed,
					 completion->nprocessed);
	else
		description = psprintf("{\"tag\": \"%s\"}", name);
	result.value = DirectFunctionCall1(jsonb_in, CStringGetDatum(description));
	return result;
}

/*
 * Run the statements in {"sql": ...}, and say, as a jsonb, what the last of
 * them did.  At top level the caller is in no other statement, and is
 * prepared for the end of its transaction and the begin of another.
 */
NullableDatum
cmdsched_sql_text_run(Datum command_data, bool is_top_level)
{
	char *sql = get_sql(command_data);
	List *statements = pg_parse_query(sql);
	bool is_alone = list_length(statements) == 1;
	QueryCompletion completion;
	ListCell *cell;

	InitializeQueryCompletion(&completion);
	foreach(cell, statements)
		check_statement(lfirst_node(RawStmt, cell)->stmt);
	/* The list may be gone after it. */
	if (is_alone)
		run_statement(linitial_node(RawStmt, statements),
					  sql,
					  is_top_level,
					  &completion);
	else
		foreach(cell, statements)
		{
			InitializeQueryCompletion(&completion);
			run_statement(lfirst_node(RawStmt, cell), sql, false, &completion);
		}
	return describe(&completion);
}
