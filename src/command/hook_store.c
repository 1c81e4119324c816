/*-------------------------------------------------------------------------
 *
 * hook_store.c
 *	  The registry of hooks: which functions are called around what is done,
 *	  and how often they failed.  It never calls one.
 *
 * Hooks are remembered for the role that asks, as handlers are.  Where none
 * is registered, that is all that is remembered, whoever asks.
 *
 * Nobody chooses the hooks that are called for his commands.  So a function
 * is a hook for those roles only whose privileges its owner has: it then gets
 * nothing that its owner could not do.
 *
 * IDENTIFICATION
 *	  src/command/hook_store.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "command/extension.h"
#include "command/hook_store.h"
#include "command/statement.h"
#include "command/user_function.h"
#include "compat.h"

/* Columns of cmdsched.hooks. */
#define Anum_hook_operation_pattern 1
#define Anum_hook_hook 2
#define Anum_hook_priority 3
#define Anum_hook_function_owner 5
#define Anum_hook_enabled 6
#define Anum_hook_failures_in_a_row 7

/* So much is kept of the message of a failure, in bytes. */
#define MAX_MESSAGE 1000

/* ------------------------------------------------------------------------
 * The cache
 * ------------------------------------------------------------------------
 */

static MemoryContext cache_context = NULL;
static MemoryContext calls_context = NULL; /* in cache_context */
static List *cache = NIL;				   /* of Hook, in their order */
static bool cache_valid = false;
static Oid cache_role = InvalidOid;
static Oid cache_relation = InvalidOid; /* cmdsched.hooks */

static void
forget_on_syscache(Datum arg, int cache_id, uint32 hash_value)
{
	if (cache != NIL)
		cache_valid = false;
}

static void
forget_on_relcache(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || relation == cache_relation)
		cache_valid = false;
}

static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	CacheRegisterRelcacheCallback(forget_on_relcache, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, forget_on_syscache, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_on_syscache, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, forget_on_syscache, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM,
								  forget_on_syscache,
								  (Datum) 0);
	registered = true;
}

static void
begin_new_cache(void)
{
	register_callbacks();
	/* Somebody may be using it. */
	if (cache_context != NULL)
		MemoryContextSetParent(cache_context, TopTransactionContext);
	cache_context = NULL;
	cache = NIL;
	cache_context = AllocSetContextCreate(TopMemoryContext,
										  "cmdsched hooks",
										  ALLOCSET_SMALL_SIZES);
	calls_context = AllocSetContextCreate(cache_context,
										  "cmdsched hook calls",
										  ALLOCSET_SMALL_SIZES);
	cache_role = GetUserId();
	cache_relation = cmdsched_extension_get()->hooks;
	cache_valid = true;
}

static bool
signature_fits(Form_pg_proc proc)
{
	const Oid *types = proc->proargtypes.values;

	return proc->pronargs == 2 && types[0] == TEXTOID && types[1] == JSONBOID;
}

static bool
can_be_hook(Form_pg_proc proc)
{
	return cmdsched_function_is_plain(proc) &&
		   proc->prokind == PROKIND_FUNCTION;
}

static void
set_problem(Hook *hook, const char *message)
{
	hook->problem = MemoryContextStrdup(cache_context, message);
}

static void
find_problem(Hook *hook, Form_pg_proc proc, text *signature, text *owner)
{
	Oid role = GetUserId();
	FunctionProblem problem;

	cmdsched_function_find_problem("hook", proc, signature, owner, &problem);
	if (problem.sqlerrcode != 0)
		set_problem(hook, problem.message);
	else if (!has_privs_of_role(proc->proowner, role))
		set_problem(hook,
					psprintf("the owner of hook function %s does not have "
							 "the privileges of role %s",
							 hook->signature,
							 GetUserNameFromId(role, false)));
}

static void
prepare_function(Hook *hook, text *signature, text *function_owner)
{
	HeapTuple tuple;

	hook->function = cmdsched_function_resolve(signature);
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(hook->function));
	if (!HeapTupleIsValid(tuple))
		set_problem(hook,
					psprintf("hook function %s does not exist",
							 hook->signature));
	else
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

		if (!can_be_hook(proc) || !signature_fits(proc))
			set_problem(hook,
						psprintf("%s cannot be a hook", hook->signature));
		else
			find_problem(hook, proc, signature, function_owner);
		ReleaseSysCache(tuple);
	}
}

static void
load_hook(TupleTableSlot *slot)
{
	bool isnull;
	text *pattern = DatumGetTextPP(
		slot_getattr(slot, Anum_hook_operation_pattern, &isnull));
	text *signature =
		DatumGetTextPP(slot_getattr(slot, Anum_hook_hook, &isnull));
	text *owner =
		DatumGetTextPP(slot_getattr(slot, Anum_hook_function_owner, &isnull));
	Hook *hook;
	MemoryContext caller;

	if (!DatumGetBool(slot_getattr(slot, Anum_hook_enabled, &isnull)))
		return;
	caller = MemoryContextSwitchTo(cache_context);
	hook = palloc0(sizeof(Hook));
	hook->pattern = text_to_cstring(pattern);
	hook->signature = text_to_cstring(signature);
	hook->priority =
		DatumGetInt32(slot_getattr(slot, Anum_hook_priority, &isnull));
	hook->failures = DatumGetInt32(
		slot_getattr(slot, Anum_hook_failures_in_a_row, &isnull));
	cache = lappend(cache, hook);
	MemoryContextSwitchTo(caller);
	prepare_function(hook, signature, owner);
}

/* The highest priority first. */
static int
compare_hooks(const ListCell *a, const ListCell *b)
{
	const Hook *left = lfirst(a);
	const Hook *right = lfirst(b);
	int order;

	if (left->priority != right->priority)
		return left->priority > right->priority ? -1 : 1;
	order = strcmp(left->signature, right->signature);
	return order != 0 ? order : strcmp(left->pattern, right->pattern);
}

static void
load_hooks(void)
{
	Relation hooks;
	Snapshot snapshot;
	TupleTableSlot *slot;
	TableScanDesc scan;

	begin_new_cache();
	hooks = table_open(cache_relation, AccessShareLock);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	slot = table_slot_create(hooks, NULL);
	scan = table_beginscan(hooks, snapshot, 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		load_hook(slot);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	table_close(hooks, AccessShareLock);
	list_sort(cache, compare_hooks);
}

/* Is any hook enabled?  Cheap where none is. */
bool
cmdsched_hook_any(void)
{
	if (!cache_valid)
		load_hooks();
	return cache != NIL;
}

/* The enabled ones, in the order in which they are called. */
List *
cmdsched_hook_list(void)
{
	if (!cache_valid || (cache != NIL && cache_role != GetUserId()))
		load_hooks();
	return cache;
}

/* A * is any characters, also none and also dots; a ? is one character. */
bool
cmdsched_hook_matches(const char *pattern, const char *operation)
{
	const char *after_star = NULL;
	const char *retry_at = NULL;

	while (*operation != '\0')
	{
		if (*pattern == '*')
		{
			after_star = ++pattern;
			retry_at = operation;
		}
		else if (*pattern == '?')
		{
			pattern++;
			operation += pg_mblen(operation);
		}
		else if (*pattern == *operation)
		{
			pattern++;
			operation++;
		}
		else if (after_star != NULL)
		{
			pattern = after_star;
			retry_at += pg_mblen(retry_at);
			operation = retry_at;
		}
		else
			return false;
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

/* How to call a hook that has no problem. */
FmgrInfo *
cmdsched_hook_call(Hook *hook)
{
	if (hook->call == NULL)
	{
		FmgrInfo *call = MemoryContextAlloc(calls_context, sizeof(FmgrInfo));

		fmgr_info_cxt(hook->function, call, calls_context);
		hook->call = call;
	}
	return hook->call;
}

/* As cmdsched_handler_forget_calls(). */
void
cmdsched_hook_forget_calls(void)
{
	ListCell *cell;

	if (!cache_valid || cache == NIL)
		return;
	foreach(cell, cache)
		((Hook *) lfirst(cell))->call = NULL;
	MemoryContextSetParent(calls_context, TopTransactionContext);
	calls_context = AllocSetContextCreate(cache_context,
										  "cmdsched hook calls",
										  ALLOCSET_SMALL_SIZES);
}

/* ------------------------------------------------------------------------
 * Counting failures
 *
 * Kept in memory until the commands are dealt with: counting must neither be
 * rolled back with them nor wait for anybody.
 * ------------------------------------------------------------------------
 */

typedef struct HookCount
{
	char *pattern;
	char *signature;
	bool succeeded; /* before these failures */
	int nfailures;
	char *last_error;
} HookCount;

static List *counts = NIL; /* of HookCount, in TopMemoryContext */

static HookCount *
find_or_add_count(const Hook *hook)
{
	ListCell *cell;
	MemoryContext caller;
	HookCount *count;

	foreach(cell, counts)
	{
		count = lfirst(cell);
		if (strcmp(count->pattern, hook->pattern) == 0 &&
			strcmp(count->signature, hook->signature) == 0)
			return count;
	}
	caller = MemoryContextSwitchTo(TopMemoryContext);
	count = palloc0(sizeof(HookCount));
	count->pattern = pstrdup(hook->pattern);
	count->signature = pstrdup(hook->signature);
	counts = lappend(counts, count);
	MemoryContextSwitchTo(caller);
	return count;
}

static void
free_last_error(HookCount *count)
{
	if (count->last_error != NULL)
		pfree(count->last_error);
	count->last_error = NULL;
}

static void
free_count(HookCount *count)
{
	free_last_error(count);
	pfree(count->pattern);
	pfree(count->signature);
	pfree(count);
}

static char *
describe_error(const CommandError *error)
{
	const char *message = error->message ? error->message : "";
	int length = pg_mbcliplen(message, strlen(message), MAX_MESSAGE);

	return psprintf("SQLSTATE %s, %.*s",
					unpack_sql_state(error->sqlerrcode),
					length,
					message);
}

/* It was called: without an error, or with one that counts as so many. */
void
cmdsched_hook_count(Hook *hook, int nfailures, const CommandError *error)
{
	HookCount *count;

	if (error == NULL && hook->failures == 0)
		return;
	count = find_or_add_count(hook);
	free_last_error(count);
	if (error == NULL)
	{
		hook->failures = 0;
		count->nfailures = 0;
		count->succeeded = true;
		return;
	}
	hook->failures += nfailures;
	count->nfailures += nfailures;
	count->last_error =
		MemoryContextStrdup(TopMemoryContext, describe_error(error));
}

bool
cmdsched_hook_has_counts(void)
{
	return counts != NIL;
}

static void
tell_everybody(void)
{
	cache_valid = false;
	CacheInvalidateRelcacheByRelid(cmdsched_extension_get()->hooks);
}

/* False where somebody else has the row, or it is gone. */
static bool
save_count(const HookCount *count)
{
	static FixedStatement statement = {
		.sql = "WITH mine AS (SELECT h.operation_pattern, h.hook, "
			   "CASE WHEN $3 THEN 0 ELSE h.failures_in_a_row END + $4 AS n "
			   "FROM cmdsched.hooks AS h "
			   "WHERE h.operation_pattern = $1 AND h.hook = $2 "
			   "FOR UPDATE SKIP LOCKED) "
			   "UPDATE cmdsched.hooks AS h SET failures_in_a_row = mine.n, "
			   "enabled = h.enabled AND mine.n < $6, "
			   "disabled_at = CASE WHEN h.enabled AND mine.n >= $6 "
			   "THEN clock_timestamp() ELSE h.disabled_at END, "
			   "disabled_reason = CASE WHEN h.enabled AND mine.n >= $6 "
			   "THEN concat('failed ', mine.n, ' times in a row, the last "
			   "time with ', $5) ELSE h.disabled_reason END "
			   "FROM mine WHERE h.operation_pattern = mine.operation_pattern "
			   "AND h.hook = mine.hook RETURNING h.enabled",
		.nargs = 6,
		.argtypes = {TEXTOID, TEXTOID, BOOLOID, INT4OID, TEXTOID, INT4OID},
	};
	char nulls[] = "      ";
	Datum values[6];
	OwnerScope scope;
	bool saved;
	bool isnull;

	values[0] = CStringGetTextDatum(count->pattern);
	values[1] = CStringGetTextDatum(count->signature);
	values[2] = BoolGetDatum(count->succeeded);
	values[3] = Int32GetDatum(count->nfailures);
	if (count->last_error != NULL)
		values[4] = CStringGetTextDatum(count->last_error);
	else
		nulls[4] = 'n';
	values[5] = Int32GetDatum(CMDSCHED_MAX_HOOK_FAILURES);
	saved = cmdsched_statement_run(&statement, values, nulls, &scope) > 0;
	if (saved && count->nfailures > 0 &&
		!DatumGetBool(cmdsched_statement_result(0, 1, &isnull)))
		ereport(LOG,
				errmsg("hook %s of operations \"%s\" is disabled",
					   count->signature,
					   count->pattern),
				errhint("See disabled_reason in cmdsched.hooks."));
	cmdsched_statement_finish(&scope);
	return saved;
}

static bool
is_registered(const HookCount *count)
{
	ListCell *cell;

	foreach(cell, cmdsched_hook_list())
	{
		const Hook *hook = lfirst(cell);

		if (strcmp(count->pattern, hook->pattern) == 0 &&
			strcmp(count->signature, hook->signature) == 0)
			return true;
	}
	return false;
}

/* Write down what was counted, but for what somebody else has locked. */
void
cmdsched_hook_save_counts(void)
{
	ListCell *cell;
	bool saved_any = false;

	foreach(cell, counts)
	{
		HookCount *count = lfirst(cell);

		if (is_registered(count))
		{
			if (!save_count(count))
				continue;
			saved_any = true;
		}
		counts = foreach_delete_current(counts, cell);
		free_count(count);
	}
	if (saved_any)
		tell_everybody();
}

/* ------------------------------------------------------------------------
 * Registering
 * ------------------------------------------------------------------------
 */

/* Can the function be a hook, and may the current user make it one? */
void
cmdsched_hook_check_function(Oid function)
{
	HeapTuple tuple =
		cmdsched_function_get(function, "shop.audit(text, jsonb)");
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

	if (!can_be_hook(proc))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("%s cannot be a hook",
					   cmdsched_function_signature(function)),
				errhint("A hook is a plain function that returns no set."));
	if (!signature_fits(proc))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("%s does not have the arguments of a hook",
					   cmdsched_function_signature(function)),
				errhint("A hook takes (text, jsonb): the operation and its "
						"attributes."));
	cmdsched_function_check_owner(proc);
	ReleaseSysCache(tuple);
}

/* As it is in the table, if there is such a function. */
static text *
normalize_signature(text *hook)
{
	LOCAL_FCINFO(fcinfo, 1);
	Datum function;

	InitFunctionCallInfoData(*fcinfo, NULL, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = PointerGetDatum(hook);
	fcinfo->args[0].isnull = false;
	function = to_regprocedure(fcinfo);
	if (fcinfo->isnull)
		return hook;
	return cstring_to_text(
		cmdsched_function_signature(DatumGetObjectId(function)));
}

static void
check_registration_owner(Oid caller, text *pattern, text *hook)
{
	static FixedStatement statement = {
		.sql = "SELECT owner FROM cmdsched.hooks "
			   "WHERE operation_pattern = $1 AND hook = $2 FOR UPDATE",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTOID},
	};
	Datum values[] = {PointerGetDatum(pattern), PointerGetDatum(hook)};
	OwnerScope scope;
	Oid owner = InvalidOid;
	bool isnull;

	if (cmdsched_statement_run(&statement, values, NULL, &scope) > 0)
		owner = DatumGetObjectId(cmdsched_statement_result(0, 1, &isnull));
	cmdsched_statement_finish(&scope);
	if (OidIsValid(owner) && !has_privs_of_role(caller, owner))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("hook %s was registered by another role",
					   text_to_cstring(hook)),
				errhint("Only that role, its members or a superuser can "
						"change the registration."));
}

void
cmdsched_hook_register(text *pattern, Oid function, int priority)
{
	static FixedStatement statement = {
		.sql = "INSERT INTO cmdsched.hooks (operation_pattern, hook, "
			   "priority, owner, function_owner) VALUES ($1, $2, $3, $4, $5) "
			   "ON CONFLICT (operation_pattern, hook) DO UPDATE SET "
			   "priority = EXCLUDED.priority, owner = EXCLUDED.owner, "
			   "function_owner = EXCLUDED.function_owner, enabled = true, "
			   "failures_in_a_row = 0, disabled_reason = NULL, "
			   "disabled_at = NULL",
		.nargs = 5,
		.argtypes = {TEXTOID, TEXTOID, INT4OID, OIDOID, TEXTOID},
	};
	Oid caller = GetUserId();
	text *hook = cstring_to_text(cmdsched_function_signature(function));
	Datum values[] = {PointerGetDatum(pattern),
					  PointerGetDatum(hook),
					  Int32GetDatum(priority),
					  ObjectIdGetDatum(caller),
					  cmdsched_function_owner_name(function)};
	OwnerScope scope;

	check_registration_owner(caller, pattern, hook);
	(void) cmdsched_statement_run(&statement, values, NULL, &scope);
	cmdsched_statement_finish(&scope);
	tell_everybody();
}

/* Run one that changes a registration, if the caller may.  False: none. */
static bool
change_registration(FixedStatement *statement, text *pattern, text *hook,
					text *reason)
{
	Datum values[] = {PointerGetDatum(pattern),
					  PointerGetDatum(normalize_signature(hook)),
					  PointerGetDatum(reason)};
	OwnerScope scope;
	bool changed;

	check_registration_owner(GetUserId(),
							 pattern,
							 (text *) DatumGetPointer(values[1]));
	changed = cmdsched_statement_run(statement,
									 values,
									 reason == NULL ? "  n" : "   ",
									 &scope) > 0;
	cmdsched_statement_finish(&scope);
	if (changed)
		tell_everybody();
	return changed;
}

bool
cmdsched_hook_unregister(text *pattern, text *hook)
{
	static FixedStatement statement = {
		.sql = "DELETE FROM cmdsched.hooks "
			   "WHERE operation_pattern = $1 AND hook = $2",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTOID},
	};

	return change_registration(&statement, pattern, hook, NULL);
}

bool
cmdsched_hook_enable(text *pattern, text *hook)
{
	static FixedStatement statement = {
		.sql = "UPDATE cmdsched.hooks SET enabled = true, "
			   "failures_in_a_row = 0, disabled_reason = NULL, "
			   "disabled_at = NULL "
			   "WHERE operation_pattern = $1 AND hook = $2 AND NOT enabled",
		.nargs = 2,
		.argtypes = {TEXTOID, TEXTOID},
	};

	return change_registration(&statement, pattern, hook, NULL);
}

bool
cmdsched_hook_disable(text *pattern, text *hook, text *reason)
{
	static FixedStatement statement = {
		.sql = "UPDATE cmdsched.hooks SET enabled = false, "
			   "disabled_reason = $3, disabled_at = clock_timestamp() "
			   "WHERE operation_pattern = $1 AND hook = $2 AND enabled",
		.nargs = 3,
		.argtypes = {TEXTOID, TEXTOID, TEXTOID},
	};

	return change_registration(&statement, pattern, hook, reason);
}
