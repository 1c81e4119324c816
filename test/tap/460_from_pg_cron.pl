# Jobs of pg_cron are moved by the statements of README.md, and then do what
# they did: pg_cron runs all of them once, so do our workers, and what both
# left behind and recorded is the same.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node(
	'from_pg_cron',
	preload => 'pg_cron,cmdsched',
	start => 0,
	conf => "cron.database_name = 'postgres'\n");

plan skip_all => 'pg_cron is not installed'
  unless -e $node->config_data('--sharedir') . '/extension/pg_cron.control';

my $readme = slurp_file('README.md');
my ($move) = $readme =~ /^(SELECT set_config\('role'.*?;)\n/ms or die 'README.md has no statement that moves jobs';
my ($print) = $readme =~ /^(SELECT format\('SET ROLE.*?'\@reboot';)\n/ms or die 'README.md has no statement that prints jobs';

# ----------------------------------------------------------------------------
# Jobs
# ----------------------------------------------------------------------------

# By connections, which is its default.  In its background workers (1.4) a
# statement of a text does not see what those before it did.
$node->append_conf('postgresql.conf', 'cron.host = ' . "'" . $node->host . "'");
$node->start;
query($node, $_) foreach ('CREATE EXTENSION pg_cron', 'CREATE DATABASE other', split /\n/, <<'SQL');
CREATE ROLE alice LOGIN
CREATE ROLE bob LOGIN
ALTER ROLE alice SET search_path = alice
GRANT USAGE ON SCHEMA cron TO alice, bob
GRANT EXECUTE ON FUNCTION cron.schedule_in_database TO bob
SQL
foreach my $db ('postgres', 'other')
{
	query($node, <<'SQL', $db);
CREATE EXTENSION cmdsched;
GRANT USAGE ON SCHEMA cmdsched TO alice, bob;
GRANT EXECUTE ON PROCEDURE cmdsched.run_sql TO alice, bob;
SELECT cmdsched.register_handler('RunSql', 'cmdsched.run_sql(jsonb)', max_attempts => 1, history => 'all');
CREATE SCHEMA alice AUTHORIZATION alice;
CREATE TABLE alice.log (n integer GENERATED ALWAYS AS IDENTITY, what text, who name DEFAULT current_user, login name DEFAULT session_user,
	db name DEFAULT current_database(), path text DEFAULT current_setting('search_path'), moved boolean);
GRANT SELECT, INSERT, UPDATE (what) ON alice.log TO alice, bob;
GRANT USAGE ON SCHEMA alice TO bob;
CREATE TABLE alice.vacuumed AS SELECT FROM generate_series(1, 10);
ALTER TABLE alice.vacuumed OWNER TO alice;
CREATE PROCEDURE alice.in_parts() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..3 LOOP
		INSERT INTO alice.log (what) VALUES ('part ' || i);
		COMMIT;
	END LOOP;
END
$$;
SQL
}

my %jobs = (
	alice => [
		[ 'insert', q{INSERT INTO log (what) VALUES ('a'), ('b')} ],
		[ 'select', q{SELECT 1 FROM generate_series(1, 3)} ],
		[ 'in vain', q{DELETE FROM vacuumed WHERE false} ],
		[ 'two', q{INSERT INTO log (what) VALUES ('first'); UPDATE log SET what = 'both' WHERE what = 'first'} ],
		[ 'all or nothing', q{INSERT INTO log (what) VALUES ('lost'); SELECT 1/0} ],
		[ 'vacuum', 'VACUUM vacuumed' ],
		[ 'call', 'CALL in_parts()' ],
		[ 'do', q{DO $$ BEGIN PERFORM set_config('search_path', 'pg_catalog', false); END $$} ],
		[ 'forbidden', 'CREATE ROLE carol' ],
		[ 'no SQL', 'this is not SQL' ],
		[ q{it's "quoted"}, q{INSERT INTO log (what) VALUES ('it''s "quoted" \ %L %')} ],
	],
	bob => [
		[ 'insert', q{INSERT INTO alice.log (what) VALUES ('of bob')} ],
		[ 'forbidden', 'TRUNCATE alice.log' ],
	]);
my $jobs = 0;

sub as_role
{
	my ($role, $sql) = @_;
	return query($node, "SET ROLE $role; $sql");
}

foreach my $role (sort keys %jobs)
{
	foreach my $job (@{ $jobs{$role} })
	{
		my ($name, $command) = @$job;
		as_role($role, "SELECT cron.schedule(\$n\$$name\$n\$, '* * * * *', \$c\$$command\$c\$)");
		$jobs++;
	}
}
as_role('bob', q{SELECT cron.schedule('* * * * *', $$INSERT INTO alice.log (what) VALUES ('without a name')$$)});
as_role('bob', q{SELECT cron.schedule_in_database('elsewhere', '* * * * *', $$INSERT INTO alice.log (what) VALUES ('elsewhere')$$, 'other')});
as_role('bob', q{SELECT cron.schedule_in_database('asleep', '* * * * *', $$INSERT INTO alice.log (what) VALUES ('asleep')$$, 'other', active => false)});
as_role('bob', q{SELECT cron.schedule_in_database('inactive', '* * * * *', $$INSERT INTO alice.log (what) VALUES ('inactive')$$, 'postgres', active => false)});
as_role('bob', q{SELECT cron.schedule('boot', '@reboot', 'SELECT 1')});
$jobs += 2;

# ----------------------------------------------------------------------------
# pg_cron runs them
# ----------------------------------------------------------------------------

my $details = q{SELECT count(*) FROM (SELECT jobid FROM cron.job_run_details WHERE status IN ('succeeded', 'failed') GROUP BY jobid) AS d};
wait_for($node, "SELECT ($details) >= $jobs", 't', 'pg_cron runs its jobs', timeout => 90);

# It may have begun them a second time, so of each job one run.
my $ran_by_pg_cron = query($node, <<'SQL');
SELECT DISTINCT username, coalesce(jobname, 'job ' || jobid), status,
       regexp_replace(regexp_replace(regexp_replace(return_message, E'\n.*', ''), '^ERROR:  ', ''), '^(\d+) rows?$', 'SELECT \1')
  FROM cron.job_run_details JOIN cron.job USING (jobid, username) WHERE job.database = 'postgres' AND status IN ('succeeded', 'failed') ORDER BY 1, 2
SQL
is($ran_by_pg_cron =~ tr/\n// + 2, $jobs, 'it has recorded each of them, but for the one in another database');

my $effects = 'SELECT DISTINCT what, who, db, path FROM alice.log WHERE moved IS %s true ORDER BY 1, 2';
my %effects = map { $_ => query($node, sprintf($effects, 'NOT'), $_) } ('postgres', 'other');
is($effects{postgres} . "\n", <<'ROWS', 'this is what they did');
a|alice|postgres|alice
b|alice|postgres|alice
both|alice|postgres|alice
it's "quoted" \ %L %|alice|postgres|alice
of bob|bob|postgres|"$user", public
part 1|alice|postgres|alice
part 2|alice|postgres|alice
part 3|alice|postgres|alice
without a name|bob|postgres|"$user", public
ROWS
is($effects{other}, 'elsewhere|bob|other|"$user", public', 'and in the other database');

# ----------------------------------------------------------------------------
# They are moved
# ----------------------------------------------------------------------------

my $schedules = 'SELECT scheduled_by_name, name, status FROM cmdsched.recurring_schedules ORDER BY 1, 2';
my $left = 'SELECT username, coalesce(jobname, command), database, active FROM cron.job ORDER BY jobid';
my $before = query($node, $left);

query($node, "BEGIN; $move ROLLBACK;");
is(query($node, $left), $before, 'a move that is rolled back leaves all jobs there');
is(query($node, $schedules), '', 'and none here');

$node->safe_psql('postgres', $move, extra_params => [ '-U', 'bob' ]);
is(query($node, "SELECT string_agg(DISTINCT scheduled_by_name, ' ') FROM cmdsched.recurring_schedules"), 'bob', 'a role moves its own jobs');
query($node, $move);
is(query($node, $schedules) =~ s/job \d+/job N/r . "\n", <<'ROWS', 'a superuser moves those of all the others');
alice|all or nothing|active
alice|call|active
alice|do|active
alice|forbidden|active
alice|in vain|active
alice|insert|active
alice|it's "quoted"|active
alice|no SQL|active
alice|select|active
alice|two|active
alice|vacuum|active
bob|forbidden|active
bob|inactive|paused
bob|insert|active
bob|job N|active
ROWS
is(query($node, 'SELECT current_user'), 'postgres', 'and stays what it is');

my $script = query($node, $print);
query($node, $script, 'other');
is(query($node, $schedules, 'other'), "bob|asleep|paused\nbob|elsewhere|active", 'what is printed moves those of another database');
query($node, "SELECT cron.unschedule(jobid) FROM cron.job WHERE database = 'other'");
is(query($node, $left), 'bob|boot|postgres|t', 'what runs at the start of the server is left');

# ----------------------------------------------------------------------------
# Our workers run them
# ----------------------------------------------------------------------------

foreach my $db ('postgres', 'other')
{
	query($node, 'ALTER TABLE alice.log ALTER moved SET DEFAULT true', $db);
	is(query($node, "SELECT bool_and(next_run BETWEEN now() - interval '5 seconds' AND now() + interval '1 minute') FROM cmdsched.recurring_schedules WHERE status = 'active'", $db),
		't', "the jobs of $db come at the next minute");
	foreach my $role ('alice', 'bob')
	{
		query($node, "SET ROLE $role; SELECT cmdsched.reschedule(next_schedule_id, now()) FROM cmdsched.recurring_schedules WHERE status = 'active'", $db);
	}
	wait_for($node, "SELECT bool_and(runs > 0) FROM cmdsched.recurring_schedules WHERE status = 'active'", 't', "and run in $db", db => $db);
	is(query($node, sprintf($effects, ''), $db), $effects{$db}, 'they do what they did');
	is(query($node, "SELECT count(*) FROM cmdsched.recurring_schedules WHERE status = 'active' AND next_run > last_run", $db),
		query($node, "SELECT count(*) FROM cmdsched.recurring_schedules WHERE status = 'active'", $db), 'and will again');
}
is(query($node, <<'SQL'), $ran_by_pg_cron, 'the history has what job_run_details had');
SELECT DISTINCT scheduled_by_name, split_part(schedule_id, '@', 1), outcome, coalesce(result->>'tag', error->>'message')
  FROM cmdsched.command_history ORDER BY 1, 2
SQL
is(query($node, "SELECT pg_stat_get_vacuum_count('alice.vacuumed'::regclass) >= 2"), 't', 'both have vacuumed');

# ----------------------------------------------------------------------------
# Expressions
# ----------------------------------------------------------------------------

query($node, <<'SQL');
CREATE FUNCTION accepts(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	RETURN 'refused';
END
$$
SQL
is(query($node, <<'SQL'), "accepted|accepted|18\nrefused|refused|15", 'what pg_cron takes for a schedule we take, and what it refuses we refuse');
SELECT p, o, count(*)
  FROM unnest(ARRAY['* * * * *', '*/5 * * * *', '5 4 * * sun', '0 22 * * 1-5', '23 0-20/2 * * *', '0 0,12 1 */2 *', '0 4 8-14 * *', '0 9 * jan,JUL MON', '* * * * 7',
                    '@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly', ' 1  2	3 4 5', '0-59 0-23 1-31 1-12 0-7',
                    '', 'x', '* * * *', '60 * * * *', '* 24 * * *', '* * 32 * *', '* * 0 * *', '* * * 13 *', '* * * 0 *', '* * * * 8', '-1 * * * *', '*/0 * * * *', '1-x * * * *', '@never', 'a b c d e']) AS e,
       accepts(format('SELECT cron.schedule(%L, ''SELECT 1'')', e)) AS p,
       accepts(format('SELECT cmdsched.next_runs(%L)', e)) AS o
 GROUP BY 1, 2 ORDER BY 1, 2
SQL
my ($major, $minor) = query($node, "SELECT extversion FROM pg_extension WHERE extname = 'pg_cron'") =~ /^(\d+)\.(\d+)/;
if ($major > 1 || $minor >= 6)
{
	is(query($node, <<'SQL'), 't|t', 'so for seconds and the last day of the month, which came with 1.5 and 1.6');
SELECT bool_and(accepts(format('SELECT cron.schedule(%L, ''SELECT 1'')', e)) = 'accepted'), bool_and(accepts(format('SELECT cmdsched.next_runs(%L)', e)) = 'accepted')
  FROM unnest(ARRAY['1 second', '30 seconds', '59 seconds', '0 12 $ * *']) AS e
SQL
}

$node->stop;
done_testing();
