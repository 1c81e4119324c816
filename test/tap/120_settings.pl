# Settings take effect on reload, and rows that came in behind our back are
# found.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('settings');

wait_for_workers($node, 'the workers are there');
my $server_started = query($node, 'SELECT pg_postmaster_start_time()');
my $executors = "SELECT count(*) FROM cmdsched.workers WHERE kind = 'executor'";

sub schedule
{
	my ($id, $type, $data, $db) = @_;
	$type //= 'Effect';
	$data //= '{}';

	query($node, "SELECT cmdsched.schedule('$type', '$data', schedule_id => '$id')", $db);
	return;
}

# ----------------------------------------------------------------------------
# enabled
# ----------------------------------------------------------------------------

schedule('slow', 'Slow', '{"gate": "disabled"}');
wait_until_running($node, 'slow');
reload_conf($node, 'cmdsched.enabled' => 'off');
schedule('disabled');
query($node, 'SELECT cmdsched.trigger()');
open_gate($node, 'disabled');
ran_once($node, 'slow', 1, 'enabled = off lets the running command finish');
wait_for($node, $executors, '0', 'then the executors leave');
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'disabled'"), '0', 'and no other is run');
is(query($node, "SELECT status, attempts FROM cmdsched.scheduled_commands WHERE schedule_id = 'disabled'"), 'pending|0', 'it waits');
schedule('by-hand');
is(query($node, 'SELECT cmdsched.process_due_commands(1)'), '1', 'dispatch by hand goes on working');
reload_conf($node, 'cmdsched.enabled' => 'on');
ran_once($node, 'disabled', 1, 'enabled = on: the commands that waited run', timeout => 10);
ran_once($node, 'by-hand', 1, 'all of them');

# ----------------------------------------------------------------------------
# executor_idle_timeout
# ----------------------------------------------------------------------------

reload_conf($node, 'cmdsched.executor_idle_timeout' => '1s');
wait_for($node, $executors, '0', 'an executor leaves when it has been idle for so long');
schedule('after-idle');
ran_once($node, 'after-idle', 1, 'a new one comes when there is something to do');
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '4 seconds', schedule_id => 'after-leaving')");
wait_for($node, $executors, '0', 'it leaves while a command is due later');
ran_once($node, 'after-leaving', 1, 'which runs at its time');
cmp_ok(query($node, "SELECT extract(epoch FROM at - execute_at) FROM shop.effects WHERE schedule_id = 'after-leaving'"), '<', 2, 'not much later');
reload_conf($node, 'cmdsched.executor_idle_timeout' => '30s');

# ----------------------------------------------------------------------------
# max_executors
# ----------------------------------------------------------------------------

query($node, join(';', map { "CREATE ROLE $_ LOGIN" } 'alice', 'bob', 'carol', 'dave'));

sub start_slow_roles
{
	my ($gate) = @_;

	query($node, "SET ROLE $_; SELECT cmdsched.schedule('Slow', '{\"gate\": \"$gate\"}', schedule_id => '$gate-$_')") foreach 'alice', 'bob', 'carol', 'dave';
	return;
}

my $running = 'SELECT count(schedule_id) FROM cmdsched.workers';

reload_conf($node, 'cmdsched.max_executors' => '2');
start_slow_roles('two');
wait_for($node, $running, '2', 'max_executors = 2: two commands run');
reload_conf($node, 'cmdsched.max_executors' => '4');
wait_for($node, $running, '4', 'max_executors = 4: four commands run');
open_gate($node, 'two');
ran_once($node, 'two-%', 4, 'all have run');
reload_conf($node, 'cmdsched.max_executors' => '1');
wait_for($node, "SELECT count(*) <= 1 FROM cmdsched.workers WHERE kind = 'executor'", 't', 'max_executors = 1: the other executors leave');
start_slow_roles('one');
wait_for($node, $running, '1', 'one command runs');
is(query($node, $executors), '1', 'and no other executor is there');
open_gate($node, 'one');
ran_once($node, 'one-%', 4, 'all have run', timeout => 40);
reload_conf($node, 'cmdsched.max_executors' => '4');

# ----------------------------------------------------------------------------
# Rows that came in behind our back
# ----------------------------------------------------------------------------

# As a restore does, or logical replication.
sub insert_by_hand
{
	my ($id, $role) = @_;

	query($node, <<"SQL");
INSERT INTO cmdsched.scheduled_commands
	(schedule_id, command_type, command_module, command_data, execute_at, status, created_at, metadata, scheduled_by, attempts, last_error, scheduled_by_name, due_at)
VALUES
	('$id', 'Effect', '', '{}', now(), 'pending', now(), NULL, '$role'::regrole, 0, NULL, '$role', now())
SQL
	return;
}

query($node, 'CREATE ROLE erin LOGIN');
insert_by_hand('hand-notify', 'alice');
query($node, 'NOTIFY cmdsched');
ran_once($node, 'hand-notify', 1, 'NOTIFY cmdsched finds a row', timeout => 10);
insert_by_hand('hand-trigger', 'alice');
query($node, 'SELECT cmdsched.trigger()');
ran_once($node, 'hand-trigger', 1, 'trigger() finds a row', timeout => 10);
insert_by_hand('hand-new-role', 'erin');
query($node, 'NOTIFY cmdsched');
ran_once($node, 'hand-new-role', 1, 'and one of a role that had none', timeout => 10);
query($node, "BEGIN; SELECT cmdsched.trigger(); INSERT INTO cmdsched.scheduled_commands SELECT 'hand-before', 'Effect', '', '{}', now(), 'pending', now(), NULL, 'alice'::regrole, 0, NULL, 'alice', now(); COMMIT");
ran_once($node, 'hand-before', 1, 'trigger() looks again when its transaction commits', timeout => 10);

query($node, 'CREATE ROLE frank LOGIN');
reload_conf($node, 'cmdsched.poll_interval' => '1s');
insert_by_hand('hand-poll', 'frank');
ran_once($node, 'hand-poll', 1, 'poll_interval: a row is found without being told', timeout => 10);
reload_conf($node, 'cmdsched.poll_interval' => '1min');

# listen = off, and on again
reload_conf($node, 'cmdsched.listen' => 'off');
schedule('without-listen');
ran_once($node, 'without-listen', 1, 'schedule() does not need listen');
reload_conf($node, 'cmdsched.listen' => 'on');
query($node, 'SELECT cmdsched.trigger()');
insert_by_hand('hand-listen', 'alice');
query($node, 'NOTIFY cmdsched');
ran_once($node, 'hand-listen', 1, 'listen = on: NOTIFY works again', timeout => 10);

# ----------------------------------------------------------------------------
# databases
# ----------------------------------------------------------------------------

query($node, 'CREATE DATABASE two');
create_shop($node, 'two');
wait_for_workers($node, 'another database has its scheduler', db => 'two');
reload_conf($node, 'cmdsched.databases' => 'two');
wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE kind = 'scheduler'", '0', 'databases: one that is not in the list loses its scheduler');
schedule('listed', 'Effect', '{}', 'two');
ran_once($node, 'listed', 1, 'one that is in the list keeps it', db => 'two');
schedule('unlisted');
reload_conf($node, 'cmdsched.databases' => 'postgres, two');
ran_once($node, 'unlisted', 1, 'a database that is listed again has its commands run');
reload_conf($node, 'cmdsched.databases' => 'nowhere');
wait_for($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'cmdsched (scheduler|executor)'", '0', 'a list without any of them leaves no worker');
$node->restart;
wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE kind = 'launcher'", '1', 'the launcher is there after a restart');
schedule('nowhere');
reload_conf($node, 'cmdsched.databases' => '');
wait_for_workers($node, 'the empty list is all databases');
wait_for_workers($node, 'all of them', db => 'two');
ran_once($node, 'nowhere', 1, 'and commands run');

wait_until_idle($node, 'nothing is left');
$node->stop;
done_testing();
