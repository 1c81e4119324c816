# Nobody waits for somebody else's slow commands, or for somebody else's many.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('fairness', conf => "cmdsched.max_executors = 4\nmax_connections = 100\n");

wait_for_workers($node, 'the workers are there');
query($node, join(';', map { "CREATE ROLE $_ LOGIN" } 'slow', 'quick', 'alice', 'bob', 'few', 'many', map { "role$_" } 1 .. 30));

# Schedules so many commands of a type as a role.
sub schedule_as
{
	my ($role, $type, $data, $id, $count) = @_;

	query($node, "SET ROLE $role; SELECT count(cmdsched.schedule('$type', '$data', schedule_id => '$id-' || i)) FROM generate_series(1, $count) AS i");
	return;
}

sub count_running
{
	my ($role) = @_;

	return "SELECT count(*) FROM cmdsched.workers WHERE role = '$role' AND schedule_id IS NOT NULL";
}

# ----------------------------------------------------------------------------
# Slow commands of the same role
# ----------------------------------------------------------------------------

schedule_as('quick', 'Slow', '{"gate": "same"}', 'same-slow', 1);
wait_until_running($node, 'same-slow-1');
schedule_as('quick', 'Effect', '{}', 'same-quick', 100);
ran_once($node, 'same-quick-%', 100, 'a slow command does not hold up the quick ones of its role');
schedule_as('quick', 'Slow', '{"gate": "same"}', 'same-second', 1);
wait_until_running($node, 'same-second-1', 'a second slow one runs beside the first');
schedule_as('quick', 'Effect', '{}', 'same-again', 100);
ran_once($node, 'same-again-%', 100, 'two slow ones do not either');
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id IN ('same-slow-1', 'same-second-1')"), '0', 'they have not ended');

# What becomes due only later, while the executors are in their handlers.
query($node, "SET ROLE quick; SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'same-later')");
ran_once($node, 'same-later', 1, 'nor what becomes due meanwhile');
open_gate($node, 'same');
ran_once($node, 'same-s%', 2, 'the slow ones end when they may');

# Due at the same time, slow ones first.
query($node, <<'SQL');
SET ROLE quick;
BEGIN;
SELECT cmdsched.schedule('Slow', '{"gate": "batch"}', schedule_id => 'batch-slow');
SELECT count(cmdsched.schedule('Effect', schedule_id => 'batch-' || i)) FROM generate_series(1, 100) AS i;
COMMIT;
SQL
ran_once($node, 'batch-%', 100, 'nor those that were scheduled together with it');
open_gate($node, 'batch');
ran_once($node, 'batch-slow', 1, 'which ends when it may');

# When those that had come to help have left for want of work.
schedule_as('quick', 'Slow', '{"gate": "helper"}', 'helper-slow', 1);
wait_until_running($node, 'helper-slow-1');
my $helpers = "FROM cmdsched.workers WHERE role = 'quick' AND state = 'idle' AND pid > 0";
wait_for($node, "SELECT count(*) > 0 $helpers", 't', 'another executor is there');
my $pids = query($node, "SELECT string_agg(pid::text, ', ') $helpers");
reload_conf($node, 'cmdsched.executor_idle_timeout' => '1s');
wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE pid IN ($pids)", '0', 'it leaves when it has nothing to do');
schedule_as('quick', 'Effect', '{}', 'helper-quick', 100);
ran_once($node, 'helper-quick-%', 100, 'a slow one holds up nobody after that');
open_gate($node, 'helper');
ran_once($node, 'helper-slow-%', 1, 'it ends when it may');
reload_conf($node, 'cmdsched.executor_idle_timeout' => '30s');

# ----------------------------------------------------------------------------
# Slow commands of another role
# ----------------------------------------------------------------------------

schedule_as('slow', 'Slow', '{"gate": "other"}', 'slow', 8);
wait_for($node, count_running('slow'), '3', 'a role with slow commands gets several executors');
schedule_as($_, 'Effect', '{}', $_, 100) foreach 'alice', 'bob', 'quick';
ran_once($node, "$_-%", 100, "the commands of $_ do not wait for them") foreach 'alice', 'bob';
ran_once($node, 'quick-%', 100, 'nor those of quick');
is(query($node, count_running('slow')), '3', 'the role does not get all executors');
is(query($node, "SELECT count(*) FROM shop.effects WHERE role = 'slow'"), '0', 'its commands have not ended');
open_gate($node, 'other');
ran_once($node, 'slow-%', 8, 'all of the slow ones end when they may');

# ----------------------------------------------------------------------------
# More roles than executors
# ----------------------------------------------------------------------------

schedule_as('slow', 'Slow', '{"gate": "roles"}', 'turns-slow', 3);
wait_for($node, count_running('slow'), '3', 'three of four executors are busy');
query($node, 'BEGIN;' . join(';', map { "SET LOCAL ROLE role$_; SELECT count(cmdsched.schedule('Effect', schedule_id => 'role$_-' || i)) FROM generate_series(1, 20) AS i" } 1 .. 30) . '; COMMIT');
ran_once($node, 'role%', 600, '30 roles take turns at the last one', timeout => 60);
is(query($node, "SELECT count(DISTINCT role) FROM shop.effects WHERE schedule_id LIKE 'role%'"), '30', 'each as itself');
is(query($node, "SELECT count(DISTINCT pid) >= 30 FROM shop.effects WHERE schedule_id LIKE 'role%'"), 't', 'in a process of its own');
open_gate($node, 'roles');
ran_once($node, 'turns-slow-%', 3, 'the slow ones end when they may');
cmp_ok(query($node, "SELECT count(*) FROM cmdsched.workers WHERE kind = 'executor'"), '<=', 4, 'there are never more executors than allowed');

# ----------------------------------------------------------------------------
# Many commands of one role
# ----------------------------------------------------------------------------

query($node, <<'SQL');
BEGIN;
SET LOCAL ROLE many;
SELECT count(cmdsched.schedule('Effect', '{}', now() - interval '1 hour', schedule_id => 'many-' || i)) FROM generate_series(1, 20000) AS i;
SET LOCAL ROLE few;
SELECT count(cmdsched.schedule('Effect', schedule_id => 'few-' || i)) FROM generate_series(1, 10) AS i;
COMMIT;
SQL
ran_once($node, 'many-%', 20000, '20,000 commands of one role are done', timeout => 60);
ran_once($node, 'few-%', 10, 'and 10 of another');
is(query($node, "SELECT max(at) FILTER (WHERE role = 'few') < max(at) FILTER (WHERE role = 'many') FROM shop.effects"), 't', 'the 10 before the 20,000');

# With one executor only, the roles take turns.
reload_conf($node, 'cmdsched.max_executors' => 1);
wait_for($node, "SELECT count(*) <= 1 FROM cmdsched.workers WHERE kind = 'executor'", 't', 'fewer executors when the limit is lowered', timeout => 60);
query($node, <<'SQL');
BEGIN;
SET LOCAL ROLE many;
SELECT count(cmdsched.schedule('Slow', '{"seconds": 0.02}', now() - interval '1 hour', schedule_id => 'one-many-' || i)) FROM generate_series(1, 100) AS i;
SET LOCAL ROLE few;
SELECT count(cmdsched.schedule('Effect', schedule_id => 'one-few-' || i)) FROM generate_series(1, 10) AS i;
COMMIT;
SQL
ran_once($node, 'one-many-%', 100, 'with one executor all are done too', timeout => 60);
ran_once($node, 'one-few-%', 10, 'those of the other role too');
is(query($node, "SELECT max(at) FILTER (WHERE role = 'few') < max(at) FILTER (WHERE role = 'many') FROM shop.effects WHERE schedule_id LIKE 'one-%'"), 't', 'the few before the last of the many');

wait_until_idle($node, 'nothing is left');
$node->stop;
done_testing();
