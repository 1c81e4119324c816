/*-------------------------------------------------------------------------
 *
 * arguments.c
 *	  What SQL-callable functions ask of their arguments.
 *
 * IDENTIFICATION
 *	  src/api/arguments.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "api/arguments.h"
#include "command/command.h"
#include "compat.h"
#include "settings.h"

void
cmdsched_argument_check_not_null(FunctionCallInfo fcinfo, int n,
								 const char *name)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				errmsg("%s must not be null", name),
				errhint("Give it a value, or leave the argument out where it "
						"has a default."));
}

void
cmdsched_argument_check_length(text *value, const char *name,
							   bool may_be_empty)
{
	Size length = VARSIZE_ANY_EXHDR(value);

	if (length > CMDSCHED_MAX_NAME || (length == 0 && !may_be_empty))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				length == 0 ? errmsg("%s must not be empty", name)
							: errmsg("%s is too long", name),
				errhint("It may have up to %d bytes.", CMDSCHED_MAX_NAME));
}

text *
cmdsched_argument_get_name(FunctionCallInfo fcinfo, int n, const char *name,
						   bool may_be_empty)
{
	text *value;

	cmdsched_argument_check_not_null(fcinfo, n, name);
	value = PG_GETARG_TEXT_PP(n);
	cmdsched_argument_check_length(value, name, may_be_empty);
	return value;
}

void
cmdsched_argument_check_size(Datum value, const char *name)
{
	Size size = toast_raw_datum_size(value) - VARHDRSZ;
	Size limit = (Size) cmdsched_max_command_size * 1024;

	if (size > limit)
		ereport(ERROR,
				errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				errmsg("%s has %zu bytes, more than the %zu allowed",
					   name,
					   size,
					   limit),
				errhint("Store the data in a table and schedule its key, or "
						"raise cmdsched.max_command_size."));
}

TimestampTz
cmdsched_argument_get_moment(FunctionCallInfo fcinfo, int n, const char *name)
{
	TimestampTz at;

	cmdsched_argument_check_not_null(fcinfo, n, name);
	at = PG_GETARG_TIMESTAMPTZ(n);
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s must be finite", name),
				errhint("Use now() for a command that is to run at once."));
	return at;
}

void
cmdsched_argument_check_span(const Interval *span, const char *name)
{
	Interval zero = {0};

	if (INTERVAL_NOT_FINITE(span) ||
		DatumGetInt32(DirectFunctionCall2(interval_cmp,
										  IntervalPGetDatum(span),
										  IntervalPGetDatum(&zero))) < 0)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("%s must be a finite interval and not negative", name),
				errhint("A command that is to run at once has the interval "
						"'0'."));
}

Interval *
cmdsched_argument_get_span(FunctionCallInfo fcinfo, int n, const char *name)
{
	Interval *span;

	cmdsched_argument_check_not_null(fcinfo, n, name);
	span = PG_GETARG_INTERVAL_P(n);
	cmdsched_argument_check_span(span, name);
	return span;
}

/* In the session's time zone: '1 day' may have 23 or 25 hours. */
TimestampTz
cmdsched_argument_add_span(TimestampTz at, const Interval *span)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(at),
												   IntervalPGetDatum(span)));
}

void
cmdsched_argument_prevent_on_standby(const char *function_name)
{
	PreventCommandIfReadOnly(function_name);
	PreventCommandIfParallelMode(function_name);
}
