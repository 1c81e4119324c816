/*-------------------------------------------------------------------------
 *
 * occurrence_id.c
 *	  The schedule ids of occurrences of a recurring schedule.
 *
 * They say of which schedule and for which instant: so an occurrence cannot
 * be there twice.  schedule() refuses ids that look like one.
 *
 * IDENTIFICATION
 *	  src/command/occurrence_id.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "command/occurrence_id.h"
#include "compat.h"

/* As in nightly@2026-03-01T09:00:00Z. */
text *
cmdsched_occurrence_id_make(text *name, TimestampTz at)
{
	char moment[MAXDATELEN + 1];
	struct pg_tm tm;
	fsec_t fsec;

	if (timestamp2tm(at, NULL, &tm, &fsec, NULL, NULL) != 0)
		ereport(ERROR,
				errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				errmsg("timestamp out of range"),
				errhint("Let the recurring schedule end earlier."));
	EncodeDateTime(&tm, fsec, false, 0, NULL, USE_XSD_DATES, moment);
	return cstring_to_text(psprintf("%s@%sZ", text_to_cstring(name), moment));
}

/*
 * The name of the recurring schedule, where an id may be that of an
 * occurrence; NULL where it cannot.
 */
text *
cmdsched_occurrence_id_schedule(const text *schedule_id)
{
	const char *chars = VARDATA_ANY(schedule_id);
	int length = VARSIZE_ANY_EXHDR(schedule_id);
	int at = length - 2;
	bool has_time = false;

	if (length < 3 || chars[length - 1] != 'Z')
		return NULL;
	while (at > 0 && chars[at] != '@')
	{
		if (chars[at] == 'T')
			has_time = true;
		else if (strchr("0123456789-:.", chars[at]) == NULL)
			return NULL;
		at--;
	}
	if (at <= 0 || !has_time)
		return NULL;
	return cstring_to_text_with_len(chars, at);
}
