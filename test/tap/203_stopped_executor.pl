# An executor that is stopped for a while has not ended: nobody else runs its
# command, however long it takes, and when it goes on it finishes.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('stopped', conf => "cmdsched.poll_interval = 1s\n");

wait_for_workers($node, 'the workers are there');
query($node, "CREATE ROLE $_ LOGIN") foreach 'alice', 'bob';

# What is found by looking at everything only: nobody hears of COMMIT PREPARED.
sub let_scheduler_sweep
{
	my ($id) = @_;

	query($node, "SET ROLE bob; BEGIN; SELECT cmdsched.schedule('Effect', schedule_id => '$id'); PREPARE TRANSACTION '$id'; COMMIT PREPARED '$id'");
	ran_once($node, $id, 1, "$id: the scheduler has looked at everything");
	return;
}

# In a handler.
query($node, "SET ROLE alice; SELECT cmdsched.schedule('Slow', '{\"gate\": \"slow\"}', schedule_id => 'slow')");
wait_until_running($node, 'slow');
my $pid = executor_pid($node, 'slow');

kill 'STOP', $pid;
query($node, "SET ROLE alice; SELECT count(cmdsched.schedule('Effect', schedule_id => 'alice-' || i)) FROM generate_series(1, 50) AS i");
ran_once($node, 'alice-%', 50, 'other commands of the role run');
let_scheduler_sweep("bob-$_") foreach 1 .. 3;
open_gate($node, 'slow');
let_scheduler_sweep('bob-4');
is(query($node, "SELECT pid FROM cmdsched.workers WHERE schedule_id = 'slow'"), $pid, 'its own command is its own');
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'slow'"), '0', 'nobody else has run it');
kill 'CONT', $pid;
ran_once($node, 'slow', 1, 'when it goes on the command has run once');
is(query($node, "SELECT pid, attempt FROM shop.effects WHERE schedule_id = 'slow'"), "$pid|1", 'there, in its first attempt');

# With nothing to do.
wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE role = 'alice' AND state = 'idle'", '2', 'the executors are idle');
my @pids = split /\n/, query($node, "SELECT pid FROM cmdsched.workers WHERE role = 'alice'");

kill 'STOP', @pids;
query($node, "SET ROLE alice; SELECT cmdsched.schedule('Effect', schedule_id => 'idle')");
let_scheduler_sweep('bob-5');
kill 'CONT', @pids;
ran_once($node, 'idle', 1, 'what became due while they were stopped runs once');

wait_until_idle($node, 'nothing is left');
$node->stop;
done_testing();
