# A server that does not preload cmdsched: commands are dispatched by hand, or
# by a scheduler that start() starts.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('bare', preload => '');
my ($ret, $stdout, $stderr);

sub count_of
{
	my ($regexp, $text) = @_;
	my $count = () = $text =~ /$regexp/g;

	return $count;
}

# ----------------------------------------------------------------------------
# By hand
# ----------------------------------------------------------------------------

is(query($node, 'SELECT count(*) FROM cmdsched.workers'), '0', 'there are no workers');
($ret, $stdout, $stderr) = $node->psql('postgres', <<'SQL');
SELECT cmdsched.schedule('Effect', '{}', now() - interval '4 minutes', schedule_id => 'hand-1');
SELECT cmdsched.schedule('Effect', '{}', now() - interval '3 minutes', schedule_id => 'hand-2');
SELECT cmdsched.schedule('Fail', '{}', now() - interval '2 minutes', schedule_id => 'hand-failing');
SELECT cmdsched.schedule('Effect', '{}', now() - interval '1 minute', schedule_id => 'hand-3');
SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'hand-later');
SQL
is($ret, 0, 'schedule() works');
is(count_of(qr/WARNING/, $stderr), 1, 'and warns once a session');
like($stderr, qr/WARNING:  no scheduler is running in this database/, 'that nothing will run the command');
is(query($node, "SELECT string_agg(schedule_id, ' ') FROM cmdsched.get_due_commands()"), 'hand-1 hand-2 hand-failing hand-3', 'get_due_commands() shows what is due, in order');
is(query($node, "SELECT string_agg(schedule_id, ' ') FROM cmdsched.get_due_commands(2)"), 'hand-1 hand-2', 'or so many of it');

is(query($node, 'SELECT cmdsched.process_due_commands(1)'), '1', 'process_due_commands() runs so many');
ran_once($node, 'hand-1', 1, 'the oldest first');
is(query($node, 'SELECT cmdsched.process_due_commands()'), '2', 'or all that is due');
ran_once($node, 'hand-_', 3, 'they have run');
is( query($node, "SELECT status, attempts, last_error->>'sqlstate' FROM cmdsched.scheduled_commands WHERE schedule_id = 'hand-failing'"),
	'pending|1|P0042', 'one that failed did not stop the others, and is recorded');

query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'own-hands')");
is(query($node, "BEGIN; INSERT INTO shop.effects (schedule_id, attempt, execute_at, created_at) SELECT schedule_id, attempts + 1, execute_at, created_at FROM cmdsched.get_due_commands() WHERE schedule_id = 'own-hands'; SELECT cmdsched.delete_executed('own-hands'); COMMIT"),
	'', 'a dispatcher of the user\'s own uses get_due_commands() and delete_executed()');
ran_once($node, 'own-hands', 1, 'the command has run');
is(query($node, "SELECT cmdsched.get('own-hands') IS NULL, cmdsched.delete_executed('own-hands')"), 't|', 'and is gone');

query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'cycle-' || i) FROM generate_series(1, 300) AS i");
is(query($node, 'SELECT cmdsched.cancel(\'hand-failing\')'), 't', 'the failing one is cancelled');
is(query($node, 'SELECT cmdsched.run_once()'), '300', 'run_once() runs all that is due');
ran_once($node, 'cycle-%', 300, 'they have run');
is(query($node, 'SELECT cmdsched.run_once()'), '0', 'and a second one runs nothing');
is(query($node, 'SELECT count(*) FROM cmdsched.scheduled_commands'), '1', 'what is not due waits');

# ----------------------------------------------------------------------------
# start() and stop()
# ----------------------------------------------------------------------------

query($node, 'CREATE ROLE alice LOGIN');
fails_with($node, 'SET ROLE alice; SELECT cmdsched.start()', '42501', 'start() is for administrators');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'before-start')");
($ret, $stdout, $stderr) = $node->psql('postgres', 'SELECT cmdsched.start()');
is($stdout, 't', 'start() starts a scheduler');
is(count_of(qr/WARNING/, $stderr), 1, 'and warns');
like($stderr, qr/WARNING:  the scheduler will not come back after a server crash or restart/, 'that it will not be back after a crash');
is(query($node, "SELECT string_agg(kind, ' ') FROM cmdsched.workers WHERE kind <> 'executor'"), 'scheduler', 'it is there, and no launcher');
ran_once($node, 'before-start', 1, 'what was due runs');
($ret, $stdout, $stderr) = $node->psql('postgres', "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'after-start')");
is($stderr, '', 'schedule() does not warn where a scheduler runs');
ran_once($node, 'after-start', 1, 'and what it schedules runs');
is(query($node, 'SELECT cmdsched.start()'), 'f', 'a second start() changes nothing');
is(scheduler_pid($node) =~ /^\d+$/, 1, 'there is one scheduler');

is(query($node, 'SELECT cmdsched.stop()'), 't', 'stop() stops the workers');
is(query($node, "SELECT count(*) FROM cmdsched.workers"), '0', 'none is left');
wait_for($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'cmdsched%'", '0', 'as the server says too');
is(query($node, 'SELECT cmdsched.stop()'), 'f', 'a second stop() changes nothing');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'stopped')");
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'stopped'"), '0', 'commands wait now');
is(query($node, 'SELECT cmdsched.start()'), 't', 'start() again');
ran_once($node, 'stopped', 1, 'and they run');

# stop() and a running handler: first it may finish, then it is ended.
query($node, "SELECT cmdsched.schedule('Slow', '{\"gate\": \"stop\"}', schedule_id => 'stopped-slow')");
wait_until_running($node, 'stopped-slow');
is(query($node, "SELECT cmdsched.stop('0.2 seconds')"), 't', 'stop() ends a handler that takes longer than the timeout');
is(query($node, "SELECT count(*) FROM cmdsched.workers"), '0', 'no worker is left');
is(query($node, "SELECT status, attempts FROM cmdsched.scheduled_commands WHERE schedule_id = 'stopped-slow'"), 'pending|0', 'the attempt is not counted');
query($node, 'SELECT cmdsched.start()');
wait_until_running($node, 'stopped-slow', 'it is run again after start()');
open_gate($node, 'stop');
ran_once($node, 'stopped-slow', 1, 'once');

# Second best: nobody brings the scheduler back after a crash, but start() does.
$node->stop('immediate');
$node->start;
is(query($node, 'SELECT count(*) FROM cmdsched.workers'), '0', 'after a crash there is no worker');
is(query($node, 'SELECT cmdsched.start()'), 't', 'start() works again');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'after-crash')");
ran_once($node, 'after-crash', 1, 'and commands run');

# ----------------------------------------------------------------------------
# No place for a worker
# ----------------------------------------------------------------------------

set_conf($node, max_worker_processes => 0);
$node->restart;
fails_with($node, 'SELECT cmdsched.start()', '53400', 'start() says that there is no worker slot');
($ret, $stdout, $stderr) = $node->psql('postgres', 'SELECT cmdsched.start()');
like($stderr, qr/ERROR:  there is no free background worker slot\nHINT:  Raise max_worker_processes/, 'and what to do');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'no-slot')");
is(query($node, 'SELECT cmdsched.run_once()'), '1', 'run_once() needs no worker');
ran_once($node, 'no-slot', 1, 'the command has run');

# With the library preloaded the same server starts, and schedules.
set_conf($node, shared_preload_libraries => 'cmdsched');
$node->restart;
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'preloaded-no-slot')");
is(query($node, 'SELECT cmdsched.run_once()'), '1', 'a server without worker slots that preloads cmdsched starts, and commands run by hand');

# And when there are places again, nothing more has to be done.
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'waiting-for-slot')");
set_conf($node, max_worker_processes => 32);
$node->restart;
ran_once($node, 'waiting-for-slot', 1, 'with worker slots they run by themselves');

$node->stop;
done_testing();
