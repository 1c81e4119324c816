# doctor(): each problem is caused, found, and gone when its advice is followed.

use strict;
use warnings;

use Cmdsched;
use Compile;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $file = PostgreSQL::Test::Utils::tempdir() . '/clock';
my $offset = 0;
my $clock = compile('clock');

# The server's clock, not ours.
sub move_clock
{
	my ($seconds) = @_;

	$offset += $seconds;
	open my $handle, '+<:raw', $file or die;
	syswrite $handle, pack('q', $offset);
	close $handle;
	return;
}

append_to_file($file, pack('q', 0));
my $node = new_node('sick', conf => "cmdsched.poll_interval = 1s\n", streaming => 1, start => 0);

sub with_clock
{
	my ($code) = @_;

	local $ENV{LD_PRELOAD} = $clock;
	local $ENV{CLOCK_FILE} = $file;
	return $code->();
}

sub restart_with
{
	my (%settings) = @_;

	query($node, "ALTER SYSTEM SET $_ = $settings{$_}") foreach sort keys %settings;
	return with_clock(sub { $node->restart });
}

# The answers may take a moment: workers come and go, commands run.
sub finds
{
	my ($check, $status, $detail, $what, %opts) = @_;
	my $deadline = time + 20;
	my $on = $opts{node} // $node;
	my $answer;

	do
	{
		$answer = query($on, "SELECT status, detail FROM cmdsched.doctor() WHERE check_name = '$check'", $opts{db});
	} until $answer =~ /^\Q$status\E\|.*$detail/s || time > $deadline || !usleep(50_000);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like($answer, qr/^\Q$status\E\|.*$detail/s, "$check: $what");
}

sub recovers
{
	my ($check, %opts) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return finds($check, 'ok', qr//, 'the advice helps', %opts);
}

sub advice
{
	my ($check, %opts) = @_;

	return query($opts{node} // $node, "SELECT advice FROM cmdsched.doctor() WHERE check_name = '$check'", $opts{db});
}

# The statements that it consists of, but for what comes after an "or".
sub follow
{
	my ($check, %opts) = @_;
	my ($advice) = split / or [A-Z]{3,}/, advice($check, %opts);
	my @statements = $advice =~ /((?:SELECT|ALTER|GRANT|VACUUM|ROLLBACK) [^;]*);/g;

	note("$check: $advice");
	ok(@statements > 0, "$check: there is advice");
	query($opts{node} // $node, $_, $opts{db}) foreach @statements;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return recovers($check, %opts);
}

sub follow_number
{
	my ($check, $setting) = @_;
	my ($number) = advice($check) =~ /at least (\d+)/;

	ok($number, "$check: there is advice");
	restart_with($setting => $number // 8);
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return recovers($check);
}

with_clock(sub { $node->start });
create_shop($node);
wait_for_workers($node, 'the workers are there');
wait_for($node, "SELECT string_agg(check_name, ' ') FROM cmdsched.doctor() WHERE status <> 'ok'", '', 'all is well');
is( query($node, "SELECT string_agg(check_name, ' ') FROM cmdsched.doctor()"),
	'preloaded primary enabled launcher scheduler copy worker_slots max_worker_processes lag applications paused held failed handlers roles recurring hooks clock old_snapshots prepared_transactions table_size notify_queue',
	'the checks');
is(query($node, 'SELECT count(advice) FROM cmdsched.doctor()'), '0', 'and there is no advice');

# ----------------------------------------------------------------------------
# Workers
# ----------------------------------------------------------------------------

query($node, 'ALTER SYSTEM SET cmdsched.enabled = off');
$node->reload;
finds('enabled', 'problem', qr/cmdsched\.enabled is off/, 'workers may not work');
follow('enabled');

query($node, 'SELECT cmdsched.stop()');
finds('scheduler', 'problem', qr/cmdsched\.stop\(\) was called/, 'it was stopped');
follow('scheduler');

query($node, 'ALTER SYSTEM SET cmdsched.databases = other');
$node->reload;
finds('scheduler', 'problem', qr/cmdsched\.databases does not name/, 'this database is not served');
follow('scheduler');

restart_with(max_worker_processes => 0);
finds('launcher', 'problem', qr/is not running/, 'there is no place for it');
finds('scheduler', 'problem', qr/there is no scheduler/, 'nor for this');
follow_number('launcher', 'max_worker_processes');
finds('scheduler', 'ok', qr/is running/, 'it is back as well');
recovers('worker_slots');
recovers('max_worker_processes');

restart_with(max_worker_processes => 3);
finds('scheduler', 'ok', qr/is running/, 'there is room for it');
finds('worker_slots', 'problem', qr/0 of 3 background worker slots are free/, 'but for nothing else');
follow_number('worker_slots', 'max_worker_processes');
restart_with(max_worker_processes => 5);
finds('scheduler', 'ok', qr/is running/, 'there is room for it');
finds('worker_slots', 'warning', qr/2 of 5 background worker slots are free/, 'and for few executors');
finds('max_worker_processes', 'warning', qr/is 5;.*executors of this database up to 4/, 'it is too small');
follow_number('max_worker_processes', 'max_worker_processes');
restart_with(max_worker_processes => 32);
wait_for_workers($node, 'the workers are back');

# ----------------------------------------------------------------------------
# What waits
# ----------------------------------------------------------------------------

query($node, 'SELECT cmdsched.stop()');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'locked')");
my $session = session($node);
$session->query_safe("BEGIN; SELECT cmdsched.cancel('locked')");
query($node, 'SELECT cmdsched.start()');
move_clock(30);
finds('lag', 'warning', qr/1 commands are due, the oldest for 3\d s/, 'a command is locked');
move_clock(70);
finds('lag', 'problem', qr/1 commands are due, the oldest for \d\d\d s/, 'for long');
like(advice('lag'), qr/a transaction that has not ended/, 'lag: the advice says why');
$session->query_safe('ROLLBACK');
$session->quit;
recovers('lag');

query($node, 'ALTER SYSTEM SET cmdsched.max_executors = 1');
$node->reload;
query($node, "SELECT cmdsched.schedule('Slow', '{\"gate\": \"lag\"}', schedule_id => 'busy')");
wait_until_running($node, 'busy');
finds('lag', 'ok', qr/nothing is due/, 'what runs is not late');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'behind')");
move_clock(100);
finds('lag', 'problem', qr/1 commands are due/, 'all executors are busy');
like(advice('lag'), qr/All executors are busy.*raise cmdsched\.max_executors/, 'lag: the advice says so');
query($node, 'ALTER SYSTEM RESET cmdsched.max_executors');
$node->reload;
recovers('lag');
open_gate($node, 'lag');

query($node, "SELECT cmdsched.register_handler('Abroad', NULL, external => true); SELECT cmdsched.schedule('Abroad', schedule_id => 'abroad')");
finds('applications', 'ok', qr/1 commands may be claimed/, 'a command waits');
move_clock(100);
finds('applications', 'warning', qr/1 commands may be claimed by applications, the oldest for \d\d\d s/, 'for long');
query($node, 'SELECT cmdsched.complete(schedule_id, claim_token) FROM cmdsched.claim_due_commands(1)');
recovers('applications');

query($node, "SELECT cmdsched.register_handler('Paused', 'shop.effect(cmdsched.scheduled_commands)', paused => true); SELECT cmdsched.schedule('Paused', schedule_id => 'paused')");
finds('paused', 'warning', qr/1 due commands wait for handlers that are paused: Paused/, 'a handler is paused');
query($node, "SELECT cmdsched.register_handler('Paused', 'shop.effect(cmdsched.scheduled_commands)')");
recovers('paused');

# ----------------------------------------------------------------------------
# What needs somebody
# ----------------------------------------------------------------------------

query($node, "BEGIN; SELECT cmdsched.register_handler('Gone', 'shop.effect(cmdsched.scheduled_commands)'); SELECT cmdsched.schedule('Gone', schedule_id => 'gone'); SELECT cmdsched.unregister_handler('Gone'); COMMIT");
finds('held', 'problem', qr/1 commands are held, 1 of them with SQLSTATE 42704: command type "Gone" is not registered/, 'a type is not registered');
like(advice('held'), qr/^Register it with cmdsched\.register_handler\(\)\./, 'held: the advice is that of the error');
query($node, "SELECT cmdsched.register_handler('Gone', 'shop.effect(cmdsched.scheduled_commands)')");
recovers('held');

query($node, <<'SQL');
CREATE ROLE alice LOGIN;
CREATE FUNCTION shop.rare(jsonb) RETURNS void LANGUAGE sql AS 'SELECT 1 / 0';
REVOKE EXECUTE ON FUNCTION shop.rare(jsonb) FROM PUBLIC;
SELECT cmdsched.register_handler('Rare', 'shop.rare(jsonb)', max_attempts => 1);
GRANT EXECUTE ON FUNCTION shop.rare(jsonb) TO alice;
BEGIN;
SET LOCAL ROLE alice;
SELECT cmdsched.schedule('Rare', schedule_id => 'rare');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION shop.rare(jsonb) FROM alice;
COMMIT;
SQL
finds('held', 'problem', qr/SQLSTATE 42501/, 'a role may not call the handler');
like(advice('held'), qr/^Grant EXECUTE/, 'held: the advice is that of the error');
query($node, 'GRANT EXECUTE ON FUNCTION shop.rare(jsonb) TO alice');
query($node, "SELECT cmdsched.retry(schedule_id) FROM cmdsched.scheduled_commands WHERE status = 'held'");
recovers('held');
finds('failed', 'warning', qr/1 commands are failed, 1 of them with SQLSTATE 22012: division by zero/, 'it fails');
query($node, "CREATE OR REPLACE FUNCTION shop.rare(jsonb) RETURNS void LANGUAGE sql AS 'SELECT'");
follow('failed');

my $later = "now() + interval '10 days'";
query($node, "SET ROLE alice; SELECT cmdsched.schedule('Rare', '{}', $later, schedule_id => 'later')");
query($node, 'REVOKE EXECUTE ON FUNCTION shop.rare(jsonb) FROM alice');
finds('handlers', 'problem', qr/command type Rare: alice may not execute shop\.rare\(jsonb\); 1 command types and roles/, 'a role may not call it');
follow('handlers');
query($node, "SELECT cmdsched.unregister_handler('Rare')");
finds('handlers', 'problem', qr/command type Rare: is not registered/, 'a type is not registered');
like(advice('handlers'), qr/cmdsched\.register_handler/, 'handlers: there is advice');
query($node, "SELECT cmdsched.register_handler('Rare', 'shop.rare(jsonb)')");
recovers('handlers');
query($node, 'DROP FUNCTION shop.rare(jsonb)');
finds('handlers', 'problem', qr/command type Rare: the function shop\.rare\(jsonb\) does not exist/, 'a function was dropped');
query($node, "CREATE FUNCTION shop.rare(jsonb) RETURNS void LANGUAGE sql AS 'SELECT'");
recovers('handlers');
query($node, 'CREATE ROLE mallory; ALTER FUNCTION shop.rare(jsonb) OWNER TO mallory');
finds('handlers', 'problem', qr/has another owner than when it was registered/, 'it was given away');
query($node, "SELECT cmdsched.register_handler('Rare', 'shop.rare(jsonb)')");
recovers('handlers');
query($node, "SELECT cmdsched.schedule('Effect', '{}', $later, schedule_id => 'later-too')");
query($node, 'ALTER FUNCTION shop.effect(cmdsched.scheduled_commands) OWNER TO mallory');
finds('handlers', 'problem', qr/postgres is a superuser, but the owner of shop\.effect\(cmdsched\.scheduled_commands\) is not/, 'a superuser would call it');
query($node, 'ALTER FUNCTION shop.effect(cmdsched.scheduled_commands) OWNER TO postgres');
recovers('handlers');

query($node, 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC');
finds('roles', 'problem', qr/role alice may not connect to the database; 1 roles/, 'a role may not connect');
follow('roles');
query($node, 'ALTER ROLE alice NOLOGIN');
if (query($node, 'SHOW server_version_num') < 170_000)
{
	finds('roles', 'problem', qr/role alice is not permitted to log in/, 'a role may not log in');
	follow('roles');
}
else
{
	recovers('roles');
}
query($node, "CREATE ROLE bob LOGIN; GRANT EXECUTE ON FUNCTION shop.rare(jsonb) TO bob; GRANT CONNECT ON DATABASE postgres TO bob; SET ROLE bob; SELECT cmdsched.schedule('Rare', '{}', $later, schedule_id => 'orphan')");
query($node, 'DROP OWNED BY bob; DROP ROLE bob');
finds('roles', 'problem', qr/role bob does not exist/, 'a role is gone');
query($node, "SELECT cmdsched.cancel('orphan')");
recovers('roles');
# The sweep has held some of these, or not.
query($node, "SELECT cmdsched.retry(schedule_id) FROM cmdsched.scheduled_commands WHERE status = 'held'");
recovers('held');

query($node, "SELECT cmdsched.schedule_cron('nightly', '0 3 * * *', 'Effect')");
query($node, "SELECT cmdsched.pause_recurring('nightly'); UPDATE cmdsched.recurring SET status = 'held', reason = 'time zone is gone'");
finds('recurring', 'problem', qr/1 recurring schedules are held, nightly: time zone is gone/, 'one does not go on');
follow('recurring');
query($node, "SELECT cmdsched.unschedule('nightly')");

query($node, <<'SQL');
CREATE FUNCTION shop.hook(operation text, attributes jsonb) RETURNS void LANGUAGE sql AS 'SELECT';
SELECT cmdsched.register_hook('*', 'shop.hook(text, jsonb)');
SELECT cmdsched.disable_hook('*', 'shop.hook(text,jsonb)', 'it was slow');
SQL
finds('hooks', 'warning', qr/1 hooks are disabled, shop\.hook\(text,jsonb\): it was slow/, 'one is disabled');
follow('hooks');

# ----------------------------------------------------------------------------
# Around it
# ----------------------------------------------------------------------------

finds('clock', 'warning', qr/the clock of the server was set \d+ times, the last time by 100\d\d\d ms/, 'it was moved');
follow('clock');
move_clock(-50);
finds('clock', 'warning', qr/set 1 times, the last time by -(50|49)\d\d\d ms/, 'it was set back');
move_clock(50);
finds('clock', 'warning', qr/set 2 times/, 'and forward');
follow('clock');

$session = session($node);
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
move_clock(700);
finds('old_snapshots', 'warning', qr/the transaction of process \d+ has a snapshot and is 7\d\d s old/, 'one is old');
is( query($node, "SET ROLE alice; SELECT detail FROM cmdsched.doctor() WHERE check_name = 'old_snapshots'"),
	'not known: only members of pg_read_all_stats see the sessions of others', 'others are not told');
follow('old_snapshots');
$session->quit;

query($node, "BEGIN; SELECT cmdsched.schedule('Effect', schedule_id => 'prepared'); PREPARE TRANSACTION 'p'");
move_clock(400);
finds('prepared_transactions', 'warning', qr/transaction 'p' was prepared 4\d\d s ago/, 'one has been left');
follow('prepared_transactions');

query($node, <<"SQL");
ALTER TABLE cmdsched.scheduled_commands SET (autovacuum_enabled = off);
SELECT count(cmdsched.schedule('Effect', jsonb_build_object('filler', (SELECT string_agg(md5(n::text || m::text), '') FROM generate_series(1, 50) AS m)), $later)) FROM generate_series(1, 45000) AS n;
SQL
finds('table_size', 'ok', qr/takes \d\d+ MB, \d+ MB of which for indexes, for 4500\d commands/, 'it is full');
query($node, "SELECT count(cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands WHERE schedule_id LIKE '01%'");
finds('table_size', 'warning', qr/takes \d\d+ MB, \d+ MB of which for indexes, for \d commands/, 'nearly all of it is free');
follow('table_size');

# ----------------------------------------------------------------------------
# Other databases and servers
# ----------------------------------------------------------------------------

query($node, 'CREATE DATABASE copy TEMPLATE postgres');
finds('copy', 'problem', qr/this database is a copy/, 'a copy waits', db => 'copy');
follow('copy', db => 'copy');

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
finds('primary', 'warning', qr/this server is a standby/, 'nothing runs on a standby', node => $standby);
is(query($standby, "SELECT string_agg(check_name, ' ') FROM cmdsched.doctor() WHERE status = 'problem'"), '', 'and that is no problem');
follow('primary', node => $standby);
finds('scheduler', 'ok', qr/is running/, 'after its promotion it has workers', node => $standby);
$standby->stop;

set_conf($node, shared_preload_libraries => '');
restart_with();
finds('preloaded', 'problem', qr/is not in shared_preload_libraries$/m, 'there are no workers');
query($node, 'SELECT cmdsched.start()');
finds('preloaded', 'warning', qr/because of cmdsched\.start\(\)/, 'or for a while only');
finds('scheduler', 'ok', qr/is running/, 'that helps for now');
set_conf($node, shared_preload_libraries => 'cmdsched');
restart_with();
recovers('preloaded');

# ----------------------------------------------------------------------------
# Who is told what
# ----------------------------------------------------------------------------

query($node, "BEGIN; SELECT cmdsched.register_handler('Gone', 'shop.effect(cmdsched.scheduled_commands)'); SELECT cmdsched.schedule('Gone', schedule_id => 'of-postgres'); SELECT cmdsched.unregister_handler('Gone'); COMMIT");
finds('held', 'problem', qr/1 commands are held/, 'a superuser sees all');
is( query($node, "SET ROLE alice; SELECT status, detail FROM cmdsched.doctor() WHERE check_name = 'held'"),
	'ok|no command is held (of what you may see)', 'others see their own');
is(query($node, "SET ROLE alice; SELECT count(*) FROM cmdsched.doctor() WHERE status <> 'ok' AND check_name NOT IN ('clock')"), '0', 'for whom all is well');

$node->stop;
done_testing();
