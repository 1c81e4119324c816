# Maintenance of our table while commands are scheduled and run: it waits, or
# they do; nobody gets an error, and soon after it all goes on.

use strict;
use warnings;

use Cmdsched;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('maintenance', conf => "autovacuum = off\n");
my $folder = PostgreSQL::Test::Utils::tempdir();
my $offset = -s $node->logfile;

# Where this test fails, it does not wait for the locks that it holds.
$ENV{PGOPTIONS} = '-c lock_timeout=15s';
wait_for_workers($node, 'the workers are there');
query($node, 'CREATE TABLE shop.scheduled (schedule_id text PRIMARY KEY)');
append_to_file("$folder/schedule", <<'SQL');
\set delay random(0, 100)
BEGIN;
SELECT cmdsched.schedule('Effect', '{}', clock_timestamp() + :delay * interval '1 ms') AS id \gset
INSERT INTO shop.scheduled VALUES (':id');
COMMIT;
SQL
append_to_file("$folder/own_id", <<'SQL');
\set n random(1, 1000000000)
BEGIN;
INSERT INTO shop.scheduled SELECT cmdsched.schedule('Fail', '{"times": 1}', schedule_id => 'own ' || :n, on_conflict => 'error');
SELECT cmdsched.reschedule('own ' || :n, now());
COMMIT;
SQL

# ----------------------------------------------------------------------------
# One after the other, under load
# ----------------------------------------------------------------------------

my $output = '';
my $pgbench;
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	$pgbench = IPC::Run::start([ 'pgbench', '-n', '-U', 'postgres', '-c', '4', '-T', '5', '-R', '400', '-f', "$folder/schedule\@4", '-f', "$folder/own_id\@1", 'postgres' ],
		'<', \undef, '>&', \$output);
}

foreach my $round (1 .. 2)
{
	foreach my $statement (
		'VACUUM FULL cmdsched.scheduled_commands',
		'REINDEX TABLE cmdsched.scheduled_commands',
		'REINDEX TABLE CONCURRENTLY cmdsched.scheduled_commands',
		'REINDEX INDEX CONCURRENTLY cmdsched.scheduled_commands_due',
		'CLUSTER cmdsched.scheduled_commands USING scheduled_commands_pkey',
		'CREATE INDEX CONCURRENTLY extra ON cmdsched.scheduled_commands (execute_at)',
		'ALTER TABLE cmdsched.scheduled_commands SET (fillfactor = 90)',
		'ANALYZE cmdsched.scheduled_commands',
		'VACUUM (FREEZE) cmdsched.scheduled_commands',
		'DROP INDEX CONCURRENTLY cmdsched.extra',
		'REINDEX TABLE CONCURRENTLY cmdsched.handlers',
		'VACUUM FULL cmdsched.handlers')
	{
		my ($ret, $stdout, $stderr) = $node->psql('postgres', $statement);
		is($stderr, '', "$statement, round $round");
	}
}
$pgbench->finish;
is($pgbench->result(0), 0, 'nobody who scheduled meanwhile got an error') or diag($output);
wait_until_idle($node, 'nothing stays behind');
is(query($node, 'SELECT count(*) > 100, count(*) = count(e.schedule_id), count(*) = count(DISTINCT e.schedule_id) FROM shop.scheduled LEFT JOIN shop.effects AS e USING (schedule_id)'),
	't|t|t', 'all has run, once');
is(query($node, 'SELECT count(*) FROM shop.effects'), query($node, 'SELECT count(*) FROM shop.scheduled'), 'and nothing else');
unlike(log_of($node, $offset), qr/PANIC|TRAP|terminated by signal|deadlock detected|could not open relation/, 'no process crashed or stumbled');

# ----------------------------------------------------------------------------
# A lock on the table that is held for long
# ----------------------------------------------------------------------------

my $waiting = "SELECT string_agg(DISTINCT backend_type, ', ' ORDER BY backend_type) FROM pg_stat_activity WHERE backend_type LIKE 'cmdsched%' AND wait_event_type = 'Lock'";
my $locker = session($node);

query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'locked')");
query($node, "CREATE ROLE alice LOGIN; SET ROLE alice; SELECT cmdsched.schedule('Effect', '{}', now() + interval '3 seconds', schedule_id => 'locked-of-new-role')");
$locker->query('BEGIN; LOCK TABLE cmdsched.scheduled_commands');
wait_for($node, $waiting, 'cmdsched executor', 'an executor waits for somebody who has locked the table');
query($node, 'NOTIFY cmdsched');
wait_for($node, $waiting, 'cmdsched executor, cmdsched scheduler', 'and so does the scheduler that looks at everything');
$locker->query('COMMIT');
ran_once($node, 'locked%', 2, 'when the table is free, commands run', timeout => 4);
cmp_ok(query($node, "SELECT extract(epoch FROM at - execute_at) FROM shop.effects WHERE schedule_id = 'locked-of-new-role'"), '<', 2, 'not much later');

query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'terminated')");
$locker->query('BEGIN; LOCK TABLE cmdsched.scheduled_commands');
wait_for($node, $waiting, 'cmdsched executor', 'an executor waits again');
is(query($node, "SELECT bool_and(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE backend_type = 'cmdsched executor'"), 't', 'it can be terminated');
$locker->query('COMMIT');
ran_once($node, 'terminated', 1, 'its command runs afterwards');

$locker->query('BEGIN; LOCK TABLE cmdsched.scheduled_commands');
query($node, 'NOTIFY cmdsched');
wait_for($node, $waiting, 'cmdsched scheduler', 'the scheduler waits');
my $seconds = time_of(sub { $node->stop('fast') });
cmp_ok($seconds, '<', 8, 'the server can be stopped');
eval { $locker->quit };
done_testing();
