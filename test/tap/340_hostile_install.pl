# CREATE EXTENSION, by a superuser, where somebody else has been before: what was
# planted is neither used nor adopted, and what cannot be had is refused.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('hostile_install');

wait_for_workers($node, 'the workers are there');
query($node, 'CREATE ROLE mallory LOGIN; CREATE ROLE alice LOGIN');
query($node, $_) foreach 'CREATE DATABASE hostile OWNER mallory', 'CREATE DATABASE squatted OWNER mallory', 'CREATE DATABASE closed';

# Everything that belongs to the extension, in words.
my $definitions = <<'SQL';
SET search_path = '';
SELECT d FROM (
SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid WHERE e.extname = 'cmdsched' AND d.deptype = 'e'
UNION ALL SELECT pg_catalog.pg_get_functiondef(p.oid) FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'cmdsched'::regnamespace
UNION ALL SELECT p.oid::regprocedure::text || p.proacl::text FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'cmdsched'::regnamespace
UNION ALL SELECT pg_catalog.concat_ws(' ', c.relname, c.relkind, c.relacl::text, c.reloptions::text, c.relrowsecurity, c.relowner::regrole) FROM pg_catalog.pg_class AS c WHERE c.relnamespace = 'cmdsched'::regnamespace
UNION ALL SELECT pg_catalog.pg_get_viewdef(c.oid) FROM pg_catalog.pg_class AS c WHERE c.relnamespace = 'cmdsched'::regnamespace AND c.relkind = 'v'
UNION ALL SELECT pg_catalog.pg_get_indexdef(c.oid) FROM pg_catalog.pg_class AS c WHERE c.relnamespace = 'cmdsched'::regnamespace AND c.relkind = 'i'
UNION ALL SELECT pg_catalog.concat_ws(' ', a.attrelid::regclass, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, a.attnotnull, pg_catalog.pg_get_expr(f.adbin, f.adrelid))
	FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid LEFT JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
	WHERE c.relnamespace = 'cmdsched'::regnamespace
UNION ALL SELECT pg_catalog.pg_get_constraintdef(k.oid) FROM pg_catalog.pg_constraint AS k WHERE k.connamespace = 'cmdsched'::regnamespace
UNION ALL SELECT p.polname || pg_catalog.pg_get_expr(p.polqual, p.polrelid) FROM pg_catalog.pg_policy AS p
) AS o (d) ORDER BY d COLLATE "C"
SQL

# ----------------------------------------------------------------------------
# Planted: whatever the script mentions, in public and in pg_temp
# ----------------------------------------------------------------------------

my $planted = <<'SQL';
CREATE TABLE SCHEMA.called (what text);
CREATE FUNCTION SCHEMA.witness(what pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.called VALUES (what); RETURN true; END';
CREATE FUNCTION SCHEMA.pg_has_role(pg_catalog.oid, pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE sql AS $$SELECT public.witness('pg_has_role')$$;
CREATE FUNCTION SCHEMA.now() RETURNS pg_catalog.timestamptz LANGUAGE sql AS $$SELECT public.witness('now'); SELECT pg_catalog.now()$$;
CREATE FUNCTION SCHEMA.pg_extension_config_dump(pg_catalog.regclass, pg_catalog.text) RETURNS pg_catalog.void LANGUAGE sql AS $$SELECT public.witness('dump')$$;
CREATE TABLE SCHEMA.pg_roles (oid oid, rolname name);
CREATE TABLE SCHEMA.scheduled_commands (schedule_id text);
CREATE TABLE SCHEMA.handlers (handler text);
CREATE FUNCTION SCHEMA.list_workers() RETURNS SETOF record LANGUAGE sql AS 'SELECT 1';
SQL
$planted .= "CREATE FUNCTION SCHEMA.compare(pg_catalog.$_, pg_catalog.$_) RETURNS pg_catalog.bool LANGUAGE sql AS \$\$SELECT public.witness('operator')\$\$;\n"
  . join('', map { my $type = $_; map { "CREATE OPERATOR SCHEMA.$_ (LEFTARG = pg_catalog.$type, RIGHTARG = pg_catalog.$type, FUNCTION = SCHEMA.compare);\n" } '=', '<=' } $_)
  foreach 'text', 'oid', 'name', 'timestamptz', 'bool';
$planted .= "CREATE DOMAIN SCHEMA.$_ AS pg_catalog.$_ CHECK (public.witness('type'));\n" foreach 'text', 'jsonb', 'timestamptz', 'interval', 'oid', 'name', 'regprocedure';
my $in_public = $planted =~ s/SCHEMA/public/gr;
my $in_temp = join '', map { s/SCHEMA/pg_temp/gr } grep { !/OPERATOR|called|witness\(what/ } split /^/, $planted;

query($node, "SET SESSION AUTHORIZATION mallory; $in_public", 'hostile');
query($node, 'SET SESSION AUTHORIZATION mallory; ALTER DATABASE hostile SET search_path = pg_temp, public, pg_catalog', 'hostile');
# Proof that it is found where nobody is careful.
is(query($node, "SET search_path = public, pg_catalog; SELECT now() IS NOT NULL, 'a'::pg_catalog.text = 'b'::pg_catalog.text", 'hostile'), 't|t', 'what was planted is called by a statement of the session');
is(query($node, 'SELECT count(*) > 1 FROM public.called; TRUNCATE public.called', 'hostile'), 't', 'and says so');
query($node, "$in_temp; CREATE EXTENSION cmdsched", 'hostile');

is(query($node, 'SELECT count(*) FROM public.called', 'hostile'), '0', 'CREATE EXTENSION calls nothing of it');
is(query($node, $definitions, 'hostile'), query($node, $definitions), 'and makes the same objects as anywhere else');
is(query($node, <<'SQL', 'hostile'), '', 'which depend on nothing that was planted');
SET search_path = pg_catalog;
SELECT string_agg(pg_describe_object(d.classid, d.objid, d.objsubid) || ' on ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), ', ')
  FROM pg_depend AS d
 WHERE pg_describe_object(d.classid, d.objid, d.objsubid) LIKE '%cmdsched%'
   AND pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) LIKE '%public%'
SQL

# And commands run there, under the settings that the database's owner chose.
query($node, 'SET search_path = pg_catalog; CREATE TABLE public.done (by_whom pg_catalog.name DEFAULT current_user); GRANT INSERT ON public.done TO PUBLIC; GRANT USAGE ON SCHEMA cmdsched TO PUBLIC; '
	  . "CREATE FUNCTION public.handle(pg_catalog.jsonb) RETURNS pg_catalog.void LANGUAGE sql SET search_path = pg_catalog AS 'INSERT INTO public.done DEFAULT VALUES'; "
	  . "SELECT cmdsched.register_handler('Handle', 'public.handle(pg_catalog.jsonb)')", 'hostile');
query($node, "SET ROLE alice; SELECT cmdsched.schedule('Handle')", 'hostile');
wait_for($node, 'SELECT by_whom FROM public.done', 'alice', 'a command runs there', db => 'hostile');
query($node, 'SET search_path = pg_catalog; SELECT pg_terminate_backend(pid) FROM cmdsched.workers', 'hostile');
wait_for($node, "SET search_path = pg_catalog; SELECT count(*) FROM cmdsched.workers WHERE kind = 'scheduler'", '1', 'its scheduler comes back', db => 'hostile');
is(query($node, 'SELECT pg_catalog.count(*) FROM public.called', 'hostile'), '0', 'and nothing planted was called by our workers');

# ----------------------------------------------------------------------------
# Planted: the schema
# ----------------------------------------------------------------------------

query($node, <<'SQL', 'squatted');
SET SESSION AUTHORIZATION mallory;
CREATE SCHEMA cmdsched;
CREATE TABLE cmdsched.handlers (command_type text, command_module text DEFAULT '', handler text, owner oid DEFAULT 10, max_attempts integer DEFAULT 1, backoff interval DEFAULT '0',
	max_backoff interval DEFAULT '0', timeout interval, history text DEFAULT 'none', external boolean DEFAULT false, paused boolean DEFAULT false, PRIMARY KEY (command_type, command_module));
CREATE TABLE cmdsched.scheduled_commands (schedule_id text, command_type text, command_module text DEFAULT '', command_data jsonb DEFAULT '{}', execute_at timestamptz DEFAULT now(),
	status text DEFAULT 'pending', created_at timestamptz DEFAULT now(), metadata jsonb, scheduled_by oid DEFAULT 10, attempts smallint DEFAULT 0, last_error jsonb,
	scheduled_by_name name DEFAULT 'postgres', due_at timestamptz DEFAULT now(), conflicts smallint DEFAULT 0, depth smallint DEFAULT 0, PRIMARY KEY (schedule_id, scheduled_by));
CREATE INDEX scheduled_commands_due ON cmdsched.scheduled_commands (scheduled_by, due_at, schedule_id);
INSERT INTO cmdsched.handlers (command_type, handler) VALUES ('Seize', 'pg_catalog.jsonb_typeof(jsonb)');
INSERT INTO cmdsched.scheduled_commands (schedule_id, command_type) VALUES ('planted', 'Seize');
NOTIFY cmdsched;
SQL
fails_with($node, $_, '42P06', "$_ refuses a schema that is there", 'squatted')
  foreach 'CREATE EXTENSION cmdsched', 'CREATE EXTENSION IF NOT EXISTS cmdsched CASCADE';
is(query($node, "SELECT count(*) FROM pg_extension WHERE extname = 'cmdsched'", 'squatted'), '0', 'there is no extension then');
# Even if somebody, a superuser, starts a scheduler there: it may have left before
# start() sees it.
$node->psql('squatted', q(CREATE FUNCTION pg_temp.start() RETURNS boolean LANGUAGE c AS '$libdir/cmdsched', 'cmdsched_start'; SELECT pg_temp.start()));
wait_for($node, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'squatted' AND backend_type LIKE 'cmdsched %'", '0', 'a scheduler leaves a database without the extension');
is(query($node, 'SELECT schedule_id, status, attempts FROM cmdsched.scheduled_commands', 'squatted'), 'planted|pending|0', 'and runs nothing from tables that are not ours');
query($node, 'DROP SCHEMA cmdsched CASCADE; CREATE EXTENSION cmdsched', 'squatted');
is(query($node, $definitions, 'squatted'), query($node, $definitions), 'without that schema it is installed as anywhere else');

# ----------------------------------------------------------------------------
# Who may install, and where
# ----------------------------------------------------------------------------

fails_with($node, 'SET SESSION AUTHORIZATION mallory; DROP EXTENSION cmdsched', '42501', "a database's owner cannot drop the extension", 'hostile');
query($node, 'ALTER DATABASE closed OWNER TO mallory; GRANT CREATE ON DATABASE closed TO alice');
fails_with($node, "SET SESSION AUTHORIZATION $_; CREATE EXTENSION cmdsched", '42501', "$_ cannot install it", 'closed') foreach 'mallory', 'alice';
fails_with($node, 'CREATE EXTENSION cmdsched SCHEMA public', '0A000', 'it cannot be put into another schema', 'closed');
query($node, 'CREATE EXTENSION cmdsched', 'closed');
fails_with($node, 'ALTER EXTENSION cmdsched SET SCHEMA public', '0A000', 'nor moved', 'closed');
query($node, 'DROP EXTENSION cmdsched', 'closed');
is(query($node, "SELECT count(*) FROM pg_namespace WHERE nspname = 'cmdsched'", 'closed'), '0', 'DROP EXTENSION leaves no schema');

# The script by hand.
my ($stdout) = run_command([ 'psql', '-XAtq', '-h', $node->host, '-p', $node->port, '-U', 'postgres', '-f', 'sql/cmdsched--1.0.sql', 'closed' ]);
like($stdout, qr/^Use "CREATE EXTENSION cmdsched" to load this file\.$/, 'psql does not run the script');
is(query($node, "SELECT count(*) FROM pg_namespace WHERE nspname = 'cmdsched'", 'closed'), '0', 'it has made nothing');

$node->stop;
done_testing();
