# Who may end or cancel our workers: PostgreSQL's rules for sessions hold, and
# launcher and scheduler count as a superuser's.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('signals');

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
CREATE ROLE member LOGIN IN ROLE alice;
CREATE ROLE guard LOGIN IN ROLE pg_signal_backend;
CREATE ROLE admin LOGIN;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cmdsched TO admin;
SQL
my $launcher = query($node, "SELECT pid FROM cmdsched.workers WHERE kind = 'launcher'");
my $scheduler = scheduler_pid($node);

# A slow command, and the pid of the executor that runs it.
sub start_slow
{
	my ($role, $id) = @_;

	query($node, "SET ROLE $role; SELECT cmdsched.schedule('Slow', '{\"gate\": \"$id\"}', schedule_id => '$id')");
	wait_until_running($node, $id);
	return executor_pid($node, $id);
}

# refuses(ROLE, PID, WHAT): neither cancel nor terminate.
sub refuses
{
	my ($role, $pid, $what) = @_;

	fails_with($node, "SET SESSION AUTHORIZATION $role; SELECT $_($pid)", '42501', "$role: $_ $what") foreach 'pg_cancel_backend', 'pg_terminate_backend';
	return;
}

# ----------------------------------------------------------------------------
# Launcher and scheduler, and executors of a superuser
# ----------------------------------------------------------------------------

my $of_postgres = start_slow('postgres', 'of-postgres');
foreach my $role ('alice', 'guard', 'admin')
{
	refuses($role, $launcher, 'the launcher');
	refuses($role, $scheduler, 'the scheduler');
	refuses($role, $of_postgres, "a superuser's executor");
}

# ----------------------------------------------------------------------------
# Executors of a role
# ----------------------------------------------------------------------------

my $of_alice = start_slow('alice', 'of-alice');
refuses($_, $of_alice, "another role's executor") foreach 'bob', 'admin';
is(executor_pid($node, 'of-alice'), $of_alice, 'it goes on');

# Ended by somebody who may, it is no failed attempt.
foreach my $role ('alice', 'member', 'guard')
{
	my $pid = executor_pid($node, 'of-alice');

	is(query($node, "SET SESSION AUTHORIZATION $role; SELECT pg_terminate_backend($pid)"), 't', "$role may end it");
	wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE schedule_id = 'of-alice' AND pid <> $pid AND state = 'running'", '1', 'the command runs again in another process', timeout => 60);
}
is(query($node, "SELECT status, attempts, last_error IS NULL FROM cmdsched.get('of-alice')"), 'pending|0|t', 'no attempt was counted');
is(query($node, 'SELECT count(*) FROM shop.effects'), '0', 'nothing was committed');

# Cancelled, it is one.
my $pid = executor_pid($node, 'of-alice');
is(query($node, "SET SESSION AUTHORIZATION guard; SELECT pg_cancel_backend($pid)"), 't', 'guard may cancel a command');
wait_for($node, "SELECT attempts, last_error->>'sqlstate' FROM cmdsched.get('of-alice')", '1|57014', 'which is a failed attempt');

open_gate($node, $_) foreach 'of-alice', 'of-postgres';
ran_once($node, 'of-%', 2, 'all commands run in the end');
is(query($node, "SELECT string_agg(role, ',' ORDER BY role) FROM shop.effects"), 'alice,postgres', 'each as its role');
is(scheduler_pid($node), $scheduler, 'the scheduler is the same as at the beginning');
is(query($node, "SELECT pid FROM cmdsched.workers WHERE kind = 'launcher'"), $launcher, 'and so is the launcher');

# ----------------------------------------------------------------------------
# What a handler may do to others of our workers: the same
# ----------------------------------------------------------------------------

query($node, <<'SQL');
CREATE FUNCTION shop.attack(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_terminate_backend(($1->>'pid')::integer);
END
$$;
SELECT cmdsched.register_handler('Attack', 'shop.attack(jsonb)', max_attempts => 1);
SQL
$of_alice = start_slow('alice', 'victim');
query($node, "SET ROLE bob; SELECT cmdsched.schedule('Attack', jsonb_build_object('pid', $_), schedule_id => 'attack-$_')") foreach $launcher, $scheduler, $of_alice;
wait_for($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE schedule_id LIKE 'attack-%' AND status = 'failed' AND last_error->>'sqlstate' = '42501'", '3', "a handler ends nobody else's process");
is(executor_pid($node, 'victim'), $of_alice, 'the other command goes on');
open_gate($node, 'victim');
ran_once($node, 'victim', 1, 'to its end');

$node->stop;
done_testing();
