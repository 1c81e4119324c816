# Hooks that need a server of their own: one in C, one that cannot be stopped,
# and one that fails in several workers.

use strict;
use warnings;

use Cmdsched;
use Compile;
use Test::More;

# Loaded before cmdsched: the order does not matter.
my $library = compile('trace');
my $node = new_node('hooks', preload => "$library, cmdsched", conf => "cmdsched.hook_timeout = '0.2s'\n");
wait_for_workers($node, 'the workers are there');

# ----------------------------------------------------------------------------
# In C
# ----------------------------------------------------------------------------

sub traced
{
	my ($offset, $what) = @_;
	my @lines = log_of($node, $offset) =~ /LOG:  trace scheduler\.dispatch\.(\S+ \S+ $what\b.*)/g;

	return join(', ', @lines);
}

my $offset = -s $node->logfile;
query($node, q{SELECT cmdsched.schedule('Effect', metadata => '{"correlation_id": "c"}', schedule_id => 'one')});
ran_once($node, 'one', 1, 'a command runs');
wait_for_log_line($node, qr/trace scheduler\.dispatch\.Effect end one/, $offset, 'its end is told');
is(traced($offset, 'one'), 'Effect start one c 1 - ok, Effect end one c 1 succeeded ok', 'start and end');
like(log_of($node, $offset), qr/trace scheduler\.worker\.process start - - 0 - ok/, 'a cycle, too');
like(log_of($node, $offset), qr/trace scheduler\.dispatch\.batch end - - 0 succeeded ok/, 'and a batch');

query($node, "SELECT cmdsched.schedule('Fail', '{\"times\": 1}', schedule_id => 'two')");
ran_once($node, 'two', 1, 'a command that fails once');
wait_for_log_line($node, qr/trace scheduler\.dispatch\.Fail end two - 2 succeeded/, $offset, 'its end is told');
is(traced($offset, 'two'), 'Fail start two - 1 - ok, Fail end two - 1 attempt_failed ok, Fail start two - 2 - ok, Fail end two - 2 succeeded ok', 'both attempts');

$offset = -s $node->logfile;
query($node, "SELECT cmdsched.register_handler('Break', 'shop.effect(cmdsched.scheduled_commands)')");
query($node, "SELECT cmdsched.schedule('Break', schedule_id => 'break-' || n) FROM generate_series(1, 20) AS n");
ran_once($node, 'break-%', 20, 'a hook in C that fails does not fail commands');
like(log_of($node, $offset), qr/LOG:  hook in C failed in operation "scheduler\.dispatch\.Break", SQLSTATE XX000/, 'the log says that it failed');
unlike(log_of($node, $offset), qr/this hook fails/, 'but not its message');
my $pid = query($node, "SELECT pid FROM cmdsched.workers WHERE kind = 'executor'");
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'three')");
ran_once($node, 'three', 1, 'the next command');
is(traced($offset, 'three'), '', 'after ten failures that process does not call it any more');
is(query($node, "SELECT pid FROM cmdsched.workers WHERE kind = 'executor'"), $pid, 'nor did it end');

# ----------------------------------------------------------------------------
# One that is slow, or does not stop
# ----------------------------------------------------------------------------

query($node, <<'SQL');
CREATE FUNCTION shop.sleep(operation text, attributes jsonb) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(1000)';
CREATE FUNCTION shop.never_stop(operation text, attributes jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	LOOP
		BEGIN
			PERFORM pg_sleep(1000);
		EXCEPTION WHEN query_canceled THEN
			NULL;
		END;
	END LOOP;
END
$$;
SELECT cmdsched.register_hook('scheduler.dispatch.Effect', 'shop.sleep(text, jsonb)');
SELECT cmdsched.schedule('Effect', schedule_id => 'slow-hook');
SQL
ran_once($node, 'slow-hook', 1, 'a hook is cancelled at its time limit');
wait_for($node, 'SELECT failures_in_a_row FROM cmdsched.hooks', '2', 'which counts as a failure, at the start and at the end');
query($node, "SELECT cmdsched.unregister_hook('scheduler.dispatch.Effect', 'shop.sleep(text, jsonb)')");

query($node, "SELECT cmdsched.register_hook('scheduler.dispatch.Effect', 'shop.never_stop(text, jsonb)')");
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'endless-hook')");
ran_once($node, 'endless-hook', 1, 'a hook that does not stop is terminated, and its command runs');
is(query($node, "SELECT attempt FROM shop.effects WHERE schedule_id = 'endless-hook'"), '1', 'which does not count as an attempt');
is(query($node, 'SELECT enabled, disabled_reason FROM cmdsched.hooks'),
	'f|failed 10 times in a row, the last time with SQLSTATE 57P01, it went on after it was cancelled at its time limit', 'it is disabled at once');
query($node, "SELECT cmdsched.unregister_hook(operation_pattern, hook) FROM cmdsched.hooks");

# ----------------------------------------------------------------------------
# One that fails in the workers of several roles
# ----------------------------------------------------------------------------

query($node, <<'SQL');
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
CREATE FUNCTION shop.broken(operation text, attributes jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'secret'; END $$;
SELECT cmdsched.register_hook('scheduler.dispatch.*', 'shop.broken(text, jsonb)');
SQL
$offset = -s $node->logfile;
foreach my $n (1 .. 3)
{
	query($node, "SET ROLE $_; SELECT cmdsched.schedule('Effect', schedule_id => 'broken-$_-$n')") foreach 'alice', 'bob';
	ran_once($node, "broken-%-$n", 2, "commands of both roles run ($n)");
}
wait_for($node, 'SELECT enabled FROM cmdsched.hooks', 'f', 'failures in several processes are counted together');
like(query($node, 'SELECT disabled_reason FROM cmdsched.hooks'), qr/^failed \d\d times in a row, the last time with SQLSTATE P0001, secret$/, 'the reason can be seen');
wait_for_log_line($node, qr/hook shop\.broken\(text,jsonb\) of operations "scheduler\.dispatch\.\*" is disabled/, $offset, 'the log says so');
unlike(log_of($node, $offset), qr/secret/, 'but not the message');
is(query($node, "SET ROLE alice; SELECT count(*) FROM cmdsched.hooks"), '0', 'nor do others see it');

wait_until_idle($node, 'nothing is left');
unlike(log_of($node), qr/PANIC|TRAP|terminated by signal/, 'no process crashed');
$node->stop;
done_testing();
