# Applications that carry commands out themselves: they are told what is due,
# their leases end by themselves, and restarts and promotions lose nothing.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Cluster;
use IPC::Run;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = new_node('main', streaming => 1);
my $listener = session($node);

$listener->query('LISTEN cmdsched_due');

# Waits until the listener is told of a command that is due in so many seconds.
# Returns what else it was told of: TYPE => how often.  A sweep may tell again.
my $ends = 0;

sub told_until
{
	my ($seconds) = @_;
	my $deadline = time + 20;
	my $end = 'End' . ++$ends;
	my %count;

	query($node, "SELECT cmdsched.schedule('$end', '{}', now() + interval '$seconds seconds', schedule_id => '$end')");
	while (!$count{$end} && time < $deadline)
	{
		my $heard = $listener->query('SELECT 1');
		$count{$_}++ foreach $heard =~ /notification "cmdsched_due" with payload "(\w+)"/g;
		usleep(10_000);
	}
	ok($count{$end}, "told of $end");
	query($node, "SELECT cmdsched.cancel('$end')");
	return map { ($_ => $count{$_}) } grep { !/^End/ } keys %count;
}

sub claim
{
	my ($types, $lease) = @_;

	return query($node, "SELECT schedule_id || ' ' || attempts || ' ' || claim_token FROM cmdsched.claim_due_commands(10, '{$types}', '$lease')");
}

query($node, <<'SQL');
SELECT cmdsched.register_handler(t, NULL, external => true, max_attempts => 2, backoff => '0.1 seconds') FROM unnest('{Mail,Print,Later,End1,End2,End3,End4,End5}'::text[]) AS t;
SQL

# ----------------------------------------------------------------------------
# Told
# ----------------------------------------------------------------------------

query($node, "SELECT count(cmdsched.schedule('Mail', schedule_id => 'm' || i)) FROM generate_series(1, 1000) AS i");
my %told = told_until(0);
ok($told{Mail} && $told{Mail} < 10, 'a thousand that become due together are told of once, or after a sweep');
query($node, "SELECT count(cmdsched.cancel('m' || i)) FROM generate_series(1, 1000) AS i");

query($node, "BEGIN; SELECT cmdsched.schedule('Later', schedule_id => 'undone'); ROLLBACK");
query($node, "SELECT cmdsched.schedule('Later', '{}', now() + interval '1 day', schedule_id => 'tomorrow')");
query($node, "SELECT cmdsched.schedule('Print', '{}', now() + interval '0.3 seconds', schedule_id => 'p')");
%told = told_until(0.5);
ok($told{Print} && !$told{Later}, 'a later one at its time, and nothing that is not due');
query($node, "SELECT cmdsched.cancel(id) FROM unnest('{p,tomorrow}'::text[]) AS id");

# ----------------------------------------------------------------------------
# The end of a lease
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('Mail', schedule_id => 'lost')");
my ($token) = claim('Mail', '0.5 seconds') =~ /^lost 1 (\S+)$/;
ok($token, 'it is claimed');
wait_for($node, "SELECT status, attempts, claim_token IS NULL, last_error->>'message' FROM cmdsched.get('lost')",
	'pending|1|t|lease expired', 'a worker takes it back when the lease ends');
%told = told_until(0);
cmp_ok($told{Mail}, '>=', 2, 'and tells of it again');
is(query($node, "SELECT cmdsched.complete('lost', '$token')"), 'f', 'the token is worth nothing any more');
like(claim('Mail', '0.1 seconds'), qr/^lost 2 /, 'it is claimed once more');
wait_for($node, "SELECT status, attempts, last_error->>'message' FROM cmdsched.get('lost')",
	'failed|2|lease expired', 'at the end of its last attempt it has failed');
query($node, "SELECT cmdsched.cancel('lost')");

# A claim that never was.
query($node, "SELECT cmdsched.schedule('Mail', schedule_id => 'given-back')");
my $holder = session($node);
$holder->query_safe("BEGIN; SELECT count(*) FROM cmdsched.claim_due_commands(10)");
told_until(0);
$holder->query_safe('ROLLBACK');
%told = told_until(0);
ok($told{Mail}, 'what a transaction had claimed is told of when that is rolled back');

# ----------------------------------------------------------------------------
# Claims begin where others have got to, and miss nothing
# ----------------------------------------------------------------------------

query($node, <<'SQL');
SELECT cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands;
SELECT cmdsched.schedule('Mail', schedule_id => 'older');
SELECT cmdsched.schedule('Print', schedule_id => 'newer');
SQL
like(claim('Print', '1 hour'), qr/^newer 1 /, 'of one type only');
like(claim('Mail', '1 hour'), qr/^older 1 /, 'then what is older, of another');
query($node, <<'SQL');
SELECT cmdsched.schedule('Mail', schedule_id => 'savepoint');
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM cmdsched.claim_due_commands(10);
ROLLBACK TO s;
SELECT cmdsched.schedule('Print', schedule_id => 'beside');
COMMIT;
SQL
like(claim('Mail,Print', '1 hour'), qr/^savepoint 1 .*\nbeside 1 /, 'what a savepoint gave back');
is(query($node, <<'SQL'), "2\n2", 'in the same transaction, too');
SELECT cmdsched.schedule('Mail', schedule_id => id) FROM unnest('{s1,s2}'::text[]) AS id \g /dev/null
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM cmdsched.claim_due_commands(10);
ROLLBACK TO s;
SELECT count(*) FROM cmdsched.claim_due_commands(10);
COMMIT;
SQL
query($node, "SELECT cmdsched.reschedule('savepoint', now() - interval '1 day')");
like(claim('Mail', '1 hour'), qr/^savepoint 2 /, 'what was moved to the past');
query($node, "BEGIN; SELECT cmdsched.schedule('Mail', schedule_id => 'prepared'); PREPARE TRANSACTION 'p'");
query($node, "SELECT cmdsched.schedule('Mail', schedule_id => 'meanwhile')");
like(claim('Mail', '1 hour'), qr/^meanwhile 1 /, 'beside one that is prepared');
query($node, "COMMIT PREPARED 'p'");
wait_for($node, "SELECT string_agg(schedule_id, ' ') FROM cmdsched.claim_due_commands(10)", 'prepared', 'what was prepared');
query($node, 'SELECT count(cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands');

# Eight applications, that now and then fail, or take back what they did; and
# others that schedule.
query($node, <<'SQL');
CREATE TABLE handled (id text);
CREATE PROCEDURE carry_out(total integer) LANGUAGE plpgsql AS $$
DECLARE
	claimed record;
	give_up_at timestamptz := clock_timestamp() + interval '60 seconds';
BEGIN
	WHILE (SELECT count(*) FROM handled) < total AND clock_timestamp() < give_up_at LOOP
		FOR claimed IN SELECT * FROM cmdsched.claim_due_commands(1 + floor(random() * 10)::integer, lease => '10 seconds') LOOP
			BEGIN
				IF random() < 0.8 THEN
					INSERT INTO handled SELECT claimed.schedule_id WHERE cmdsched.complete(claimed.schedule_id, claimed.claim_token);
				ELSE
					PERFORM cmdsched.fail(claimed.schedule_id, claimed.claim_token, 'no', '0');
				END IF;
				IF random() < 0.1 THEN
					RAISE 'undone';
				END IF;
			EXCEPTION WHEN raise_exception THEN
				PERFORM cmdsched.fail(claimed.schedule_id, claimed.claim_token, 'undone', random() * interval '0.1 seconds');
			END;
		END LOOP;
		IF random() < 0.1 THEN
			ROLLBACK;
		ELSE
			COMMIT;
		END IF;
	END LOOP;
END
$$;
CREATE PROCEDURE plan(name text) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..1000 LOOP
		PERFORM cmdsched.schedule('Many' || i % 3, '{}', now() + (random() - 0.5) * interval '0.2 seconds', schedule_id => name || i);
		IF random() < 0.1 THEN
			COMMIT;
		END IF;
	END LOOP;
END
$$;
SELECT cmdsched.register_handler('Many' || i, NULL, external => true, max_attempts => 1000) FROM generate_series(0, 2) AS i;
SQL
my @clients = map { IPC::Run::start([ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-c', $_ ]) }
  ("CALL plan('a')", "CALL plan('b')", ('CALL carry_out(2000)') x 8);
$_->finish foreach @clients;
is(query($node, "SELECT count(*), count(DISTINCT id) FROM handled"), '2000|2000', 'each command was handled once, whatever happened');
is(query($node, 'SELECT count(*) FROM cmdsched.scheduled_commands'), '0', 'and none is left');

# ----------------------------------------------------------------------------
# Restart
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('Print', schedule_id => 'kept')");
query($node, "SELECT cmdsched.schedule('Mail', schedule_id => 'waits')");
($token) = claim('Print', '1 hour') =~ /^kept 1 (\S+)$/;
$_->quit foreach $listener, $holder;
$node->stop('immediate');
$node->start;
wait_for_workers($node, 'the workers are there after a crash');
is(claim('Print', '1 hour'), '', 'a lease outlives a crash');
is(query($node, "SELECT cmdsched.complete('kept', '$token')"), 't', 'and can be completed');
like(claim('Mail', '1 hour'), qr/^waits 1 /, 'what was not claimed can be');
query($node, "SELECT cmdsched.cancel('waits')");

# ----------------------------------------------------------------------------
# Dump and restore
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('Mail', schedule_id => 'claimed')");
($token) = claim('Mail', '1 hour') =~ /^claimed 1 (\S+)$/;
query($node, "SELECT cmdsched.schedule('Mail', schedule_id => 'waiting')");
query($node, 'CREATE DATABASE restored');
IPC::Run::run([ 'pg_dump', '-d', $node->connstr('postgres') ], '|', [ 'psql', '-X', '-q', '-d', $node->connstr('restored') ], '>', '/dev/null', '2>', '/dev/null');
is(query($node, 'SELECT count(*) FROM cmdsched.claim_due_commands(10)', 'restored'), '0', 'in a copy nothing can be claimed');
query($node, 'SELECT cmdsched.adopt()', 'restored');
is(query($node, 'SELECT schedule_id FROM cmdsched.claim_due_commands(10)', 'restored'), 'waiting', 'once it is adopted, what was not claimed');
is(query($node, "SELECT cmdsched.complete('claimed', '$token')", 'restored'), 't', 'and the claim of the other goes on');
is(query($node, "SELECT cmdsched.complete('claimed', '$token')"), 't', 'as in the original');
query($node, "SELECT cmdsched.cancel('waiting')");
query($node, 'DROP DATABASE restored');

# ----------------------------------------------------------------------------
# Standby and promotion
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('Mail', schedule_id => 'kept')");
query($node, "SELECT cmdsched.schedule('Print', schedule_id => 'ended')");
($token) = claim('Mail', '1 hour') =~ /^kept 1 (\S+)$/;
like(claim('Print', '1 second'), qr/^ended 1 /, 'both are claimed');
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay');
fails_with($standby, "SELECT cmdsched.$_", '25006', "$_ is refused on a standby")
  foreach 'claim_due_commands(1)', "complete('kept', '$token')", "fail('kept', '$token', 'no')", "extend_lease('kept', '$token', '1 hour')";
$node->stop('immediate');
$standby->promote;
wait_for_workers($standby, 'the workers are there after promotion');
wait_for($standby, "SELECT claim_token IS NULL, last_error->>'message' FROM cmdsched.get('ended')",
	't|lease expired', 'a lease ends on the new primary');
is(query($standby, "SELECT cmdsched.complete('kept', '$token')"), 't', 'another goes on');
$standby->stop;

done_testing();
