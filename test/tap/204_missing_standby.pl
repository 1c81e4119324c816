# The synchronous standby is missing, so that every commit waits: the workers
# live on without turning in circles, and nothing runs twice for it.

use strict;
use warnings;

use Cmdsched;
use Processes;
use Test::More;

# Promised are 2 seconds; the rest is for a busy machine.
my $patience = 4;

my $node = new_node('missing', streaming => 1, conf => "synchronous_standby_names = 'nobody'\ncmdsched.poll_interval = 1s\n", start => 0);

# This session's own commits do not wait.
$ENV{PGOPTIONS} = '-c synchronous_commit=local';
$node->start;
create_shop($node);
wait_for_workers($node, 'the workers are there');
query($node, "CREATE ROLE $_ LOGIN") foreach 'alice', 'bob', 'carol';

my $waiting = "SELECT string_agg(usename, ' ' ORDER BY usename) FROM pg_stat_activity WHERE backend_type = 'cmdsched executor' AND wait_event = 'SyncRep'";

# A command of each of these roles, which hangs at its commit.
sub hang
{
	my ($prefix, @roles) = @_;

	query($node, "SET ROLE $_; SELECT cmdsched.schedule('Effect', schedule_id => '$prefix-$_')") foreach @roles;
	wait_for($node, $waiting, "@roles", "$prefix: the commits of @roles wait for a standby");
	return;
}

# ----------------------------------------------------------------------------
# Alive, and not busy
# ----------------------------------------------------------------------------

hang('first', 'alice', 'bob');
{
	my @pids = split /\n/, query($node, 'SELECT pid FROM cmdsched.workers WHERE pid > 0');
	my %before = map { $_ => cpu_seconds($_) } @pids;

	# Some seconds, in which there is something to do for the scheduler.
	query($node, "SET ROLE carol; SELECT cmdsched.schedule('Effect', '{}', now() + interval '2 seconds', schedule_id => 'first-carol')");
	wait_for($node, $waiting, 'alice bob carol', 'the scheduler goes on and starts another executor');
	cmp_ok(cpu_seconds($_) - $before{$_}, '<', 0.3, 'a worker does not turn in circles') foreach @pids;
}
is(query($node, 'SELECT count(*) FROM shop.effects'), '0', 'nothing is done as long as nobody confirms it');
reload_conf($node, synchronous_standby_names => '');
ran_once($node, 'first-%', 3, 'without the setting all of them have run once');

# ----------------------------------------------------------------------------
# Ended while waiting: it is committed here, so it is done
# ----------------------------------------------------------------------------

reload_conf($node, synchronous_standby_names => 'nobody');
wait_for($node, "SELECT string_agg(DISTINCT state, ' ') FROM cmdsched.workers WHERE kind = 'executor'", 'idle', 'the executors are idle');
hang('cancelled', 'alice');
query($node, "SELECT pg_cancel_backend(pid) FROM cmdsched.workers WHERE role = 'alice'");
ran_once($node, 'cancelled-%', 1, 'pg_cancel_backend() ends the wait');
hang('terminated', 'alice');
query($node, "SELECT pg_terminate_backend(pid) FROM cmdsched.workers WHERE role = 'alice'");
ran_once($node, 'terminated-%', 1, 'and so does pg_terminate_backend()');

hang('shutdown', 'alice', 'bob');
cmp_ok(time_of(sub { $node->stop('fast') }), '<', $patience, 'fast shutdown does not wait for the standby');
set_conf($node, synchronous_standby_names => '');
$node->start;
wait_for_workers($node, 'the workers are back');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'after')");
ran_once($node, 'after', 1, 'commands run');
ran_once($node, 'shutdown-%', 2, 'those that waited at the shutdown have not run again');
ran_once($node, '%', 8, 'nothing has run twice');
is(query($node, 'SELECT count(*) FROM cmdsched.scheduled_commands'), '0', 'and nothing is left');

$node->stop;
done_testing();
