# A database that is a copy runs nothing of what it brought with it, until
# somebody says that it is to: adopt().  Copies are made by CREATE DATABASE ...
# TEMPLATE and by pg_restore, in the same cluster and in another one, where
# roles have other oids or are missing.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('original', shop => 0);
my $second = new_node('second', shop => 0);
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';

my $all = 'SELECT schedule_id, command_type, command_data, metadata, execute_at, status, attempts, scheduled_by_name FROM cmdsched.scheduled_commands ORDER BY schedule_id';

# ----------------------------------------------------------------------------
# The original has two commands that have run, one that has failed, one that is
# held, and due ones of three roles that nobody runs yet
# ----------------------------------------------------------------------------

query($node, 'CREATE DATABASE shop');
query($node, "CREATE ROLE $_ LOGIN") foreach 'alice', 'bob';
create_shop($node, 'shop');
wait_for_workers($node, 'the workers are there', db => 'shop');
query($node, <<'SQL', 'shop');
SELECT cmdsched.register_handler('Broken', 'shop.fail(cmdsched.scheduled_commands)', max_attempts => 1);
SELECT cmdsched.register_handler('Gone', 'shop.effect(cmdsched.scheduled_commands)');
SELECT cmdsched.schedule('Effect', schedule_id => 'before');
SELECT cmdsched.schedule('Broken', schedule_id => 'failed');
BEGIN;
SELECT cmdsched.schedule('Gone', schedule_id => 'held');
SELECT cmdsched.unregister_handler('Gone');
COMMIT;
SET ROLE alice;
SELECT cmdsched.schedule('Effect', schedule_id => 'before-alice');
SQL
ran_once($node, 'before%', 2, 'two commands have run', db => 'shop');
wait_for($node, "SELECT string_agg(status, ' ' ORDER BY status) FROM cmdsched.scheduled_commands", 'failed held', 'one has failed, one is held', db => 'shop');
query($node, <<'SQL', 'shop');
SELECT cmdsched.stop();
SELECT cmdsched.schedule('Effect', '{"order_id": 42}', schedule_id => 'due-postgres', metadata => '{"reason": "test"}');
SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'later');
SET ROLE alice;
SELECT count(cmdsched.schedule('Effect', schedule_id => 'due-alice-' || i)) FROM generate_series(1, 20) AS i;
SET ROLE bob;
SELECT cmdsched.schedule('Effect', schedule_id => 'due-bob');
SQL
# Alice's history is hers.
query($node, <<'SQL', 'shop');
INSERT INTO cmdsched.command_history (schedule_id, command_type, command_module, outcome, finished_at, scheduled_by, scheduled_by_name, slot)
SELECT 'history-' || rolname, 'Effect', '', 'failed', now(), oid, rolname, 0 FROM pg_roles WHERE rolname IN ('alice', 'bob')
SQL
# Her calendar and her policy, too.
query($node, <<'SQL', 'shop');
GRANT EXECUTE ON FUNCTION cmdsched.create_calendar(text, text), cmdsched.register_policy(text, regprocedure) TO alice;
CREATE SCHEMA AUTHORIZATION alice;
SET ROLE alice;
CREATE FUNCTION alice.same_time(timestamptz, jsonb) RETURNS timestamptz LANGUAGE sql AS 'SELECT $1';
SELECT cmdsched.create_calendar('alice');
SELECT cmdsched.register_policy('alice', 'alice.same_time(timestamptz, jsonb)');
SQL
my $brought = query($node, $all, 'shop');
$node->command_ok([ 'pg_dump', '-U', 'postgres', '-Fc', '-f', $dump, 'shop' ], 'pg_dump');
query($node, 'CREATE DATABASE copy TEMPLATE shop');
query($node, 'SELECT cmdsched.start()', 'shop');
ran_once($node, 'due-%', 22, 'in the original they run', db => 'shop');

# ----------------------------------------------------------------------------
# The copies
# ----------------------------------------------------------------------------

sub restore
{
	my ($where, $db) = @_;

	query($where, "CREATE DATABASE $db");
	$where->command_ok([ 'pg_restore', '-U', 'postgres', '-d', $db, '--exit-on-error', $dump ], "pg_restore into $db");
	return;
}

# Nobody runs what came with the copy, over a time in which the workers of
# that server run other commands.
sub runs_nothing
{
	my ($where, $db) = @_;

	query($where, 'NOTIFY cmdsched', $db);
	query($where, 'SELECT cmdsched.trigger()', $db);
	is(query($where, 'SELECT cmdsched.run_once(); SET ROLE alice; SELECT cmdsched.process_due_commands()', $db), "0\n0", "$db: nothing runs by hand");
	query($where, "SELECT cmdsched.schedule('Effect', '{}', now() + i * interval '0.1 seconds', schedule_id => '$db-' || i) FROM generate_series(1, 10) AS i", 'beside');
	ran_once($where, "$db-%", 10, "$db: commands of another database run", db => 'beside');
	is(query($where, $all, $db), $brought, "$db: what came with it waits, unchanged");
	is(query($where, 'SELECT count(*) FROM shop.effects', $db), '2', "$db: nothing has run");
	return;
}

# Afterwards all that is due has run, as its role, but for those that have none.
sub adopt
{
	my ($where, $db, $count, $status_of_bob) = @_;

	fails_with($where, 'SET ROLE alice; SELECT cmdsched.adopt()', '42501', "$db: adopt() is for administrators", $db);
	query($where, 'SELECT cmdsched.adopt()', $db);
	ran_once($where, 'due-%', $count, "$db: after adopt() what is due runs, once", db => $db);
	is(query($where, "SELECT string_agg(DISTINCT role, ' ' ORDER BY role) FROM shop.effects WHERE schedule_id LIKE 'due-alice-%'", $db), 'alice', "$db: as its role");
	wait_for($where, "SELECT string_agg(schedule_id || ' ' || status, ', ' ORDER BY schedule_id) FROM cmdsched.scheduled_commands", $status_of_bob . 'failed failed, held held, later pending', "$db: the others are as they were", db => $db);
	is(query($where, "SELECT count(*) FROM shop.effects WHERE schedule_id LIKE 'before%'", $db), '2', "$db: what had run does not run again");
	query($where, "SELECT cmdsched.schedule('Effect', schedule_id => 'new')", $db);
	ran_once($where, 'new', 1, "$db: new commands run", db => $db);
	query($where, 'SELECT cmdsched.adopt()', $db);
	ran_once($where, '%', $count + 3, "$db: adopt() twice does no harm", db => $db);
	return;
}

query($node, 'CREATE DATABASE beside');
create_shop($node, 'beside');
restore($node, 'restored');
foreach my $db ('copy', 'restored')
{
	runs_nothing($node, $db);
	adopt($node, $db, 22, '');
}

# Over a restart, too.
restore($node, 'restarted');
$node->restart;
runs_nothing($node, 'restarted');

# In another cluster alice is another oid, her old one perhaps somebody else's,
# and bob is missing.
query($second, "CREATE ROLE $_ LOGIN") foreach 'carol', 'dave', 'alice';
query($second, 'CREATE DATABASE beside');
create_shop($second, 'beside');
restore($second, 'elsewhere');
runs_nothing($second, 'elsewhere');
adopt($second, 'elsewhere', 21, 'due-bob held, ');
is(query($second, "SET ROLE $_; SELECT string_agg(schedule_id, ' ') FROM cmdsched.command_history WHERE schedule_id LIKE 'history-%'", 'elsewhere'), $_ eq 'alice' ? 'history-alice' : '', "what $_ sees of the history that came with it")
  foreach 'alice', 'carol', 'dave';
foreach my $role ('alice', 'carol', 'dave')
{
	my $mine = "SELECT cmdsched.set_opening_hours('alice', 'mon', '9:00-10:00'); SELECT cmdsched.unregister_policy('alice')";

	query($second, "GRANT EXECUTE ON FUNCTION cmdsched.unregister_policy(text) TO $role", 'elsewhere');
	if ($role eq 'alice')
	{
		is(query($second, "BEGIN; SET ROLE alice; $mine; ROLLBACK", 'elsewhere'), "\nt", 'the calendar and the policy that came with it are hers');
		next;
	}
	fails_with($second, "SET ROLE $role; $_", '42501', "not those of $role", 'elsewhere') foreach split /; /, $mine;
}
is(query($second, "SELECT last_error->>'sqlstate' FROM cmdsched.get('due-bob')", 'elsewhere'), '42704', 'a command of a role that is missing is held');
query($second, 'CREATE ROLE bob LOGIN');
query($second, 'SELECT cmdsched.adopt()', 'elsewhere');
query($second, "SELECT cmdsched.retry('due-bob')", 'elsewhere');
ran_once($second, 'due-bob', 1, 'adopt() gives it to a role of that name', db => 'elsewhere');
is(query($second, "SELECT role FROM shop.effects WHERE schedule_id = 'due-bob'", 'elsewhere'), 'bob', 'as which it runs');
is(query($second, "SET ROLE bob; SELECT count(*) FROM cmdsched.command_history WHERE schedule_id = 'history-bob'", 'elsewhere'), '1', 'and which sees its history');

$second->stop;
$node->stop;
done_testing();
