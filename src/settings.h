/*-------------------------------------------------------------------------
 *
 * settings.h
 *	  The configuration parameters, for those who read them.
 *
 * IDENTIFICATION
 *	  src/settings.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_SETTINGS_H
#define CMDSCHED_SETTINGS_H

extern bool cmdsched_enabled;
extern bool cmdsched_listen;
extern char *cmdsched_databases;
extern int cmdsched_poll_interval; /* s */
extern int cmdsched_max_executors;
extern int cmdsched_batch_size;
extern int cmdsched_batch_time;			   /* ms */
extern int cmdsched_executor_idle_timeout; /* s */
extern int cmdsched_max_command_size;	   /* kB */
extern bool cmdsched_test_clock;
extern int cmdsched_history_retention; /* s, 0 = for ever */
extern int cmdsched_history_max_rows;  /* 0 = all */
extern int cmdsched_max_depth;
extern int cmdsched_max_pending;
extern int cmdsched_hook_timeout; /* ms */
extern int cmdsched_log_min_duration;
extern bool cmdsched_log_error_messages; /* ms, -1 = off */

extern void cmdsched_settings_define(void);
extern bool cmdsched_setting_names_database(const char *database_name);

#endif
