# No handler gets out of its role: whatever an ordinary role plants, and
# whatever its handler does, is done as that role, and the next command in the
# same executor runs as that role again.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('escapes');

wait_for_workers($node, 'the workers are there');

# shop.witness() is called by all that is planted: it notes as whom, and takes
# what it can.
query($node, <<'SQL');
CREATE ROLE thief LOGIN;
CREATE ROLE accomplice LOGIN;
GRANT accomplice TO thief;
CREATE SCHEMA den AUTHORIZATION thief;
GRANT USAGE ON SCHEMA den TO PUBLIC;
GRANT CREATE ON SCHEMA public TO thief;
GRANT TEMPORARY ON DATABASE postgres TO thief;
CREATE TABLE shop.seen (what text, session name DEFAULT session_user, "current" name DEFAULT current_user);
GRANT INSERT ON shop.seen TO PUBLIC;

CREATE FUNCTION shop.witness(what text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.seen VALUES (what);
	BEGIN
		ALTER ROLE thief SUPERUSER;
	EXCEPTION WHEN insufficient_privilege THEN
		NULL;
	END;
	RETURN 1;
END
$$;
-- Where only an immutable function may stand.
CREATE FUNCTION shop.quiet_witness(what text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.witness(what);
	RETURN what;
END
$$;
CREATE FUNCTION shop.look(command cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS 'SELECT shop.witness(command.schedule_id)';
SELECT cmdsched.register_handler('Look', 'shop.look(cmdsched.scheduled_commands)');
SQL

# Functions that stand before those of pg_catalog where the search path says so.
my $lookalikes = "CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS \$\$SELECT shop.witness('planted'); SELECT pg_catalog.now()\$\$;\n"
  . "CREATE FUNCTION public.pg_has_role(oid, text) RETURNS boolean LANGUAGE sql AS \$\$SELECT shop.witness('planted') = 1\$\$;\n";
foreach my $type ('text', 'jsonb', 'timestamptz', 'oid', 'name')
{
	$lookalikes .= "CREATE FUNCTION public.compare($type, $type) RETURNS boolean LANGUAGE plpgsql AS \$\$BEGIN RETURN shop.witness('planted') = 1; END\$\$;\n";
	$lookalikes .= "CREATE OPERATOR public.$_ (LEFTARG = $type, RIGHTARG = $type, FUNCTION = public.compare);\n" foreach '=', '<>', '<', '<=', '>', '>=';
}

# name     of the case; body, plant and lookalikes call shop.witness() with it
# plant    SQL, run as thief, or by a superuser if it begins with \c
# body     of the handler, which thief owns
# seen     whether what was planted has to be called
# state    how the command ends: done, or failed with this SQLSTATE
my @escapes = (
	{ name => 'reset-role', body => "BEGIN RESET ROLE; RESET SESSION AUTHORIZATION; PERFORM shop.witness('reset-role'); END", seen => 1 },
	{ name => 'reset-all', body => "BEGIN RESET ALL; SET SESSION AUTHORIZATION DEFAULT; SET ROLE NONE; PERFORM shop.witness('reset-all'); END", seen => 1 },
	{ name => 'set-role', body => "BEGIN SET ROLE postgres; PERFORM shop.witness('set-role'); END", state => '42501' },
	{ name => 'set-session-authorization', body => "BEGIN SET SESSION AUTHORIZATION postgres; PERFORM shop.witness('set-session-authorization'); END", state => '42501' },
	{ name => 'set-session-authorization-member', body => "BEGIN SET SESSION AUTHORIZATION accomplice; END", state => '42501' },
	{ name => 'set-config', body => "BEGIN PERFORM set_config('role', 'postgres', false), shop.witness('set-config'); END", state => '42501' },
	{
		name => 'caught',
		body => "BEGIN BEGIN SET ROLE postgres; EXCEPTION WHEN insufficient_privilege THEN PERFORM shop.witness('caught'); END; BEGIN SET SESSION AUTHORIZATION postgres; EXCEPTION WHEN insufficient_privilege THEN PERFORM shop.witness('caught'); END; END",
		seen => 1
	},
	{
		name => 'rolled-back',
		body => "BEGIN BEGIN SET ROLE accomplice; RAISE 'back'; EXCEPTION WHEN raise_exception THEN NULL; END; PERFORM shop.witness('rolled-back'); END",
		seen => 1
	},
	{ name => 'left-as-accomplice', body => "BEGIN SET ROLE accomplice; END" },
	{
		name => 'function-set-role',
		plant => "\\c\nCREATE FUNCTION den.as_owner() RETURNS integer LANGUAGE sql SET role = postgres AS \$\$SELECT shop.witness('function-set-role')\$\$; ALTER FUNCTION den.as_owner() OWNER TO thief",
		body => 'BEGIN PERFORM den.as_owner(); END',
		state => '42501'
	},
	{
		name => 'function-set-session',
		plant => "\\c\nCREATE FUNCTION den.as_session() RETURNS integer LANGUAGE sql SET session_authorization = postgres AS \$\$SELECT shop.witness('function-set-session')\$\$; ALTER FUNCTION den.as_session() OWNER TO thief",
		body => 'BEGIN PERFORM den.as_session(); END',
		state => '42501'
	},
	{
		name => 'deferred-trigger',
		plant => "CREATE TABLE den.deferred (x integer); CREATE FUNCTION den.at_commit() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN RESET ROLE; PERFORM shop.witness('deferred-trigger'); RETURN NULL; END\$\$; CREATE CONSTRAINT TRIGGER t AFTER INSERT ON den.deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION den.at_commit()",
		body => 'BEGIN INSERT INTO den.deferred VALUES (1); END',
		seen => 1
	},
	{
		name => 'deferred-set-role',
		plant => "CREATE TABLE den.deferred2 (x integer); CREATE FUNCTION den.at_commit2() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN SET ROLE postgres; PERFORM shop.witness('deferred-set-role'); RETURN NULL; END\$\$; CREATE CONSTRAINT TRIGGER t AFTER INSERT ON den.deferred2 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION den.at_commit2()",
		body => 'BEGIN INSERT INTO den.deferred2 VALUES (1); END',
		state => '42501'
	},
	{
		name => 'on-commit-drop',
		body => "BEGIN CREATE TEMP TABLE dropped ON COMMIT DROP AS SELECT 'on-commit-drop'::text AS x; CREATE INDEX ON dropped (shop.quiet_witness(x)); END",
		seen => 1
	},
	{
		name => 'on-commit-delete',
		body => "BEGIN CREATE TEMP TABLE emptied (x text CHECK (shop.witness(x) = 1)) ON COMMIT DELETE ROWS; CREATE INDEX ON emptied (shop.quiet_witness(x)); INSERT INTO emptied VALUES ('on-commit-delete'); END",
		seen => 1
	},
	{ name => 'with-hold', body => "BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT shop.witness(''with-hold'')'; EXECUTE 'FETCH c'; END", seen => 1 },
	{ name => 'with-hold-unread', body => "BEGIN EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT shop.witness(''with-hold-unread'')'; END", seen => undef },
	{
		name => 'index-expression',
		plant => 'CREATE TABLE den.indexed (x text); CREATE INDEX ON den.indexed (shop.quiet_witness(x))',
		body => "BEGIN INSERT INTO den.indexed VALUES ('index-expression'); END",
		seen => 1
	},
	{
		name => 'check',
		plant => 'CREATE TABLE den.checked (x text CHECK (shop.witness(x) = 1))',
		body => "BEGIN INSERT INTO den.checked VALUES ('check'); END",
		seen => 1
	},
	{
		name => 'generated',
		plant => 'CREATE TABLE den.computed (x text, y text GENERATED ALWAYS AS (shop.quiet_witness(x)) STORED)',
		body => "BEGIN INSERT INTO den.computed VALUES ('generated'); END",
		seen => 1
	},
	{
		name => 'domain',
		plant => 'CREATE DOMAIN den.watched AS text CHECK (shop.witness(VALUE) = 1); CREATE TABLE den.of_domain (x den.watched)',
		body => "BEGIN INSERT INTO den.of_domain VALUES ('domain'); END",
		seen => 1
	},
	{
		name => 'policy',
		plant => 'CREATE TABLE den.policed (x text); ALTER TABLE den.policed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY p ON den.policed USING (shop.witness(x) = 1)',
		body => "BEGIN INSERT INTO den.policed VALUES ('policy'); PERFORM * FROM den.policed; END",
		seen => 1
	},
	{
		name => 'rule',
		plant => 'CREATE TABLE den.ruled (x text); CREATE RULE r AS ON INSERT TO den.ruled DO INSTEAD SELECT shop.witness(NEW.x)',
		body => "BEGIN EXECUTE 'INSERT INTO den.ruled VALUES (''rule'')'; END",
		seen => 1
	},
	{
		name => 'view',
		plant => "CREATE VIEW den.seen AS SELECT shop.witness('view')",
		body => 'BEGIN PERFORM * FROM den.seen; END',
		seen => 1
	},
	{
		name => 'planted',
		plant => $lookalikes,
		body => "BEGIN SET search_path = public, pg_catalog; PERFORM cmdsched.schedule('Look', schedule_id => 'planted-look'); PERFORM cmdsched.cancel('planted-look'); PERFORM 1 WHERE pg_catalog.jsonb '1' <= '2'; END",
		seen => 1
	},
	{
		name => 'planted-fails',
		body => "BEGIN SET search_path = public, pg_catalog; RAISE 'fails'; END",
		state => 'P0001'
	},
	{
		name => 'pg-temp',
		body => <<'SQL',
BEGIN
	CREATE TEMP TABLE scheduled_commands (LIKE cmdsched.scheduled_commands INCLUDING ALL, CHECK (shop.witness('pg-temp') = 1));
	CREATE TEMP TABLE handlers (LIKE cmdsched.handlers INCLUDING ALL, CHECK (shop.witness('pg-temp') = 1));
	CREATE FUNCTION pg_temp.taken() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM shop.witness(''pg-temp''); RETURN NULL; END';
	CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON scheduled_commands FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.taken();
	SET search_path = pg_temp, cmdsched, pg_catalog;
	PERFORM cmdsched.schedule('Look', schedule_id => 'pg-temp-look');
	PERFORM cmdsched.schedule('Look', schedule_id => 'pg-temp-look', on_conflict => 'replace');
	PERFORM cmdsched.get('pg-temp-look'), cmdsched.reschedule('pg-temp-look', pg_catalog.now()), cmdsched.retry('pg-temp-look');
	IF NOT cmdsched.cancel('pg-temp-look') OR (cmdsched.current_command()).schedule_id <> 'pg-temp' THEN
		RAISE 'not ours';
	END IF;
END
SQL
	},
	{
		name => 'event-trigger',
		plant => "\\c\nCREATE FUNCTION den.ddl() RETURNS event_trigger LANGUAGE plpgsql AS \$\$BEGIN PERFORM shop.witness('event-trigger'); END\$\$; ALTER FUNCTION den.ddl() OWNER TO thief;"
		  . 'CREATE EVENT TRIGGER e1 ON ddl_command_start WHEN TAG IN (\'CREATE TABLE\', \'DROP TABLE\') EXECUTE FUNCTION den.ddl(); CREATE EVENT TRIGGER e2 ON sql_drop EXECUTE FUNCTION den.ddl()',
		body => 'BEGIN CREATE TEMP TABLE left_for_removal (x integer); END',
		seen => 1,
		clean => 'DROP EVENT TRIGGER e1; DROP EVENT TRIGGER e2'
	},
	{
		name => 'local-preload',
		plant => "ALTER ROLE thief SET local_preload_libraries = 'plpgsql'; ALTER ROLE thief SET search_path = pg_temp, public, pg_catalog",
		body => "BEGIN PERFORM shop.witness('local-preload'); END",
		seen => 1
	},
	{ name => 'load', body => "BEGIN LOAD 'plpgsql'; END", state => '42501' },
	{ name => 'copy-to-program', body => "BEGIN COPY (SELECT 1) TO PROGRAM 'cat > escaped'; END", state => '42501' },
	{ name => 'copy-from-program', body => "BEGIN CREATE TEMP TABLE x (x text); COPY x FROM PROGRAM 'touch escaped; echo'; END", state => '42501' },
	{ name => 'copy-file', body => "BEGIN COPY (SELECT 1) TO '/tmp/escaped'; END", state => '42501' },
	{ name => 'terminate', body => "BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'cmdsched scheduler'; END", state => '42501' },
	{ name => 'raise-limit', body => "BEGIN PERFORM set_config('cmdsched.log_error_messages', 'on', false); END", state => '42501' },
	{ name => 'notices', body => "BEGIN SET client_min_messages = debug5; FOR i IN 1 .. 20000 LOOP RAISE NOTICE '%', repeat('flood', 200); END LOOP; PERFORM shop.witness('notices'); END", seen => 1 },
	{
		name => 'deferred-as-accomplice',
		plant => "CREATE TABLE den.deferred3 (x integer); CREATE FUNCTION den.at_commit3() RETURNS trigger LANGUAGE plpgsql AS \$\$BEGIN SET ROLE accomplice; RETURN NULL; END\$\$; CREATE CONSTRAINT TRIGGER t AFTER INSERT ON den.deferred3 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION den.at_commit3()",
		body => 'BEGIN INSERT INTO den.deferred3 VALUES (1); END'
	});

my $offset = -s $node->logfile;
foreach my $escape (@escapes)
{
	my ($name, $plant) = ($escape->{name}, $escape->{plant} // '');
	my $function = 'den.' . ($name =~ tr/-/_/r) . '_handler(cmdsched.scheduled_commands)';
	my $state = exists $escape->{state} ? "failed $escape->{state}" : 'done';

	$plant = "SET SESSION AUTHORIZATION thief;\n$plant" unless $plant =~ s/^\\c\n//;
	query($node, $plant);
	query($node, <<"SQL");
CREATE FUNCTION $function RETURNS void LANGUAGE plpgsql AS \$h\$ $escape->{body} \$h\$;
ALTER FUNCTION $function OWNER TO thief;
SELECT cmdsched.register_handler('$name', '$function', max_attempts => 1);
SELECT pg_terminate_backend(pid, 10000) FROM cmdsched.workers WHERE role = 'thief' AND '$name' = 'local-preload';
SET SESSION AUTHORIZATION thief;
BEGIN;
SELECT cmdsched.schedule('$name', '{}', now() - interval '2 seconds', schedule_id => '$name');
SELECT cmdsched.schedule('Look', '{}', now() - interval '1 second', schedule_id => '$name after');
COMMIT;
SQL
	wait_for($node, <<"SQL", $state, "$name: ends $state");
SELECT coalesce(string_agg(status || coalesce(' ' || (last_error->>'sqlstate'), ''), ''), 'done') FROM cmdsched.scheduled_commands WHERE schedule_id = '$name'
SQL
	query($node, "SET SESSION AUTHORIZATION thief; SELECT cmdsched.schedule('Look', schedule_id => '$name later')");
	wait_for($node, "SELECT what, session, \"current\" FROM shop.seen WHERE what IN ('$name after', '$name later') ORDER BY what",
		"$name after|thief|thief\n$name later|thief|thief", "$name: the next commands, in this transaction and after it, run as their role");
	my $seen = query($node, "SELECT DISTINCT session, \"current\" FROM shop.seen WHERE what = '$name'");
	is($seen, $escape->{seen} ? 'thief|thief' : '', "$name: is seen as its role") if defined $escape->{seen} || !exists $escape->{seen};
	query($node, $escape->{clean}) if $escape->{clean};
}
is(query($node, "SELECT string_agg(what, ', ') FROM shop.seen WHERE (session, \"current\") <> ('thief', 'thief')"), '', 'nothing was done as somebody else');
is(query($node, "SELECT rolsuper FROM pg_roles WHERE rolname = 'thief'"), 'f', 'and nothing was taken');
ok(!-e $node->data_dir . '/escaped', 'no program was run');
cmp_ok(-s $node->logfile, '<', $offset + 200_000, 'notices do not flood the log');

# ----------------------------------------------------------------------------
# A superuser among all that is planted
# ----------------------------------------------------------------------------

query($node, <<'SQL');
TRUNCATE shop.seen;
SET search_path = public, pg_catalog;
SELECT cmdsched.schedule('Fail', schedule_id => 'mine', metadata => '{"a": 1}');
SELECT cmdsched.schedule('Effect', '{}', '2100-01-01', schedule_id => 'far');
SELECT cmdsched.schedule('Effect', '{}', '2100-01-01', schedule_id => 'far', on_conflict => 'replace');
SELECT cmdsched.schedule_in('Effect', '{}', '1 day', schedule_id => 'later');
SELECT cmdsched.get('far'), cmdsched.retry('far'), cmdsched.reschedule('far', '2100-01-01'), cmdsched.cancel('far');
SELECT cmdsched.get_due_commands(), cmdsched.process_due_commands(), cmdsched.run_once(), cmdsched.delete_executed('later');
SELECT * FROM cmdsched.workers;
SELECT cmdsched.register_handler('X', 'shop.effect(cmdsched.scheduled_commands)');
SELECT cmdsched.unregister_handler('X'), cmdsched.trigger(), cmdsched.adopt();
SQL
is(query($node, 'SELECT count(*) FROM shop.seen'), '0', 'nothing planted is called by a superuser in any function of ours');

# ----------------------------------------------------------------------------
# Whose function a superuser's command runs
# ----------------------------------------------------------------------------

fails_with($node, "SELECT cmdsched.schedule('view')", '42501', "a superuser's command cannot call another role's handler");
query($node, <<'SQL');
SELECT cmdsched.schedule('Look', '{}', now() + interval '2 seconds', schedule_id => 'trap');
ALTER FUNCTION shop.look(cmdsched.scheduled_commands) OWNER TO thief;
SQL
wait_for($node, "SELECT status, last_error->>'sqlstate' FROM cmdsched.get('trap')", 'held|42501', 'nor one that became that later');
is(query($node, "SELECT count(*) FROM shop.seen WHERE what = 'trap'"), '0', 'it was not called');

# ----------------------------------------------------------------------------
# One session, two roles: what is remembered is remembered of a role
# ----------------------------------------------------------------------------

query($node, <<'SQL');
CREATE TABLE shop.private (owner name, x text);
INSERT INTO shop.private VALUES ('thief', 'of thief'), ('accomplice', 'of accomplice');
ALTER TABLE shop.private ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON shop.private USING (owner = current_user);
GRANT SELECT ON shop.private TO PUBLIC;
CREATE FUNCTION shop.read(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.seen (what) SELECT 'read ' || x FROM shop.private;
END
$$;
SELECT cmdsched.register_handler('Read', 'shop.read(cmdsched.scheduled_commands)');
SQL
query($node, join '', map { "SET SESSION AUTHORIZATION $_; BEGIN; SELECT cmdsched.schedule('Read'); SELECT cmdsched.process_due_commands(); COMMIT; RESET SESSION AUTHORIZATION;" } ('thief', 'accomplice') x 3);
is(query($node, "SELECT DISTINCT what, \"current\" FROM shop.seen WHERE what LIKE 'read%' ORDER BY 1"), "read of accomplice|accomplice\nread of thief|thief", 'a plan that was made for one role is not used for another');

$node->stop;
done_testing();
