# A recurring schedule through crashes, restarts, a promotion and a restore: no
# occurrence is lost, none runs twice, and the next one is there by itself.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('recurring', streaming => 1);

wait_for_workers($node, 'the workers are there');

# Waits until so many more occurrences have run.
sub runs_on
{
	my ($server, $what, $db) = @_;
	my $ran = "SELECT count(*) FROM shop.effects WHERE schedule_id LIKE 'tick\@%'";
	my $before = $server->safe_psql($db // 'postgres', $ran);

	wait_for($server, "SELECT ($ran) >= $before + 2", 't', $what, db => $db // 'postgres');
	return;
}

# Every second from the first to the last has run, once.
sub ran_each_once
{
	my ($server, $what, $db) = @_;

	is($server->safe_psql($db // 'postgres', <<'SQL'), 't|t', $what);
SELECT count(*) = count(DISTINCT at), count(*) = extract(epoch FROM max(at) - min(at)) + 1
  FROM (SELECT split_part(schedule_id, '@', 2)::timestamptz AS at FROM shop.effects WHERE schedule_id LIKE 'tick@%') AS e
SQL
	is($server->safe_psql($db // 'postgres', "SELECT count(*) FROM cmdsched.scheduled_commands WHERE recurring = 'tick'"),
		'1', 'there is one next occurrence');
	return;
}

query($node, "SELECT cmdsched.schedule_every('tick', '1 second', 'Effect', catch_up => 'all', overlap => 'queue', catch_up_limit => 1000, starts_at => date_trunc('second', now()))");
runs_on($node, 'it runs');
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;

# ----------------------------------------------------------------------------
# Crashes and restarts
# ----------------------------------------------------------------------------

kill 'KILL', query($node, "SELECT pid FROM cmdsched.workers WHERE kind = 'executor' LIMIT 1");
wait_for_workers($node, 'an executor is killed');
runs_on($node, 'it goes on after a crash');
ran_each_once($node, 'each once, over the crash');

kill 'TERM', scheduler_pid($node);
runs_on($node, 'it goes on without its scheduler');
$node->stop('immediate');
$node->start;
runs_on($node, 'it goes on after a restart');
ran_each_once($node, 'each once, over the restart');

# ----------------------------------------------------------------------------
# One that is running
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule_every('slow', '1 second', 'Slow', '{\"gate\": \"slow\"}')");
wait_for($node, "SELECT count(*) FROM cmdsched.workers WHERE schedule_id LIKE 'slow\@%'", '1', 'an occurrence runs');
my $running = query($node, "SELECT schedule_id FROM cmdsched.workers WHERE schedule_id LIKE 'slow\@%'");
$node->stop('immediate');
$node->start;
wait_for($node, "SELECT string_agg(schedule_id, ' ') FROM cmdsched.workers WHERE schedule_id LIKE 'slow\@%'", $running, 'after a crash it is the same one that runs');
is(query($node, "SELECT string_agg(schedule_id, ' ') FROM cmdsched.scheduled_commands WHERE recurring = 'slow'"), $running, 'and there is no other');
wait_for($node, "SELECT now() > split_part('$running', '\@', 2)::timestamptz + interval '2 seconds'", 't', 'others came due meanwhile');
open_gate($node, 'slow');
wait_for($node, "SELECT runs > 0 AND skipped > 0 FROM cmdsched.recurring_schedules WHERE name = 'slow'", 't', 'they are dropped, and that shows');
is(query($node, "SELECT cmdsched.unschedule('slow')"), 't', 'it can be removed');

# Side by side, where that is allowed.
query($node, "SELECT cmdsched.schedule_every('beside', '1 second', 'Slow', '{\"gate\": \"beside\"}', overlap => 'allow')");
wait_for($node, "SELECT count(*) >= 2 FROM cmdsched.workers WHERE schedule_id LIKE 'beside\@%'", 't', 'two occurrences run at the same time');
is(query($node, "SELECT cmdsched.unschedule('beside')"), 't', 'removing it does not wait for them');
open_gate($node, 'beside');
wait_for($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE recurring = 'beside'", '0', 'they end');
is(query($node, "SELECT count(*) = count(DISTINCT schedule_id) FROM shop.effects WHERE schedule_id LIKE 'beside\@%'"), 't', 'each ran once');

# ----------------------------------------------------------------------------
# Promotion
# ----------------------------------------------------------------------------

$node->wait_for_catchup($standby, 'replay');
my $dump = $node->data_dir . '/../shop.dump';
command_ok([ 'pg_dump', '-U', 'postgres', '-d', $node->connstr('postgres'), '-Fc', '-f', $dump ], 'pg_dump');
$node->stop('immediate');
$standby->promote;
wait_for_workers($standby, 'the standby is promoted');
runs_on($standby, 'it goes on at the new primary');
ran_each_once($standby, 'each once, over the promotion');

# ----------------------------------------------------------------------------
# Dump and restore
# ----------------------------------------------------------------------------

query($standby, 'CREATE DATABASE restored');
command_ok([ 'pg_restore', '-U', 'postgres', '-d', $standby->connstr('restored'), '--exit-on-error', $dump ], 'pg_restore');
my $ran = "SELECT count(*) FROM shop.effects WHERE schedule_id LIKE 'tick\@%'";
my $restored = query($standby, $ran, 'restored');
runs_on($standby, 'the original goes on');
is(query($standby, $ran, 'restored'), $restored, 'the copy waits');
is(query($standby, "SELECT count(*) FROM cmdsched.recurring_schedules WHERE name = 'tick' AND next_run < now()", 'restored'), '1', 'with its schedule');
query($standby, 'SELECT cmdsched.adopt()', 'restored');
runs_on($standby, 'after adopt() it runs there, too', 'restored');
ran_each_once($standby, 'each once, over the restore', 'restored');

$standby->stop;
done_testing();
