# Fifty sessions that schedule under the same ids at the same time: one row
# each, everybody gets the id, nobody an error.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('same_id', conf => "max_connections = 120\n");
my $folder = PostgreSQL::Test::Utils::tempdir();

wait_for_workers($node, 'the workers are there');
query($node, 'CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN');

# pgbench fails where a session gets an error, or another id than its own.
sub fifty_sessions
{
	my ($name, $transactions, $script, $what) = @_;

	append_to_file("$folder/$name", $script);
	$node->command_ok([ 'pgbench', '-n', '-U', 'postgres', '-c', '50', '-j', '2', '-t', $transactions, '-f', "$folder/$name", 'postgres' ], $what);
	return;
}

# ----------------------------------------------------------------------------
# Not due yet
# ----------------------------------------------------------------------------

fifty_sessions('keep', 200, <<'SQL', '50 sessions with 200 ids and on_conflict keep');
\set key random(1, 200)
SELECT 1 / (cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'keep-' || :key) = 'keep-' || :key)::integer;
SQL
is(query($node, "SELECT count(*), count(DISTINCT schedule_id) FROM cmdsched.scheduled_commands WHERE schedule_id LIKE 'keep-%'"), '200|200', '200 rows');

fifty_sessions('replace', 100, <<'SQL', '50 sessions with on_conflict replace and keep, some of which roll back');
\set key random(1, 20)
\set rolls_back random(0, 3)
BEGIN;
SELECT 1 / (cmdsched.schedule('Effect', jsonb_build_object('by', pg_backend_pid()), now() + interval '1 day', schedule_id => 'replace-' || :key, on_conflict => 'replace') = 'replace-' || :key)::integer;
\if :rolls_back
COMMIT;
\else
ROLLBACK;
\endif
SELECT 1 / (cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'replace-' || :key) = 'replace-' || :key)::integer;
SQL
is(query($node, "SELECT count(*), count(DISTINCT schedule_id) FROM cmdsched.scheduled_commands WHERE schedule_id LIKE 'replace-%'"), '20|20', '20 rows');

# ----------------------------------------------------------------------------
# Of different roles
# ----------------------------------------------------------------------------

fifty_sessions('roles', 40, <<'SQL', '50 sessions of three roles');
\set key random(1, 5)
\set who random(1, 3)
SELECT set_config('role', (ARRAY['alice', 'bob', 'postgres'])[:who], false);
SELECT 1 / (cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'roles-' || :key) = 'roles-' || :key)::integer;
SQL
is(query($node, "SELECT scheduled_by_name, count(*), count(DISTINCT schedule_id) FROM cmdsched.scheduled_commands WHERE schedule_id LIKE 'roles-%' GROUP BY 1 ORDER BY 1"),
	"alice|5|5\nbob|5|5\npostgres|5|5", 'each role has its own');

# ----------------------------------------------------------------------------
# Due at once, so that ids become free again
# ----------------------------------------------------------------------------

# Two calls may come in the same microsecond: only a number of its own tells
# one command from another.
query($node, <<'SQL');
CREATE SEQUENCE shop.call;
CREATE TABLE shop.calls (schedule_id text, call bigint);
CREATE FUNCTION shop.call(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE sql AS $$ INSERT INTO shop.calls VALUES (command.schedule_id, (command.command_data->>'call')::bigint) $$;
SELECT cmdsched.register_handler('Call', 'shop.call(cmdsched.scheduled_commands)');
SQL
fifty_sessions('due', 100, <<'SQL', '50 sessions while the commands run');
\set key random(1, 10)
SELECT 1 / (cmdsched.schedule('Call', jsonb_build_object('call', nextval('shop.call')), schedule_id => 'due-' || :key) = 'due-' || :key)::integer;
SQL
wait_until_idle($node, 'all have run');
is(query($node, 'SELECT count(DISTINCT schedule_id), count(*) = count(DISTINCT call) FROM shop.calls'), '10|t', 'each that was new ran once');
note(query($node, 'SELECT count(*) FROM shop.calls') . ' of 5000 calls were new commands');

$node->stop;
done_testing();
