# Three handlers that end when their gate opens and by nothing else, for tests
# of what ends them: one asleep, one busy, one deaf to cancels.

package Endless;

use strict;
use warnings;

use Cmdsched;
use Exporter 'import';
use Test::More;

our @EXPORT = qw(create_endless start_endless run_again_and_once);

my @kinds = ('asleep', 'busy', 'deaf');

# Each kind has a role of its own, so that all of them can run at once.
sub create_endless
{
	my ($node) = @_;

	query($node, join(';', map { "CREATE ROLE $_ LOGIN" } @kinds));
	query($node, <<'SQL');
CREATE FUNCTION shop.busy(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.effect(command);
	WHILE NOT EXISTS (SELECT FROM shop.open_gates WHERE gate = command.command_data->>'gate') LOOP
	END LOOP;
END
$$;

CREATE FUNCTION shop.deaf(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.effect(command);
	WHILE NOT EXISTS (SELECT FROM shop.open_gates WHERE gate = command.command_data->>'gate') LOOP
		BEGIN
			PERFORM pg_sleep(0.02);
		EXCEPTION WHEN OTHERS OR query_canceled THEN
		END;
	END LOOP;
END
$$;
SELECT cmdsched.register_handler('Asleep', 'shop.slow(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('Busy', 'shop.busy(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('Deaf', 'shop.deaf(cmdsched.scheduled_commands)');
SQL
	return;
}

# Commands GATE-asleep, GATE-busy and GATE-deaf; all run when this returns.
sub start_endless
{
	my ($node, $gate) = @_;

	query($node, "SET ROLE $_; SELECT cmdsched.schedule('" . ucfirst($_) . "', '{\"gate\": \"$gate\"}', schedule_id => '$gate-$_')")
	  foreach @kinds;
	wait_until_running($node, "$gate-$_") foreach @kinds;
	return;
}

# After the server came back: none was counted, they run at the same time, and
# when their gate opens each has run once.
sub run_again_and_once
{
	my ($node, $gate) = @_;

	wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE schedule_id LIKE '$gate-%'", '3', "$gate: all are run again", timeout => 8);
	is( query($node, "SELECT DISTINCT status, attempts, last_error IS NULL FROM cmdsched.scheduled_commands WHERE schedule_id LIKE '$gate-%'"),
		'pending|0|t', "$gate: no attempt was counted");
	open_gate($node, $gate);
	ran_once($node, "$gate-%", 3, "$gate: they have run once");
	return;
}

1;
