/*-------------------------------------------------------------------------
 *
 * succession.c
 *	  Which occurrence of a recurring schedule follows one that has ended.
 *
 * Occurrences are instants of a recurrence; between one that ended and now
 * there may be many.  Those that came due while nobody could run them were
 * missed, and catch_up says what becomes of them; those that came due while
 * the one before was running overlap it, and overlap says so.  However long
 * that was, only a bounded number of instants is looked at.
 *
 * IDENTIFICATION
 *	  src/schedule/succession.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "schedule/succession.h"

/* One that begins so late was missed: a busy server is that late at times. */
#define MISSED_AFTER_US (60 * USECS_PER_SEC)

/* Skipped ones are counted up to that; more are not told apart. */
#define MAX_COUNTED 10000

/* The first occurrence after a moment; false where there is none. */
bool
cmdsched_succession_first(const SuccessionRules *rules, TimestampTz after,
						  TimestampTz *at)
{
	return cmdsched_recurrence_next(rules->recurrence, after, at) &&
		   *at <= rules->ends_at;
}

/* How many occurrences are in (after, until]?  Counts no further than max. */
static int64
count_occurrences(const SuccessionRules *rules, TimestampTz after,
				  TimestampTz until, int64 max)
{
	TimestampTz at = after;
	int64 n = 0;

	while (n < max && cmdsched_succession_first(rules, at, &at) && at <= until)
		n++;
	return n;
}

/* The last occurrence in (after, until], of which there is at least one. */
static TimestampTz
find_last(const SuccessionRules *rules, TimestampTz after, TimestampTz until)
{
	TimestampTz at;

	/* One follows "after" by "until", and none follows "until" by then. */
	while (until - after > 1)
	{
		TimestampTz middle = after + (until - after) / 2;

		if (cmdsched_succession_first(rules, middle, &at) && at <= until)
			after = middle;
		else
			until = middle;
	}
	return until;
}

/*
 * The first of the occurrences in (after, until] that are kept: the latest,
 * at most so many.  False where there are none.
 */
static bool
find_first_kept(const SuccessionRules *rules, TimestampTz after,
				TimestampTz until, int limit, TimestampTz *at)
{
	if (!cmdsched_succession_first(rules, after, at) || *at > until)
		return false;
	if (count_occurrences(rules, after, until, (int64) limit + 1) <= limit)
		return true;
	for (int i = 0; i < limit; i++)
	{
		*at = find_last(rules, after, until);
		until = *at - 1;
	}
	return true;
}

/* Is it too late for an occurrence to be begun as if nothing had been? */
bool
cmdsched_succession_is_missed(TimestampTz due_at, TimestampTz now)
{
	return now > due_at && now - due_at > MISSED_AFTER_US;
}

static void
note_skipped(const SuccessionRules *rules, TimestampTz from,
			 Successor *successor)
{
	successor->nskipped =
		successor->exists
			? count_occurrences(rules, from, successor->at - 1, MAX_COUNTED)
			: 0;
}

/* All up to a moment are over: on with the first one after it. */
static void
go_beyond(const SuccessionRules *rules, TimestampTz from, TimestampTz until,
		  Successor *successor)
{
	until = Max(from, until);
	successor->exists =
		cmdsched_succession_first(rules, until, &successor->at);
	successor->nskipped = count_occurrences(rules, from, until, MAX_COUNTED);
}

/*
 * An occurrence was missed.  Is it to be dropped, and what is run instead?
 * Otherwise it is run, late.
 */
bool
cmdsched_succession_supersedes(const SuccessionRules *rules,
							   TimestampTz missed, TimestampTz now,
							   Successor *successor)
{
	int limit = rules->catch_up == CATCH_UP_LAST ? 1 : rules->catch_up_limit;

	if (rules->catch_up == CATCH_UP_NONE)
		go_beyond(rules, missed, now, successor);
	else if (count_occurrences(rules, missed, now, limit) < limit)
		return false;
	else
	{
		successor->exists =
			find_first_kept(rules, missed, now, limit, &successor->at);
		note_skipped(rules, missed, successor);
	}
	successor->nskipped++;
	return true;
}

/* An occurrence has ended, one way or the other: which one follows? */
void
cmdsched_succession_next(const SuccessionRules *rules,
						 const PastOccurrence *past, Successor *successor)
{
	TimestampTz kept_until = DT_NOBEGIN;

	if (rules->overlap == OVERLAP_QUEUE)
		kept_until = past->ended_at;
	else if (rules->catch_up == CATCH_UP_ALL)
		kept_until = past->missed_until;
	successor->exists =
		kept_until > past->at && find_first_kept(rules,
												 past->at,
												 kept_until,
												 rules->catch_up_limit,
												 &successor->at);
	if (successor->exists)
		note_skipped(rules, past->at, successor);
	else
		go_beyond(rules, past->at, past->ended_at, successor);
}
