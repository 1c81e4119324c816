# What a command was given, and what its error says, is for its owner and for
# superusers: nobody else reads it, in the tables, the views or the log.

use strict;
use warnings;

use Cmdsched;
use Digest::MD5 'md5_hex';
use Test::More;

# The log as talkative as it can be.
my $node = new_node('leaks', conf => <<'CONF');
log_min_messages = debug1
log_min_error_statement = debug1
log_error_verbosity = verbose
log_statement = all
log_min_duration_statement = 0
log_lock_waits = on
deadlock_timeout = 10ms
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
cmdsched.log_min_duration = 0
CONF

# Sessions write their statements to the log, so none has a secret in it: they
# make it themselves.
my $payload = md5_hex('payload');
my $text = md5_hex('text');
my $secrets = qr/$payload|$text/;
my $read = 0;
my $data = "jsonb_build_object('secret', md5('payload'))";

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
CREATE TABLE shop.unique (x text UNIQUE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO shop.unique VALUES (md5('payload') || md5('text'));
CREATE TABLE shop.locked (x text);
GRANT SELECT, INSERT ON shop.unique, shop.locked TO alice;

CREATE FUNCTION shop.leak(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	secret text := (command.command_data->>'secret') || md5('text');
BEGIN
	PERFORM shop.effect(command);
	CASE command.schedule_id
		WHEN 'raises' THEN RAISE '%', secret USING DETAIL = secret, HINT = secret;
		WHEN 'cast' THEN PERFORM secret::integer;
		WHEN 'no-table' THEN EXECUTE format('SELECT %L FROM nowhere', secret);
		WHEN 'no-column' THEN EXECUTE format('SELECT %L, nothing', secret);
		WHEN 'check' THEN INSERT INTO cmdsched.scheduled_commands (schedule_id) VALUES (secret);
		WHEN 'abandoned' THEN PERFORM cmdsched.abandon(secret);
		WHEN 'at-commit' THEN INSERT INTO shop.unique VALUES (secret);
		WHEN 'too-long' THEN EXECUTE format('SELECT pg_sleep(1000), %L', secret);
		WHEN 'stubborn' THEN
			LOOP
				BEGIN
					EXECUTE format('SELECT pg_sleep(1000), %L', secret);
				EXCEPTION WHEN query_canceled THEN
					NULL;
				END;
			END LOOP;
		WHEN 'waits' THEN EXECUTE format('INSERT INTO shop.locked VALUES (%L)', secret);
		WHEN 'running' THEN
			WHILE NOT EXISTS (SELECT FROM shop.open_gates) LOOP
				EXECUTE format('SELECT pg_sleep(0.02), %L', secret);
			END LOOP;
	END CASE;
END
$$;
CREATE FUNCTION shop.dropped(command cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS '';
SELECT cmdsched.register_handler('Leak', 'shop.leak(cmdsched.scheduled_commands)', max_attempts => 1);
SELECT cmdsched.register_handler('Limited', 'shop.leak(cmdsched.scheduled_commands)', max_attempts => 1, timeout => '1 second');
SELECT cmdsched.register_handler('Dropped', 'shop.dropped(cmdsched.scheduled_commands)');
SQL

# Fails as soon as a session of alice has a secret in a statement of its own.
sub schedule
{
	my ($id, $type, $when) = @_;

	query($node, "SET SESSION AUTHORIZATION alice; SELECT cmdsched.schedule('$type', $data, now() + interval '$when', metadata => $data, schedule_id => '$id')");
	return;
}

sub ends
{
	my ($id, $state, $message) = @_;

	wait_for($node, "SELECT status, last_error->>'sqlstate' FROM cmdsched.get('$id')", $state, "$id: $state");
	return unless $message;
	is(query($node, "SET SESSION AUTHORIZATION alice; SELECT last_error::text ~ md5('text') FROM cmdsched.get('$id')"), 't', "$id: its owner sees why");
	return;
}

# Since it was last asked.
sub nothing_in_log
{
	my ($what) = @_;
	my $log = log_of($node, $read);
	my @lines = grep { /$secrets/ } split /\n/, $log;

	$read += length $log;
	is(join("\n", @lines), '', $what);
	return;
}

like(log_of($node), qr/execute|statement: .*md5/, 'the log has the statements');
my %fails = ('raises' => 'P0001', 'cast' => '22P02', 'no-table' => '42P01', 'no-column' => '42703', 'check' => '42501', 'at-commit' => '23505');
foreach my $id (sort keys %fails)
{
	schedule($id, 'Leak', '0');
	ends($id, "failed|$fails{$id}", $id !~ /check|no-/);
	nothing_in_log("$id: nothing of it is in the log");
}
schedule('abandoned', 'Leak', '0');
wait_for($node, "SELECT status FROM cmdsched.get('abandoned')", 'failed', 'abandoned: failed');
nothing_in_log('abandoned: nothing of it is in the log');

schedule('held', 'Dropped', '1 second');
query($node, 'DROP FUNCTION shop.dropped(cmdsched.scheduled_commands)');
ends('held', 'held|42883');
nothing_in_log('held: nothing of it is in the log');

schedule('too-long', 'Limited', '0');
ends('too-long', 'failed|57014');
nothing_in_log('too-long: nothing of it is in the log when its time limit ends it');

schedule('stubborn', 'Limited', '0');
ends('stubborn', 'failed|57P01');
nothing_in_log('stubborn: nor when its process has to be ended');

my $locker = session($node);
$locker->query_safe('BEGIN; LOCK TABLE shop.locked');
schedule('waits', 'Leak', '0');
wait_for_log_line($node, qr/cmdsched executor LOG:.*still waiting for/, $read, 'waits: for a lock, and the log says so');
$locker->query_safe('COMMIT');
$locker->quit;
wait_for($node, 'SELECT count(*) FROM shop.locked', '1', 'waits: done');
nothing_in_log('waits: nothing of it is in the log');

# ----------------------------------------------------------------------------
# While it runs, what others see
# ----------------------------------------------------------------------------

query($node, <<'SQL');
CREATE FUNCTION public.peek(data jsonb) RETURNS boolean COST 0.0001 LANGUAGE plpgsql AS $$BEGIN RAISE WARNING '%', data; RETURN true; END$$;
ANALYZE cmdsched.scheduled_commands;
SQL
schedule('running', 'Leak', '0');
wait_until_running($node, 'running');
is(query($node, "SELECT count(*) FROM pg_stat_activity AS a WHERE backend_type LIKE 'cmdsched%' AND a::text ~ (md5('payload') || '|' || md5('text'))"), '0', 'running: nothing of it is in pg_stat_activity, for a superuser either');
foreach my $sql (
	'SELECT count(*) FROM cmdsched.scheduled_commands',
	"SELECT count(*) FROM cmdsched.get('raises') AS g WHERE g.schedule_id IS NOT NULL",
	"SELECT count(*) FROM cmdsched.get('running') AS g WHERE g.schedule_id IS NOT NULL",
	'SELECT count(*) FROM cmdsched.get_due_commands()',
	'SELECT count(schedule_id) FROM cmdsched.workers',
	'SELECT count(schedule_id) FROM cmdsched.list_workers()',
	"SELECT count(*) FROM pg_stats WHERE tablename = 'scheduled_commands'",
	'SELECT count(*) FROM cmdsched.scheduled_commands WHERE public.peek(command_data)',
	'SELECT count(*) FROM cmdsched.scheduled_commands WHERE public.peek(last_error)')
{
	my ($ret, $stdout, $stderr) = $node->psql('postgres', "SET SESSION AUTHORIZATION bob; $sql");
	is("$stdout$stderr", '0', "another role: $sql");
}
is(query($node, 'SET SESSION AUTHORIZATION alice; SELECT count(schedule_id) FROM cmdsched.workers'), '1', 'its owner sees what runs');
foreach my $sql ("cancel('raises')", "retry('raises')", "reschedule('running', now())", "cancel('running')")
{
	is(query($node, "SET SESSION AUTHORIZATION bob; SELECT cmdsched.$sql"), 'f', "another role: $sql finds nothing");
}
is(query($node, "SET SESSION AUTHORIZATION bob; BEGIN; SELECT cmdsched.schedule('Effect', schedule_id => 'raises', on_conflict => 'error'); ROLLBACK"), 'raises', "another role does not meet an id that is alice's");
nothing_in_log('and nothing of all this is in the log');

# Ended from outside, in the middle of it.
is(query($node, "SELECT pg_terminate_backend(pid, 10000) FROM cmdsched.workers WHERE schedule_id = 'running'"), 't', 'running: ended by an administrator');
nothing_in_log('running: nothing of it is in the log then');

# And by a crash: the log says what the process was doing.
wait_until_running($node, 'running', 'running: again');
kill 'KILL', executor_pid($node, 'running');
wait_for_log_line($node, qr/was terminated by signal 9.*database system is ready/s, $read, 'running: its process crashes');
nothing_in_log('running: nothing of it is in the log of a crash');
open_gate($node, 'any');
wait_for($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'running'", '1', 'running: done');

# ----------------------------------------------------------------------------
# Unless a setting says so
# ----------------------------------------------------------------------------

reload_conf($node, 'cmdsched.log_error_messages' => 'on');
query($node, 'SELECT pg_terminate_backend(pid, 10000) FROM cmdsched.workers WHERE kind = \'executor\'');
is(query($node, "SET SESSION AUTHORIZATION alice; SELECT cmdsched.retry('raises')"), 't', 'again, with cmdsched.log_error_messages');
ends('raises', 'failed|P0001', 1);
like(log_of($node), $secrets, 'now the log has the text of the error');

$node->stop;
done_testing();
