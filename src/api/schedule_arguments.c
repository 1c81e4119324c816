/*-------------------------------------------------------------------------
 *
 * schedule_arguments.c
 *	  The arguments that schedule() and those like it have in common, all but
 *	  the time.
 *
 * IDENTIFICATION
 *	  src/api/schedule_arguments.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "api/arguments.h"
#include "api/schedule_arguments.h"
#include "command/occurrence_id.h"

static OnConflict
get_on_conflict(FunctionCallInfo fcinfo, int n)
{
	char *value;

	cmdsched_argument_check_not_null(fcinfo, n, "on_conflict");
	value = text_to_cstring(PG_GETARG_TEXT_PP(n));
	if (strcmp(value, "keep") == 0)
		return ON_CONFLICT_KEEP;
	if (strcmp(value, "replace") == 0)
		return ON_CONFLICT_REPLACE;
	if (strcmp(value, "error") == 0)
		return ON_CONFLICT_ERROR;
	ereport(ERROR,
			errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			errmsg("invalid value for on_conflict: \"%s\"", value),
			errhint("Available values: keep, replace, error."));
}

static text *
get_own_id(FunctionCallInfo fcinfo, int n)
{
	text *schedule_id =
		cmdsched_argument_get_name(fcinfo, n, "schedule_id", false);

	if (cmdsched_occurrence_id_schedule(schedule_id) != NULL)
		ereport(ERROR,
				errcode(ERRCODE_RESERVED_NAME),
				errmsg("schedule_id \"%s\" is reserved",
					   text_to_cstring(schedule_id)),
				errhint("Ids that end with @, a time and Z are those of "
						"recurring schedules."));
	return schedule_id;
}

/* They are in the same places, the time is the third. */
OnConflict
cmdsched_schedule_arguments_take(FunctionCallInfo fcinfo, Command *command)
{
	command->command_type =
		cmdsched_argument_get_name(fcinfo, 0, "command_type", false);
	cmdsched_argument_check_not_null(fcinfo, 1, "command_data");
	command->command_data = PG_GETARG_DATUM(1);
	cmdsched_argument_check_size(command->command_data, "command_data");
	command->has_metadata = !PG_ARGISNULL(3);
	if (command->has_metadata)
	{
		command->metadata = PG_GETARG_DATUM(3);
		cmdsched_argument_check_size(command->metadata, "metadata");
	}
	if (!PG_ARGISNULL(4))
		command->schedule_id = get_own_id(fcinfo, 4);
	command->command_module =
		cmdsched_argument_get_name(fcinfo, 5, "command_module", true);
	return get_on_conflict(fcinfo, 6);
}
