# What one role does, on purpose or not, keeps nobody else's commands from
# running, nor the administrator from his work.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('denial');

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
CREATE ROLE mallory LOGIN;
CREATE PROCEDURE shop.proceed(command cmdsched.scheduled_commands) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.slow(command);
	COMMIT;
END
$$;
SELECT cmdsched.register_handler('Proceed', 'shop.proceed(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('Paused', 'shop.effect(cmdsched.scheduled_commands)', paused => true);
SQL

# A session of mallory, and what it says.
my $mallory = session($node);
sub mallory
{
	my ($sql) = @_;

	return $mallory->query($sql);
}
mallory('SET SESSION AUTHORIZATION mallory');

sub schedule_as
{
	my ($role, $id, $type, $data) = @_;
	$type //= 'Effect';
	$data //= '{}';

	return query($node, "SET ROLE $role; SELECT cmdsched.schedule('$type', '$data', schedule_id => '$id')");
}

# Two assertions: alice's command runs, and soon.
sub alice_is_served
{
	my ($id, $what) = @_;

	schedule_as('alice', $id);
	ran_once($node, $id, 1, $what);
	is(query($node, "SELECT at - created_at < interval '5 seconds' FROM shop.effects WHERE schedule_id = '$id'"), 't', 'soon');
	return;
}

# The administrator does not wait for anybody.
sub administrator_is_served
{
	my ($what) = @_;
	my ($ret, $stdout, $stderr) = $node->psql('postgres', <<'SQL');
SET lock_timeout = '5s';
SELECT cmdsched.register_handler('Other', 'shop.effect(cmdsched.scheduled_commands)');
SELECT cmdsched.unregister_handler('Other');
SQL

	is($stderr, '', $what);
	return;
}

# ----------------------------------------------------------------------------
# Locks
# ----------------------------------------------------------------------------

# Users' advisory locks are others than ours, whatever their keys.
schedule_as('alice', 'proceed', 'Proceed', '{"gate": "first"}');
wait_until_running($node, 'proceed');
my ($class, $key, $high, $low) = split /\|/, query($node, <<'SQL');
SELECT objsubid, (classid::bigint << 32) + objid::bigint, classid::bigint::bit(32)::integer, objid::bigint::bit(32)::integer
  FROM pg_locks WHERE locktype = 'advisory'
SQL
is($class, 0xC5, 'a procedure that runs has a lock of our class');
is(mallory("SELECT pg_try_advisory_lock($key), pg_try_advisory_lock($high, $low)"), 't|t', 'a user takes advisory locks with the same keys');
mallory('SELECT count(pg_advisory_lock(i, j)) FROM generate_series(190, 200) AS i, generate_series(0, 99) AS j');
open_gate($node, 'first');
ran_once($node, 'proceed', 1, 'the procedure ends');
schedule_as('alice', 'proceed', 'Proceed', '{"gate": "first"}');
wait_for($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'proceed'", '2', 'and runs a second time while these locks are held');
is(query($node, "SET lock_timeout = '5s'; SET ROLE alice; SELECT cmdsched.cancel('proceed')"), 'f', 'nor does cancel() wait for them');
alice_is_served('beside-locks', 'with a thousand advisory locks held by somebody else, commands run');
mallory('SELECT pg_advisory_unlock_all()');

# A transaction that stays open, with all that its role may lock.
schedule_as('mallory', 'own', 'Slow', '{"gate": "own"}');
wait_until_running($node, 'own');
mallory('BEGIN');
mallory('LOCK TABLE cmdsched.scheduled_commands, cmdsched.handlers IN ACCESS SHARE MODE');
mallory("SELECT cmdsched.schedule('Effect', schedule_id => 'open-' || i) FROM generate_series(1, 10) AS i");
mallory("SELECT count(*) FROM cmdsched.scheduled_commands, cmdsched.handlers");
mallory('SELECT cmdsched.process_due_commands()');
alice_is_served('beside-open', 'with a transaction open that ran commands by hand, others run');
administrator_is_served('and handlers can be registered');
mallory('ROLLBACK');

# By hand, a command that cannot run takes a lock on the registry.
schedule_as('mallory', 'paused', 'Paused');
wait_for($node, "SELECT due_at FROM cmdsched.get('paused')", 'infinity', 'a command waits for its paused handler');
mallory('BEGIN');
mallory("SELECT cmdsched.schedule('Paused', schedule_id => 'paused-by-hand')");
mallory('SELECT cmdsched.process_due_commands()');
alice_is_served('beside-paused', 'a transaction that set a command aside holds up no other commands');
mallory('ROLLBACK');
administrator_is_served('and registrations only as long as it is open');
open_gate($node, 'own');
ran_once($node, 'own', 1, 'the slow one ends');

# So does an executor, and then a slow command follows in the same batch.
query($node, <<'SQL');
CREATE FUNCTION shop.slow_at_first(command cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS 'SELECT shop.slow(command)';
SELECT cmdsched.register_handler('SlowAtFirst', 'shop.slow_at_first(cmdsched.scheduled_commands)');
SQL
mallory("BEGIN");
mallory("SELECT cmdsched.schedule('Paused', '{}', now() - interval '1 minute', schedule_id => 'paused-before')");
mallory("SELECT cmdsched.schedule('SlowAtFirst', '{\"gate\": \"second\"}', schedule_id => 'slow-after')");
mallory('COMMIT');
wait_until_running($node, 'slow-after');
wait_for($node, "SELECT due_at FROM cmdsched.get('paused-before')", 'infinity', 'a command of a paused handler is set aside while the slow one runs', timeout => 5);
administrator_is_served('an executor that met a command without handler holds up no registration');
open_gate($node, 'second');
ran_once($node, 'slow-after', 1, 'the slow one ends');

# ----------------------------------------------------------------------------
# Waking again and again
# ----------------------------------------------------------------------------

foreach my $storm ("PERFORM cmdsched.trigger()", "NOTIFY cmdsched; COMMIT", "PERFORM cmdsched.trigger(); COMMIT")
{
	my $session = session($node);

	$session->query('SET SESSION AUTHORIZATION mallory');
	my $pid = $session->query('SELECT pg_backend_pid()');
	$session->query_until(qr/begun/, "\\echo begun\nDO 'BEGIN LOOP $storm; END LOOP; END';\n");
	alice_is_served("storm-$_-" . length $storm, "$storm, without end: others run") foreach 1 .. 3;
	administrator_is_served('and handlers can be registered');
	is(query($node, "SELECT state FROM pg_stat_activity WHERE pid = $pid"), 'active', 'it was going on all the time');
	query($node, "SELECT pg_terminate_backend($pid)");
	$session->{run}->kill_kill;
}
cmp_ok(query($node, 'SELECT pg_notification_queue_usage()'), '<', 0.01, 'the notification queue has been read');

# ----------------------------------------------------------------------------
# Commands that breed commands
# ----------------------------------------------------------------------------

query($node, <<'SQL');
CREATE FUNCTION shop.breed(jsonb) RETURNS void LANGUAGE sql AS $$
	SELECT cmdsched.schedule_in('Breed', '{}', '1.5 seconds') FROM generate_series(1, 2)
$$;
SELECT cmdsched.register_handler('Breed', 'shop.breed(jsonb)', max_attempts => 1);
ALTER ROLE mallory SET cmdsched.max_pending = 500;
SQL
query($node, "SELECT pg_terminate_backend(pid) FROM cmdsched.workers WHERE role = 'mallory'");
query($node, "SET ROLE mallory; SELECT count(cmdsched.schedule('Breed')) FROM generate_series(1, 200)");
wait_for($node, "SELECT count(*) > 0 FROM cmdsched.scheduled_commands WHERE scheduled_by_name = 'mallory' AND status = 'failed' AND last_error->>'sqlstate' = '53400'",
	't', 'commands that breed two each come to the limit of their role');
alice_is_served('beside-breeders', 'others run beside them');
cmp_ok(query($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE scheduled_by_name = 'mallory'"), '<', 600, 'the limit is not far exceeded');
is(query($node, "SET ROLE alice; SELECT count(cmdsched.schedule('Effect')) FROM generate_series(1, 600)"), '600', 'another role has no limit');

# Nobody raises his own limit.
fails_with($node, "SET SESSION AUTHORIZATION mallory; $_", '42501', "mallory: $_")
  foreach 'SET cmdsched.max_pending = 0', 'SET LOCAL cmdsched.max_depth = 0', 'RESET cmdsched.max_pending', 'ALTER ROLE mallory SET cmdsched.max_pending = 0',
  'ALTER ROLE mallory RESET cmdsched.max_pending', "SELECT set_config('cmdsched.max_pending', '0', false)", 'SET cmdsched.max_command_size = 1000000';

is(query($node, "SELECT cmdsched.unregister_handler('Breed')"), 't', 'the administrator ends it');
wait_for($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE command_type = 'Breed' AND status = 'pending'", '0', 'all that are left are held');

$mallory->quit;
$node->stop;
done_testing();
