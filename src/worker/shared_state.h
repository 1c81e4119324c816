/*-------------------------------------------------------------------------
 *
 * shared_state.h
 *	  What the processes of cmdsched know of one another.
 *
 * Slots are named by their index.  A database slot is a database in which
 * somebody used the extension, a role slot is a role with commands in such
 * a database, an executor slot is a process.
 *
 * IDENTIFICATION
 *	  src/worker/shared_state.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_SHARED_STATE_H
#define CMDSCHED_SHARED_STATE_H

#include "datatype/timestamp.h"

#include "worker/database_slots.h"
#include "worker/executor_slots.h"
#include "worker/handler_slots.h"
#include "worker/lease_slots.h"
#include "worker/role_slots.h"

#define NO_SLOT (-1)

/* Setting up */
extern void cmdsched_shared_state_install(void);
extern bool cmdsched_shared_state_attach(void);
extern bool cmdsched_shared_state_is_preloaded(void);

/* The launcher */
extern void cmdsched_launcher_attach(void);
extern void cmdsched_launcher_detach(void);
extern int cmdsched_launcher_pid(TimestampTz *since);
extern void cmdsched_launcher_wake(void);

#endif
