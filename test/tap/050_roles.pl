# Commands run as the role that scheduled them.  Where that cannot be, they are
# held with the reason, and the commands of others go on.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('roles');
my $bypasses_login = query($node, 'SHOW server_version_num') >= 170000;

wait_for_workers($node, 'the workers are there');
query($node, "CREATE ROLE $_ LOGIN; GRANT CONNECT ON DATABASE postgres TO $_")
  foreach 'alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'mallory';
query($node, 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC');

# Schedules as a role.
sub schedule_as
{
	my ($role, $id, $when, $type, $data) = @_;
	$type //= 'Effect';
	$data //= '{}';

	query($node, "SET ROLE $role; SELECT cmdsched.schedule('$type', '$data', now() + interval '$when', schedule_id => '$id')");
	return;
}

sub ran_as
{
	my ($role, $id, $what) = @_;

	ran_once($node, $id, 1, $what);
	is(query($node, "SELECT role FROM shop.effects WHERE schedule_id = '$id'"), $role, "as $role");
	return;
}

sub is_held
{
	my ($id, $sqlstate, $what) = @_;

	wait_for($node, "SELECT status, last_error->>'sqlstate', attempts FROM cmdsched.scheduled_commands WHERE schedule_id = '$id'", "held|$sqlstate|0", $what);
	return;
}

sub others_run
{
	my ($id) = @_;

	schedule_as('alice', $id, '0');
	ran_as('alice', $id, 'others run');
	return;
}

# Fails unless the server has ended no more than so many workers in vain since.
sub no_respawn
{
	my ($offset, $limit, $what) = @_;
	my $failures = () = log_of($node, $offset) =~ /cmdsched executor FATAL:  (?!terminating)/g;

	cmp_ok($failures, '<=', $limit, $what);
	return;
}

schedule_as('alice', 'plain', '0');
ran_as('alice', 'plain', 'a command runs as its role');

# ----------------------------------------------------------------------------
# LOGIN and CONNECT
# ----------------------------------------------------------------------------

my $offset = -s $node->logfile;
schedule_as('bob', 'login-lost', '2 seconds');
query($node, 'ALTER ROLE bob NOLOGIN');
if ($bypasses_login)
{
	schedule_as('bob', 'without-login', '0');
	ran_as('bob', 'without-login', 'a role that may not log in can schedule');
	ran_as('bob', 'login-lost', 'and one that lost its login has its commands run');
}
else
{
	fails_with($node, "SET ROLE bob; SELECT cmdsched.schedule('Effect')", '28000', 'a role that may not log in cannot schedule');
	is_held('login-lost', '28000', 'a command is held whose role lost its login');
	others_run('beside-nologin');
	query($node, 'ALTER ROLE bob LOGIN');
	is(query($node, "SET ROLE bob; SELECT cmdsched.retry('login-lost')"), 't', 'retry() after LOGIN is given back');
	ran_as('bob', 'login-lost', 'it runs then');
}

schedule_as('carol', 'connect-lost', '2 seconds');
schedule_as('carol', 'connect-lost-later', '3 seconds');
query($node, 'REVOKE CONNECT ON DATABASE postgres FROM carol');
is_held('connect-lost', '42501', 'a command is held whose role may not connect');
is_held('connect-lost-later', '42501', 'and so are the others of the role');
others_run('beside-connect');
schedule_as('carol', 'no-connect', '0');
is_held('no-connect', '42501', 'a command is held that was scheduled without CONNECT');
query($node, 'GRANT CONNECT ON DATABASE postgres TO carol');
query($node, "SET ROLE carol; SELECT cmdsched.retry('connect-lost')");
ran_as('carol', 'connect-lost', 'it runs after GRANT CONNECT and retry()');
no_respawn($offset, 6, 'no executor is started again and again in vain');

# ----------------------------------------------------------------------------
# Dropped, created again, renamed
# ----------------------------------------------------------------------------

$offset = -s $node->logfile;
schedule_as('dave', 'dropped', '2 seconds');
query($node, 'REVOKE CONNECT ON DATABASE postgres FROM dave; DROP ROLE dave');
is_held('dropped', '42704', 'a command is held whose role was dropped');
others_run('beside-dropped');

schedule_as('erin', 'namesake', '2 seconds');
query($node, 'REVOKE CONNECT ON DATABASE postgres FROM erin; DROP ROLE erin; CREATE ROLE erin LOGIN; GRANT CONNECT ON DATABASE postgres TO erin');
is_held('namesake', '42704', 'a command is held whose role was dropped and created again');
schedule_as('erin', 'new-erin', '0');
ran_as('erin', 'new-erin', 'the new role is another one');
is(query($node, "SELECT cmdsched.cancel('dropped'), cmdsched.cancel('namesake')"), 't|t', 'a superuser can cancel both');

schedule_as('frank', 'renamed', '2 seconds');
query($node, 'ALTER ROLE frank RENAME TO francis');
ran_as('francis', 'renamed', 'a command of a renamed role runs');
no_respawn($offset, 6, 'no executor is started again and again in vain');

# ----------------------------------------------------------------------------
# The handler
# ----------------------------------------------------------------------------

query($node, <<'SQL');
CREATE FUNCTION shop.passing(command cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS 'SELECT shop.effect(command)';
SELECT cmdsched.register_handler('Passing', 'shop.passing(cmdsched.scheduled_commands)');
SQL
my $create = "CREATE FUNCTION shop.passing(command cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS 'SELECT shop.effect(command)'";
my $register = "SELECT cmdsched.register_handler('Passing', 'shop.passing(cmdsched.scheduled_commands)')";

schedule_as('alice', 'handler-dropped', '1 second', 'Passing');
query($node, 'DROP FUNCTION shop.passing(cmdsched.scheduled_commands)');
is_held('handler-dropped', '42883', 'a command is held whose handler was dropped');
fails_with($node, "SET ROLE alice; SELECT cmdsched.schedule('Passing')", '42883', 'and cannot be scheduled any more');
others_run('beside-handler');
query($node, "$create; $register");
ran_as('alice', 'handler-dropped', 'it runs when the handler is back and registered');

schedule_as('alice', 'handler-back', '1 second', 'Passing');
query($node, 'DROP FUNCTION shop.passing(cmdsched.scheduled_commands)');
is_held('handler-back', '42883', 'another is held');
query($node, $create);
is(query($node, "SET ROLE alice; SELECT cmdsched.retry('handler-back')"), 't', 'retry() when the handler is back');
ran_as('alice', 'handler-back', 'it runs then');

schedule_as('alice', 'unregistered', '1 second', 'Passing');
is(query($node, "SELECT cmdsched.unregister_handler('Passing')"), 't', 'the handler is unregistered');
is_held('unregistered', '42704', 'a command is held whose handler is not registered');
query($node, $register);
ran_as('alice', 'unregistered', 'it runs when the handler is registered again');

schedule_as('alice', 'execute-revoked', '1 second', 'Passing');
query($node, 'REVOKE EXECUTE ON FUNCTION shop.passing(cmdsched.scheduled_commands) FROM PUBLIC');
is_held('execute-revoked', '42501', 'a command is held whose role may not execute the handler');
query($node, 'GRANT EXECUTE ON FUNCTION shop.passing(cmdsched.scheduled_commands) TO alice');
query($node, "SET ROLE alice; SELECT cmdsched.retry('execute-revoked')");
ran_as('alice', 'execute-revoked', 'it runs after GRANT EXECUTE and retry()');

# Dropped and created again before it is due: the same name is the same handler.
schedule_as('alice', 'handler-exchanged', '1 second', 'Passing');
query($node, "DROP FUNCTION shop.passing(cmdsched.scheduled_commands); $create");
ran_as('alice', 'handler-exchanged', 'a handler may be dropped and created again while commands wait');

# ----------------------------------------------------------------------------
# Settings of the role
# ----------------------------------------------------------------------------

query($node, 'GRANT alice TO mallory');
my %hostile = (
	'default_transaction_read_only' => 'on',
	'default_transaction_isolation' => 'serializable',
	'default_transaction_deferrable' => 'on',
	'statement_timeout' => '1',
	'lock_timeout' => '1',
	'idle_in_transaction_session_timeout' => '1',
	'idle_session_timeout' => '1',
	'row_security' => 'off',
	'role' => 'alice',
	'search_path' => 'pg_temp, nowhere',
	'enable_indexscan' => 'off',
	'DateStyle' => 'German',
	'TimeZone' => 'Asia/Kathmandu',
	'IntervalStyle' => 'sql_standard',
	'transform_null_equals' => 'on',
	'standard_conforming_strings' => 'off',
	'exit_on_error' => 'on',
	'synchronous_commit' => 'off',
	'local_preload_libraries' => 'nowhere',
	'client_encoding' => 'LATIN1');
$hostile{transaction_timeout} = '1' if $bypasses_login;

foreach my $setting (sort { lc $a cmp lc $b } keys %hostile)
{
	my $id = lc "hostile-$setting";

	query($node, "ALTER ROLE mallory SET $setting = '$hostile{$setting}'") if $setting !~ /search_path/;
	query($node, "ALTER ROLE mallory SET $setting = $hostile{$setting}") if $setting =~ /search_path/;
	query($node, "SELECT pg_terminate_backend(pid) FROM cmdsched.workers WHERE role = 'mallory'");
	schedule_as('mallory', $id, '0', 'Fail', '{"times": 1}');
	ran_as('mallory', $id, "a role that has set $setting has its commands run");
	is(query($node, "SELECT attempt FROM shop.effects WHERE schedule_id = '$id'"), '2', 'and a failed attempt counted');
	query($node, 'ALTER ROLE mallory RESET ALL');
}

# All at once, and more than one command.
foreach my $setting (sort keys %hostile)
{
	my $value = $setting eq 'search_path' ? $hostile{$setting} : "'$hostile{$setting}'";

	query($node, "ALTER ROLE mallory SET $setting = $value");
}
query($node, "SELECT pg_terminate_backend(pid) FROM cmdsched.workers WHERE role = 'mallory'");
schedule_as('mallory', "all-hostile-$_", '0', $_ % 3 ? 'Effect' : 'Fail', '{"times": 1}') foreach 1 .. 9;
ran_once($node, 'all-hostile-%', 9, 'all of these settings together stop nothing');
is(query($node, "SELECT DISTINCT role FROM shop.effects WHERE schedule_id LIKE 'all-hostile-%'"), 'mallory', 'and change no role');
others_run('beside-hostile');

# ----------------------------------------------------------------------------
# A role that is dropped after its last command was cancelled
# ----------------------------------------------------------------------------

query($node, 'SELECT cmdsched.stop()');
query($node, 'CREATE ROLE heidi LOGIN; GRANT CONNECT ON DATABASE postgres TO heidi');
schedule_as('heidi', 'of-a-dropped-role', '0');
query($node, "SELECT cmdsched.cancel('of-a-dropped-role')");
query($node, 'DROP OWNED BY heidi; DROP ROLE heidi');
$offset = -s $node->logfile;
query($node, 'SELECT cmdsched.start()');
others_run('after-a-dropped-role');
unlike(log_of($node, $offset), qr/role with OID \d+ does not exist/, 'nothing is started for it any more');

# ----------------------------------------------------------------------------
# Settings of the database, which the scheduler has too
# ----------------------------------------------------------------------------

my $free = 'SET statement_timeout = 0; SET lock_timeout = 0; SET default_transaction_read_only = off';
query($node, 'ALTER DATABASE postgres SET default_transaction_read_only = on; ALTER DATABASE postgres SET lock_timeout = 1; ALTER DATABASE postgres SET statement_timeout = 1');
query($node, "$free; SELECT pg_terminate_backend(pid) FROM cmdsched.workers");
query($node, "$free; CREATE ROLE grace LOGIN; SET ROLE alice; SELECT cmdsched.schedule('Effect', schedule_id => 'hostile-database')");
query($node, "$free; SET ROLE grace; SELECT cmdsched.schedule('Effect', schedule_id => 'hostile-database-held')");
wait_for($node, "$free; SELECT count(*) FROM shop.effects WHERE schedule_id = 'hostile-database'", '1', 'settings of the database do not stop commands');
wait_for($node, "$free; SELECT status FROM cmdsched.get('hostile-database-held')", 'held', 'nor the scheduler');
query($node, "$free; ALTER DATABASE postgres RESET ALL");

$node->stop;
done_testing();
