# Every database that has the extension gets its scheduler, by itself, and the
# workers are in nobody's way who drops, renames or copies one.

use strict;
use warnings;

use Cmdsched;
use Test::More;

# The server waits 5 s for connections to go away; we promise to need less.
my $patience = 4;

my $node = new_node('databases');
my ($seconds, $offset);

# A scheduler is in this database, and only one.
sub has_scheduler
{
	my ($db, $count, $what, %opts) = @_;

	wait_for($node, "SELECT count(*) FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'cmdsched scheduler'", $count, $what, %opts);
	return;
}

# Keeps a handler of the database busy until its gate opens.
sub start_slow
{
	my ($db, $id) = @_;

	query($node, "SELECT cmdsched.schedule('Slow', '{\"gate\": \"$id\"}', schedule_id => '$id')", $db);
	wait_until_running($node, $id, undef, db => $db);
	return;
}

# An idle executor is connected to the database.
sub start_executor
{
	my ($db, $id) = @_;

	query($node, "SELECT cmdsched.schedule('Effect', schedule_id => '$id')", $db);
	ran_once($node, $id, 1, "$id has run", db => $db);
	wait_for($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = '$db' AND backend_type = 'cmdsched executor'", 't', "an executor is connected to $db");
	return;
}

# ----------------------------------------------------------------------------
# Found by themselves
# ----------------------------------------------------------------------------

query($node, 'CREATE DATABASE two');
query($node, 'CREATE DATABASE without');
create_shop($node, 'two');
has_scheduler('two', 1, 'CREATE EXTENSION in another database starts a scheduler there', timeout => 10);
has_scheduler('postgres', 1, 'the first one has its own');

query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'one')");
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'two')", 'two');
ran_once($node, 'one', 1, 'commands run in the first database');
ran_once($node, 'two', 1, 'and in the second', db => 'two');
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'two'"), '0', 'each in its own');
has_scheduler('without', 0, 'a database without the extension has no scheduler');

query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '2 seconds', schedule_id => 'soon-one')");
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '2 seconds', schedule_id => 'soon-two')", 'two');
$node->restart;
ran_once($node, 'soon-one', 1, 'after a restart commands run in the first database');
ran_once($node, 'soon-two', 1, 'and in the second', db => 'two');
has_scheduler('without', 0, 'and there is no scheduler where there is no extension');

# ----------------------------------------------------------------------------
# DROP EXTENSION
# ----------------------------------------------------------------------------

start_executor('two', 'before-drop');
$offset = -s $node->logfile;
$seconds = time_of(sub { query($node, 'DROP EXTENSION cmdsched CASCADE; DROP SCHEMA shop CASCADE', 'two') });
cmp_ok($seconds, '<', 8, 'DROP EXTENSION works while workers are connected');
has_scheduler('two', 0, 'the scheduler leaves');
wait_for($node, "SELECT count(*) FROM pg_stat_activity WHERE datname = 'two' AND backend_type = 'cmdsched executor'", '0', 'and so do the executors');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'beside-drop')");
ran_once($node, 'beside-drop', 1, 'other databases go on');

create_shop($node, 'two');
has_scheduler('two', 1, 'CREATE EXTENSION again brings the scheduler back', timeout => 10);
start_executor('two', 'after-drop');

# In one transaction, so that there is nothing to be seen in between.
query($node, 'BEGIN; DROP EXTENSION cmdsched CASCADE; DROP SCHEMA shop CASCADE; CREATE EXTENSION cmdsched; COMMIT', 'two');
create_shop($node, 'two');
start_executor('two', 'after-exchange');
has_scheduler('two', 1, 'dropped and created in one transaction: there is one scheduler');

query($node, 'BEGIN; DROP EXTENSION cmdsched CASCADE; ROLLBACK', 'two');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'after-rollback')", 'two');
ran_once($node, 'after-rollback', 1, 'a DROP EXTENSION that is rolled back changes nothing', db => 'two');
unlike(log_of($node, $offset), qr/PANIC|TRAP|terminated by signal/, 'no worker crashed');

# While a handler runs, it waits for the transaction that runs it.
start_slow('two', 'drop-while-running');
{
	my $session = session($node, 'two');

	$session->query_until(qr/started/, "\\echo started\nDROP EXTENSION cmdsched CASCADE;\n\\echo dropped\n");
	wait_for($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'DROP EXTENSION%' AND wait_event_type = 'Lock'",
		't', 'DROP EXTENSION waits for a running handler');
	open_gate($node, 'drop-while-running', 'two');
	$session->query_until(qr/dropped/, "\\echo\n");
	$session->quit;
	is(query($node, "SELECT count(*) FROM pg_extension WHERE extname = 'cmdsched'", 'two'), '0', 'and is done then');
	is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'drop-while-running'", 'two'), '1', 'the handler has finished its work');
}

# ----------------------------------------------------------------------------
# CREATE DATABASE ... TEMPLATE, RENAME, DROP DATABASE
# ----------------------------------------------------------------------------

query($node, 'DROP DATABASE two');
query($node, 'CREATE DATABASE three');
create_shop($node, 'three');
start_executor('three', 'three');
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'later')", 'three');
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '6 seconds', schedule_id => 'soon')", 'three');

$offset = -s $node->logfile;
$seconds = time_of(sub { query($node, 'CREATE DATABASE copy TEMPLATE three') });
cmp_ok($seconds, '<', $patience, 'CREATE DATABASE ... TEMPLATE works while workers are connected');
has_scheduler('three', 1, 'the scheduler is back in the template');
ran_once($node, 'soon', 1, 'and its commands run', db => 'three');
# 260_adopt.pl is about what a copy does with its pending commands.
has_scheduler('copy', 1, 'a copy has a scheduler too', timeout => 90);
query($node, 'SELECT cmdsched.adopt()', 'copy');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'copy')", 'copy');
ran_once($node, 'copy', 1, 'new commands run in it', db => 'copy');
wait_for($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'soon'", '1', 'its pending ones run once', db => 'copy');

start_executor('three', 'before-rename');
$seconds = time_of(sub { query($node, 'ALTER DATABASE three RENAME TO four') });
cmp_ok($seconds, '<', $patience, 'ALTER DATABASE RENAME works while workers are connected');
has_scheduler('four', 1, 'the scheduler is back under the new name');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'renamed')", 'four');
ran_once($node, 'renamed', 1, 'commands run under the new name', db => 'four');

start_executor('four', 'before-drop');
$seconds = time_of(sub { query($node, 'DROP DATABASE four') });
cmp_ok($seconds, '<', $patience, 'DROP DATABASE works while workers are connected');

start_executor('copy', 'before-forced-drop');
start_slow('copy', 'slow');
$seconds = time_of(sub { query($node, 'DROP DATABASE copy WITH (FORCE)') });
cmp_ok($seconds, '<', $patience, 'DROP DATABASE WITH (FORCE) ends a running handler');

query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'after-all')");
ran_once($node, 'after-all', 1, 'other databases go on');
is(query($node, "SELECT string_agg(DISTINCT datname, ',') FROM pg_stat_activity WHERE backend_type LIKE 'cmdsched%' AND datname IS NOT NULL"),
	'postgres', 'no worker is left in a database that is gone');

my $log = log_of($node, $offset);
my $failures = () = $log =~ /cmdsched \w+ FATAL:  (?!terminating)/g;
cmp_ok($failures, '<', 5, 'no worker is started again and again in vain');
unlike($log, qr/PANIC|TRAP|terminated by signal/, 'no worker crashed');

# ----------------------------------------------------------------------------
# A database that may not be connected to
# ----------------------------------------------------------------------------

query($node, 'CREATE DATABASE closed TEMPLATE without ALLOW_CONNECTIONS false');
$offset = -s $node->logfile;
$node->restart;
wait_for_workers($node, 'the workers are back after a restart');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'beside-closed')");
ran_once($node, 'beside-closed', 1, 'a database without connections disturbs nobody');
unlike(log_of($node, $offset), qr/cmdsched \w+ FATAL:  (?!terminating)/, 'and no worker tries to connect to it');

$node->stop;
done_testing();
