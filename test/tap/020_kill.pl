# Signals to every kind of worker, and a crash of the whole server: nothing is
# lost, nothing runs twice, the workers come back.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('kill');
my $offset;

wait_for_workers($node, 'the workers are there');

# Runs a command to show that everything works.
sub still_runs
{
	my ($id, $what) = @_;

	query($node, "SELECT cmdsched.schedule('Effect', schedule_id => '$id')");
	ran_once($node, $id, 1, $what);
	return;
}

sub launcher_pid
{
	return query($node, "SELECT pid FROM cmdsched.workers WHERE kind = 'launcher'");
}

# Waits until a kind of worker has another process than this.
sub wait_for_successor
{
	my ($kind, $pid, $what) = @_;

	wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE kind = '$kind' AND pid <> $pid", '1', $what, timeout => 10);
	wait_for_workers($node, "$what, and there is one");
	return;
}

# Starts a command that waits for its gate; returns its executor.
sub start_slow
{
	my ($id) = @_;

	query($node, "SELECT cmdsched.schedule('Slow', '{\"gate\": \"$id\"}', schedule_id => '$id')");
	wait_until_running($node, $id);
	return executor_pid($node, $id);
}

# ----------------------------------------------------------------------------
# SIGTERM
# ----------------------------------------------------------------------------

{
	my $pid = start_slow('terminated');

	query($node, "SELECT pg_terminate_backend($pid)");
	wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE schedule_id = 'terminated' AND pid <> $pid",
		'1', 'a command whose executor was terminated is run again', timeout => 10);
	is(query($node, "SELECT status, attempts FROM cmdsched.scheduled_commands WHERE schedule_id = 'terminated'"),
		'pending|0', 'and the attempt was not counted');
	open_gate($node, 'terminated');
	ran_once($node, 'terminated', 1, 'it has run once');
}

{
	my $executor = start_slow('beside');
	my $pid = scheduler_pid($node);

	query($node, "SELECT pg_terminate_backend($pid)");
	wait_for_successor('scheduler', $pid, 'a terminated scheduler comes back');
	is(executor_pid($node, 'beside'), $executor, 'the running handler goes on');
	open_gate($node, 'beside');
	ran_once($node, 'beside', 1, 'and ends');
	still_runs('after-scheduler', 'commands run after that');
}

{
	my $pid = launcher_pid();
	my $scheduler = scheduler_pid($node);

	query($node, "SELECT pg_terminate_backend($pid)");
	wait_for_successor('launcher', $pid, 'a terminated launcher comes back');
	is(scheduler_pid($node), $scheduler, 'the scheduler stayed');
	still_runs('after-launcher', 'commands run after that');
}

# Both at once, and again before they are back; also just when the scheduler has
# come up, and who started it does not know that yet.
foreach my $round (1 .. 8)
{
	my ($launcher, $scheduler) = (launcher_pid(), scheduler_pid($node));

	query($node, "SELECT pg_terminate_backend(pid) FROM cmdsched.workers");
	query($node, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'cmdsched%'");
	wait_for_successor('launcher', $launcher, "all workers terminated, $round: the launcher comes back");
	wait_for_successor('scheduler', $scheduler, "all workers terminated, $round: the scheduler comes back");
	still_runs("after-all-$round", "commands run after that, $round");
}

# ----------------------------------------------------------------------------
# SIGINT
# ----------------------------------------------------------------------------

{
	my ($launcher, $scheduler) = (launcher_pid(), scheduler_pid($node));

	query($node, "SELECT pg_cancel_backend(pid) FROM cmdsched.workers WHERE kind <> 'executor'");
	still_runs('after-cancel', 'launcher and scheduler survive pg_cancel_backend()');
	is(launcher_pid(), $launcher, 'the same launcher');
	is(scheduler_pid($node), $scheduler, 'the same scheduler');
}

{
	my $pid = start_slow('cancelled');

	query($node, "SELECT pg_cancel_backend($pid)");
	wait_for($node, "SELECT status, attempts, last_error->>'sqlstate' FROM cmdsched.scheduled_commands WHERE schedule_id = 'cancelled'",
		'pending|1|57014', 'a cancelled handler is a failed attempt');
	open_gate($node, 'cancelled');
	ran_once($node, 'cancelled', 1, 'it is tried again');
	is(query($node, "SELECT attempt FROM shop.effects WHERE schedule_id = 'cancelled'"), '2', 'in its second attempt');
}

{
	still_runs('before-idle-cancel', 'an executor is there');
	wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE kind = 'executor' AND state <> 'idle'", '0', 'and idle');
	query($node, "SELECT pg_cancel_backend(pid) FROM cmdsched.workers WHERE kind = 'executor'");
	still_runs('after-idle-cancel', 'pg_cancel_backend() to an idle executor does no harm');
}

# ----------------------------------------------------------------------------
# SIGKILL: the server restarts all processes
# ----------------------------------------------------------------------------

# kill -9, and wait for the server to notice.
sub crash
{
	my ($pid, $what) = @_;

	$offset = -s $node->logfile;
	kill 9, $pid;
	wait_for_log_line($node, qr/all server processes terminated; reinitializing/, $offset, "$what: the server restarts");
	wait_for_workers($node, "$what: the workers are back");
	return;
}

{
	query($node, "SELECT count(cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'bystander-' || i)) FROM generate_series(1, 100) AS i");
	my $pid = start_slow('killed');

	crash($pid, 'kill -9 of an executor in a handler');
	wait_until_running($node, 'killed', 'the command is run again');
	isnt(executor_pid($node, 'killed'), $pid, 'in another process');
	open_gate($node, 'killed');
	ran_once($node, 'killed', 1, 'it has run once');
	ran_once($node, 'bystander-%', 100, 'and so have the others');
}

foreach my $kind ('scheduler', 'launcher')
{
	query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'killed-$kind')");
	my $pid = query($node, "SELECT pid FROM cmdsched.workers WHERE kind = '$kind'");

	crash($pid, "kill -9 of the $kind");
	ran_once($node, "killed-$kind", 1, "kill -9 of the $kind: the pending command runs once");
	still_runs("after-killed-$kind", 'and so does a new one');
}

{
	my $session = session($node);

	query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'unrelated')");
	start_slow('in-flight');
	# What it scheduled dies with it.
	my $pid = $session->query('SELECT pg_backend_pid()');
	$session->query("BEGIN; SELECT cmdsched.schedule('Effect', schedule_id => 'uncommitted')");
	crash($pid, 'kill -9 of an unrelated backend');
	ran_once($node, 'unrelated', 1, 'the pending command runs once');
	wait_until_running($node, 'in-flight', 'the one in flight is run again');
	open_gate($node, 'in-flight');
	ran_once($node, 'in-flight', 1, 'it has run once');
	is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'uncommitted'"), '0', 'what was not committed does not run');
	eval { $session->quit };
}

wait_until_idle($node, 'nothing is left');
ran_once($node, '%', query($node, 'SELECT count(*) FROM shop.effects'), 'nothing has run twice');
$node->stop;
done_testing();
