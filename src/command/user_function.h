/*-------------------------------------------------------------------------
 *
 * user_function.h
 *	  Functions of users that we call: their signatures, and who may have
 *	  them called.
 *
 * IDENTIFICATION
 *	  src/command/user_function.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_USER_FUNCTION_H
#define CMDSCHED_USER_FUNCTION_H

#include "access/htup_details.h"
#include "catalog/pg_proc.h"

/* Why a function is not called; sqlerrcode 0: it is. */
typedef struct FunctionProblem
{
	int sqlerrcode;
	char *message;
	const char *hint;
} FunctionProblem;

extern Oid cmdsched_function_resolve(text *signature);
extern HeapTuple cmdsched_function_get(Oid function, const char *example);
extern char *cmdsched_function_signature(Oid function);
extern bool cmdsched_function_is_plain(Form_pg_proc proc);
extern void cmdsched_function_find_problem(const char *kind, Form_pg_proc proc,
										   text *signature,
										   text *registered_owner,
										   FunctionProblem *problem);
extern void cmdsched_function_check_owner(Form_pg_proc proc);
extern Datum cmdsched_function_owner_name(Oid function);

#endif
