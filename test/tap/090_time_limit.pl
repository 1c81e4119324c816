# A handler that takes longer than its time limit is cancelled; one that goes
# on is terminated 3 seconds later.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('limit');

wait_for_workers($node, 'the workers are there');
my $started = query($node, 'SELECT pg_postmaster_start_time()');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
SELECT cmdsched.register_handler('Limited', 'shop.slow(cmdsched.scheduled_commands)', timeout => '0.5 seconds', backoff => '0.1 seconds', max_attempts => 2);
SELECT cmdsched.register_handler('Unlimited', 'shop.slow(cmdsched.scheduled_commands)');
SQL

# ----------------------------------------------------------------------------
# Cancelled
# ----------------------------------------------------------------------------

query($node, <<'SQL');
SELECT cmdsched.schedule('Limited', '{"seconds": 0.1}', schedule_id => 'in-time');
SELECT cmdsched.schedule('Limited', '{"gate": "limited"}', schedule_id => 'too-slow');
SQL
ran_once($node, 'in-time', 1, 'a handler that ends in time is not disturbed');
wait_for($node, "SELECT status, attempts, last_error->>'sqlstate' FROM cmdsched.scheduled_commands WHERE schedule_id = 'too-slow'",
	'failed|2|57014', 'one that does not is cancelled, and its attempts are counted');
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'too-slow'"), '0', 'its effects are rolled back');
cmp_ok(query($node, "SELECT extract(epoch FROM (last_error->>'at')::timestamptz - created_at) FROM cmdsched.scheduled_commands WHERE schedule_id = 'too-slow'"),
	'<', 10, 'soon after its limit');
query($node, "SELECT cmdsched.schedule('Unlimited', '{\"seconds\": 1}', schedule_id => 'unlimited')");
ran_once($node, 'unlimited', 1, 'the limit is not that of the next command');
open_gate($node, 'limited');
query($node, "SELECT cmdsched.retry('too-slow')");
ran_once($node, 'too-slow', 1, 'it can be tried again');

# The handler cannot lift its limit.
query($node, <<'SQL');
CREATE FUNCTION shop.lifts_limit(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql SET statement_timeout = 0 AS $$
BEGIN
	SET LOCAL statement_timeout = 0;
	PERFORM shop.slow(command);
END
$$;
SELECT cmdsched.register_handler('LiftsLimit', 'shop.lifts_limit(cmdsched.scheduled_commands)', timeout => '0.5 seconds', max_attempts => 1);
SELECT cmdsched.schedule('LiftsLimit', schedule_id => 'lifts-limit');
SQL
wait_for($node, "SELECT status, last_error->>'sqlstate' FROM cmdsched.scheduled_commands WHERE schedule_id = 'lifts-limit'",
	'failed|57014', 'a handler cannot lift its limit by statement_timeout');

# ----------------------------------------------------------------------------
# Terminated
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('Stubborn', schedule_id => 'stubborn')");
wait_until_running($node, 'stubborn');
my $pid = executor_pid($node, 'stubborn');
query($node, "SET ROLE alice; SELECT count(cmdsched.schedule('Effect', schedule_id => 'alice-' || i)) FROM generate_series(1, 100) AS i");
query($node, "SELECT count(cmdsched.schedule('Effect', schedule_id => 'same-role-' || i)) FROM generate_series(1, 100) AS i");
# For which another executor comes, that could take the command over.
query($node, "SELECT count(cmdsched.schedule('Slow', '{\"seconds\": 0.2}', schedule_id => 'same-slow-' || i)) FROM generate_series(1, 6) AS i");
ran_once($node, 'alice-%', 100, 'commands of other roles run meanwhile');
ran_once($node, 'same-role-%', 100, 'and those of the same role');
ran_once($node, 'same-slow-%', 6, 'slow ones too');
wait_for($node, "SELECT status, attempts, last_error->>'sqlstate' FROM cmdsched.scheduled_commands WHERE schedule_id = 'stubborn'",
	'pending|1|57P01', 'a handler that catches its cancel is terminated, and the attempt counted');
is( query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id ~ '^(alice|same)-' AND at > (SELECT (last_error->>'at')::timestamptz FROM cmdsched.get('stubborn'))"),
	'0', 'none of the others had to wait for that');
my $seconds = query($node, "SELECT extract(epoch FROM (last_error->>'at')::timestamptz - created_at) FROM cmdsched.scheduled_commands WHERE schedule_id = 'stubborn'");
cmp_ok($seconds, '>', 3.9, 'not before 3 s after the limit of 1 s');
cmp_ok($seconds, '<', 9, 'and not long after them');
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'stubborn'"), '0', 'its effects are rolled back');
wait_for($node, "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid", '0', 'its process is gone');

query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'after')");
ran_once($node, 'after', 1, 'commands run after that');
wait_for_workers($node, 'the workers are there as before');
is(query($node, 'SELECT pg_postmaster_start_time()'), $started, 'the server has not been restarted');
unlike(log_of($node), qr/PANIC|TRAP|terminated by signal|reinitializing/, 'and no process crashed');

# In a session of the user's own the limit holds too, and ends no session.
query($node, "SELECT cmdsched.stop()");
query($node, "SELECT cmdsched.register_handler('Limited', 'shop.slow(cmdsched.scheduled_commands)', timeout => '0.5 seconds', max_attempts => 1)");
query($node, "SELECT cmdsched.schedule('Limited', '{\"gate\": \"by hand\"}', schedule_id => 'by-hand')");
is(query($node, 'SELECT cmdsched.run_once(); SELECT 42'), "0\n42", 'run_once() goes on after a handler at its limit');
is(query($node, "SELECT status, last_error->>'sqlstate' FROM cmdsched.scheduled_commands WHERE schedule_id = 'by-hand'"), 'failed|57014', 'whose attempt is counted');

$node->stop;
done_testing();
