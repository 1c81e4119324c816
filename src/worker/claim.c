/*-------------------------------------------------------------------------
 *
 * claim.c
 *	  Gives applications the commands that are due for them.
 *
 * Commands are read by type and role, a group each; of all groups that the
 * caller may have, the oldest come first.  How far a role's commands are
 * dealt with is its mark (mark.c), whatever their types.  It does not pass a
 * command that somebody else has locked, nor the first of a type that was
 * not asked for; what the caller takes back by a rollback, it puts back.
 *
 * IDENTIFICATION
 *	  src/worker/claim.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "command/clock.h"
#include "worker/claim.h"
#include "worker/lease_end.h"
#include "worker/shared_state.h"
#include "worker/wakeup.h"

/* Of so many groups at a time commands are taken in one order. */
#define MAX_OPEN_GROUPS 64

/* A role whose commands the caller may have. */
typedef struct ClaimRole
{
	Oid role;
	int lease_slot; /* NO_SLOT = none, or not to be used */
	MarkTake take;
	CommandPosition reached; /* everything before it is dealt with */
} ClaimRole;

/* The commands of one type and role. */
typedef struct ClaimGroup
{
	const LeaseType *type;
	ClaimRole *role;
	LeaseScan *scan;
	LeaseCandidate head; /* the next one */
	CommandPosition head_position;
} ClaimGroup;

typedef struct Claim
{
	const ClaimRequest *request;
	ClaimCallback callback;
	void *callback_arg;
	LeaseTable *table;
	List *roles;
	List *groups; /* of commands that are due */
	int nclaimed;
	int nexpired; /* leases, so that there is more to be claimed */
} Claim;

/* ------------------------------------------------------------------------
 * Roles and groups
 * ------------------------------------------------------------------------
 */

/*
 * Marks are for those who go by the server's clock, and only while there is
 * a scheduler, which looks for what nobody told of.
 */
static bool
marks_are_good(void)
{
	int database_slot;

	if (cmdsched_clock_is_moved() || !cmdsched_shared_state_attach())
		return false;
	database_slot = cmdsched_database_find(MyDatabaseId);
	return database_slot != NO_SLOT &&
		   cmdsched_scheduler_pid(database_slot, NULL) != 0;
}

static ClaimRole *
find_or_add_role(Claim *claim, Oid oid)
{
	ClaimRole *role;
	ListCell *cell;

	foreach(cell, claim->roles)
	{
		role = lfirst(cell);
		if (role->role == oid)
			return role;
	}
	role = palloc0(sizeof(ClaimRole));
	role->role = oid;
	role->lease_slot = NO_SLOT;
	role->take.from.due_at = DT_NOBEGIN;
	role->reached.due_at = claim->request->now;
	claim->roles = lappend(claim->roles, role);
	return role;
}

/* All that the caller may have, whether something is due or not. */
static List *
list_groups(Claim *claim, List *types)
{
	List *groups = NIL;
	ListCell *cell;

	claim->table = cmdsched_lease_table_open();
	foreach(cell, types)
	{
		LeaseType *type = lfirst(cell);
		Oid oid = InvalidOid;

		while (OidIsValid(oid = cmdsched_lease_next_role(claim->table,
														 type->command_type,
														 type->command_module,
														 oid)))
		{
			ClaimGroup *group;

			if (!has_privs_of_role(claim->request->caller, oid))
				continue;
			group = palloc0(sizeof(ClaimGroup));
			group->type = type;
			group->role = find_or_add_role(claim, oid);
			groups = lappend(groups, group);
		}
	}
	cmdsched_lease_table_close(claim->table);
	return groups;
}

/* Before the snapshot is taken: see mark.c. */
static void
take_marks(Claim *claim)
{
	ListCell *cell;

	if (!marks_are_good())
		return;
	foreach(cell, claim->roles)
	{
		ClaimRole *role = lfirst(cell);

		role->lease_slot =
			cmdsched_lease_slot_find_or_add(MyDatabaseId, role->role);
		if (role->lease_slot == NO_SLOT)
			continue;
		cmdsched_lease_slot_take(role->lease_slot, &role->take);
		cmdsched_wakeup_note_claim(role->role,
								   role->take.from.due_at,
								   DUE_NEVER,
								   DUE_NEVER);
	}
}

static void
finish_marks(Claim *claim)
{
	ListCell *cell;

	foreach(cell, claim->roles)
	{
		ClaimRole *role = lfirst(cell);

		if (role->lease_slot != NO_SLOT)
			cmdsched_lease_slot_finish(role->lease_slot,
									   &role->take,
									   &role->reached);
	}
}

/* The mark of the role must not pass this. */
static void
leave_for_later(ClaimRole *role, const CommandPosition *position)
{
	if (cmdsched_command_position_compare(position, &role->reached) < 0)
		role->reached = *position;
}

/* ------------------------------------------------------------------------
 * Going through the groups
 * ------------------------------------------------------------------------
 */

/* Step to the next command of a group; false where none is due. */
static bool
advance(Claim *claim, ClaimGroup *group)
{
	if (!cmdsched_lease_scan_next(group->scan,
								  claim->request->now,
								  &group->head))
		return false;
	cmdsched_command_position(&group->head_position, &group->head.command);
	group->head_position.due_at = group->head.command.claimable_at;
	return true;
}

static void
close_group(Claim *claim, ClaimGroup *group)
{
	cmdsched_lease_scan_end(group->scan);
	claim->groups = list_delete_ptr(claim->groups, group);
}

/* The one with the oldest, or the latest, command. */
static ClaimGroup *
find_group(Claim *claim, bool oldest)
{
	ClaimGroup *best = NULL;
	ListCell *cell;

	foreach(cell, claim->groups)
	{
		ClaimGroup *group = lfirst(cell);
		int order;

		if (best == NULL)
		{
			best = group;
			continue;
		}
		order = cmdsched_command_position_compare(&group->head_position,
												  &best->head_position);
		if (oldest ? order < 0 : order > 0)
			best = group;
	}
	return best;
}

/* Somebody else asks for this one, or it is left to the next claim. */
static void
leave_group(Claim *claim, ClaimGroup *group)
{
	leave_for_later(group->role, &group->head_position);
	close_group(claim, group);
}

static void
open_groups(Claim *claim, List *groups)
{
	ListCell *cell;

	claim->table = cmdsched_lease_table_open();
	foreach(cell, groups)
	{
		ClaimGroup *group = lfirst(cell);

		group->scan = cmdsched_lease_scan_begin(claim->table,
												group->type->command_type,
												group->type->command_module,
												group->role->role,
												&group->role->take.from);
		claim->groups = lappend(claim->groups, group);
		if (!advance(claim, group))
			close_group(claim, group);
		else if (!group->type->wanted)
			leave_group(claim, group);
		else if (list_length(claim->groups) > MAX_OPEN_GROUPS)
			leave_group(claim, find_group(claim, false));
	}
}

/* ------------------------------------------------------------------------
 * Claiming
 * ------------------------------------------------------------------------
 */

void
cmdsched_claim_identify(LeasedCommand *leased, const LeaseCandidate *candidate)
{
	const Command *command = &candidate->command;

	leased->key.schedule_id = command->schedule_id;
	leased->key.scheduled_by = command->scheduled_by;
	leased->claim_token = candidate->claim_token;
	leased->command_type = command->command_type;
	leased->command_module = command->command_module;
	leased->attempts = command->attempts;
	leased->ends_at = command->claimable_at;
}

/* A worker was to end the lease: do that first, then look again. */
static void
expire(Claim *claim, ClaimGroup *group)
{
	LeasedCommand leased;

	cmdsched_claim_identify(&leased, &group->head);
	claim->nexpired += cmdsched_lease_end_expire(&leased, claim->request->now);
	leave_for_later(group->role, &group->head_position);
}

static void
claim_head(Claim *claim, ClaimGroup *group)
{
	const ClaimRequest *request = claim->request;
	TimestampTz execute_at = group->head.command.execute_at;
	Datum values[LEASE_COLUMNS];
	bool nulls[LEASE_COLUMNS];

	switch (
		cmdsched_lease_scan_claim(group->scan, request->ends_at, values, nulls))
	{
		case CLAIM_OK:
			claim->callback(values, nulls, execute_at, claim->callback_arg);
			claim->nclaimed++;
			cmdsched_wakeup_note_claim(group->role->role,
									   group->head_position.due_at,
									   group->head_position.due_at,
									   request->ends_at);
			break;
		case CLAIM_LOCKED:
			leave_for_later(group->role, &group->head_position);
			break;
		case CLAIM_GONE:
			break;
	}
}

/* Claim from the oldest on, until there is nothing or it is enough. */
static void
claim_from_groups(Claim *claim)
{
	ClaimGroup *group;

	while (claim->nclaimed < claim->request->max_commands &&
		   (group = find_group(claim, true)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		if (group->head.is_claimed)
			expire(claim, group);
		else
			claim_head(claim, group);
		if (!advance(claim, group))
			close_group(claim, group);
	}
	while ((group = find_group(claim, true)) != NULL)
		leave_group(claim, group);
	cmdsched_lease_table_close(claim->table);
}

/* Claim what is due.  Never waits. */
void
cmdsched_claim(const ClaimRequest *request, ClaimCallback callback, void *arg)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "cmdsched claim",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller_context = MemoryContextSwitchTo(context);
	Claim claim = {
		.request = request,
		.callback = callback,
		.callback_arg = arg,
	};
	List *types = cmdsched_lease_list_types(request->command_types);
	List *groups;

	do
	{
		/* See what this transaction did before. */
		CommandCounterIncrement();
		claim.nexpired = 0;
		claim.roles = NIL;
		groups = list_groups(&claim, types);
		take_marks(&claim);
		open_groups(&claim, groups);
		claim_from_groups(&claim);
		finish_marks(&claim);
	} while (claim.nexpired > 0 && claim.nclaimed < request->max_commands);
	CommandCounterIncrement();
	MemoryContextSwitchTo(caller_context);
	MemoryContextDelete(context);
}
