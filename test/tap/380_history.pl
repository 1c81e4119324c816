# The command history does not grow without end: what is too old or too much
# goes by itself, nobody waits for that, and a dump has what is left.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('history');
my $position = 'SELECT coalesce((SELECT slot FROM cmdsched.history_position ORDER BY since DESC LIMIT 1), 0)';

# Rows of that age in a slot, as if they had been written there.
sub write_rows
{
	my ($slot, $age, $count) = @_;

	query($node, <<"SQL");
INSERT INTO cmdsched.command_history (schedule_id, command_type, command_module, outcome, scheduled_for, finished_at, scheduled_by, scheduled_by_name, slot)
SELECT 'slot $slot', 'Written', '', 'failed', now() - interval '$age', now() - interval '$age', 10, 'postgres', $slot FROM generate_series(1, $count)
SQL
	return;
}

sub rows_in
{
	my ($slot) = @_;

	return "SELECT count(*) FROM cmdsched.command_history WHERE slot = $slot";
}

# Commands run, and are written down.
sub goes_on
{
	my ($id, $what) = @_;

	query($node, "SELECT cmdsched.schedule('Kept', schedule_id => '$id')");
	wait_for($node, "SELECT outcome FROM cmdsched.command_history WHERE schedule_id = '$id'", 'succeeded', $what);
	return;
}

wait_for_workers($node, 'the workers are there');
query($node, "SELECT cmdsched.register_handler('Kept', 'shop.effect(cmdsched.scheduled_commands)', history => 'all')");
goes_on('first', 'a command is written down');

# ----------------------------------------------------------------------------
# By age
# ----------------------------------------------------------------------------

write_rows(4, '20 days', 10);
write_rows(4, '50 days', 10);
write_rows(5, '-1 year', 10);
write_rows(3, '31 days', 1000);
wait_for($node, "SELECT pg_relation_size('cmdsched.command_history_3')", '0', 'what is older than 30 days goes, and its space');
is(query($node, rows_in(4)), '20', 'a slot with younger rows stays');
is(query($node, rows_in(5)), '10', 'and one whose rows are of a clock that is ahead');
reload_conf($node, 'cmdsched.history_retention' => '10d');
wait_for($node, rows_in(4), '0', 'a shorter history_retention takes effect');
is(query($node, rows_in(0)), '1', 'what is young stays');
is(query($node, $position), '0', 'the slot being written stays the same');
write_rows(0, '1 day', 1);
wait_for($node, $position, '1', 'until its oldest row is a day old');
goes_on('second', 'then the next one is written');
is(query($node, rows_in(1)), '1', 'with what happens now');
reload_conf($node, 'cmdsched.history_retention' => '0');
write_rows(6, '10 years', 10);
goes_on('third', 'history_retention = 0: all is kept');

# ----------------------------------------------------------------------------
# Nobody waits
# ----------------------------------------------------------------------------

my $reader = session($node);
$reader->query_safe('BEGIN');
is($reader->query_safe(rows_in(6)), '10', 'somebody reads the history');
reload_conf($node, 'cmdsched.history_retention' => '10d');
# The worker looks every two seconds.
query($node, "SELECT cmdsched.schedule('Kept', '{}', now() + interval '5 seconds', schedule_id => 'timer')");
goes_on('fourth', 'commands run meanwhile');
ran_once($node, 'timer', 1, 'at their time');
is($reader->query_safe(rows_in(6)), '10', 'what is being read is still there');
$reader->query_safe('COMMIT');
wait_for($node, rows_in(6), '0', 'afterwards it goes');

$reader->query_safe('BEGIN; LOCK TABLE cmdsched.command_history_9');
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '5 seconds', schedule_id => 'timer-2')");
ran_once($node, 'timer-2', 1, 'nor does the scheduler wait where a part is locked');
$reader->query_safe('COMMIT');
$reader->quit;

# ----------------------------------------------------------------------------
# By count
# ----------------------------------------------------------------------------

query($node, 'TRUNCATE cmdsched.command_history');
write_rows($_, "$_ hours", 1000) foreach 4 .. 13;
my $offset = -s $node->logfile;
reload_conf($node, 'cmdsched.history_max_rows' => '5600');
# The rows are counted by the block.
wait_for($node, 'SELECT count(*) BETWEEN 4000 AND 6000 FROM cmdsched.command_history', 't', 'history_max_rows: what is too much goes');
is(query($node, 'SELECT string_agg(DISTINCT slot::text, \' \') FROM cmdsched.command_history WHERE finished_at > now() - interval \'7.5 hours\''), '4 5 6 7', 'the oldest first');
my $before = query($node, $position);
query($node, "SELECT count(cmdsched.schedule('Kept', schedule_id => 'many-' || i)) FROM generate_series(1, 1000) AS i");
wait_for($node, "SELECT count(*) FROM cmdsched.command_history WHERE schedule_id LIKE 'many-%'", '1000', 'a thousand commands run');
wait_for($node, "SELECT ($position) <> $before", 't', 'more than a slot may have: the next one is written');
# A worker that records a failure has no statement around it: from 18 on what is
# out of line cannot be read then without a snapshot.
query($node, <<'SQL');
CREATE FUNCTION shop.large_fails(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
SELECT cmdsched.register_handler('LargeFails', 'shop.large_fails(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('LargeFails', schedule_id => 'large',
	metadata => jsonb_build_object('correlation_id', 'c', 'x', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) AS i)));
SQL
wait_for($node, "SELECT outcome, correlation_id FROM cmdsched.command_history WHERE schedule_id = 'large'", 'failed|c', 'a failure with large metadata is written down');
query($node, "SELECT cmdsched.cancel('large')");
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile, $offset), qr/scheduler ERROR/, 'the scheduler had no errors');

# ----------------------------------------------------------------------------
# Dumps
# ----------------------------------------------------------------------------

my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
my $all = 'SELECT h FROM cmdsched.command_history AS h ORDER BY h::text';

query($node, 'SELECT cmdsched.stop()');
$node->command_ok([ 'pg_dump', '-U', 'postgres', '-Fc', '-f', $dump, 'postgres' ], 'pg_dump');
query($node, 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-U', 'postgres', '-d', 'restored', '--exit-on-error', $dump ], 'pg_restore');
is(query($node, $all, 'restored'), query($node, $all), 'the history is there');
is(query($node, $position, 'restored'), query($node, $position), 'and where it is being written');
query($node, 'SELECT cmdsched.adopt()', 'restored');
query($node, "SELECT cmdsched.schedule('Kept', schedule_id => 'restored')", 'restored');
wait_for($node, "SELECT outcome FROM cmdsched.command_history WHERE schedule_id = 'restored'", 'succeeded', 'after adopt() it goes on', db => 'restored');
query($node, 'DROP EXTENSION cmdsched CASCADE', 'restored');
is(query($node, "SELECT count(*) FROM pg_class WHERE relname LIKE 'command_history%'", 'restored'), '0', 'DROP EXTENSION leaves nothing of it');

$node->stop;
done_testing();
