# There is never a second scheduler in a database, not even where the first one
# hangs, and commands run once all the same.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('second');
my $folder = PostgreSQL::Test::Utils::tempdir();
my $schedulers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cmdsched scheduler' AND datname = 'postgres'";
my $stopped;

# It would not hear the server's shutdown.
END { kill 'CONT', $stopped if $stopped; }

sub launcher_pid
{
	return query($node, "SELECT pid FROM cmdsched.workers WHERE kind = 'launcher'");
}

# Ends the launcher, whose successor looks at everything anew.
sub replace_launcher
{
	my ($what) = @_;
	my $pid = launcher_pid();

	query($node, "SELECT pg_terminate_backend($pid)");
	wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE kind = 'launcher' AND pid <> $pid", '1', $what);
	return;
}

# Commands of a role that is served already, over a time in which a second
# scheduler would have come.
sub commands_run
{
	my ($id, $what) = @_;

	query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + i * interval '0.1 seconds', schedule_id => '$id-' || i) FROM generate_series(1, 12) AS i");
	ran_once($node, "$id-%", 12, $what);
	return;
}

wait_for_workers($node, 'the workers are there');
is(query($node, 'SELECT cmdsched.start()'), 'f', 'start() starts no second scheduler');

# ----------------------------------------------------------------------------
# It hangs
# ----------------------------------------------------------------------------

commands_run('before', 'commands run');
$stopped = scheduler_pid($node);
kill 'STOP', $stopped;
is(query($node, 'SELECT cmdsched.start()'), 'f', 'start() does not replace one that hangs');
replace_launcher('a new launcher is there');
query($node, "CREATE ROLE alice LOGIN; SET ROLE alice; SELECT cmdsched.schedule('Effect', schedule_id => 'new-role')");
commands_run('hanging', 'commands of roles that have an executor run');
is(query($node, $schedulers), '1', 'the launcher has not replaced it either');
kill 'CONT', $stopped;
ran_once($node, 'new-role', 1, 'when it goes on, those of another role run');
is(scheduler_pid($node), $stopped, 'it is the same');

# Told to end while it hangs.
kill 'STOP', $stopped;
kill 'TERM', $stopped;
replace_launcher('a new launcher is there');
query($node, "CREATE ROLE bob LOGIN; SET ROLE bob; SELECT cmdsched.schedule('Effect', schedule_id => 'another-role')");
commands_run('ending', 'commands of roles that have an executor run');
is(query($node, $schedulers), '1', 'there is no second one before it has ended');
kill 'CONT', $stopped;
ran_once($node, 'another-role', 1, 'when it has ended, the next one runs what was left');
wait_for_workers($node, 'there is one');
isnt(scheduler_pid($node), $stopped, 'another one');
$stopped = undef;

# ----------------------------------------------------------------------------
# Started by many at once
# ----------------------------------------------------------------------------

append_to_file("$folder/start", "SELECT cmdsched.start();\n");
foreach my $round (1 .. 2)
{
	is(query($node, 'SELECT cmdsched.stop()'), 't', "round $round: stopped");
	$node->command_ok([ 'pgbench', '-n', '-U', 'postgres', '-c', '10', '-j', '2', '-t', '2', '-f', "$folder/start", 'postgres' ], "round $round: ten sessions start it at once");
	is(query($node, $schedulers), '1', "round $round: there is one scheduler");
	commands_run("round-$round", "round $round: commands run");
}
ran_once($node, '%', query($node, 'SELECT count(*) FROM shop.effects'), 'nothing has run twice');

$node->stop;
done_testing();
