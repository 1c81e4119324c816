# A command that crashes the server is found out and held, after two crashes at
# most, and everything else runs.  Who crashed it by bad luck clears itself.

use strict;
use warnings;

use Cmdsched;
use Compile;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = new_node('blame');
my $library = compile('crash');
my $folder = PostgreSQL::Test::Utils::tempdir();
my $offset;

wait_for_workers($node, 'the workers are there');
query($node, "CREATE ROLE $_ LOGIN") foreach 'alice', 'bob', 'carol';
query($node, <<"SQL");
CREATE FUNCTION shop.segfault() RETURNS void LANGUAGE c AS '$library', 'crash';

CREATE FUNCTION shop.crash(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	PERFORM shop.effect(command);
	PERFORM shop.segfault();
END
\$\$;

-- Only the first time; then it waits, and says when it ended.
CREATE TABLE shop.ends (schedule_id text, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION shop.crash_once(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
	flag text := '$folder/' || command.schedule_id;
BEGIN
	IF (pg_stat_file(flag, true)).size IS NULL THEN
		EXECUTE format('COPY (SELECT 1) TO %L', flag);
		PERFORM shop.segfault();
	END IF;
	PERFORM shop.slow(command);
	INSERT INTO shop.ends (schedule_id) VALUES (command.schedule_id);
END
\$\$;

-- Not in the handler, but at the commit.
CREATE TABLE shop.checked_at_commit ();
CREATE FUNCTION shop.crash_at_commit() RETURNS trigger LANGUAGE plpgsql AS \$\$
BEGIN
	PERFORM shop.segfault();
	RETURN NULL;
END
\$\$;
CREATE CONSTRAINT TRIGGER crash AFTER INSERT ON shop.checked_at_commit
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.crash_at_commit();
CREATE FUNCTION shop.crash_later(command cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS \$\$
	SELECT shop.effect(command);
	INSERT INTO shop.checked_at_commit DEFAULT VALUES;
\$\$;

-- After a commit of its own.
CREATE PROCEDURE shop.commit_and_crash(command cmdsched.scheduled_commands) LANGUAGE plpgsql AS \$\$
BEGIN
	COMMIT;
	PERFORM shop.segfault();
END
\$\$;

SELECT cmdsched.register_handler('Crash', 'shop.crash(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('CrashOnce', 'shop.crash_once(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('CrashLater', 'shop.crash_later(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('CommitAndCrash', 'shop.commit_and_crash(cmdsched.scheduled_commands)');
SQL

# For now, or for soon: who schedules a crash is one of those that it ends.
sub schedule_as
{
	my ($role, $type, $id, $data) = @_;
	my $delay = $type =~ /Crash/ ? '1 second' : '0';

	query($node, "SET ROLE $role; SELECT cmdsched.schedule_in('$type', '$data', '$delay', schedule_id => '$id')");
	return;
}

# One assertion: that it is held for having crashed the server.
sub is_held
{
	my ($id) = @_;

	return wait_for($node, "SELECT status, last_error->>'sqlstate', last_error->>'message' ~ 'crashed the server' FROM cmdsched.scheduled_commands WHERE schedule_id = '$id'",
		'held|57P02|t', "$id: the command is held", timeout => 30);
}

sub crashes_since
{
	my ($offset) = @_;
	my $crashes = () = log_of($node, $offset) =~ /was terminated by signal/g;

	return $crashes;
}

# ----------------------------------------------------------------------------
# Crashes whenever it is run
# ----------------------------------------------------------------------------

# Among others of its role, before and after it in the same batch, and of
# another one.
$offset = -s $node->logfile;
query($node, <<'SQL');
BEGIN;
SELECT cmdsched.schedule_in('Effect', '{}', '1 second', schedule_id => 'always-' || i) FROM generate_series(1, 20) AS i;
SELECT cmdsched.schedule_in('Crash', '{}', '1 second', schedule_id => 'always-crash');
SELECT cmdsched.schedule_in('Effect', '{}', '1 second', schedule_id => 'always-x-' || i) FROM generate_series(21, 40) AS i;
SET LOCAL ROLE alice;
SELECT cmdsched.schedule_in('Effect', '{}', '1 second', schedule_id => 'always-alice-' || i) FROM generate_series(1, 20) AS i;
SELECT cmdsched.schedule_in('Effect', '{}', '2 seconds', schedule_id => 'always-later-' || i) FROM generate_series(1, 20) AS i;
COMMIT;
SQL
is_held('always-crash');
ran_once($node, 'always-%', 80, 'always: all others have run once');
is(crashes_since($offset), 2, 'always: after two crashes');
like(query($node, "SELECT last_error->>'detail' FROM cmdsched.get('always-crash')"), qr/retry\(\)/, 'always: it says what to do');
like(log_of($node, $offset), qr/"always-crash"/, 'always: so does the log, which one it was');

# Repaired.
query($node, "CREATE OR REPLACE FUNCTION shop.crash(command cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS 'SELECT shop.effect(command)'");
is(query($node, "SELECT cmdsched.retry('always-crash')"), 't', 'always: retry() when it is repaired');
ran_once($node, 'always-crash', 1, 'always: then it has run once');
query($node, "CREATE OR REPLACE FUNCTION shop.crash(command cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS 'SELECT shop.effect(command); SELECT shop.segfault()'");

# At the commit of its batch.
$offset = -s $node->logfile;
query($node, <<'SQL');
BEGIN;
SELECT cmdsched.schedule_in('Effect', '{}', '1 second', schedule_id => 'commit-' || i) FROM generate_series(1, 20) AS i;
SELECT cmdsched.schedule_in('CrashLater', '{}', '1 second', schedule_id => 'commit-crash');
SELECT cmdsched.schedule_in('Effect', '{}', '1 second', schedule_id => 'commit-x-' || i) FROM generate_series(21, 40) AS i;
COMMIT;
SQL
is_held('commit-crash');
ran_once($node, 'commit-%', 40, 'commit: all others have run once');
cmp_ok(crashes_since($offset), '<=', 2, 'commit: after two crashes');

# A procedure, which may have committed something.
$offset = -s $node->logfile;
schedule_as('alice', 'CommitAndCrash', 'procedure', '{}');
schedule_as('bob', 'Effect', 'procedure-beside', '{}');
is_held('procedure');
ran_once($node, 'procedure-beside', 1, 'procedure: the other has run once');
cmp_ok(crashes_since($offset), '<=', 2, 'procedure: after two crashes');

# ----------------------------------------------------------------------------
# Several at work
# ----------------------------------------------------------------------------

# Those who were ended with the server are no suspects: they run again, at the
# same time.
$offset = -s $node->logfile;
schedule_as($_, 'Slow', "flight-$_", '{"gate": "flight"}') foreach 'alice', 'bob', 'carol';
wait_until_running($node, "flight-$_") foreach 'alice', 'bob', 'carol';
schedule_as('postgres', 'Crash', 'flight', '{}');
is_held('flight');
wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE schedule_id LIKE 'flight-%'", '3', 'flight: the others run again, all of them', timeout => 10);
open_gate($node, 'flight');
ran_once($node, 'flight-%', 3, 'flight: they have run once');
is(crashes_since($offset), 2, 'flight: after two crashes');

# Two that die at the same time: both are suspects, and both are innocent.
$offset = -s $node->logfile;
schedule_as($_, 'Slow', "pair-$_", '{"gate": "pair"}') foreach 'alice', 'bob';
wait_until_running($node, "pair-$_") foreach 'alice', 'bob';
{
	my @pids = map { executor_pid($node, "pair-$_") } 'alice', 'bob';

	kill 'STOP', $pids[1];
	kill 'KILL', @pids;
}
wait_for_log_line($node, qr/all server processes terminated; reinitializing/, $offset, 'pair: kill -9 of two executors at once');
wait_for_workers($node, 'pair: the workers are back');
open_gate($node, 'pair');
ran_once($node, 'pair-%', 2, 'pair: both have run once');

# ----------------------------------------------------------------------------
# Bad luck
# ----------------------------------------------------------------------------

# A suspect is run alone.
$offset = -s $node->logfile;
schedule_as('postgres', 'CrashOnce', 'once', '{"gate": "once"}');
wait_for_log_line($node, qr/all server processes terminated; reinitializing/, $offset, 'once: the server restarts');
wait_until_running($node, 'once', 'once: it is run again');
query($node, "SET ROLE alice; SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'once-beside')");
wait_for($node, "SELECT count(*) FROM cmdsched.get_due_commands() WHERE schedule_id = 'once-beside'", '1', 'once: another command waits meanwhile');
open_gate($node, 'once');
ran_once($node, 'once', 1, 'once: it has run once');
ran_once($node, 'once-beside', 1, 'once: so has the other');
is(query($node, "SELECT e.at < o.at FROM shop.ends AS e, shop.effects AS o WHERE e.schedule_id = 'once' AND o.schedule_id = 'once-beside'"), 't', 'once: after it');
is(crashes_since($offset), 1, 'once: after one crash');

# But nobody waits for it for ever.
$offset = -s $node->logfile;
schedule_as('postgres', 'CrashOnce', 'slow', '{"gate": "slow"}');
wait_for_log_line($node, qr/all server processes terminated; reinitializing/, $offset, 'slow: the server restarts');
wait_until_running($node, 'slow', 'slow: it is run again');
schedule_as('alice', 'Effect', 'slow-beside', '{}');
ran_once($node, 'slow-beside', 1, 'slow: the other runs after some seconds', timeout => 15);
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'slow'"), '0', 'slow: which the suspect does not end');
open_gate($node, 'slow');
ran_once($node, 'slow', 1, 'slow: it has run once');

# Suspects that are cancelled before they are run: one, and two of one batch.
query($node, <<'SQL');
CREATE FUNCTION shop.wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_sleep(0.02) FROM generate_series(1, 1000000)
	WHERE NOT EXISTS (SELECT FROM shop.open_gates WHERE gate = 'cancelled');
	RETURN NULL;
END
$$;
CREATE TABLE shop.waits_at_commit ();
CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON shop.waits_at_commit
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.wait_at_commit();
CREATE FUNCTION shop.wait_later(command cmdsched.scheduled_commands) RETURNS void LANGUAGE sql SECURITY DEFINER AS
	'INSERT INTO shop.waits_at_commit DEFAULT VALUES';
SELECT cmdsched.register_handler('WaitLater', 'shop.wait_later(cmdsched.scheduled_commands)');
SQL
foreach my $case (['Slow', 1], ['WaitLater', 2])
{
	my ($type, $ncommands) = @$case;
	my $what = "cancelled: $ncommands of type $type";
	my $pid;

	$offset = -s $node->logfile;
	query($node, "SET ROLE alice; SELECT cmdsched.schedule('$type', schedule_id => 'cancelled-' || i) FROM generate_series(1, $ncommands) AS i");
	wait_for($node, "SELECT count(*) FROM pg_stat_activity AS a JOIN cmdsched.workers AS w USING (pid) WHERE a.wait_event = 'PgSleep' AND w.role = 'alice' AND w.state = 'running'", '1', "$what: running");
	reload_conf($node, 'cmdsched.enabled' => 'off');
	$pid = query($node, "SELECT pid FROM cmdsched.workers WHERE role = 'alice' AND state = 'running'");
	kill 'KILL', $pid;
	wait_for_log_line($node, qr/all server processes terminated; reinitializing/, $offset, "$what: kill -9 of its executor");
	wait_for_workers($node, "$what: the workers are back");
	is(query($node, "SET ROLE alice; SELECT count(*) FROM generate_series(1, $ncommands) AS i WHERE cmdsched.cancel('cancelled-' || i)"), $ncommands, "$what: cancel()");
	query($node, "SET ROLE bob; SELECT cmdsched.schedule('Effect', schedule_id => 'cancelled-beside-$type')");
	reload_conf($node, 'cmdsched.enabled' => 'on');
	ran_once($node, "cancelled-beside-$type", 1, "$what: the others run");
	is(query($node, "SELECT e.at - w.since < '9 seconds' FROM shop.effects AS e, cmdsched.workers AS w WHERE e.schedule_id = 'cancelled-beside-$type' AND w.kind = 'scheduler'"), 't', "$what: they do not wait for it");
}

# ----------------------------------------------------------------------------
# The whole server ends with each crash
# ----------------------------------------------------------------------------

# A power failure could have ended it too, so it takes three crashes.
reload_conf($node, restart_after_crash => 'off');
schedule_as('alice', 'Crash', 'down', '{}');
foreach my $start ('first', 'second', 'third')
{
	my $deadline = time + 20;

	usleep(10_000) while -e $node->data_dir . '/postmaster.pid' && time < $deadline;
	ok(!-e $node->data_dir . '/postmaster.pid', "down: the $start crash ends the server");
	# It may be down again before this returns.
	$node->stop('fast', fail_ok => 1);
	$node->start(fail_ok => 1);
}
is_held('down');
query($node, "SET ROLE alice; SELECT cmdsched.schedule('Effect', schedule_id => 'down-after')");
ran_once($node, 'down-after', 1, 'down: then commands run');

is(query($node, "SELECT string_agg(schedule_id, ' ' ORDER BY schedule_id) FROM cmdsched.scheduled_commands WHERE status = 'held'"), 'commit-crash down flight procedure', 'held are those that crashed the server whenever they ran');
wait_until_idle($node, 'nothing else is left');
ran_once($node, '%', query($node, 'SELECT count(*) FROM shop.effects'), 'nothing has run twice');
$node->stop;
done_testing();
