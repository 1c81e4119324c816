# Handlers, roles, privileges and our tables change all the time while commands
# are scheduled and run: what processes remember of them is thrown away at any
# moment, and no command notices.

use strict;
use warnings;

use Cmdsched;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('invalidation');
my $folder = PostgreSQL::Test::Utils::tempdir();
my $offset = -s $node->logfile;
my $seconds = 6;

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
CREATE ROLE carol;
GRANT CREATE ON SCHEMA shop TO alice;
CREATE TABLE shop.scheduled (schedule_id text PRIMARY KEY, role name DEFAULT current_user);
GRANT INSERT ON shop.scheduled TO PUBLIC;
CREATE FUNCTION shop.changing(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM shop.effect(command); END $$;
SELECT cmdsched.register_handler('Changing', 'shop.changing(cmdsched.scheduled_commands)', max_attempts => 1);
SQL

my %schedule = map { $_ => <<"SQL" } 'Effect', 'Changing', 'Fail';
\\set delay random(0, 50)
\\set who random(1, 3)
SELECT set_config('role', (ARRAY['alice', 'bob', 'postgres'])[:who], false);
BEGIN;
SELECT cmdsched.schedule('$_', '{"times": 1}', clock_timestamp() + :delay * interval '1 ms') AS id \\gset
INSERT INTO shop.scheduled VALUES (':id');
COMMIT;
SQL
my %change = (
	function => <<'SQL',
\set n random(1, 1000000)
CREATE OR REPLACE FUNCTION shop.changing(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM shop.effect(command); END $$;
ALTER FUNCTION shop.changing(cmdsched.scheduled_commands) COST :n;
GRANT EXECUTE ON FUNCTION shop.changing(cmdsched.scheduled_commands) TO alice, bob;
REVOKE EXECUTE ON FUNCTION shop.changing(cmdsched.scheduled_commands) FROM alice, bob;
SQL
	handler => <<'SQL',
\set n random(1, 1000)
SELECT cmdsched.register_handler('Changing', 'shop.changing(cmdsched.scheduled_commands)', max_attempts => :n);
SELECT cmdsched.register_handler('Other', 'shop.changing(cmdsched.scheduled_commands)');
SELECT cmdsched.unregister_handler('Other');
SQL
	role => <<'SQL',
ALTER ROLE bob SET work_mem = '5MB';
GRANT carol TO alice;
ALTER ROLE bob CONNECTION LIMIT 10;
REVOKE carol FROM alice;
CREATE ROLE passing;
DROP ROLE passing;
SQL
	table => <<'SQL',
\set n random(50, 100)
ANALYZE cmdsched.scheduled_commands;
ALTER TABLE cmdsched.scheduled_commands SET (fillfactor = :n);
ALTER TABLE cmdsched.handlers SET (fillfactor = :n);
GRANT SELECT ON cmdsched.handlers TO alice;
COMMENT ON TABLE cmdsched.handlers IS 'changing';
SQL
	# More messages than anybody can have unread: then all is thrown away.
	everything => <<'SQL');
DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE passing_%s (a integer PRIMARY KEY, b text)', i); EXECUTE format('DROP TABLE passing_%s', i); END LOOP; END $$;
SQL

sub start_pgbench
{
	my (@options) = @_;
	my $output = '';

	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my $run = IPC::Run::start([ 'pgbench', '-n', '-U', 'postgres', '-T', $seconds, @options, 'postgres' ], '<', \undef, '>&', \$output);
	return { run => $run, output => \$output };
}

append_to_file("$folder/$_", $schedule{$_}) foreach keys %schedule;
append_to_file("$folder/$_", $change{$_}) foreach keys %change;
append_to_file("$folder/by_hand", "SELECT cmdsched.process_due_commands(10);\n");

# Two sessions that change the same row of a catalog get an error; so one each.
my @running = (
	start_pgbench('-c', 3, '-R', 500, map { ('-f', "$folder/$_") } sort keys %schedule),
	start_pgbench('-c', 1, '-R', 50, '-f', "$folder/by_hand"),
	map { start_pgbench('-c', 1, '-R', 100, '-f', "$folder/$_") } sort keys %change);

$_->{run}->finish foreach @running;
is($_->{run}->result(0), 0, 'nobody got an error') or diag(${ $_->{output} }) foreach @running;
wait_until_idle($node, 'nothing stays behind');
is(query($node, 'SELECT count(*) FROM cmdsched.scheduled_commands'), '0', 'nothing failed for good or is held');
is(query($node, 'SELECT count(*) > 1000, count(*) = count(DISTINCT schedule_id) FROM shop.scheduled'), 't|t', 'enough was scheduled');
is(query($node, 'SELECT count(*) FROM shop.scheduled AS s FULL JOIN shop.effects AS e USING (schedule_id, role) WHERE s.schedule_id IS NULL OR e.schedule_id IS NULL'), '0', 'all has run, each as its role');
is(query($node, 'SELECT count(*) - count(DISTINCT schedule_id) FROM shop.effects'), '0', 'none twice');
unlike(log_of($node, $offset), qr/PANIC|FATAL|TRAP|terminated by signal|cache lookup failed|could not open relation|deadlock detected/, 'no process crashed or stumbled');

$node->stop;
done_testing();
