/*-------------------------------------------------------------------------
 *
 * dispatch.h
 *	  Runs a role's due commands in the current transaction.
 *
 * IDENTIFICATION
 *	  src/worker/dispatch.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_DISPATCH_H
#define CMDSCHED_DISPATCH_H

#include "command/command.h"
#include "command/invoke.h"
#include "worker/attempt.h"

/* Why a dispatch ended with work left. */
typedef enum DispatchEnd
{
	DISPATCH_DRY,		/* nothing more is due */
	DISPATCH_FULL,		/* as many, or as long, as allowed */
	DISPATCH_CROWDED,	/* another executor does it, better alone */
	DISPATCH_PROCEDURE, /* the next one needs transactions of its own */
	DISPATCH_SUSPECT,	/* the next one was running when the server crashed */
} DispatchEnd;

typedef struct Dispatch
{
	/* What to do */
	Oid role;
	InvokeHost host;
	int executor_slot; /* of this process, or NO_SLOT */
	CommandPosition from;
	TimestampTz now;	 /* run what is due by then */
	TimestampTz stop_at; /* take no further command after that */
	int max_commands;	 /* 0 = all */
	int group_size;		 /* commands to a subtransaction; is adapted */
	bool look_twice;	 /* do not set aside yet: see suspect_due */
	bool on_trial;		 /* a suspect may run: see journal.c */
	bool alone;			 /* and nothing else does */
	bool suspects_only;	 /* step over the others, for now */
	void (*before_attempt)(void);

	/* What was done */
	DispatchEnd end;
	int attempts;
	int succeeded;
	CommandPosition cursor;	 /* where the next group begins */
	CommandPosition reached; /* everything before it is dealt with */
	bool jumped;			 /* then reached stays behind cursor */
	bool rolled_back;		 /* claims that others saw were given up */
	TimestampTz next_due;	 /* when dry */
	TimestampTz locked_due;	 /* stepped over, in somebody else's hands */
	TimestampTz suspect_due; /* seems unable to run: look again soon */
	AttemptRecord last;
} Dispatch;

extern void cmdsched_dispatch(Dispatch *dispatch);
extern int cmdsched_dispatch_by_hand(Oid role, int max_commands,
									 TimestampTz now);
extern int cmdsched_dispatch_until(Oid role, TimestampTz until);

#endif
