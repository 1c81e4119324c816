# The clock is set, forwards and backwards: what has become due runs, in order,
# nothing runs twice, nothing freezes.

use strict;
use warnings;

use Cmdsched;
use Compile;
use Endless;
use PostgreSQL::Test::Utils;
use Test::More;

# Promised are 5 seconds; the rest is for a busy machine.
my $patience = 8;

my $file = PostgreSQL::Test::Utils::tempdir() . '/clock';
my $offset = 0;

# The server's clock, not ours.
sub move_clock
{
	my ($seconds) = @_;

	$offset += $seconds;
	open my $clock, '+<:raw', $file or die;
	syswrite $clock, pack('q', $offset);
	close $clock;
	return;
}

append_to_file($file, pack('q', 0));
my $node = new_node('clock', conf => "cmdsched.poll_interval = 1s\n", start => 0);
{
	local $ENV{LD_PRELOAD} = compile('clock');
	local $ENV{CLOCK_FILE} = $file;
	$node->start;
}
create_shop($node);
create_endless($node);
wait_for_workers($node, 'the workers are there');

# Everything that waits for something, each in its own way.
sub all_goes_on
{
	my ($name, $busy_role) = (@_, 'busy');

	query($node, "SELECT cmdsched.schedule('Effect', schedule_id => '$name-known-role')");
	ran_once($node, "$name-known-role", 1, "$name: a command of a role with an idle executor runs", timeout => $patience);
	query($node, "CREATE ROLE \"$name\" LOGIN; SET ROLE \"$name\"; SELECT cmdsched.schedule('Effect', schedule_id => '$name-new-role')");
	ran_once($node, "$name-new-role", 1, "$name: one of a role without executor", timeout => $patience);
	query($node, "SET ROLE $busy_role; SELECT cmdsched.schedule('Effect', schedule_id => '$name-beside')");
	ran_once($node, "$name-beside", 1, "$name: one beside a slow handler of the same role", timeout => $patience);
	query($node, "SELECT cmdsched.schedule('Fail', '{\"times\": 2}', schedule_id => '$name-failing')");
	ran_once($node, "$name-failing", 1, "$name: one that fails twice", timeout => $patience);
	query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => '$name-timer')");
	ran_once($node, "$name-timer", 1, "$name: one that is due in a second", timeout => $patience);
	query($node, "BEGIN; SELECT cmdsched.schedule('Effect', schedule_id => '$name-prepared'); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'");
	ran_once($node, "$name-prepared", 1, "$name: one of a prepared transaction", timeout => $patience);

	open_gate($node, $name);
	ran_once($node, "$name-busy", 1, "$name: the handler that was running ends, and its command has run once");
	is($node->psql('postgres', 'CREATE DATABASE copy TEMPLATE template; DROP DATABASE copy', on_error_stop => 1), 0, "$name: a database can be copied in which there are workers");
	query($node, 'DROP DATABASE IF EXISTS copy');
	return;
}

query($node, 'CREATE DATABASE template');
create_shop($node, 'template');
wait_for_workers($node, 'there is another database with workers', db => 'template');

foreach my $jump ([ 'hour', 3600 ], [ 'year', 400 * 86_400 ])
{
	my ($name, $seconds) = @$jump;

	# Forwards over 20 commands, and not as far as another one.
	query($node, <<"SQL");
SET ROLE busy;
SELECT cmdsched.schedule('Busy', '{"gate": "$name-forth"}', schedule_id => '$name-forth-busy');
RESET ROLE;
SELECT cmdsched.schedule('Effect', '{}', now() + i * interval '$seconds seconds' / 40, schedule_id => '$name-due-' || i) FROM generate_series(1, 20) AS i ORDER BY md5(i::text);
SELECT cmdsched.schedule('Effect', '{}', now() + 3 * interval '$seconds seconds', schedule_id => '$name-later');
SQL
	wait_until_running($node, "$name-forth-busy");
	move_clock($seconds);
	ran_once($node, "$name-due-%", 20, "$name forwards: what has become due runs, once", timeout => $patience);
	# Two executors of a role may have met.
	is( query(
			$node,
			"SELECT bool_and(by_start = by_time) FROM (SELECT string_agg(schedule_id, ' ' ORDER BY at) AS by_start, string_agg(schedule_id, ' ' ORDER BY execute_at) AS by_time FROM shop.effects WHERE schedule_id LIKE '$name-due-%' GROUP BY pid) AS executors"
		),
		't', "$name forwards: the oldest first");
	all_goes_on("$name-forth");

	# And back.
	query($node, "SET ROLE busy; SELECT cmdsched.schedule('Busy', '{\"gate\": \"$name-back\"}', schedule_id => '$name-back-busy')");
	wait_until_running($node, "$name-back-busy");
	move_clock(-$seconds);
	all_goes_on("$name-back");
	is(query($node, "SELECT status, attempts FROM cmdsched.get('$name-later')"), 'pending|0', "$name: what is not due waits");
	is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id LIKE '$name-due-%'"), '20', "$name back: what had run has not run again");
}

# Back before the slow handler has called for help: it does it itself.
query($node, <<'SQL');
CREATE FUNCTION shop.set_back(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	PERFORM shop.effect(command);
	EXECUTE format('COPY (SELECT) TO PROGRAM %L', command.command_data->>'program');
	WHILE NOT EXISTS (SELECT FROM shop.open_gates WHERE gate = command.command_data->>'gate') LOOP
	END LOOP;
END
$$;
SELECT cmdsched.register_handler('SetBack', 'shop.set_back(cmdsched.scheduled_commands)');
SQL
$offset -= 3600;
my $bytes = join '', map { sprintf '\\\\%03o', $_ } unpack('C*', pack('q', $offset));
query($node, "CREATE ROLE alone LOGIN; SET ROLE alone; SELECT cmdsched.schedule('SetBack', '{\"gate\": \"sudden\", \"program\": \"printf ''$bytes'' | dd of=$file conv=notrunc status=none\"}', schedule_id => 'sudden-busy')");
wait_until_running($node, 'sudden-busy');
all_goes_on('sudden', 'alone');

# Due at a time that the clock has not reached again: never early.
is(query($node, 'SELECT count(*) FROM shop.effects WHERE at < execute_at'), '0', 'nothing has run early');
is(query($node, 'SELECT count(*) - count(DISTINCT schedule_id) FROM shop.effects'), '0', 'nothing has run twice');
$node->stop;
done_testing();
