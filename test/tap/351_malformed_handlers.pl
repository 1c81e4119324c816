# Handlers that are not what they were when they were registered, and handlers
# that misbehave as badly as they can: each harms its own command only.

use strict;
use warnings;

use Cmdsched;
use Test::More;

# One executor for each of two roles: it is always the same that has to bear it.
my $node = new_node('malformed', conf => "cmdsched.max_executors = 2\ncmdsched.executor_idle_timeout = 600\nlog_min_messages = error\nlog_line_prefix = '%b %e '\n");

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
GRANT CREATE ON DATABASE postgres TO alice;
CREATE SCHEMA alice AUTHORIZATION alice;
CREATE SCHEMA elsewhere AUTHORIZATION alice;
CREATE FUNCTION shop.do(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE $1->>'sql'; END $$;
CREATE FUNCTION shop.raise(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'raised on purpose' USING ERRCODE = $1->>'code'; END $$;
CREATE PROCEDURE shop.commit_and_raise(jsonb) LANGUAGE plpgsql AS $$ BEGIN COMMIT; RAISE 'raised on purpose' USING ERRCODE = $1->>'code'; END $$;
SELECT cmdsched.register_handler('Do', 'shop.do(jsonb)', max_attempts => 1);
SELECT cmdsched.register_handler('CommitAndRaise', 'shop.commit_and_raise(jsonb)', max_attempts => 1);
SELECT cmdsched.register_handler('Raise', 'shop.raise(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('Effect', schedule_id => 'first');
SET ROLE alice;
SELECT cmdsched.schedule('Effect', schedule_id => 'first');
SQL
ran_once($node, 'first', 2, 'commands run') or BAIL_OUT('nothing runs');
my @workers = worker_pids();

# All that there are: none has a reason to leave.
sub worker_pids
{
	return split /\n/, query($node, 'SELECT pid FROM cmdsched.workers');
}

# Alice does that in a handler.
sub schedule_do
{
	my ($id, $sql) = @_;

	query($node, "SET ROLE alice; SELECT cmdsched.schedule('Do', jsonb_build_object('sql', \$do\$$sql\$do\$), schedule_id => '$id')");
	return;
}

# One assertion: how a command ended.
sub ends_as
{
	my ($id, $expected, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return wait_for($node, "SELECT status, attempts, last_error->>'sqlstate' FROM cmdsched.scheduled_commands WHERE schedule_id = '$id'", $expected, $what);
}

sub fails_as
{
	my ($id, $sql, $sqlstate, $what) = @_;

	schedule_do($id, $sql);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ends_as($id, "failed|1|$sqlstate", $what);
}

# One assertion: that the workers of the beginning are there.
sub nobody_left
{
	my ($what) = @_;
	my %there = map { $_ => 1 } worker_pids();

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(join(' ', grep { !$there{$_} } @workers), '', $what);
}

# ----------------------------------------------------------------------------
# Changed after it was registered
# ----------------------------------------------------------------------------

my $good = 'CREATE FUNCTION alice.victim(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN END $$';
my $drop = 'DROP FUNCTION alice.victim(jsonb)';

query($node, "SET ROLE alice; $good; RESET ROLE; SELECT cmdsched.register_handler('Victim', 'alice.victim(jsonb)', max_attempts => 1)");
my @changes = (
	[ 'dropped', $drop, 'held|0|42883' ],
	[ 'no argument', "$drop; CREATE FUNCTION alice.victim() RETURNS void LANGUAGE sql AS ''", 'held|0|42883' ],
	[ 'another argument', "$drop; CREATE FUNCTION alice.victim(json) RETURNS void LANGUAGE sql AS ''", 'held|0|42883' ],
	[ 'one more argument', "$drop; CREATE FUNCTION alice.victim(jsonb, jsonb) RETURNS void LANGUAGE sql AS ''", 'held|0|42883' ],
	[ 'optional arguments', "$drop; CREATE FUNCTION alice.victim(jsonb, integer DEFAULT 1) RETURNS void LANGUAGE sql AS ''", 'held|0|42883' ],
	[ 'variadic', "$drop; CREATE FUNCTION alice.victim(VARIADIC jsonb[]) RETURNS void LANGUAGE sql AS ''", 'held|0|42883' ],
	[ 'renamed', 'ALTER FUNCTION alice.victim(jsonb) RENAME TO other', 'held|0|42883' ],
	[ 'in another schema', 'ALTER FUNCTION alice.victim(jsonb) SET SCHEMA elsewhere', 'held|0|42883' ],
	[ 'its schema renamed', 'ALTER SCHEMA alice RENAME TO bob', 'held|0|42883' ],
	[ 'not allowed', 'REVOKE EXECUTE ON FUNCTION alice.victim(jsonb) FROM PUBLIC, alice', 'held|0|42501' ],
	[ 'a set', "$drop; CREATE FUNCTION alice.victim(jsonb) RETURNS SETOF jsonb LANGUAGE sql AS 'SELECT \$1'", 'held|0|42883' ],
	[ 'a set of plpgsql', "$drop; CREATE FUNCTION alice.victim(jsonb) RETURNS SETOF jsonb LANGUAGE plpgsql AS 'BEGIN RETURN NEXT \$1; END'", 'held|0|42883' ],
	[ 'an aggregate', "$drop; CREATE AGGREGATE alice.victim(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb)", 'held|0|42883' ],
	[ 'no body', "$drop; CREATE FUNCTION alice.victim(jsonb) RETURNS void LANGUAGE plpgsql AS 'no such syntax'", 'failed|1|42601' ],
	[ 'a wrong body', "$drop; CREATE FUNCTION alice.victim(jsonb) RETURNS void LANGUAGE sql AS 'SELECT no_such_column'", 'failed|1|42703' ],
	[ 'a body of another type', "$drop; CREATE FUNCTION alice.victim(jsonb) RETURNS integer LANGUAGE sql AS 'SELECT now()'", 'failed|1|42P13' ],
	[ 'a strict one', 'ALTER FUNCTION alice.victim(jsonb) STRICT', '' ],
	[ 'a procedure', "$drop; CREATE PROCEDURE alice.victim(jsonb) LANGUAGE plpgsql AS 'BEGIN COMMIT; END'", '' ],
	[ 'a procedure with results', "$drop; CREATE PROCEDURE alice.victim(INOUT x jsonb, OUT y integer) LANGUAGE plpgsql AS 'BEGIN COMMIT; y = 1; END'", '' ],
	[ 'a record', "$drop; CREATE FUNCTION alice.victim(jsonb) RETURNS record LANGUAGE plpgsql AS 'BEGIN RETURN ROW(1, 2); END'", '' ],
);

foreach my $change (@changes)
{
	my ($what, $sql, $expected) = @$change;

	query($node, "SET ROLE alice; SELECT cmdsched.schedule('Victim', '{}', now() + interval '1 hour', schedule_id => 'victim')");
	query($node, "SET ROLE alice; SET check_function_bodies = off; $sql");
	query($node, "SELECT cmdsched.reschedule('victim', now())");
	ends_as('victim', $expected, "$what: $expected");
	unlike(query($node, "SELECT last_error->>'message' FROM cmdsched.get('victim')"), qr/\d{4}/, "$what: no OID in the message");

	# And good again.
	query($node, <<"SQL");
DO \$\$
DECLARE
	old regprocedure;
BEGIN
	IF to_regnamespace('alice') IS NULL THEN
		ALTER SCHEMA bob RENAME TO alice;
	END IF;
	FOR old IN SELECT oid FROM pg_proc WHERE pronamespace IN ('alice'::regnamespace, 'elsewhere'::regnamespace) LOOP
		EXECUTE format('DROP ROUTINE %s', old);
	END LOOP;
END
\$\$;
SET ROLE alice;
$good;
SELECT cmdsched.retry('victim');
SQL
	wait_for($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE schedule_id = 'victim'", '0', "$what: it runs when the handler is good again");
}
nobody_left('no worker has ended by a changed handler');

# ----------------------------------------------------------------------------
# Changed between claim and call
# ----------------------------------------------------------------------------

# By the command before it, in the same batch and transaction.
sub sabotage
{
	my ($id, $sql, $expected, $what) = @_;

	query($node, <<"SQL");
SET ROLE alice;
BEGIN;
SELECT cmdsched.schedule('Do', jsonb_build_object('sql', \$do\$$sql\$do\$), now() - interval '2 seconds', schedule_id => '$id-saboteur');
SELECT cmdsched.schedule('Victim', '{}', now() - interval '1 second', schedule_id => '$id');
COMMIT;
SQL
	wait_for($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE schedule_id = '$id-saboteur'", '0', "$what: the saboteur has run");
	ends_as($id, $expected, $what);
	return;
}

sub make_good
{
	my ($what) = @_;

	query($node, "SET ROLE alice; $good; SELECT count(cmdsched.retry(schedule_id)) FROM cmdsched.scheduled_commands WHERE status = 'held'");
	wait_until_idle($node, $what);
	return;
}

sabotage('dropped-before', $drop, 'held|0|42883', 'dropped by the command before it');
make_good('it runs when the function is back');
sabotage('changed-before', "$drop; CREATE FUNCTION alice.victim(text) RETURNS void LANGUAGE sql AS ''", 'held|0|42883', 'changed by the command before it');
make_good('it runs when the signature is back');
sabotage('revoked-before', 'REVOKE EXECUTE ON FUNCTION alice.victim(jsonb) FROM PUBLIC, alice', 'held|0|42501', 'not allowed any more by the command before it');
query($node, $drop);
make_good('it runs when it is allowed');
sabotage('raises-before', 'CREATE OR REPLACE FUNCTION alice.victim(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE division_by_zero; END $$',
	'failed|1|22012', 'replaced by the command before it');
query($node, $drop);
make_good('it is good again');

# By itself, and then there is another of its kind.
query($node, <<'SQL');
SET ROLE alice;
CREATE OR REPLACE FUNCTION alice.victim(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP FUNCTION alice.victim(jsonb); END $$;
BEGIN;
SELECT cmdsched.schedule('Victim', '{}', now() - interval '2 seconds', schedule_id => 'suicide');
SELECT cmdsched.schedule('Victim', '{}', now() - interval '1 second', schedule_id => 'suicide-next');
COMMIT;
SQL
ends_as('suicide-next', 'held|0|42883', 'dropped by itself: the next is held');
is(query($node, "SELECT count(*) FROM cmdsched.get('suicide') WHERE schedule_id IS NOT NULL"), '0', 'it has itself run');
make_good('the next runs when it is back');

# By another session, while one of its kind runs.
query($node, <<'SQL');
SET ROLE alice;
CREATE OR REPLACE FUNCTION alice.victim(data jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.slow(cmdsched.current_command()) WHERE data ? 'gate';
END
$$;
BEGIN;
SELECT cmdsched.schedule('Victim', '{"gate": "dropped"}', now() - interval '2 seconds', schedule_id => 'dropped-within');
SELECT cmdsched.schedule('Victim', '{}', now() - interval '1 second', schedule_id => 'dropped-after');
COMMIT;
SQL
wait_until_running($node, 'dropped-within');
query($node, $drop);
open_gate($node, 'dropped');
ran_once($node, 'dropped-within', 1, 'dropped while it runs: it has run');
ends_as('dropped-after', 'held|0|42883', 'the next, in the same batch, is held');
make_good('and runs when it is back');

# The ground under its feet.
fails_as("own-$_->[0]", $_->[1], $_->[2], "$_->[0] in a handler")
  foreach [ 'commit', 'COMMIT', '0A000' ],
  [ 'vacuum', 'VACUUM', '25001' ],
  [ 'listen', 'LISTEN x', '0A000' ],
  [ 'prepare', "PREPARE TRANSACTION 'x'", '0A000' ],
  [ 'copy', 'COPY (SELECT 1) TO STDOUT', '0A000' ],
  [ 'table', 'DELETE FROM cmdsched.scheduled_commands', '42501' ];
query($node, q{SELECT cmdsched.schedule('Do', jsonb_build_object('sql', v.sql), schedule_id => v.id)
  FROM (VALUES ('own-extension', 'DROP EXTENSION cmdsched CASCADE'), ('own-truncate', 'TRUNCATE cmdsched.scheduled_commands'),
	('own-alter', 'ALTER TABLE cmdsched.scheduled_commands ADD COLUMN x integer')) AS v (id, sql)});
ends_as($_, 'failed|1|55006', "$_, as superuser") foreach 'own-extension', 'own-truncate', 'own-alter';
nobody_left('no worker has ended by any of that');

# ----------------------------------------------------------------------------
# Every SQLSTATE
# ----------------------------------------------------------------------------

chomp(my $share = qx(pg_config --sharedir));
my %codes = map { /^([0-9A-Z]{5}) +E +ERRCODE/ ? ($1 => 1) : () } split /\n/, PostgreSQL::Test::Utils::slurp_file("$share/errcodes.txt");
my @codes = sort keys %codes;
my %classes = map { substr($_, 0, 2) => 1 } @codes;
cmp_ok(scalar keys %classes, '>', 35, scalar(@codes) . ' errors in ' . keys(%classes) . ' classes');
# Those of nobody, and those of warnings and of no data, raised as errors.
push @codes, 'ZZZZZ', '00001', '99999', 'A0000', '01000', '02000';
my $raised = join ', ', map { "('$_')" } @codes;

foreach my $type ('Raise', 'CommitAndRaise')
{
	query($node, "SET ROLE alice; SELECT count(cmdsched.schedule('$type', jsonb_build_object('code', code), schedule_id => '$type-' || code)) FROM (VALUES $raised) AS v (code)");
	wait_for($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE command_type = '$type' AND status = 'failed' AND attempts = 1 AND last_error->>'message' = 'raised on purpose'",
		scalar(@codes), "$type: each is the failure of its command");
	is(query($node, "SELECT string_agg(schedule_id, ' ') FROM cmdsched.scheduled_commands WHERE command_type = '$type' AND schedule_id <> '$type-' || (last_error->>'sqlstate')"),
		'', 'and recorded as what it is');
}
nobody_left('no worker has ended by any of them');

# By hand, as well; but a session that is cancelled is.
query($node, "SELECT cmdsched.stop()");
query($node, "SET ROLE alice; SELECT count(cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands");
query($node, "SET ROLE alice; SELECT count(cmdsched.schedule('Raise', jsonb_build_object('code', code), schedule_id => 'Raise-' || code)) FROM (VALUES $raised) AS v (code) WHERE code <> '57014'");
is(query($node, 'SET ROLE alice; SELECT cmdsched.run_once()'), '0', 'by hand: none succeeds');
is(query($node, "SELECT count(*) FILTER (WHERE status = 'failed' AND last_error->>'sqlstate' = substr(schedule_id, 7)), count(*) FILTER (WHERE status = 'pending') FROM cmdsched.scheduled_commands WHERE schedule_id LIKE 'Raise-%'"),
	(@codes - 3) . '|2', 'each is recorded; deadlock and serialization failure are tried again');
query($node, "SET ROLE alice; SELECT count(cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands");
query($node, "SET ROLE alice; SELECT cmdsched.schedule('Raise', '{\"code\": \"57014\"}', schedule_id => 'raise-57014')");
fails_with($node, 'SET ROLE alice; SELECT cmdsched.run_once()', '57014', 'by hand, a cancel ends the call');
is(query($node, "SELECT status, attempts FROM cmdsched.get('raise-57014')"), 'pending|0', 'and is not counted');
query($node, "SELECT cmdsched.cancel('raise-57014'), cmdsched.start()");
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'again'); SET ROLE alice; SELECT cmdsched.schedule('Effect', schedule_id => 'again')");
ran_once($node, 'again', 2, 'commands run');
@workers = worker_pids();

# ----------------------------------------------------------------------------
# Messages
# ----------------------------------------------------------------------------

# name, character, whether by abandon()
foreach my $message ([ 'ascii', "'x'" ], [ 'percent', "'%s%n'" ], [ 'two-bytes', "'ü'" ], [ 'three-bytes', "'x€'" ], [ 'four-bytes', "U&'\\+01F600'" ], [ 'control', "E'\\x01\\n\"\\\\'" ])
{
	my ($name, $text) = @$message;

	fails_as("message-$name", "DO \$\$ BEGIN RAISE '%', repeat($text, 1048576) USING DETAIL = repeat($text, 1048576), HINT = repeat($text, 1048576); END \$\$", 'P0001', "1 MB, $name");
	is(query($node, "SELECT octet_length(last_error->>'message') BETWEEN 2044 AND 2048, octet_length(last_error->>'detail') BETWEEN 2044 AND 2048, octet_length(last_error->>'context') <= 3584, repeat($text, 2048) LIKE replace(left(last_error->>'message', -4), '\\', '\\\\') || '%' FROM cmdsched.get('message-$name')"),
		't|t|t|t', "1 MB, $name: its beginning is kept");
	schedule_do("abandon-$name", "SELECT cmdsched.abandon(repeat($text, 1048576))");
	wait_for($node, "SELECT status, octet_length(last_error->>'message') BETWEEN 2044 AND 2048 FROM cmdsched.scheduled_commands WHERE schedule_id = 'abandon-$name'",
		'failed|t', "1 MB, $name: as a reason for abandon()");
}
schedule_do('notices', 'DO $$ BEGIN FOR i IN 1..100 LOOP RAISE WARNING \'%\', repeat(\'x\', 100000); END LOOP; END $$');
wait_for($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE schedule_id = 'notices'", '0', 'a flood of notices is no failure');

# Where the bytes mean nothing.
query($node, "CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'");
create_shop($node, 'bytes');
query($node, <<'SQL', 'bytes');
CREATE FUNCTION shop.bytes(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE '%', repeat(E'\xe4\xff', 10000); END $$;
SELECT cmdsched.register_handler('Bytes', 'shop.bytes(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('Bytes', schedule_id => 'bytes');
SQL
wait_for($node, "SELECT status, octet_length(last_error->>'message') FROM cmdsched.scheduled_commands WHERE schedule_id = 'bytes'",
	'failed|2048', 'a message in no encoding', db => 'bytes');
nobody_left('no worker has ended by a message');

# ----------------------------------------------------------------------------
# Depth
# ----------------------------------------------------------------------------

query($node, <<'SQL');
CREATE FUNCTION shop.recurse(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM shop.recurse($1); END $$;
CREATE FUNCTION shop.recurse_sql(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT shop.recurse_sql($1)' USING $1; END $$;
-- Each dispatches the next, within itself.
CREATE FUNCTION shop.nest(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cmdsched.schedule('Nest', '{}', now() - interval '1 hour');
	PERFORM pg_sleep(0.001);
	PERFORM cmdsched.run_once();
END
$$;
SELECT cmdsched.register_handler('Recurse', 'shop.recurse(jsonb)', max_attempts => 1), cmdsched.register_handler('RecurseSql', 'shop.recurse_sql(jsonb)', max_attempts => 1),
	cmdsched.register_handler('Nest', 'shop.nest(jsonb)', max_attempts => 1);
SET ROLE alice;
SELECT cmdsched.schedule('Recurse', schedule_id => 'recurse'), cmdsched.schedule('RecurseSql', schedule_id => 'recurse-sql'), cmdsched.schedule('Nest', schedule_id => 'nest');
SQL
ends_as('recurse', 'failed|1|54001', 'endless recursion is a failure');
ends_as('recurse-sql', 'failed|1|54001', 'so is one through SQL');
is(query($node, "SELECT max(octet_length(last_error->>'context')) <= 3584 FROM cmdsched.scheduled_commands"), 't', 'its context is cut');
wait_for($node, "SELECT count(*), min(last_error->>'sqlstate') IN ('54000', '54001') FROM cmdsched.scheduled_commands WHERE command_type = 'Nest'",
	'1|t', 'handlers that dispatch one another end at some depth', timeout => 60);
schedule_do('subtransactions', 'DO $$ BEGIN FOR i IN 1..10000 LOOP BEGIN PERFORM 1 / (i % 2); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$');
wait_for($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE schedule_id = 'subtransactions'", '0', 'ten thousand subtransactions are none');
nobody_left('no worker has ended by depth');

# ----------------------------------------------------------------------------
# Memory
# ----------------------------------------------------------------------------

fails_as('huge', "SELECT repeat('x', 1073741824)", '54000', 'a value beyond all limits');
my $pid = query($node, "SELECT pid FROM cmdsched.workers WHERE role = 'alice'");

# What it has, and a little.
foreach my $more (32, 0)
{
	my ($size) = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status") =~ /^VmSize:\s+(\d+) kB$/m;
	my $limit = ($size + $more * 1024) * 1024;

	is(system('prlimit', "--pid=$pid", "--as=$limit:"), 0, "the executor may have $more MB more");
	fails_as("memory-$more", "SELECT length(string_agg(repeat('x', 1000000), '')) FROM generate_series(1, 200)", '53200', "$more MB: out of memory is a failure");
	query($node, "SET ROLE alice; SELECT count(cmdsched.schedule('Effect', schedule_id => 'after-$more-' || i)) FROM generate_series(1, 100) AS i");
	ran_once($node, "after-$more-%", 100, "$more MB: others run in the same process");
}
nobody_left('no worker has ended by want of memory');

# ----------------------------------------------------------------------------
# In the end
# ----------------------------------------------------------------------------

unlike(log_of($node), qr/PANIC:|terminated by signal|reinitializing/, 'the server has not crashed');
unlike(log_of($node), qr/^cmdsched \w+ \w{5} (ERROR|FATAL):(?!  terminating)/m, 'no worker had an error of its own');
query($node, "SET ROLE alice; SELECT count(cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands");
reload_conf($node, 'cmdsched.executor_idle_timeout' => '1s', 'cmdsched.max_executors' => 4);
wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE kind = 'executor'", '0', 'executors leave');
wait_for($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cmdsched executor'", '0', 'and have ended');

my $places = 4;
query($node, "CREATE ROLE slow_$_ LOGIN; SET ROLE slow_$_; SELECT cmdsched.schedule('Slow', '{\"gate\": \"all\"}', schedule_id => 'slow')") foreach 1 .. $places;
wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE kind = 'executor' AND state = 'running'", $places, 'no slot is lost: all executors can be had');
open_gate($node, 'all');
ran_once($node, 'slow', $places, 'and end');

$node->stop;
done_testing();
