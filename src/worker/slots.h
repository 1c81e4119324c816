/*-------------------------------------------------------------------------
 *
 * slots.h
 *	  What shared memory looks like, for the files that own a part of it.
 *
 * shared_state.c sets it up; database_slots.c, role_slots.c and
 * executor_slots.c own a kind of slot each.  All others use their verbs.
 *
 * IDENTIFICATION
 *	  src/worker/slots.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_SLOTS_H
#define CMDSCHED_SLOTS_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/spin.h"

#include "worker/mark.h"
#include "worker/shared_state.h"

#define MAX_DATABASES 128
#define MAX_ROLES 512
#define MAX_LEASE_ROLES 64

/* Stored where nobody need be woken: nothing is due before it. */
#define WAKE_NEVER DT_NOBEGIN
/* Stored by one that is about to look: anything due is news. */
#define WAKE_ALWAYS DT_NOEND

/* waker of a role slot: the scheduler, or an executor slot plus one */
#define WAKER_SCHEDULER 0

typedef struct DatabaseSlot
{
	Oid database; /* InvalidOid = free */
	SchedulerState state;
	TimestampTz since;
	int scheduler_pid;
	Latch *scheduler_latch;
	int clock_steps;
	int64 clock_step_us; /* the last of them */
	TimestampTz clock_step_at;
	pg_atomic_uint32 sweep_requested;
	pg_atomic_uint32 places_of_any;	 /* executors that should give way */
	pg_atomic_uint32 places_of_idle; /* if they have nothing to do */
	pg_atomic_uint64 claimable_min;	 /* news for applications */
	pg_atomic_uint64 claimable_wake; /* of that before this wake us */
} DatabaseSlot;

typedef struct RoleSlot
{
	Oid database;
	Oid role; /* InvalidOid = free */
	int database_slot;
	Mark mark;
	pg_atomic_uint64 next_due;	  /* the next one that the last scan saw */
	pg_atomic_uint64 wake_before; /* news of this time wakes the waker */
	pg_atomic_uint32 waker;
	pg_atomic_uint32 help_wanted; /* its executors are busy for long */
	pg_atomic_uint32 deaths;	  /* executors that ended in a handler */
	pg_atomic_uint32 failed_starts;
	pg_atomic_uint32 nexecutors;
} RoleSlot;

/* A role with commands for applications. */
typedef struct LeaseSlot
{
	Oid database;
	Oid role; /* InvalidOid = free */
	Mark mark;
} LeaseSlot;

typedef struct ExecutorSlot
{
	ExecutorState state;
	uint32 reservation; /* grows each time the slot is reserved */
	Oid database;
	Oid role;
	int role_slot;
	int pid;
	Latch *latch;
	TimestampTz since;
	pg_atomic_uint32 leave;
	pg_atomic_uint32 nudged;
	pg_atomic_uint64 commands_run;
	slock_t id_lock; /* for what is being run */
	TimestampTz due_at;
	TimestampTz command_since;
	uint8 id_len;
	uint8 type_len;
	char id[CMDSCHED_MAX_NAME];
	char type[CMDSCHED_MAX_NAME];
} ExecutorSlot;

typedef struct SharedState
{
	LWLock slots_lock;
	int tranche;
	bool preloaded;
	int launcher_pid;
	Latch *launcher_latch;
	TimestampTz launcher_since;
	DatabaseSlot databases[MAX_DATABASES];
	RoleSlot roles[MAX_ROLES];
	LeaseSlot leases[MAX_LEASE_ROLES];
	ExecutorSlot executors[CMDSCHED_MAX_EXECUTORS];
} SharedState;

extern SharedState *cmdsched_shared;

/* Before anybody else sees it */
extern void cmdsched_databases_initialize(SharedState *state);
extern void cmdsched_roles_initialize(SharedState *state);
extern void cmdsched_leases_initialize(SharedState *state);
extern void cmdsched_executors_initialize(SharedState *state);

/* For those who hold slots_lock */
extern int cmdsched_database_find_locked(Oid database);
extern void cmdsched_leases_forget_locked(Oid database);

#endif
