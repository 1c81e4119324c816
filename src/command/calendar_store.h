/*-------------------------------------------------------------------------
 *
 * calendar_store.h
 *	  The rows of business calendars, and the value that they make.
 *
 * IDENTIFICATION
 *	  src/command/calendar_store.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_CALENDAR_STORE_H
#define CMDSCHED_CALENDAR_STORE_H

#include "schedule/calendar.h"

extern void cmdsched_calendar_create(text *name, text *zone);
extern bool cmdsched_calendar_drop(text *name);
extern void cmdsched_calendar_set_hours(text *name, int weekdays, text *hours);
extern void cmdsched_calendar_add_exception(text *name, DateADT first_day,
											DateADT last_day, text *hours);
extern bool cmdsched_calendar_remove_exception(text *name, DateADT first_day,
											   DateADT last_day);
extern TimestampTz cmdsched_calendar_find_open(text *name, TimestampTz at);
extern bool cmdsched_calendar_try_open(text *name, TimestampTz at,
									   TimestampTz *open_at);
extern TimestampTz cmdsched_calendar_find_done(text *name, TimestampTz at,
											   int64 amount_us);
extern void cmdsched_calendar_take_from_strangers(void);
extern void cmdsched_calendar_give_to_namesakes(void);

#endif
