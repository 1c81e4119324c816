/*-------------------------------------------------------------------------
 *
 * journal.c
 *	  Which command crashed the server?
 *
 * Every executor keeps the id of what it runs in a small file that is mapped
 * into memory: one store a command, and it outlives the process.  When the
 * shared memory is made anew after a crash, judge() reads it.  An executor
 * that was merely ended with all the others, by the postmaster's SIGQUIT, has
 * said so there.  One that has not, died by itself, and what it ran is a
 * suspect.
 *
 * A suspect is run again with nothing else running on the server: its trial,
 * with which a new server begins.
 * If the server crashes once more, it is convicted, and held instead of run.
 * If not, the case is closed.  The others do not wait longer than
 * CMDSCHED_TRIAL_US for a trial; a suspect that takes longer is convicted by
 * its third crash.
 *
 * The file is in the one folder that base backups leave out: what ran on the
 * primary says nothing about a copy.
 *
 * IDENTIFICATION
 *	  src/worker/journal.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "worker/journal.h"
#include "worker/shared_state.h"

#define JOURNAL_FILE "pg_stat_tmp/cmdsched.journal"
#define JOURNAL_MAGIC 0x434a0001 /* the last digits are the format's */

#define MAX_SUSPECTS 256

/* Convicted by that many crashes even if it was never alone. */
#define MAX_CRASHES 3

/* It was cancelled, it seems, or its role or database is gone. */
#define MAX_STARTS 10

#define NO_TRIAL 0 /* else an executor slot plus one */

/* What one executor runs. */
typedef struct RunningCommand
{
	volatile uint32 id_len; /* 0 = nothing; written last */
	Oid database;
	Oid role;
	uint32 committing; /* a batch of that many */
	bool alone;
	bool was_told_to_quit;
	char id[CMDSCHED_MAX_NAME];
} RunningCommand;

/* One command, or with id_len 0 the next so many of a role. */
typedef struct Suspect
{
	pg_atomic_uint32 ncommands; /* 0 = free */
	Oid database;
	Oid role;
	uint32 crashes;
	uint32 starts; /* of the server since the last crash */
	bool convicted;
	uint32 id_len;
	char id[CMDSCHED_MAX_NAME];
} Suspect;

typedef struct Journal
{
	uint32 magic;
	uint32 size;
	int32 postmaster_pid;
	pg_atomic_uint32 nsuspects;
	pg_atomic_uint32 trial;
	pg_atomic_uint64 trial_ends_at;
	TimestampTz others_begin_at;
	pg_atomic_uint32 in_batch[CMDSCHED_MAX_EXECUTORS];
	RunningCommand running[CMDSCHED_MAX_EXECUTORS];
	Suspect suspects[MAX_SUSPECTS];
} Journal;

/* NULL where it cannot be had: then nobody is blamed. */
static Journal *journal = NULL;

/* ------------------------------------------------------------------------
 * The file
 * ------------------------------------------------------------------------
 */

/* Written out, as a hole that the disk has no room for would be a SIGBUS. */
static bool
fill_file(int file)
{
	static const char zeros[1024] = {0};
	Size left = sizeof(Journal);

	if (ftruncate(file, 0) != 0 || lseek(file, 0, SEEK_SET) != 0)
		return false;
	while (left > 0)
	{
		Size chunk = Min(left, sizeof(zeros));

		if (write(file, zeros, chunk) != (ssize_t) chunk)
			return false;
		left -= chunk;
	}
	return true;
}

static Journal *
map_file(int file)
{
	void *mapping;

	if (lseek(file, 0, SEEK_END) != (off_t) sizeof(Journal) &&
		!fill_file(file))
		return NULL;
	mapping = mmap(NULL,
				   sizeof(Journal),
				   PROT_READ | PROT_WRITE,
				   MAP_SHARED,
				   file,
				   0);
	return mapping == MAP_FAILED ? NULL : mapping;
}

static void
open_journal(void)
{
	int file = BasicOpenFile(JOURNAL_FILE, O_RDWR | O_CREAT | PG_BINARY);

	if (file >= 0)
	{
		journal = map_file(file);
		close(file);
	}
	if (journal == NULL)
		ereport(LOG,
				errcode_for_file_access(),
				errmsg("could not map file \"%s\": %m", JOURNAL_FILE),
				errhint("Until the next restart, a handler that crashes the "
						"server is run again after each crash."));
}

/* Any process: the file is there since judge(). */
static bool
attach(void)
{
	static bool tried = false;

	if (journal == NULL && !tried)
	{
		tried = true;
		open_journal();
		if (journal != NULL && journal->magic != JOURNAL_MAGIC)
			journal = NULL;
	}
	return journal != NULL;
}

/* ------------------------------------------------------------------------
 * After a crash
 * ------------------------------------------------------------------------
 */

static Suspect *
find_suspect(Oid database, Oid role, const char *id, uint32 id_len)
{
	for (int i = 0; i < MAX_SUSPECTS; i++)
	{
		Suspect *suspect = &journal->suspects[i];

		if (pg_atomic_read_u32(&suspect->ncommands) > 0 &&
			suspect->database == database && suspect->role == role &&
			suspect->id_len == id_len && memcmp(suspect->id, id, id_len) == 0)
			return suspect;
	}
	return NULL;
}

static Suspect *
add_suspect(const RunningCommand *running, uint32 id_len, uint32 ncommands)
{
	for (int i = 0; i < MAX_SUSPECTS; i++)
	{
		Suspect *suspect = &journal->suspects[i];

		if (pg_atomic_read_u32(&suspect->ncommands) > 0)
			continue;
		memset(suspect, 0, sizeof(Suspect));
		suspect->database = running->database;
		suspect->role = running->role;
		suspect->id_len = id_len;
		memcpy(suspect->id, running->id, id_len);
		pg_atomic_init_u32(&suspect->ncommands, ncommands);
		return suspect;
	}
	return NULL;
}

/* Its executor died by itself.  Is the crash known to be its own? */
static void
accuse(const RunningCommand *running, bool same_postmaster)
{
	/* Which one of a batch it was, a commit cannot say. */
	bool whole_batch = running->committing > 1;
	uint32 id_len = whole_batch ? 0 : Min(running->id_len, CMDSCHED_MAX_NAME);
	Suspect *suspect =
		find_suspect(running->database, running->role, running->id, id_len);
	Suspect *batch;

	if (suspect == NULL)
		suspect = add_suspect(running,
							  id_len,
							  whole_batch ? running->committing : 1);
	if (suspect == NULL)
		return;
	suspect->crashes++;
	suspect->starts = 0;
	if (whole_batch)
		return;
	/* Found: it was perhaps one of a batch. */
	batch = find_suspect(running->database, running->role, "", 0);
	if (batch != NULL)
		pg_atomic_fetch_sub_u32(&batch->ncommands, 1);
	suspect->convicted =
		(running->alone && same_postmaster) || suspect->crashes >= MAX_CRASHES;
	ereport(LOG,
			errmsg("command \"%.*s\" was running when the server crashed",
				   (int) id_len,
				   running->id),
			suspect->convicted
				? errdetail("It will be held.")
				: errdetail("It will be run with nothing else running."));
}

/*
 * The server begins, or begins anew: nothing runs, and whoever says it does
 * died with it.  Called once, while the shared memory is made.
 */
void
cmdsched_journal_judge(void)
{
	uint32 nsuspects = 0;

	if (journal == NULL)
		open_journal();
	if (journal == NULL)
		return;
	if (journal->magic != JOURNAL_MAGIC || journal->size != sizeof(Journal))
	{
		memset(journal, 0, sizeof(Journal));
		journal->magic = JOURNAL_MAGIC;
		journal->size = sizeof(Journal);
	}
	for (int i = 0; i < CMDSCHED_MAX_EXECUTORS; i++)
	{
		RunningCommand *running = &journal->running[i];

		if (running->id_len > 0 && !running->was_told_to_quit)
			accuse(running, journal->postmaster_pid == PostmasterPid);
		memset(running, 0, sizeof(RunningCommand));
		pg_atomic_init_u32(&journal->in_batch[i], 0);
	}
	journal->others_begin_at = 0;
	for (int i = 0; i < MAX_SUSPECTS; i++)
	{
		Suspect *suspect = &journal->suspects[i];

		if (++suspect->starts > MAX_STARTS)
			pg_atomic_write_u32(&suspect->ncommands, 0);
		if (pg_atomic_read_u32(&suspect->ncommands) == 0)
			continue;
		nsuspects++;
		if (suspect->starts == 1)
			journal->others_begin_at =
				GetCurrentTimestamp() + CMDSCHED_TRIAL_US;
	}
	pg_atomic_init_u32(&journal->nsuspects, nsuspects);
	pg_atomic_init_u32(&journal->trial, NO_TRIAL);
	pg_atomic_init_u64(&journal->trial_ends_at, 0);
	journal->postmaster_pid = PostmasterPid;
}

/* ------------------------------------------------------------------------
 * What an executor does just now
 * ------------------------------------------------------------------------
 */

void
cmdsched_journal_show(int slot, const Command *command, bool alone)
{
	RunningCommand *running;
	uint32 id_len;

	if (!attach())
		return;
	running = &journal->running[slot];
	id_len = Min(VARSIZE_ANY_EXHDR(command->schedule_id), CMDSCHED_MAX_NAME);
	running->id_len = 0;
	pg_compiler_barrier();
	running->database = MyDatabaseId;
	running->role = command->scheduled_by;
	running->alone = alone;
	running->committing = 0;
	memcpy(running->id, VARDATA_ANY(command->schedule_id), id_len);
	pg_compiler_barrier();
	running->id_len = id_len;
}

/* Deferred triggers of any of them may run now. */
void
cmdsched_journal_show_commit(int slot, int ncommands)
{
	if (attach())
		journal->running[slot].committing = ncommands;
}

void
cmdsched_journal_clear(int slot)
{
	if (attach())
		journal->running[slot].id_len = 0;
}

/* Called from a signal handler. */
void
cmdsched_journal_note_quit(int slot)
{
	if (journal != NULL)
		journal->running[slot].was_told_to_quit = true;
}

/* ------------------------------------------------------------------------
 * Suspects
 * ------------------------------------------------------------------------
 */

static Suspect *
find_case(Oid role, text *schedule_id)
{
	Suspect *suspect = find_suspect(MyDatabaseId,
									role,
									VARDATA_ANY(schedule_id),
									VARSIZE_ANY_EXHDR(schedule_id));

	return suspect != NULL ? suspect : find_suspect(MyDatabaseId, role, "", 0);
}

/* Free, except for the first seconds after a crash. */
bool
cmdsched_journal_suspects(const Command *command)
{
	return attach() && pg_atomic_read_u32(&journal->nsuspects) > 0 &&
		   find_case(command->scheduled_by, command->schedule_id) != NULL;
}

bool
cmdsched_journal_convicts(Oid role, text *schedule_id)
{
	Suspect *suspect = attach() ? find_case(role, schedule_id) : NULL;

	return suspect != NULL && suspect->convicted;
}

/*
 * The suspects of this database, one after the other; false at the end.
 * Without a schedule_id they are the next commands of the role.
 */
bool
cmdsched_journal_next(int *place, Oid *role, text **schedule_id)
{
	if (!attach() || pg_atomic_read_u32(&journal->nsuspects) == 0)
		return false;
	while (++*place < MAX_SUSPECTS)
	{
		Suspect *suspect = &journal->suspects[*place];

		if (pg_atomic_read_u32(&suspect->ncommands) == 0 ||
			suspect->database != MyDatabaseId)
			continue;
		*role = suspect->role;
		*schedule_id =
			suspect->id_len == 0
				? NULL
				: cstring_to_text_with_len(suspect->id, suspect->id_len);
		return true;
	}
	return false;
}

/* It ran and nothing happened, or it is held now. */
void
cmdsched_journal_close_case(Oid role, text *schedule_id)
{
	Suspect *suspect = attach() ? find_case(role, schedule_id) : NULL;
	uint32 ncommands;

	if (suspect == NULL)
		return;
	ncommands = pg_atomic_read_u32(&suspect->ncommands);
	while (ncommands > 0 &&
		   !pg_atomic_compare_exchange_u32(&suspect->ncommands,
										   &ncommands,
										   ncommands - 1))
		;
	if (ncommands == 1)
		pg_atomic_fetch_sub_u32(&journal->nsuspects, 1);
}

/* Nothing of the sort is there any more. */
void
cmdsched_journal_drop_case(int place)
{
	Suspect *suspect = &journal->suspects[place];

	if (pg_atomic_exchange_u32(&suspect->ncommands, 0) > 0)
		pg_atomic_fetch_sub_u32(&journal->nsuspects, 1);
}

/* ------------------------------------------------------------------------
 * The trial
 * ------------------------------------------------------------------------
 */

/* The others have waited long enough: they go on, and it is not alone. */
static void
end_trial_if_too_long(uint32 holder, TimestampTz now)
{
	if (now < (TimestampTz) pg_atomic_read_u64(&journal->trial_ends_at))
		return;
	journal->running[holder - 1].alone = false;
	(void) pg_atomic_compare_exchange_u32(&journal->trial, &holder, NO_TRIAL);
}

static bool
is_held_back(int slot, TimestampTz now)
{
	uint32 holder = pg_atomic_read_u32(&journal->trial);

	if (holder == NO_TRIAL || holder == (uint32) slot + 1)
		return false;
	end_trial_if_too_long(holder, now);
	return pg_atomic_read_u32(&journal->trial) != NO_TRIAL;
}

/* The server has just begun, and there are suspects: the others wait. */
bool
cmdsched_trial_comes_first(TimestampTz now)
{
	return attach() && now < journal->others_begin_at &&
		   now >= journal->others_begin_at - CMDSCHED_TRIAL_US &&
		   pg_atomic_read_u32(&journal->nsuspects) > 0;
}

/* May I run commands?  If so, a trial waits until I leave. */
bool
cmdsched_trial_enter_batch(int slot, TimestampTz now)
{
	if (!attach())
		return true;
	pg_atomic_write_u32(&journal->in_batch[slot], 1);
	pg_memory_barrier();
	if (!is_held_back(slot, now))
		return true;
	pg_atomic_write_u32(&journal->in_batch[slot], 0);
	return false;
}

void
cmdsched_trial_leave_batch(int slot)
{
	if (attach())
		pg_atomic_write_u32(&journal->in_batch[slot], 0);
}

/* From now on nobody else begins.  False while another trial goes on. */
bool
cmdsched_trial_open(int slot, TimestampTz now)
{
	uint32 holder = NO_TRIAL;

	if (is_held_back(slot, now))
		return false;
	pg_atomic_write_u64(&journal->trial_ends_at,
						(uint64) (now + CMDSCHED_TRIAL_US));
	return pg_atomic_compare_exchange_u32(&journal->trial,
										  &holder,
										  (uint32) slot + 1);
}

bool
cmdsched_trial_others_run(int slot)
{
	for (int i = 0; i < CMDSCHED_MAX_EXECUTORS; i++)
	{
		if (i != slot && pg_atomic_read_u32(&journal->in_batch[i]) != 0)
			return true;
	}
	return false;
}

void
cmdsched_trial_close(int slot)
{
	uint32 holder = (uint32) slot + 1;

	if (attach())
		(void) pg_atomic_compare_exchange_u32(&journal->trial,
											  &holder,
											  NO_TRIAL);
}
