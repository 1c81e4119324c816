/*-------------------------------------------------------------------------
 *
 * schedule_id.c
 *	  Generates schedule ids: ULIDs, so that ids sort by when they were made.
 *
 * A ULID is 48 bits of Unix time in milliseconds and 80 random bits, written
 * as 26 characters of Crockford's base 32 (github.com/ulid/spec).  Within
 * one millisecond a session counts up from its random start: the ids of
 * one statement stay in order, and random bits are drawn once a millisecond.
 *
 * IDENTIFICATION
 *	  src/command/schedule_id.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "command/schedule_id.h"
#include "compat.h"

#define RANDOM_BYTES 10

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static uint64 last_ms = 0;
static uint8 entropy[RANDOM_BYTES];

static void
draw_entropy(void)
{
	if (!pg_strong_random(entropy, RANDOM_BYTES))
		ereport(ERROR,
				errcode(ERRCODE_INTERNAL_ERROR),
				errmsg("could not generate a random schedule_id"),
				errhint("Try again."));
	/* Room to count up: the top bit stays free. */
	entropy[0] &= 0x7f;
}

static void
increment_entropy(void)
{
	for (int i = RANDOM_BYTES - 1; i >= 0; i--)
	{
		if (++entropy[i] != 0)
			break;
	}
}

/* Five bits a character, the most significant first. */
static void
write_base32(char *target, int nchars, uint64 bits)
{
	for (int i = nchars - 1; i >= 0; i--)
	{
		target[i] = alphabet[bits & 31];
		bits >>= 5;
	}
}

text *
cmdsched_schedule_id_generate(TimestampTz now)
{
	text *id = palloc(VARHDRSZ + CMDSCHED_ULID_LENGTH);
	char *chars = VARDATA(id);
	uint64 high = 0;
	uint64 low = 0;
	int64 unix_us =
		now + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	uint64 ms = (uint64) Max(unix_us / 1000, 0);

	/* A clock that steps back must not undo the order. */
	if (ms > last_ms)
	{
		draw_entropy();
		last_ms = ms;
	}
	else
		increment_entropy();

	for (int i = 0; i < RANDOM_BYTES / 2; i++)
	{
		high = (high << 8) | entropy[i];
		low = (low << 8) | entropy[i + RANDOM_BYTES / 2];
	}
	SET_VARSIZE(id, VARHDRSZ + CMDSCHED_ULID_LENGTH);
	write_base32(chars, 10, last_ms & UINT64CONST(0xffffffffffff));
	write_base32(chars + 10, 8, high);
	write_base32(chars + 18, 8, low);
	return id;
}
