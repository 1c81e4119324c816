/*-------------------------------------------------------------------------
 *
 * journal.h
 *	  Which command crashed the server?
 *
 * IDENTIFICATION
 *	  src/worker/journal.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_JOURNAL_H
#define CMDSCHED_JOURNAL_H

#include "command/command.h"

/* For so long all others wait for a suspect. */
#define CMDSCHED_TRIAL_US (10 * USECS_PER_SEC)

extern void cmdsched_journal_judge(void);

/* What an executor does just now */
extern void cmdsched_journal_show(int slot, const Command *command,
								  bool alone);
extern void cmdsched_journal_show_commit(int slot, int ncommands);
extern void cmdsched_journal_clear(int slot);
extern void cmdsched_journal_note_quit(int slot);

/* Suspects */
extern bool cmdsched_journal_suspects(const Command *command);
extern bool cmdsched_journal_convicts(Oid role, text *schedule_id);
#define FIRST_SUSPECT (-1)
extern bool cmdsched_journal_next(int *place, Oid *role, text **schedule_id);
extern void cmdsched_journal_close_case(Oid role, text *schedule_id);
extern void cmdsched_journal_drop_case(int place);

/* The trial: a suspect runs while nobody else does */
extern bool cmdsched_trial_enter_batch(int slot, TimestampTz now);
extern void cmdsched_trial_leave_batch(int slot);
extern bool cmdsched_trial_comes_first(TimestampTz now);
extern bool cmdsched_trial_open(int slot, TimestampTz now);
extern bool cmdsched_trial_others_run(int slot);
extern void cmdsched_trial_close(int slot);

#endif
