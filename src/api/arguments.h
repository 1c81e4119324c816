/*-------------------------------------------------------------------------
 *
 * arguments.h
 *	  What SQL-callable functions ask of their arguments.
 *
 * IDENTIFICATION
 *	  src/api/arguments.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_ARGUMENTS_H
#define CMDSCHED_ARGUMENTS_H

#include "datatype/timestamp.h"
#include "fmgr.h"

/* n is the place of the argument, name what the message calls it. */
extern void cmdsched_argument_check_not_null(FunctionCallInfo fcinfo, int n,
											 const char *name);
extern void cmdsched_argument_check_length(text *value, const char *name,
										   bool may_be_empty);
extern void cmdsched_argument_check_size(Datum value, const char *name);
extern void cmdsched_argument_check_span(const Interval *span,
										 const char *name);
extern text *cmdsched_argument_get_name(FunctionCallInfo fcinfo, int n,
										const char *name, bool may_be_empty);
extern TimestampTz cmdsched_argument_get_moment(FunctionCallInfo fcinfo, int n,
												const char *name);
extern Interval *cmdsched_argument_get_span(FunctionCallInfo fcinfo, int n,
											const char *name);
extern TimestampTz cmdsched_argument_add_span(TimestampTz at,
											  const Interval *span);
extern void cmdsched_argument_prevent_on_standby(const char *function_name);

#endif
