/*-------------------------------------------------------------------------
 *
 * policy_store.h
 *	  The registry of scheduling policies.
 *
 * IDENTIFICATION
 *	  src/command/policy_store.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_POLICY_STORE_H
#define CMDSCHED_POLICY_STORE_H

/* A policy as the current user may call it. */
typedef struct Policy
{
	char *name;
	char *signature;
	Oid function;
} Policy;

extern void cmdsched_policy_check_function(Oid function);
extern void cmdsched_policy_register(text *name, Oid function);
extern bool cmdsched_policy_unregister(text *name);
extern Policy *cmdsched_policy_find(text *name);
extern void cmdsched_policy_take_from_strangers(void);
extern void cmdsched_policy_give_to_namesakes(void);

#endif
