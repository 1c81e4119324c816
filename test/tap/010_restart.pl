# Pending commands survive a restart and a crash: all of them run, once, and
# nobody has to do anything.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('restart');

wait_for_workers($node, 'the workers are there after CREATE EXTENSION');

# ----------------------------------------------------------------------------
# Restart with commands due, due soon and due later
# ----------------------------------------------------------------------------

foreach my $mode ('fast', 'immediate')
{
	reload_conf($node, 'cmdsched.enabled' => 'off');
	query($node, <<"SQL");
SELECT count(cmdsched.schedule('Effect', '{}', now() - interval '1 minute', schedule_id => '$mode-due-' || i)) FROM generate_series(1, 500) AS i;
SELECT count(cmdsched.schedule('Effect', '{}', now() + interval '3 seconds', schedule_id => '$mode-soon-' || i)) FROM generate_series(1, 50) AS i;
SELECT count(cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => '$mode-later-' || i)) FROM generate_series(1, 50) AS i;
SQL
	is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id LIKE '$mode-%'"),
		'0', "$mode: none runs while the workers are switched off");

	set_conf($node, 'cmdsched.enabled' => 'on');
	$node->stop($mode);
	$node->start;
	ran_once($node, "$mode-due-%", 500, "$mode: what was due runs, once");
	ran_once($node, "$mode-soon-%", 50, "$mode: what was due soon runs, once, not early");
	is( query($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE schedule_id LIKE '$mode-%' AND status = 'pending' AND attempts = 0"),
		'50', "$mode: what is due later waits, and nothing else does");
	wait_for_workers($node, "$mode: one launcher and one scheduler are back");
}

# A command that nobody waits for between two restarts.
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'twice')");
$node->restart;
$node->stop('immediate');
$node->start;
ran_once($node, 'twice', 1, 'a command that is due during two restarts runs once');

# ----------------------------------------------------------------------------
# Restart while handlers run
# ----------------------------------------------------------------------------

foreach my $mode ('fast', 'immediate')
{
	my $id = "running-$mode";

	query($node, "SELECT cmdsched.schedule('Slow', '{\"gate\": \"$id\"}', schedule_id => '$id')");
	wait_until_running($node, $id);
	my $pid = executor_pid($node, $id);
	my $offset = -s $node->logfile;
	my $seconds = time_of(sub { $node->stop($mode) });
	cmp_ok($seconds, '<', 8, "$mode shutdown does not wait for a handler");
	$node->start;
	wait_until_running($node, $id, "$mode: the command is run again");
	isnt(executor_pid($node, $id), $pid, "$mode: in another process");
	is( query($node, "SELECT status, attempts, last_error IS NULL FROM cmdsched.scheduled_commands WHERE schedule_id = '$id'"),
		'pending|0|t', "$mode: what the shutdown ended is not counted");
	open_gate($node, $id);
	ran_once($node, $id, 1, "$mode: it has run once, its first effects were rolled back");
	is(query($node, "SELECT attempt FROM shop.effects WHERE schedule_id = '$id'"), '1', "$mode: in its first attempt");
	unlike(log_of($node, $offset), qr/PANIC|TRAP|terminated by signal/, "$mode: no worker crashed");
}

# ----------------------------------------------------------------------------
# Attempts counted before a restart are kept
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('Fail', '{\"times\": 3}', schedule_id => 'failing')");
wait_for($node, "SELECT coalesce((SELECT attempts > 0 FROM cmdsched.scheduled_commands WHERE schedule_id = 'failing'), true)", 't', 'an attempt failed');
$node->stop('immediate');
$node->start;
ran_once($node, 'failing', 1, 'retries go on after a crash');
is(query($node, "SELECT attempt FROM shop.effects WHERE schedule_id = 'failing'"), '4', 'and are counted on');

$node->stop;
done_testing();
