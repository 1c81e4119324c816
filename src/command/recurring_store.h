/*-------------------------------------------------------------------------
 *
 * recurring_store.h
 *	  The rows of cmdsched.recurring.
 *
 * IDENTIFICATION
 *	  src/command/recurring_store.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_RECURRING_STORE_H
#define CMDSCHED_RECURRING_STORE_H

#include "utils/timestamp.h"

#include "command/command_store.h"

/* A longer one would leave no room for the instant in a schedule_id. */
#define CMDSCHED_MAX_RECURRING_NAME 200

/* No limit of max_runs. */
#define RUNS_WITHOUT_END PG_INT64_MAX

/* A moment that has not been. */
#define NEVER_YET DT_NOBEGIN

typedef struct RecurringKey
{
	text *name;
	Oid scheduled_by;
} RecurringKey;

/* One row of cmdsched.recurring. */
typedef struct RecurringSchedule
{
	RecurringKey key;
	char *scheduled_by_name;
	text *cron;		 /* NULL: every was given as an interval */
	Interval *every; /* NULL: cron says when; or what cron means */
	text *timezone;
	text *command_type;
	text *command_module;
	Datum command_data;
	Datum metadata;
	bool has_metadata;
	text *dst_gap;
	text *dst_overlap;
	text *catch_up;
	int catch_up_limit;
	text *overlap;
	Interval *spread;
	TimestampTz starts_at;
	TimestampTz ends_at;
	int64 max_runs;
	TimestampTz created_at;
	text *status;
	text *reason;			/* NULL unless it is held */
	text *next_schedule_id; /* NULL: there is no next occurrence */
	TimestampTz next_at;	/* where there is one */
	int64 runs;
	TimestampTz last_run_at; /* or NEVER_YET */
	text *last_outcome;		 /* NULL: see there */
	int64 skipped;
	TimestampTz last_skipped_at; /* or NEVER_YET */
	text *calendar;				 /* NULL = none */
} RecurringSchedule;

typedef enum RecurringLock
{
	RECURRING_LOCKED,
	RECURRING_BUSY, /* somebody else has it */
	RECURRING_GONE,
} RecurringLock;

extern void cmdsched_recurring_lock_name(const RecurringKey *key);
extern bool cmdsched_recurring_find(text *name, Oid caller, RecurringKey *key);
extern bool cmdsched_recurring_read(const RecurringKey *key,
									RecurringSchedule *schedule);
extern RecurringLock cmdsched_recurring_take(const RecurringKey *key,
											 RecurringSchedule *schedule);
extern void cmdsched_recurring_write(const RecurringSchedule *schedule);
extern void cmdsched_recurring_delete(const RecurringKey *key);

#endif
