/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  What differs between the server versions, from 15 to 18.
 *
 * The only file that asks for the version.  Old servers are given the new
 * names, so that the rest reads as if there were one version.
 *
 * IDENTIFICATION
 *	  src/compat.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_COMPAT_H
#define CMDSCHED_COMPAT_H

#include "access/genam.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
#include "catalog/pg_proc.h"
#include "postmaster/bgworker.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 16 replaced the pg_xxx_aclcheck() family by one function. */
#if PG_VERSION_NUM < 160000
static inline AclResult
object_aclcheck(Oid classid, Oid objectid, Oid roleid, AclMode mode)
{
	if (classid == ProcedureRelationId)
		return pg_proc_aclcheck(objectid, roleid, mode);
	Assert(classid == DatabaseRelationId);
	return pg_database_aclcheck(objectid, roleid, mode);
}
#endif

/* 16 says which indexes need an entry, not only whether they do. */
static inline TM_Result
cmdsched_table_tuple_update(Relation table, ItemPointer tid,
							TupleTableSlot *slot, CommandId cid,
							Snapshot snapshot, bool wait, bool *needs_entries)
{
	TM_FailureData failure;
	LockTupleMode lock_mode;
	TM_Result result;
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes indexes = TU_None;
#else
	bool indexes = false;
#endif

	result = table_tuple_update(table,
								tid,
								slot,
								cid,
								snapshot,
								InvalidSnapshot,
								wait,
								&failure,
								&lock_mode,
								&indexes);
#if PG_VERSION_NUM >= 160000
	*needs_entries = indexes == TU_All;
#else
	*needs_entries = indexes;
#endif
	return result;
}

/* 16 has another name for this. */
#if PG_VERSION_NUM < 160000
#define pgstat_get_local_beentry_by_index(i) pgstat_fetch_stat_local_beentry(i)
#endif

/* 17 lets a worker connect as a role that may not log in. */
#if PG_VERSION_NUM >= 170000
#define CMDSCHED_CAN_BYPASS_ROLELOGINCHECK true
#else
#define CMDSCHED_CAN_BYPASS_ROLELOGINCHECK false
#define BGWORKER_BYPASS_ROLELOGINCHECK 0
#endif

/* 17 has infinite intervals. */
#if PG_VERSION_NUM < 170000
#define INTERVAL_NOT_FINITE(interval) false
#endif

/* 17 lets extensions name what they wait for. */
#if PG_VERSION_NUM >= 170000
#define cmdsched_wait_event_new(name) WaitEventExtensionNew(name)
#else
#define cmdsched_wait_event_new(name) PG_WAIT_EXTENSION
#endif

/* 18 writes this in front of a declaration. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 18 wants to be told where an index scan counts its searches. */
#if PG_VERSION_NUM >= 180000
#define cmdsched_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, 0)
#else
#define cmdsched_index_beginscan(heap, index, snapshot, nkeys) \
	index_beginscan(heap, index, snapshot, nkeys, 0)
#endif

/* 18 took the run_once argument away. */
#if PG_VERSION_NUM >= 180000
#define cmdsched_portal_run(portal, is_top_level, dest, qc) \
	PortalRun(portal, FETCH_ALL, is_top_level, dest, dest, qc)
#else
#define cmdsched_portal_run(portal, is_top_level, dest, qc) \
	PortalRun(portal, FETCH_ALL, is_top_level, true, dest, dest, qc)
#endif

#endif
