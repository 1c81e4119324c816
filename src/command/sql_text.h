/*-------------------------------------------------------------------------
 *
 * sql_text.h
 *	  Runs a text of SQL, for cmdsched.run_sql().
 *
 * IDENTIFICATION
 *	  src/command/sql_text.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_SQL_TEXT_H
#define CMDSCHED_SQL_TEXT_H

extern NullableDatum cmdsched_sql_text_run(Datum command_data,
										   bool is_top_level);

#endif
