# The server log has a line for each change of a command, all of the same form,
# and without what only its owner is to see.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('log');
wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE FUNCTION shop.run(command_data jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command_data->>'statement';
END
$$;
SELECT cmdsched.register_handler('Run', 'shop.run(jsonb)', max_attempts => 2, backoff => '0.01 seconds');
SELECT cmdsched.register_handler('Outside', NULL, max_attempts => 1, external => true);
SQL

sub run_statement
{
	my ($id, $statement) = @_;

	query($node, qq{SELECT cmdsched.schedule('Run', jsonb_build_object('statement', \$\$$statement\$\$), schedule_id => '$id')});
	return;
}

# What happens to commands in all ways there are.
sub make_changes
{
	run_statement('fails', q{DO 'BEGIN RAISE SQLSTATE ''P0042'' USING MESSAGE = ''secret''; END'});
	run_statement('abandons', q{SELECT cmdsched.abandon('secret')});
	run_statement('snoozes', q{SELECT cmdsched.snooze('1 hour')});
	wait_for($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE status = 'failed'", '2', 'two have failed');
	wait_for($node, "SELECT execute_at > now() + interval '1 minute' FROM cmdsched.get('snoozes')", 't', 'one has been snoozed');
	query($node, "SELECT cmdsched.schedule('Effect', execute_at => 'tomorrow', schedule_id => 'moves'), cmdsched.reschedule('moves', 'tomorrow')");
	query($node, "BEGIN; SELECT cmdsched.schedule('Fail', schedule_id => 'held', execute_at => now() + interval '0.1 seconds'); SELECT cmdsched.unregister_handler('Fail'); COMMIT");
	wait_for($node, "SELECT status FROM cmdsched.get('held')", 'held', 'one is held');
	query($node, "SELECT cmdsched.retry('abandons')");
	query($node, "SELECT cmdsched.cancel('moves')");
	query($node, "SELECT cmdsched.schedule('Outside', schedule_id => 'outside')");
	query($node, "SELECT cmdsched.fail('outside', claim_token, 'secret') FROM cmdsched.claim_due_commands(1)");
	wait_for($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE status = 'failed'", '3', 'and three have failed in the end');
	query($node, "SELECT cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands");
	query($node, "SELECT cmdsched.register_handler('Fail', 'shop.fail(cmdsched.scheduled_commands)')");
	return;
}

sub lines
{
	my ($offset) = @_;
	my $log = log_of($node, $offset);

	return join("\n", sort $log =~ /(?:LOG|DEBUG):  (command ".*)/g);
}

my $offset = -s $node->logfile;
make_changes();
is(lines($offset), <<'LINES' =~ s/\n\z//r, 'by default, what somebody may have to act on');
command "abandons" of type "Run": abandoned, attempt 1, SQLSTATE 40000
command "abandons" of type "Run": abandoned, attempt 1, SQLSTATE 40000
command "fails" of type "Run": failed, attempt 2, SQLSTATE P0042
command "held" of type "Fail": held, SQLSTATE 42704
command "outside" of type "Outside": failed, attempt 1, SQLSTATE 38000
LINES

reload_conf($node, log_min_messages => 'debug1');
query($node, "SELECT pg_terminate_backend(pid, 5000) FROM cmdsched.workers WHERE kind = 'executor'");
$offset = -s $node->logfile;
make_changes();
my $all = lines($offset);
like($all, qr/^command "\Q$_\E$/m, "with debug1: $_")
  foreach 'fails" of type "Run": attempt_failed, attempt 1, SQLSTATE P0042', 'snoozes" of type "Run": snoozed, attempt 1',
  'moves" of type "Effect": rescheduled', 'abandons" of type "Run": retried', 'moves" of type "Effect": cancelled',
  'fails" of type "Run": failed, attempt 2, SQLSTATE P0042';
unlike($all, qr/^(?!command "[^"]*" of type "[^"]*": [a-z_]+(, attempt \d+)?(, SQLSTATE [0-9A-Z]{5})?$)/m, 'all have the same form');
unlike(log_of($node), qr/(?:LOG|DETAIL|HINT|CONTEXT):.*secret/, 'no error message and no payload is in the log');

$node->stop;
done_testing();
