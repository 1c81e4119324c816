/*-------------------------------------------------------------------------
 *
 * dispatch.c
 *	  Runs a role's due commands in the current transaction: claim, call,
 *	  and see to it that how it ended is recorded (attempt.c).
 *
 * The same code serves a background worker and a session that dispatches by
 * hand.
 *
 * Commands run in groups, each group in one subtransaction: claiming and
 * running one command then costs no subtransaction and no transaction id of
 * its own.  Where a command raises an error, its group is rolled back, its
 * failure is recorded, and the others are run again in a smaller group.
 * Groups shrink with every error and grow again with every success, so that
 * the good path is free and the bad one bounded.
 *
 * IDENTIFICATION
 *	  src/worker/dispatch.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "command/clock.h"
#include "command/command_store.h"
#include "command/handler_store.h"
#include "settings.h"
#include "worker/attempt.h"
#include "worker/dispatch.h"
#include "worker/journal.h"
#include "worker/occurrence.h"
#include "worker/operation.h"
#include "worker/shared_state.h"
#include "worker/wakeup.h"

/* So many rows in another executor's hands are stepped over one by one. */
#define MAX_STEPS 16

#define MAX_GROUP_SIZE 10000

/* More attempts than that, in one move of the clock, are an endless loop. */
#define MAX_ATTEMPTS_OF_A_MOVE 25000

/* One group, while it runs. */
typedef struct CommandGroup
{
	Dispatch *dispatch;
	MemoryContext command_context;
	CommandPosition cursor;
	CommandPosition reached;
	bool jumped;
	bool jump; /* the scan has to begin again at the cursor */
	int steps; /* over rows in another executor's hands */
	int attempts;
	bool complete;		  /* what comes next is for another group */
	bool ended;			  /* dispatch->end says why */
	bool registry_locked; /* handlers are what they seem to be */
	bool set_aside;		  /* under that lock */
	TimestampTz clock;
} CommandGroup;

static void
set_aside(Dispatch *dispatch, const Command *command,
		  const CommandError *error, Handler *handler)
{
	AttemptRecord record;

	cmdsched_attempt_remember(&record, command, handler);
	(void) cmdsched_attempt_hold(&record, error, dispatch->now);
}

/* ------------------------------------------------------------------------
 * Running
 * ------------------------------------------------------------------------
 */

/* The oid may be that of another role: after a restore, for one. */
static bool
is_of_another_role(const Command *command)
{
	static char *name = NULL;
	static Oid role = InvalidOid;
	Oid namesake;

	if (name != NULL && role == command->scheduled_by &&
		strcmp(name, command->scheduled_by_name) == 0)
		return false;

	if (name != NULL)
		pfree(name);
	role = command->scheduled_by;
	name =
		MemoryContextStrdup(TopMemoryContext, GetUserNameFromId(role, false));
	if (strcmp(name, command->scheduled_by_name) == 0)
		return false;
	/* Renamed, if nobody has that name now. */
	namesake = get_role_oid(command->scheduled_by_name, true);
	return OidIsValid(namesake);
}

static bool
is_usable(const Handler *handler)
{
	return handler->problem.sqlerrcode == 0 && !handler->external &&
		   !handler->paused;
}

/*
 * The handler seems unusable.  What we know of it may be old: a registration
 * wakes us before it tells us what it changed, and one that is not committed
 * yet will not see what we hold now.  False where this cannot be settled at
 * the moment.
 */
static bool
look_at_handler_again(CommandGroup *group, const Command *command,
					  Handler **handler)
{
	if (group->registry_locked)
		return true;
	if (!cmdsched_handler_lock_registry())
		return false;
	group->registry_locked = true;
	cmdsched_handler_forget_all();
	*handler =
		cmdsched_handler_find(command->command_type, command->command_module);
	return true;
}

/* Not where something was set aside: they would not see that before commit. */
static void
let_registrations_in(CommandGroup *group)
{
	if (group->set_aside)
		return;
	cmdsched_handler_unlock_registry();
	group->registry_locked = false;
}

/* Set aside what cannot run here.  True if it is not to be run now. */
static bool
cannot_run(CommandGroup *group, const Command *command, Handler **handler)
{
	Dispatch *dispatch = group->dispatch;
	static const CommandError another_role = {
		.sqlerrcode = ERRCODE_UNDEFINED_OBJECT,
		.message = "the role that scheduled this command is another one than "
				   "the role with this OID",
	};
	CommandError error;

	if (is_of_another_role(command))
	{
		set_aside(dispatch, command, &another_role, *handler);
		return true;
	}
	if (is_usable(*handler))
		return false;
	group->clock = GetCurrentTimestamp();
	if (!look_at_handler_again(group, command, handler))
	{
		dispatch->suspect_due = Min(dispatch->suspect_due, command->due_at);
		return true;
	}
	if (dispatch->look_twice || is_usable(*handler))
	{
		let_registrations_in(group);
		if (is_usable(*handler))
			return false;
		dispatch->suspect_due = Min(dispatch->suspect_due, command->due_at);
		return true;
	}
	group->set_aside = true;
	error = (*handler)->problem;
	error.detail = (*handler)->hint;
	set_aside(dispatch,
			  command,
			  error.sqlerrcode != 0 ? &error : NULL,
			  *handler);
	return true;
}

/* Has a slow command to wait for those before it to be committed? */
static bool
ends_batch(CommandGroup *group, const Handler *handler)
{
	Dispatch *dispatch = group->dispatch;

	if (dispatch->host != INVOKE_IN_EXECUTOR ||
		group->attempts + dispatch->attempts == 0 ||
		handler->last_duration_us <= cmdsched_batch_time * (int64) 1000)
		return false;
	dispatch->end = DISPATCH_FULL;
	group->ended = true;
	return true;
}

/*
 * It may crash the server.  The executor runs it again on its own, after
 * what this batch has done is committed.
 */
static void
leave_to_trial(CommandGroup *group, const Command *command, Handler *handler)
{
	Dispatch *dispatch = group->dispatch;

	cmdsched_attempt_remember(&dispatch->last, command, handler);
	dispatch->last.running = false;
	dispatch->end = group->attempts + dispatch->attempts == 0
						? DISPATCH_SUSPECT
						: DISPATCH_FULL;
	group->ended = true;
}

static bool
is_suspect(const Dispatch *dispatch, const Command *command)
{
	return dispatch->executor_slot != NO_SLOT &&
		   cmdsched_journal_suspects(command) &&
		   !cmdsched_executor_others_run(dispatch->executor_slot, command);
}

/*
 * A procedure may commit: it is left to the executor, with the lock that
 * says that it is running.  False where somebody else runs it.
 */
static bool
leave_to_executor(CommandGroup *group, const Command *command,
				  Handler *handler)
{
	Dispatch *dispatch = group->dispatch;

	cmdsched_attempt_remember(&dispatch->last, command, handler);
	dispatch->last.running = false;
	if (!cmdsched_command_lock(&dispatch->last.key, true))
	{
		dispatch->suspect_due = Min(dispatch->suspect_due, command->due_at);
		return false;
	}
	dispatch->end = DISPATCH_PROCEDURE;
	group->ended = true;
	return true;
}

/*
 * An occurrence of a recurring schedule has ended: the next one is written
 * down, and may be due already.
 */
static void
end_occurrence(CommandGroup *group, const Command *command, OccurrenceEnd end)
{
	Occurrence occurrence;

	cmdsched_occurrence_identify(&occurrence, command);
	if (cmdsched_occurrence_end(&occurrence, end, group->dispatch->now) <=
		group->dispatch->now)
		group->jump = true;
}

/* Hooks do not count into the time of an attempt. */
static void
tell_begin(CommandGroup *group, const Command *command)
{
	Dispatch *dispatch = group->dispatch;

	cmdsched_operation_attempt_begins(&dispatch->last,
									  command,
									  dispatch->host);
	group->clock = GetCurrentTimestamp();
}

static void
tell_success(CommandGroup *group)
{
	cmdsched_operation_attempt_ends(&group->dispatch->last, "succeeded");
	group->clock = GetCurrentTimestamp();
}

static void
run_attempt(CommandGroup *group, CommandScan *scan, const Command *command,
			Handler *handler)
{
	Dispatch *dispatch = group->dispatch;
	MemoryContext group_context;
	NullableDatum result;
	TimestampTz ended;

	cmdsched_attempt_remember(&dispatch->last, command, handler);
	if (cmdsched_operation_is_watched())
		tell_begin(group, command);
	if (dispatch->before_attempt != NULL)
		dispatch->before_attempt();
	cmdsched_attempt_begin(&dispatch->last, group->clock);
	group_context = MemoryContextSwitchTo(group->command_context);
	result = cmdsched_invoke_handler(handler, command, scan, dispatch->host);
	result.isnull |= !handler->returns_jsonb;
	if (command->recurring != NULL)
		end_occurrence(group, command, OCCURRENCE_SUCCEEDED);
	if (dispatch->host == INVOKE_IN_EXECUTOR)
		cmdsched_invoke_clean_session();

	ended = GetCurrentTimestamp();
	handler->last_duration_us = ended - group->clock;
	cmdsched_attempt_succeeded(&dispatch->last, command, result, ended);
	MemoryContextSwitchTo(group_context);
	MemoryContextReset(group->command_context);
	group->clock = ended;
	group->attempts++;
	dispatch->last.running = false;
	if (dispatch->last.watched)
		tell_success(group);
}

/* Are the commands of this batch too quick to be shared? */
static bool
commands_are_quick(const CommandGroup *group)
{
	int64 attempts = group->dispatch->attempts + group->attempts;

	return GetCurrentTimestamp() - group->dispatch->now <
		   attempts * CMDSCHED_QUICK_COMMAND_US;
}

/*
 * Somebody else has this row.  Where that is an executor of the same role,
 * go on beyond what it is running; or, with quick commands, leave them all
 * to one: two would only get in one another's way.  False where the scan
 * cannot go on.
 */
static bool
step_over(CommandGroup *group, const Command *command)
{
	Dispatch *dispatch = group->dispatch;
	CommandPosition here;
	CommandPosition beyond;

	if (dispatch->executor_slot == NO_SLOT || ++group->steps < MAX_STEPS)
		return true;
	group->steps = 0;
	cmdsched_command_position(&here, command);
	beyond = here;
	if (!cmdsched_executor_others_frontier(dispatch->executor_slot, &beyond))
		return true;
	if (cmdsched_executor_is_additional(dispatch->executor_slot) &&
		commands_are_quick(group))
	{
		dispatch->end = DISPATCH_CROWDED;
		group->ended = true;
		return false;
	}
	/* What lies between is in its hands; only, the mark must not pass it. */
	group->jumped = true;
	group->jump = true;
	group->cursor = beyond;
	return false;
}

/*
 * Claim a command.  One that another executor shows as running may be free
 * for a moment, between the end of a failed attempt and its being recorded:
 * that is not ours to take.
 */
static ClaimResult
claim(CommandGroup *group, CommandScan *scan, const Command *command)
{
	Dispatch *dispatch = group->dispatch;

	if (dispatch->executor_slot == NO_SLOT)
		/* Workers step over what a session has: they look again after it. */
		cmdsched_wakeup_note(dispatch->role, command->due_at);
	else if (cmdsched_executor_others_run(dispatch->executor_slot, command))
		return CLAIM_LOCKED;
	else
	{
		cmdsched_executor_show_command(dispatch->executor_slot,
									   command,
									   group->clock);
		cmdsched_journal_show(dispatch->executor_slot,
							  command,
							  dispatch->alone);
	}
	return cmdsched_command_claim(scan);
}

/*
 * It was missed, and is not to be run any more.  That is settled before the
 * next one begins: should that fail, it must be there to be recorded.
 */
static void
drop_occurrence(CommandGroup *group, CommandScan *scan, const Command *command,
				Handler *handler)
{
	Dispatch *dispatch = group->dispatch;
	MemoryContext group_context;

	switch (claim(group, scan, command))
	{
		case CLAIM_OK:
			/* An error is as one of its handler. */
			cmdsched_attempt_remember(&dispatch->last, command, handler);
			group_context = MemoryContextSwitchTo(group->command_context);
			end_occurrence(group, command, OCCURRENCE_MISSED);
			MemoryContextSwitchTo(group_context);
			MemoryContextReset(group->command_context);
			dispatch->last.running = false;
			group->complete = true;
			break;
		case CLAIM_LOCKED:
			dispatch->locked_due = Min(dispatch->locked_due, command->due_at);
			break;
		case CLAIM_GONE:
			break;
	}
}

/*
 * The occurrence after this one does not wait for its end, nor shares its
 * fate: that is settled before it begins.  A worker ends the batch, so that
 * all can see the next one.
 */
static void
release_next_occurrence(CommandGroup *group, CommandScan *scan,
						const Command *command, Handler *handler)
{
	Dispatch *dispatch = group->dispatch;
	MemoryContext group_context;

	if (!cmdsched_command_keep(scan))
	{
		dispatch->locked_due = Min(dispatch->locked_due, command->due_at);
		return;
	}
	cmdsched_attempt_remember(&dispatch->last, command, handler);
	group_context = MemoryContextSwitchTo(group->command_context);
	end_occurrence(group, command, OCCURRENCE_BEGINS);
	MemoryContextSwitchTo(group_context);
	MemoryContextReset(group->command_context);
	dispatch->last.running = false;
	group->complete = true;
	if (dispatch->host == INVOKE_IN_EXECUTOR)
	{
		dispatch->end = DISPATCH_FULL;
		group->ended = true;
	}
}

/* Is this occurrence of a recurring schedule to be run, and in this batch? */
static bool
occurrence_may_run(CommandGroup *group, CommandScan *scan,
				   const Command *command, Handler *handler)
{
	MemoryContext group_context =
		MemoryContextSwitchTo(group->command_context);
	OccurrenceVerdict verdict =
		cmdsched_occurrence_judge(command, group->dispatch->now);

	MemoryContextSwitchTo(group_context);
	MemoryContextReset(group->command_context);
	switch (verdict)
	{
		case OCCURRENCE_DROP:
			drop_occurrence(group, scan, command, handler);
			return false;
		case OCCURRENCE_RUN_BESIDE:
			release_next_occurrence(group, scan, command, handler);
			return false;
		case OCCURRENCE_RUN:
			break;
	}
	return true;
}

/* Run one command.  False where the scan cannot go on with the next. */
static bool
run_command(CommandGroup *group, CommandScan *scan, const Command *command)
{
	Dispatch *dispatch = group->dispatch;
	Handler *handler =
		cmdsched_handler_find(command->command_type, command->command_module);
	bool suspect;

	if (cannot_run(group, command, &handler))
		return true;
	/* Not under a lock that keeps registrations out. */
	if (group->set_aside && dispatch->host == INVOKE_IN_EXECUTOR)
	{
		dispatch->end = DISPATCH_FULL;
		group->ended = true;
		return false;
	}
	if (ends_batch(group, handler))
		return false;
	suspect = is_suspect(dispatch, command);
	if (suspect && !dispatch->on_trial)
	{
		leave_to_trial(group, command, handler);
		return false;
	}
	if (!suspect && (dispatch->on_trial || dispatch->suspects_only))
	{
		dispatch->locked_due = Min(dispatch->locked_due, command->due_at);
		return true;
	}
	if (command->recurring != NULL &&
		!occurrence_may_run(group, scan, command, handler))
		return !group->complete;
	if (handler->is_procedure && dispatch->host == INVOKE_IN_EXECUTOR)
		return !leave_to_executor(group, command, handler);
	switch (claim(group, scan, command))
	{
		case CLAIM_OK:
			run_attempt(group, scan, command, handler);
			break;
		case CLAIM_LOCKED:
			dispatch->locked_due = Min(dispatch->locked_due, command->due_at);
			return step_over(group, command);
		case CLAIM_GONE:
			break;
	}
	return true;
}

/* After a command: may the batch take another? */
static bool
batch_is_full(CommandGroup *group)
{
	Dispatch *dispatch = group->dispatch;
	int attempts = dispatch->attempts + group->attempts;

	if ((dispatch->max_commands > 0 && attempts >= dispatch->max_commands) ||
		group->clock >= dispatch->stop_at ||
		(dispatch->host == INVOKE_IN_EXECUTOR && group->attempts > 0 &&
		 cmdsched_invoke_left_temp_objects()))
	{
		dispatch->end = DISPATCH_FULL;
		group->ended = true;
	}
	return group->ended;
}

static void
advance(CommandGroup *group, const Command *command)
{
	cmdsched_command_position(&group->cursor, command);
	if (!group->jumped)
		group->reached = group->cursor;
}

/* Nothing more is due: everything up to now is dealt with. */
static void
end_dry(CommandGroup *group, TimestampTz next_due)
{
	Dispatch *dispatch = group->dispatch;

	dispatch->end = DISPATCH_DRY;
	dispatch->next_due = next_due;
	group->cursor.due_at = dispatch->now;
	group->cursor.id_len = 0;
	if (!group->jumped)
		group->reached = group->cursor;
	group->ended = true;
}

/* Run commands from the cursor on, as far as one scan gets. */
static void
run_scan(CommandGroup *group)
{
	Dispatch *dispatch = group->dispatch;
	CommandScan *scan =
		cmdsched_command_scan_begin(dispatch->role, &group->cursor);
	Command command;

	cmdsched_handler_refresh();
	group->jump = false;
	while (!group->ended && !group->jump &&
		   group->attempts < dispatch->group_size)
	{
		CHECK_FOR_INTERRUPTS();
		if (!cmdsched_command_scan_next(scan, &command))
			end_dry(group, DUE_NEVER);
		else if (command.due_at > dispatch->now)
			end_dry(group, command.due_at);
		else if (!run_command(group, scan, &command))
			break;
		else
		{
			advance(group, &command);
			(void) batch_is_full(group);
		}
	}
	cmdsched_command_scan_end(scan);
}

/* The body of one subtransaction. */
static void
run_group(void *arg)
{
	CommandGroup *group = arg;

	do
		run_scan(group);
	while (group->jump && !group->complete);
}

/*
 * The group was rolled back because the last attempt raised an error: settle
 * that one.
 */
static void
settle_failure(Dispatch *dispatch, Outcome *outcome)
{
	/* Not a handler's error but ours, or the caller's wish to stop. */
	if (!dispatch->last.running || outcome->kind == OUTCOME_INTERRUPTED)
		ReThrowError(outcome->raised);

	dispatch->attempts++;
	dispatch->last.running = false;
	/* Dropped while it ran, which the server is not always prepared for. */
	if (outcome->kind == OUTCOME_FAILED &&
		outcome->error.sqlerrcode == ERRCODE_INTERNAL_ERROR &&
		!SearchSysCacheExists1(PROCOID,
							   ObjectIdGetDatum(dispatch->last.function)))
		outcome->kind = OUTCOME_TRANSIENT;
	cmdsched_attempt_record(&dispatch->last, outcome, dispatch->now);
}

/* One more group.  True if it was the last. */
static bool
run_next_group(Dispatch *dispatch, MemoryContext command_context)
{
	CommandGroup group = {
		.dispatch = dispatch,
		.command_context = command_context,
		.cursor = dispatch->cursor,
		.reached = dispatch->reached,
		.jumped = dispatch->jumped,
		.clock = GetCurrentTimestamp(),
	};
	Outcome outcome = {0};

	dispatch->last.running = false;
	if (cmdsched_invoke_guarded(run_group, &group, dispatch->host, &outcome))
	{
		dispatch->cursor = group.cursor;
		dispatch->reached = group.reached;
		dispatch->jumped = group.jumped;
		dispatch->attempts += group.attempts;
		dispatch->succeeded += group.attempts;
		dispatch->group_size = Min(dispatch->group_size * 2, MAX_GROUP_SIZE);
		return group.ended;
	}

	if (dispatch->host == INVOKE_IN_EXECUTOR)
		cmdsched_invoke_clean_session();
	dispatch->rolled_back = true;
	dispatch->group_size = Max(group.attempts / 2, 1);
	settle_failure(dispatch, &outcome);
	dispatch->end = DISPATCH_FULL;
	return GetCurrentTimestamp() >= dispatch->stop_at ||
		   (dispatch->max_commands > 0 &&
			dispatch->attempts >= dispatch->max_commands);
}

/* Run what is due, as far as the limits allow. */
void
cmdsched_dispatch(Dispatch *dispatch)
{
	MemoryContext caller_context = CurrentMemoryContext;
	MemoryContext group_context =
		AllocSetContextCreate(caller_context,
							  "cmdsched group",
							  ALLOCSET_DEFAULT_SIZES);
	MemoryContext command_context =
		AllocSetContextCreate(group_context,
							  "cmdsched command",
							  ALLOCSET_DEFAULT_SIZES);
	TimestampTz began = cmdsched_operation_batch_begins(dispatch->host);
	bool ended = false;

	dispatch->end = DISPATCH_FULL;
	dispatch->attempts = 0;
	dispatch->succeeded = 0;
	dispatch->reached = dispatch->from;
	dispatch->cursor = dispatch->from;
	dispatch->jumped = false;
	dispatch->rolled_back = false;
	dispatch->next_due = DUE_NEVER;
	dispatch->locked_due = DUE_NEVER;
	dispatch->suspect_due = DUE_NEVER;
	while (!ended)
	{
		MemoryContextSwitchTo(group_context);
		ended = run_next_group(dispatch, command_context);
		MemoryContextResetOnly(group_context);
		MemoryContextReset(command_context);
	}
	MemoryContextSwitchTo(caller_context);
	MemoryContextDelete(group_context);
	cmdsched_operation_batch_ends(began,
								  dispatch->host,
								  dispatch->succeeded == dispatch->attempts);
}

/*
 * By hand: a session that became this role by SET ROLE must not go back to
 * what it was because a handler says so.
 */
static void
dispatch_locked_in(Dispatch *dispatch)
{
	Oid user;
	int context;

	GetUserIdAndSecContext(&user, &context);
	if (user != GetSessionUserId())
		SetUserIdAndSecContext(user, context | SECURITY_LOCAL_USERID_CHANGE);
	cmdsched_dispatch(dispatch);
	SetUserIdAndSecContext(user, context);
}

/*
 * Run a role's due commands in a session that acts as that role; returns how
 * many succeeded.
 */
int
cmdsched_dispatch_by_hand(Oid role, int max_commands, TimestampTz now)
{
	Dispatch dispatch = {
		.role = role,
		.host = INVOKE_IN_SESSION,
		.executor_slot = NO_SLOT,
		.from = {.due_at = DT_NOBEGIN},
		.now = now,
		.stop_at = DT_NOEND,
		.max_commands = max_commands,
		.group_size = cmdsched_batch_size,
	};

	dispatch_locked_in(&dispatch);
	return dispatch.succeeded;
}

/*
 * What ran may have scheduled more for the same instant, most likely behind
 * itself.  False when a look from the very beginning of the instant found
 * nothing.
 */
static bool
look_again(Dispatch *dispatch)
{
	CommandPosition *from = &dispatch->from;
	bool from_beginning = from->due_at <= dispatch->now && from->id_len == 0;
	text *last_id = dispatch->last.key.schedule_id;

	from->due_at = dispatch->now;
	from->id_len = 0;
	if (dispatch->attempts == 0)
		return !from_beginning;
	from->id_len = Min(VARSIZE_ANY_EXHDR(last_id), sizeof(from->id));
	memcpy(from->id, VARDATA_ANY(last_id), from->id_len);
	return true;
}

/*
 * Move the clock until then, and run on the way what falls due, each command
 * at its own instant; returns how many attempts were made.
 */
int
cmdsched_dispatch_until(Oid role, TimestampTz until)
{
	int attempts = 0;
	Dispatch dispatch = {
		.role = role,
		.host = INVOKE_IN_SESSION,
		.executor_slot = NO_SLOT,
		.from = {.due_at = DT_NOBEGIN},
		.now = cmdsched_clock_now(),
		.stop_at = DT_NOEND,
		.group_size = cmdsched_batch_size,
	};

	while (dispatch.now <= until)
	{
		cmdsched_clock_move(dispatch.now);
		dispatch.max_commands = MAX_ATTEMPTS_OF_A_MOVE - attempts;
		dispatch_locked_in(&dispatch);
		attempts += dispatch.attempts;
		if (attempts >= MAX_ATTEMPTS_OF_A_MOVE)
			ereport(ERROR,
					errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					errmsg("more than %d attempts fall due on the way",
						   MAX_ATTEMPTS_OF_A_MOVE),
					errhint("Advance the clock in smaller steps, unless a "
							"handler schedules its own command type without "
							"end."));
		if (!look_again(&dispatch))
			dispatch.now = dispatch.next_due;
	}
	cmdsched_clock_move(until);
	return attempts;
}
