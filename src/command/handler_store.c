/*-------------------------------------------------------------------------
 *
 * handler_store.c
 *	  The registry: command type to function, its signature and the right
 *	  to call it checked.  It never calls a handler.
 *
 * Handlers are remembered for the role that asks, until something changes
 * that could make the answer another: the registry, a function, a role, a
 * privilege.  The table holds signatures, not oids, so that it survives a
 * dump.
 *
 * IDENTIFICATION
 *	  src/command/handler_store.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "command/extension.h"
#include "command/handler_store.h"
#include "command/user_function.h"
#include "compat.h"

/* Columns of cmdsched.handlers. */
#define Anum_handler_command_type 1
#define Anum_handler_command_module 2
#define Anum_handler_handler 3
#define Anum_handler_owner 4
#define Anum_handler_max_attempts 5
#define Anum_handler_backoff 6
#define Anum_handler_max_backoff 7
#define Anum_handler_timeout 8
#define Anum_handler_history 9
#define Anum_handler_external 10
#define Anum_handler_paused 11
#define Anum_handler_function_owner 12

/* ------------------------------------------------------------------------
 * The cache
 * ------------------------------------------------------------------------
 */

/* Names are at most CMDSCHED_MAX_NAME bytes; unused bytes are zero. */
typedef struct HandlerKey
{
	char command_type[CMDSCHED_MAX_NAME + 1];
	char command_module[CMDSCHED_MAX_NAME + 1];
} HandlerKey;

typedef struct HandlerEntry
{
	HandlerKey key;
	Handler handler;
} HandlerEntry;

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static HandlerEntry *last_entry = NULL;
static Oid cache_role = InvalidOid;
static Oid cache_relation = InvalidOid; /* cmdsched.handlers */
static bool cache_valid = false;

/* What functions remember from call to call; in cache_context. */
static MemoryContext calls_context = NULL;

static void
forget_on_syscache(Datum arg, int cache_id, uint32 hash_value)
{
	cache_valid = false;
}

static void
forget_on_relcache(Datum arg, Oid relation)
{
	if (!OidIsValid(relation) || relation == cache_relation)
		cache_valid = false;
}

/* Handlers stop being remembered; those in use stay to the transaction's end. */
void
cmdsched_handler_forget_all(void)
{
	cache_valid = false;
}

/*
 * Let functions begin anew: what they remember from call to call may be half
 * done.  A call that is under way keeps what it has to the transaction's end.
 */
void
cmdsched_handler_forget_calls(void)
{
	HASH_SEQ_STATUS entries;
	HandlerEntry *entry;

	if (!cache_valid)
		return;
	hash_seq_init(&entries, cache);
	while ((entry = hash_seq_search(&entries)) != NULL)
		entry->handler.call = NULL;
	MemoryContextSetParent(calls_context, TopTransactionContext);
	calls_context = AllocSetContextCreate(cache_context,
										  "cmdsched handler calls",
										  ALLOCSET_SMALL_SIZES);
}

static void
begin_new_cache(void)
{
	static bool registered = false;
	HASHCTL control = {0};

	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget_on_relcache, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCOID, forget_on_syscache, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID,
									  forget_on_syscache,
									  (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, forget_on_syscache, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM,
									  forget_on_syscache,
									  (Datum) 0);
		registered = true;
	}
	if (cache_context != NULL)
		MemoryContextSetParent(cache_context, TopTransactionContext);
	cache_context = NULL;
	last_entry = NULL;

	cache_context = AllocSetContextCreate(TopMemoryContext,
										  "cmdsched handlers",
										  ALLOCSET_DEFAULT_SIZES);
	control.keysize = sizeof(HandlerKey);
	control.entrysize = sizeof(HandlerEntry);
	control.hcxt = cache_context;
	cache = hash_create("cmdsched handlers",
						32,
						&control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	calls_context = AllocSetContextCreate(cache_context,
										  "cmdsched handler calls",
										  ALLOCSET_SMALL_SIZES);
	cache_role = GetUserId();
	cache_relation = cmdsched_extension_get()->handlers;
	cache_valid = true;
}

static bool
name_is(const char *name, text *value)
{
	Size length = VARSIZE_ANY_EXHDR(value);

	return length <= CMDSCHED_MAX_NAME &&
		   memcmp(name, VARDATA_ANY(value), length) == 0 &&
		   name[length] == '\0';
}

static void
set_problem(Handler *handler, int sqlerrcode, char *message, const char *hint)
{
	handler->problem.sqlerrcode = sqlerrcode;
	handler->problem.message = MemoryContextStrdup(cache_context, message);
	handler->hint = hint;
}

/* ------------------------------------------------------------------------
 * Finding
 * ------------------------------------------------------------------------
 */

static int64
interval_as_us(const Interval *interval)
{
	const double limit = (double) (PG_INT64_MAX / 2);
	double us = (double) interval->time +
				(interval->day + interval->month * (double) DAYS_PER_MONTH) *
					(double) USECS_PER_DAY;

	return (int64) Min(us, limit);
}

static bool
signature_form(Form_pg_proc proc, HandlerForm *form)
{
	const Oid *types = proc->proargtypes.values;

	if (proc->pronargs == 1 && types[0] == JSONBOID)
		*form = HANDLER_TAKES_DATA;
	else if (proc->pronargs == 2 && types[0] == JSONBOID &&
			 types[1] == JSONBOID)
		*form = HANDLER_TAKES_DATA_METADATA;
	else if (proc->pronargs == 1 &&
			 types[0] == cmdsched_extension_get()->commands_row_type)
		*form = HANDLER_TAKES_ROW;
	else
		return false;
	return !OidIsValid(proc->provariadic);
}

/* Nobody can put another one of this form beside it. */
static bool
is_run_sql(HeapTuple tuple, HandlerForm form)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	Oid schema = get_rel_namespace(cmdsched_extension_get()->commands);

	return form == HANDLER_TAKES_DATA && proc->pronamespace == schema &&
		   strcmp(NameStr(proc->proname), "run_sql") == 0 &&
		   !proc->prosecdef &&
		   heap_attisnull(tuple, Anum_pg_proc_proconfig, NULL);
}

/* Look at the function and at the role's right to call it. */
static void
prepare_function(Handler *handler, text *signature, text *function_owner)
{
	HeapTuple tuple;
	Form_pg_proc proc;
	FunctionProblem problem;

	handler->function = cmdsched_function_resolve(signature);
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(handler->function));
	if (!HeapTupleIsValid(tuple) ||
		!cmdsched_function_is_plain((Form_pg_proc) GETSTRUCT(tuple)) ||
		!signature_form((Form_pg_proc) GETSTRUCT(tuple), &handler->form))
	{
		if (HeapTupleIsValid(tuple))
			ReleaseSysCache(tuple);
		set_problem(handler,
					ERRCODE_UNDEFINED_FUNCTION,
					psprintf("handler function %s does not exist",
							 text_to_cstring(signature)),
					"Create it, or register another handler.");
		return;
	}
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	handler->is_procedure = proc->prokind == PROKIND_PROCEDURE;
	handler->runs_sql = is_run_sql(tuple, handler->form);
	handler->returns_jsonb =
		handler->runs_sql ||
		(!handler->is_procedure && proc->prorettype == JSONBOID);
	cmdsched_function_find_problem("handler",
								   proc,
								   signature,
								   function_owner,
								   &problem);
	if (problem.sqlerrcode != 0)
		set_problem(handler, problem.sqlerrcode, problem.message, problem.hint);
	ReleaseSysCache(tuple);
}

static void
fill_handler(Handler *handler, TupleTableSlot *slot)
{
	bool isnull;
	Datum value;

	handler->registered = true;
	handler->retry.max_attempts =
		DatumGetInt32(slot_getattr(slot, Anum_handler_max_attempts, &isnull));
	handler->retry.backoff_us = interval_as_us(
		DatumGetIntervalP(slot_getattr(slot, Anum_handler_backoff, &isnull)));
	handler->retry.max_backoff_us = interval_as_us(DatumGetIntervalP(
		slot_getattr(slot, Anum_handler_max_backoff, &isnull)));
	value = slot_getattr(slot, Anum_handler_timeout, &isnull);
	if (!isnull)
		handler->timeout_us = interval_as_us(DatumGetIntervalP(value));
	handler->external =
		DatumGetBool(slot_getattr(slot, Anum_handler_external, &isnull));
	handler->paused =
		DatumGetBool(slot_getattr(slot, Anum_handler_paused, &isnull));
	handler->history = cmdsched_history_policy(TextDatumGetCString(
		slot_getattr(slot, Anum_handler_history, &isnull)));
	value = slot_getattr(slot, Anum_handler_handler, &isnull);
	if (!isnull)
	{
		Datum owner = slot_getattr(slot, Anum_handler_function_owner, &isnull);

		prepare_function(handler,
						 DatumGetTextPP(value),
						 isnull ? NULL : DatumGetTextPP(owner));
	}
}

static char *
describe_unregistered(text *command_type, text *command_module)
{
	if (VARSIZE_ANY_EXHDR(command_module) == 0)
		return psprintf("command type \"%s\" is not registered",
						text_to_cstring(command_type));
	return psprintf("command type \"%s\" of module \"%s\" is not registered",
					text_to_cstring(command_type),
					text_to_cstring(command_module));
}

static void
load_handler(Handler *handler, text *command_type, text *command_module)
{
	const ExtensionObjects *objects = cmdsched_extension_get();
	Relation handlers = table_open(objects->handlers, AccessShareLock);
	Relation index = index_open(objects->handlers_pkey, AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(handlers, NULL);
	IndexScanDesc scan =
		cmdsched_index_beginscan(handlers, index, snapshot, 2);
	ScanKeyData keys[2];

	ScanKeyEntryInitialize(&keys[0],
						   0,
						   1,
						   BTEqualStrategyNumber,
						   InvalidOid,
						   C_COLLATION_OID,
						   F_TEXTEQ,
						   PointerGetDatum(command_type));
	ScanKeyEntryInitialize(&keys[1],
						   0,
						   2,
						   BTEqualStrategyNumber,
						   InvalidOid,
						   C_COLLATION_OID,
						   F_TEXTEQ,
						   PointerGetDatum(command_module));
	index_rescan(scan, keys, 2, NULL, 0);
	if (index_getnext_slot(scan, ForwardScanDirection, slot))
		fill_handler(handler, slot);
	else
		set_problem(handler,
					ERRCODE_UNDEFINED_OBJECT,
					describe_unregistered(command_type, command_module),
					"Register it with cmdsched.register_handler().");
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	index_close(index, AccessShareLock);
	table_close(handlers, AccessShareLock);
}

static HandlerEntry *
find_entry(text *command_type, text *command_module)
{
	HandlerKey key;
	HandlerEntry *entry;
	bool found;

	memset(&key, 0, sizeof(key));
	memcpy(key.command_type,
		   VARDATA_ANY(command_type),
		   Min(VARSIZE_ANY_EXHDR(command_type), CMDSCHED_MAX_NAME));
	memcpy(key.command_module,
		   VARDATA_ANY(command_module),
		   Min(VARSIZE_ANY_EXHDR(command_module), CMDSCHED_MAX_NAME));
	entry = hash_search(cache, &key, HASH_FIND, NULL);
	if (entry != NULL)
		return entry;

	{
		Handler handler = {0};

		load_handler(&handler, command_type, command_module);
		entry = hash_search(cache, &key, HASH_ENTER, &found);
		entry->handler = handler;
	}
	return entry;
}

/* Never NULL: see Handler.problem. */
Handler *
cmdsched_handler_find(text *command_type, text *command_module)
{
	if (!cache_valid || cache_role != GetUserId())
		begin_new_cache();
	else if (last_entry != NULL &&
			 name_is(last_entry->key.command_type, command_type) &&
			 name_is(last_entry->key.command_module, command_module))
		return &last_entry->handler;

	last_entry = find_entry(command_type, command_module);
	return &last_entry->handler;
}

/* How to call a handler that has no problem. */
FmgrInfo *
cmdsched_handler_call(Handler *handler)
{
	if (handler->call == NULL)
	{
		FmgrInfo *call = MemoryContextAlloc(calls_context, sizeof(FmgrInfo));

		fmgr_info_cxt(handler->function, call, calls_context);
		handler->call = call;
	}
	return handler->call;
}

/*
 * Keep registrations out to the end of the transaction, and learn of all
 * that were made.  False where one is being made.
 */
bool
cmdsched_handler_lock_registry(void)
{
	if (!ConditionalLockRelationOid(cmdsched_extension_get()->handlers,
									ShareLock))
		return false;
	AcceptInvalidationMessages();
	return true;
}

/* Nothing was set aside under the lock: let registrations in again. */
void
cmdsched_handler_unlock_registry(void)
{
	UnlockRelationOid(cmdsched_extension_get()->handlers, ShareLock);
}

/*
 * After a snapshot was taken: what it shows of a transaction that registered
 * a handler and scheduled a command may be ahead of the news of the handler.
 * While such a transaction holds its lock, nothing is taken from memory.
 */
void
cmdsched_handler_refresh(void)
{
	Oid handlers = cmdsched_extension_get()->handlers;

	if (ConditionalLockRelationOid(handlers, ShareLock))
		UnlockRelationOid(handlers, ShareLock);
	else
		cmdsched_handler_forget_all();
}

/* ------------------------------------------------------------------------
 * Registering
 * ------------------------------------------------------------------------
 */

/* Can the function be a handler, and may the current user make it one? */
void
cmdsched_handler_check_function(Oid function)
{
	HeapTuple tuple =
		cmdsched_function_get(function, "shop.cancel_order(jsonb)");
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	HandlerForm form;

	if (!cmdsched_function_is_plain(proc))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("%s cannot be a handler",
					   cmdsched_function_signature(function)),
				errhint("A handler is a plain function or procedure that "
						"returns no set."));
	if (!signature_form(proc, &form))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("%s does not have the arguments of a handler",
					   cmdsched_function_signature(function)),
				errhint("A handler takes (jsonb), (jsonb, jsonb) or "
						"(cmdsched.scheduled_commands)."));
	cmdsched_function_check_owner(proc);
	ReleaseSysCache(tuple);
}

/* The role that made a registration; InvalidOid where there is none. */
static Oid
find_registration_owner(text *command_type, text *command_module)
{
	Oid argtypes[] = {TEXTOID, TEXTOID};
	Datum values[] = {PointerGetDatum(command_type),
					  PointerGetDatum(command_module)};
	Oid owner = InvalidOid;
	bool isnull;

	SPI_execute_with_args("SELECT owner FROM cmdsched.handlers "
						  "WHERE command_type = $1 AND command_module = $2 "
						  "FOR UPDATE",
						  2,
						  argtypes,
						  values,
						  NULL,
						  false,
						  0);
	if (SPI_processed > 0)
		owner = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0],
											   SPI_tuptable->tupdesc,
											   1,
											   &isnull));
	return owner;
}

static void
check_registration_owner(Oid caller, text *command_type, text *command_module)
{
	Oid owner = find_registration_owner(command_type, command_module);

	if (OidIsValid(owner) && !has_privs_of_role(caller, owner))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("command type \"%s\" was registered by another role",
					   text_to_cstring(command_type)),
				errhint("Only that role, its members or a superuser can "
						"change the registration."));
}

static void
tell_everybody(void)
{
	cmdsched_handler_forget_all();
	CacheInvalidateRelcacheByRelid(cmdsched_extension_get()->handlers);
}

void
cmdsched_handler_register(const HandlerRegistration *registration)
{
	Oid caller = GetUserId();
	Oid argtypes[] = {TEXTOID,
					  TEXTOID,
					  TEXTOID,
					  OIDOID,
					  INT4OID,
					  INTERVALOID,
					  INTERVALOID,
					  INTERVALOID,
					  TEXTOID,
					  BOOLOID,
					  TEXTOID};
	char nulls[] = "           ";
	Datum values[11];
	OwnerScope scope;

	values[0] = PointerGetDatum(registration->command_type);
	values[1] = PointerGetDatum(registration->command_module);
	if (OidIsValid(registration->function))
	{
		values[2] = CStringGetTextDatum(
			cmdsched_function_signature(registration->function));
		values[10] = cmdsched_function_owner_name(registration->function);
	}
	else
		nulls[2] = nulls[10] = 'n';
	values[3] = ObjectIdGetDatum(caller);
	values[4] = Int32GetDatum(registration->max_attempts);
	values[5] = IntervalPGetDatum(registration->backoff);
	values[6] = IntervalPGetDatum(registration->max_backoff);
	values[7] = IntervalPGetDatum(registration->timeout);
	if (registration->timeout == NULL)
		nulls[7] = 'n';
	values[8] = PointerGetDatum(registration->history);
	values[9] = BoolGetDatum(registration->paused);

	cmdsched_owner_enter(&scope);
	SPI_connect();
	check_registration_owner(caller,
							 registration->command_type,
							 registration->command_module);
	SPI_execute_with_args("INSERT INTO cmdsched.handlers (command_type, command_module, "
						  "handler, owner, max_attempts, backoff, max_backoff, timeout, "
						  "history, external, paused, function_owner) "
						  "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $3 IS NULL, $10, $11) "
						  "ON CONFLICT (command_type, command_module) DO UPDATE SET "
						  "handler = EXCLUDED.handler, owner = EXCLUDED.owner, "
						  "max_attempts = EXCLUDED.max_attempts, backoff = EXCLUDED.backoff, "
						  "max_backoff = EXCLUDED.max_backoff, timeout = EXCLUDED.timeout, "
						  "history = EXCLUDED.history, external = EXCLUDED.external, "
						  "paused = EXCLUDED.paused, "
						  "function_owner = EXCLUDED.function_owner",
						  11,
						  argtypes,
						  values,
						  nulls,
						  false,
						  0);
	SPI_finish();
	cmdsched_owner_leave(&scope);
	tell_everybody();
}

bool
cmdsched_handler_unregister(text *command_type, text *command_module)
{
	Oid caller = GetUserId();
	Oid argtypes[] = {TEXTOID, TEXTOID};
	Datum values[] = {PointerGetDatum(command_type),
					  PointerGetDatum(command_module)};
	OwnerScope scope;
	bool removed;

	cmdsched_owner_enter(&scope);
	SPI_connect();
	check_registration_owner(caller, command_type, command_module);
	SPI_execute_with_args("DELETE FROM cmdsched.handlers "
						  "WHERE command_type = $1 AND command_module = $2",
						  2,
						  argtypes,
						  values,
						  NULL,
						  false,
						  0);
	removed = SPI_processed > 0;
	SPI_finish();
	cmdsched_owner_leave(&scope);
	if (removed)
		tell_everybody();
	return removed;
}
