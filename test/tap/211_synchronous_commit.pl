# What schedule() and its kin acknowledge is on disk, even where the session,
# the role or the database does not wait for that.

use strict;
use warnings;

use Cmdsched;
use Processes;
use Test::More;

# Nobody else writes WAL to disk.
my $node = new_node('flush', conf => "autovacuum = off\ncmdsched.enabled = off\n");

wait_for_workers($node, 'the workers are there, switched off');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
ALTER ROLE alice SET synchronous_commit = off;
CREATE ROLE bob LOGIN;
SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => c) FROM unnest('{cancelled,moved}'::text[]) AS c;
SELECT cmdsched.register_handler('Fail', 'shop.fail(cmdsched.scheduled_commands)', max_attempts => 1);
SELECT cmdsched.schedule('Fail', schedule_id => 'failed-once');
SELECT cmdsched.process_due_commands();
CHECKPOINT;
SQL
my $walwriter = query($node, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");

# Is what the statements do on disk once they are committed?
sub on_disk
{
	my ($statements, $user) = @_;

	return (split /\n/, $node->safe_psql('postgres', <<"SQL", extra_params => [ '-U', $user // 'postgres' ]))[-1];
BEGIN;
$statements;
SELECT pg_current_wal_insert_lsn() AS lsn \\gset
COMMIT;
SELECT pg_current_wal_flush_lsn() >= :'lsn';
SQL
}

kill 'STOP', $walwriter;
my $off = 'SET synchronous_commit = off';

is(on_disk("$off; INSERT INTO shop.open_gates VALUES ('plain')"), 'f', 'where the session does not wait, a row is not on disk at its commit');
my %kin = (
	'schedule()' => "cmdsched.schedule('Effect', schedule_id => 'scheduled')",
	'schedule_in()' => "cmdsched.schedule_in('Effect', '{}', '1 day', schedule_id => 'scheduled-in')",
	'schedule() with replace' => "cmdsched.schedule('Effect', '{}', schedule_id => 'scheduled', on_conflict => 'replace')",
	'cancel()' => "cmdsched.cancel('cancelled')",
	'reschedule()' => "cmdsched.reschedule('moved', now() + interval '2 days')",
	'retry()' => "cmdsched.retry('failed-once')");
is(on_disk("$off; SELECT $kin{$_}"), 't', "but what $_ did is") foreach sort { $b cmp $a } keys %kin;
is(on_disk("SET LOCAL synchronous_commit = off; SELECT cmdsched.schedule('Effect', schedule_id => 'local')"), 't', 'also where the transaction does not wait');
is(on_disk("SELECT cmdsched.schedule('Effect', schedule_id => 'role')", 'alice'), 't', 'or the role');
query($node, 'ALTER DATABASE postgres SET synchronous_commit = off');
is(on_disk("SELECT cmdsched.schedule('Effect', schedule_id => 'database')", 'bob'), 't', 'or the database');

# And it is there after a power loss.
is(on_disk("INSERT INTO shop.open_gates VALUES ('lost')"), 'f', 'the last row is not on disk');
pull_the_plug($node);
set_conf($node, 'cmdsched.enabled' => 'on');
$node->start;
is(query($node, "SELECT count(*) FROM shop.open_gates WHERE gate = 'lost'"), '0', 'after a power loss it is lost');
ran_once($node, $_, 1, "$_: not lost, and has run once") foreach 'scheduled', 'local', 'role', 'database';
is(query($node, "SELECT cmdsched.get('cancelled') IS NULL"), 't', 'what was cancelled does not come back');

wait_until_idle($node, 'nothing is left');
$node->stop;
done_testing();
