/*-------------------------------------------------------------------------
 *
 * policy_store.c
 *	  The registry of scheduling policies: names and the functions that move
 *	  a time.  It never calls one.
 *
 * IDENTIFICATION
 *	  src/command/policy_store.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "command/policy_store.h"
#include "command/statement.h"
#include "command/user_function.h"

/* Run a statement that has no result; returns how many rows it wrote. */
static uint64
write_rows(FixedStatement *statement, Datum *values)
{
	OwnerScope scope;
	uint64 nrows = cmdsched_statement_run(statement, values, NULL, &scope);

	cmdsched_statement_finish(&scope);
	return nrows;
}

/* ------------------------------------------------------------------------
 * Registering
 * ------------------------------------------------------------------------
 */

static bool
can_be_policy(Form_pg_proc proc)
{
	return cmdsched_function_is_plain(proc) &&
		   proc->prokind == PROKIND_FUNCTION;
}

static bool
signature_fits(Form_pg_proc proc)
{
	const Oid *types = proc->proargtypes.values;

	return proc->pronargs == 2 && types[0] == TIMESTAMPTZOID &&
		   types[1] == JSONBOID && proc->prorettype == TIMESTAMPTZOID;
}

/* Can the function be a policy, and may the current user make it one? */
void
cmdsched_policy_check_function(Oid function)
{
	HeapTuple tuple =
		cmdsched_function_get(function, "shop.next_tour(timestamptz, jsonb)");
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);

	if (!can_be_policy(proc))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("%s cannot be a policy",
					   cmdsched_function_signature(function)),
				errhint("A policy is a plain function that returns no set."));
	if (!signature_fits(proc))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("%s does not have the signature of a policy",
					   cmdsched_function_signature(function)),
				errhint("A policy takes (timestamptz, jsonb), the time and "
						"the options, and returns timestamptz."));
	cmdsched_function_check_owner(proc);
	ReleaseSysCache(tuple);
}

static void
check_registration_owner(text *name)
{
	static FixedStatement statement =
		{"SELECT owner FROM cmdsched.policies WHERE name = $1 FOR UPDATE",
		 1,
		 {TEXTOID}};
	Datum values[] = {PointerGetDatum(name)};
	OwnerScope scope;
	Oid owner = InvalidOid;
	bool isnull;

	if (cmdsched_statement_run(&statement, values, NULL, &scope) > 0)
		owner = DatumGetObjectId(cmdsched_statement_result(0, 1, &isnull));
	cmdsched_statement_finish(&scope);
	if (OidIsValid(owner) && !superuser() &&
		!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("policy \"%s\" was registered by another role",
					   text_to_cstring(name)),
				errhint("Only that role, its members or a superuser can "
						"change the registration."));
}

void
cmdsched_policy_register(text *name, Oid function)
{
	static FixedStatement statement =
		{"INSERT INTO cmdsched.policies "
		 "(name, function, owner, owner_name, function_owner) "
		 "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO UPDATE SET "
		 "function = EXCLUDED.function, owner = EXCLUDED.owner, "
		 "owner_name = EXCLUDED.owner_name, "
		 "function_owner = EXCLUDED.function_owner",
		 5,
		 {TEXTOID, TEXTOID, OIDOID, TEXTOID, TEXTOID}};
	Oid caller = GetUserId();
	Datum values[] = {PointerGetDatum(name),
					  CStringGetTextDatum(
						  cmdsched_function_signature(function)),
					  ObjectIdGetDatum(caller),
					  CStringGetTextDatum(GetUserNameFromId(caller, false)),
					  cmdsched_function_owner_name(function)};

	check_registration_owner(name);
	(void) write_rows(&statement, values);
}

bool
cmdsched_policy_unregister(text *name)
{
	static FixedStatement statement =
		{"DELETE FROM cmdsched.policies WHERE name = $1", 1, {TEXTOID}};
	Datum values[] = {PointerGetDatum(name)};

	check_registration_owner(name);
	return write_rows(&statement, values) > 0;
}

/* ------------------------------------------------------------------------
 * Finding
 * ------------------------------------------------------------------------
 */

/* The row of that name, in the current memory context. */
static void
load_policy(text *name, text **signature, text **function_owner)
{
	static FixedStatement statement =
		{"SELECT function, function_owner FROM cmdsched.policies "
		 "WHERE name = $1",
		 1,
		 {TEXTOID}};
	Datum values[] = {PointerGetDatum(name)};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext spi;
	OwnerScope scope;
	bool isnull;

	if (cmdsched_statement_run(&statement, values, NULL, &scope) == 0)
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_OBJECT),
				errmsg("policy \"%s\" does not exist", text_to_cstring(name)),
				errhint("Register it with cmdsched.register_policy()."));
	spi = MemoryContextSwitchTo(caller);
	*signature = DatumGetTextPCopy(cmdsched_statement_result(0, 1, &isnull));
	*function_owner =
		DatumGetTextPCopy(cmdsched_statement_result(0, 2, &isnull));
	MemoryContextSwitchTo(spi);
	cmdsched_statement_finish(&scope);
}

/* The function is there, still a policy, and the current user may call it. */
static void
check_is_callable(const Policy *policy, text *signature, text *function_owner)
{
	HeapTuple tuple =
		SearchSysCache1(PROCOID, ObjectIdGetDatum(policy->function));
	FunctionProblem problem;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				errcode(ERRCODE_UNDEFINED_FUNCTION),
				errmsg("policy function %s does not exist", policy->signature),
				errhint("Create it, or register another function as policy "
						"\"%s\".",
						policy->name));
	if (!can_be_policy((Form_pg_proc) GETSTRUCT(tuple)) ||
		!signature_fits((Form_pg_proc) GETSTRUCT(tuple)))
		ereport(ERROR,
				errcode(ERRCODE_WRONG_OBJECT_TYPE),
				errmsg("%s cannot be a policy", policy->signature),
				errhint("It was replaced after it had been registered: a "
						"policy takes (timestamptz, jsonb) and returns "
						"timestamptz."));
	cmdsched_function_find_problem("policy",
								   (Form_pg_proc) GETSTRUCT(tuple),
								   signature,
								   function_owner,
								   &problem);
	ReleaseSysCache(tuple);
	if (problem.sqlerrcode != 0)
		ereport(ERROR,
				errcode(problem.sqlerrcode),
				errmsg("%s", problem.message),
				errhint("%s", problem.hint));
}

/* Raises an error where there is none, or it cannot be called. */
Policy *
cmdsched_policy_find(text *name)
{
	Policy *policy = palloc(sizeof(Policy));
	text *signature;
	text *function_owner;

	load_policy(name, &signature, &function_owner);
	policy->name = text_to_cstring(name);
	policy->signature = text_to_cstring(signature);
	policy->function = cmdsched_function_resolve(signature);
	check_is_callable(policy, signature, function_owner);
	return policy;
}

/* ------------------------------------------------------------------------
 * In a copy of the database, see home.c
 * ------------------------------------------------------------------------
 */

void
cmdsched_policy_take_from_strangers(void)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.policies AS p SET owner = 4294967295 "
		 "WHERE NOT EXISTS (SELECT FROM pg_roles AS r "
		 "WHERE r.oid = p.owner AND r.rolname = p.owner_name)",
		 0};

	(void) write_rows(&statement, NULL);
}

void
cmdsched_policy_give_to_namesakes(void)
{
	static FixedStatement statement =
		{"UPDATE cmdsched.policies AS p SET owner = r.oid "
		 "FROM pg_roles AS r WHERE r.rolname = p.owner_name "
		 "AND NOT EXISTS (SELECT FROM pg_roles AS o WHERE o.oid = p.owner)",
		 0};

	(void) write_rows(&statement, NULL);
}
