/*-------------------------------------------------------------------------
 *
 * extension.h
 *	  The extension as it is installed in this database.
 *
 * IDENTIFICATION
 *	  src/command/extension.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_EXTENSION_H
#define CMDSCHED_EXTENSION_H

#include "postgres_ext.h"

typedef struct ExtensionObjects
{
	Oid owner;
	Oid commands; /* cmdsched.scheduled_commands */
	Oid commands_pkey;
	Oid due_index;
	Oid parked_index;
	Oid commands_row_type;
	Oid handlers;
	Oid handlers_pkey;
	Oid hooks;
} ExtensionObjects;

/* What cmdsched_owner_enter() has to put back. */
typedef struct OwnerScope
{
	Oid user;
	int security_context;
	int guc_nest_level;
} OwnerScope;

extern const ExtensionObjects *cmdsched_extension_find(void);
extern const ExtensionObjects *cmdsched_extension_get(void);
extern bool cmdsched_extension_may_have_changed(void);
extern void cmdsched_owner_enter(OwnerScope *scope);
extern void cmdsched_owner_leave(const OwnerScope *scope);

#endif
