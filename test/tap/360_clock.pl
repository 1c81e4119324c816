# The clock of a test: the workers never see it, and it leaves nothing behind.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('clock');

wait_for_workers($node, 'the workers are there');

# Ends a session, and says what it printed.
sub rest_of
{
	my ($session, $sql) = @_;
	my $output = $session->query_safe($sql);

	$output =~ s/^\s+|\s+$//g;
	return $output;
}

# ----------------------------------------------------------------------------
# The workers
# ----------------------------------------------------------------------------

# What is due for one who has moved the clock is not due for the workers, in
# this transaction and after it; what is due for them runs meanwhile.
query($node, "SELECT cmdsched.schedule('Effect', '{}', '2040-01-01', schedule_id => 'far')");
my $tester = session($node);
$tester->query_safe("BEGIN; SELECT cmdsched.set_clock('2040-01-02'); SELECT cmdsched.schedule('Effect', schedule_id => 'stored')");
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'meanwhile'); SELECT cmdsched.trigger()");
ran_once($node, 'meanwhile', 1, 'a worker runs what is due while a clock is moved');
$tester->query_safe('COMMIT');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'afterwards'); SELECT cmdsched.trigger()");
ran_once($node, 'afterwards', 1, 'and after that is committed');
is(query($node, "SELECT string_agg(schedule_id, ' ' ORDER BY schedule_id) FROM cmdsched.scheduled_commands WHERE attempts = 0"),
	'far stored', 'what is due in 2040 waits');
is(query($node, "SELECT count(*) FROM shop.effects WHERE at > now() OR created_at > now()"), '0', 'no worker has seen that clock');
is(query($node, "SET timezone = 'UTC'; SELECT execute_at, created_at FROM cmdsched.get('stored')"),
	'2040-01-02 00:00:00+00|2040-01-02 00:00:00+00', 'it is stored with the time it was given');

# A retry that the clock has given a time of its own is not run before it.
$tester->query_safe("BEGIN; SELECT cmdsched.set_clock('2040-02-01'); SELECT cmdsched.schedule('Fail', schedule_id => 'retry'); SELECT cmdsched.advance_clock('0'); COMMIT");
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'last'); SELECT cmdsched.trigger()");
ran_once($node, 'last', 1, 'a worker looks again');
is(query($node, "SELECT attempts, execute_at > '2040-02-01' FROM cmdsched.get('retry')"), '1|t', 'and leaves a retry of 2040 to 2040');
query($node, 'SELECT cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands');

# ----------------------------------------------------------------------------
# Nothing is left
# ----------------------------------------------------------------------------

# One test of somebody's suite: moves the clock, runs, fails, retries, rolls
# back to a savepoint, and in the end rolls back.
my $test = <<'SQL';
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.schedule_in('Effect', '{}', '1 day', schedule_id => 'effect');
SELECT cmdsched.schedule_in('Fail', '{"times": 3}', '1 day', schedule_id => 'fail');
SAVEPOINT s;
SELECT cmdsched.advance_clock('2 days');
ROLLBACK TO s;
SELECT cmdsched.advance_clock('2 days');
ROLLBACK;
SQL
my $memory = 'SELECT sum(total_bytes) FROM pg_backend_memory_contexts';
my $locks = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype <> 'virtualxid' AND relation IS DISTINCT FROM 'pg_locks'::regclass";
my $rows = 'SELECT (SELECT count(*) FROM cmdsched.scheduled_commands) + (SELECT count(*) FROM shop.effects)';
my $rows_before = query($node, $rows);

is(rest_of($tester, "BEGIN; SELECT cmdsched.set_clock('2040-01-01'); SELECT cmdsched.schedule_in('Fail', '{\"times\": 3}', '1 day'); SELECT cmdsched.advance_clock('2 days'); ROLLBACK") =~ /^4$/m ? 'yes' : 'no',
	'yes', 'one that fails three times succeeds in the fourth attempt');
$tester->query_safe($test x 100);
my $memory_before = rest_of($tester, $memory);
$tester->query_safe($test x 100) foreach 1 .. 10;
my $memory_after = rest_of($tester, $memory);
diag("memory of the session: $memory_before bytes, $memory_after after 1,000 tests more");
cmp_ok($memory_after, '<=', $memory_before * 1.02, '1,000 tests that move the clock leave no memory behind');
is(rest_of($tester, $locks), '0', 'no lock');
is(query($node, $rows), $rows_before, 'no row');
is(rest_of($tester, "SELECT cmdsched.now() < '2039-01-01' AND now() < '2039-01-01'"), 't', 'and the clock is right');

# ----------------------------------------------------------------------------
# A year
# ----------------------------------------------------------------------------

my $year = <<'SQL';
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT count(cmdsched.schedule_in('Effect', '{}', n * interval '8 hours 45 minutes', schedule_id => 'year-' || n)) FROM generate_series(1, 1000) AS n;
SQL
$tester->query_safe($year);
my $attempts;
my $seconds = time_of(sub { $attempts = rest_of($tester, "SELECT cmdsched.advance_clock('1 year')") });
diag(sprintf('1,000 commands over a year: %.3f s', $seconds));
is($attempts, '1000', '1,000 commands over a year');
is(rest_of($tester, "SELECT count(*), bool_and(execute_at = '2040-01-01'::timestamptz + substr(schedule_id, 6)::integer * interval '8 hours 45 minutes') FROM shop.effects WHERE schedule_id LIKE 'year-%'"),
	'1000|t', 'all have run');
is(rest_of($tester, "SELECT now() FROM (SELECT set_config('timezone', 'UTC', true)) AS t"), '2041-01-01 00:00:00+00', 'and a year is over');
$tester->query_safe('ROLLBACK');
is(query($node, $rows), $rows_before, 'or is it');

$tester->quit;
$node->stop;
done_testing();
