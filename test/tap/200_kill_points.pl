# kill -9 of an executor before, in and after the commit of a command: whenever
# it comes, the effects are there once.  In the handler: 020_kill.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('points', streaming => 1, conf => "cmdsched.batch_time = 10s\n");

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
CREATE TABLE shop.checked_at_commit (gate text);
GRANT INSERT ON shop.checked_at_commit TO PUBLIC;
CREATE FUNCTION shop.check_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM shop.open_gates WHERE gate = NEW.gate) LOOP
		PERFORM pg_sleep(0.02);
	END LOOP;
	RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER check_at_commit AFTER INSERT ON shop.checked_at_commit
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.check_at_commit();
CREATE FUNCTION shop.effect_and_check(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE sql AS $$
	SELECT shop.effect(command);
	INSERT INTO shop.checked_at_commit VALUES (command.command_data->>'gate');
$$;
SELECT cmdsched.register_handler('SlowCommit', 'shop.effect_and_check(cmdsched.scheduled_commands)');
SQL

# kill -9, and wait for everything to be there again.  What others do at the
# same time, or later, is not disturbed.
sub crash
{
	my ($point, @pids) = @_;
	my $offset = -s $node->logfile;

	query($node, "SET ROLE bob; SELECT count(cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => '$point-bystander-' || i)) FROM generate_series(1, 50) AS i");
	kill 'KILL', @pids;
	wait_for_log_line($node, qr/all server processes terminated; reinitializing/, $offset, "$point: the server restarts");
	wait_for_workers($node, "$point: the workers are back");
	return;
}

sub bystanders_ran_once
{
	my ($point) = @_;

	ran_once($node, "$point-bystander-%", 50, "$point: the others have run once, and soon", timeout => 8);
	return;
}

# Returns the pids of a role's executors that have run something and are idle.
sub idle_executors
{
	my ($role, $id) = @_;

	query($node, "SET ROLE $role; SELECT cmdsched.schedule('Effect', schedule_id => '$id')");
	ran_once($node, $id, 1, "$id has run");
	wait_for($node, "SELECT string_agg(DISTINCT state, ' ') FROM cmdsched.workers WHERE role = '$role'", 'idle', "the executors of $role are idle");
	return split /\n/, query($node, "SELECT pid FROM cmdsched.workers WHERE role = '$role' AND pid > 0");
}

# Before it has taken the command, of which it knows already.
{
	my @pids = idle_executors('alice', 'before-first');

	kill 'STOP', @pids;
	query($node, "SET ROLE alice; SELECT cmdsched.schedule('Effect', schedule_id => 'before')");
	crash('before', @pids);
	ran_once($node, 'before', 1, 'before: the command has run once');
	bystanders_ran_once('before');
}

# In the last handler of a batch.
{
	query($node, <<'SQL');
BEGIN;
SET LOCAL ROLE alice;
SELECT count(cmdsched.schedule('Effect', schedule_id => 'batch-' || i)) FROM generate_series(1, 50) AS i;
SELECT cmdsched.schedule('Slow', '{"gate": "batch"}', schedule_id => 'batch-slow');
COMMIT;
SQL
	wait_until_running($node, 'batch-slow');
	is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id LIKE 'batch-%'"), '0', 'batch: nothing is committed yet');
	crash('batch', executor_pid($node, 'batch-slow'));
	open_gate($node, 'batch');
	ran_once($node, 'batch-%', 51 + 50, 'batch: all of it has run once, and so have the others');
}

# Between the handler and the commit.
{
	query($node, "SET ROLE alice; SELECT cmdsched.schedule('SlowCommit', '{\"gate\": \"commit\"}', schedule_id => 'commit')");
	wait_until_running($node, 'commit');
	my $pid = executor_pid($node, 'commit');
	wait_for($node, "SELECT wait_event FROM pg_stat_activity WHERE pid = $pid", 'PgSleep', 'commit: it is at its commit');
	crash('commit', $pid);
	wait_until_running($node, 'commit', 'commit: it is run again');
	open_gate($node, 'commit');
	ran_once($node, 'commit', 1, 'commit: it has run once');
	bystanders_ran_once('commit');
}

# When it has committed, and does not know it yet: it waits for a standby.
{
	set_conf($node, synchronous_standby_names => 'nobody');
	$node->restart;
	wait_for_workers($node, 'committed: the workers are there');
	local $ENV{PGOPTIONS} = '-c synchronous_commit=local';

	query($node, "SET ROLE alice; SELECT cmdsched.schedule('Effect', schedule_id => 'committed')");
	wait_for($node, "SELECT wait_event FROM pg_stat_activity JOIN cmdsched.workers USING (pid) WHERE schedule_id = 'committed'", 'SyncRep', 'committed: it waits for a standby');
	is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'committed'"), '0', 'committed: nobody sees its effects');
	crash('committed', executor_pid($node, 'committed'));
	is(query($node, "SELECT cmdsched.get('committed') IS NULL"), 't', 'committed: it is done');
	reload_conf($node, synchronous_standby_names => '');
	bystanders_ran_once('committed');
	ran_once($node, 'committed', 1, 'committed: it has not run again');
}

# When it has nothing to do any more.
{
	crash('after', idle_executors('alice', 'after'));
	bystanders_ran_once('after');
	ran_once($node, 'after', 1, 'after: the command has not run again');
}

wait_until_idle($node, 'nothing is left');
is(query($node, "SELECT count(*) FROM cmdsched.scheduled_commands"), '0', 'and nothing is held');
ran_once($node, '%', query($node, 'SELECT count(*) FROM shop.effects'), 'nothing has run twice');
$node->stop;
done_testing();
