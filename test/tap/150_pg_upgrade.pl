# pg_upgrade: nothing runs during it, and pending commands go on by themselves
# afterwards.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = new_node('old');

wait_for_workers($old, 'the workers are there');
query($old, 'CREATE ROLE alice LOGIN');
query($old, "SELECT cmdsched.schedule('Effect', schedule_id => 'before')");
ran_once($old, 'before', 1, 'a command runs on the old server');
reload_conf($old, 'cmdsched.enabled' => 'off');
query($old, <<'SQL');
SELECT cmdsched.schedule('Effect', '{"order_id": 42}', schedule_id => 'due', metadata => '{"reason": "test"}');
SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'later');
SELECT cmdsched.schedule('Fail', '{}', now() + interval '1 day', schedule_id => 'failing');
SET ROLE alice;
SELECT count(cmdsched.schedule('Effect', schedule_id => 'alice-' || i)) FROM generate_series(1, 100) AS i;
SQL
my $all = 'SELECT schedule_id, command_type, command_data, execute_at, status, created_at, metadata, scheduled_by_name, attempts, due_at FROM cmdsched.scheduled_commands ORDER BY schedule_id';
my $pending = query($old, $all);
# In pg_upgrade's own servers they would run, if anything did.
set_conf($old, 'cmdsched.enabled' => 'on');
$old->stop;

my $new = new_node('new', start => 0);
my $bindir = $new->config_data('--bindir');
my $folder = PostgreSQL::Test::Utils::tempdir_short();

chdir $folder or die;
command_ok(
	[
		'pg_upgrade', '--no-sync', '-U', 'postgres',
		'-d', $old->data_dir, '-D', $new->data_dir,
		'-b', $bindir, '-B', $bindir,
		'-p', $old->port, '-P', $new->port, '-s', $folder
	],
	'pg_upgrade of a database with pending commands');

set_conf($new, 'cmdsched.enabled' => 'off');
$new->start;
is(query($new, $all), $pending, 'the pending commands are there, unchanged');
is(query($new, 'SELECT count(*) FROM shop.effects'), '1', 'none has run meanwhile');
is(query($new, 'SELECT count(*) FROM cmdsched.handlers'), '4', 'the handlers are registered');
reload_conf($new, 'cmdsched.enabled' => 'on');
wait_for_workers($new, 'the workers are on the new server');
ran_once($new, 'due', 1, 'what was due runs');
ran_once($new, 'alice-%', 100, 'and the commands of another role');
is(query($new, "SELECT DISTINCT role FROM shop.effects WHERE schedule_id LIKE 'alice-%'"), 'alice', 'as that role');
ran_once($new, 'before', 1, 'what had run does not run again');
is(query($new, "SELECT string_agg(schedule_id, ' ' ORDER BY schedule_id) FROM cmdsched.scheduled_commands"), 'failing later', 'the others wait');

$new->stop;
done_testing();
