# pg_cron as the clock: its job calls run_once(), and no worker of ours runs
# anything.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node(
	'cron',
	preload => 'pg_cron,cmdsched',
	start => 0,
	conf => "cmdsched.enabled = off\ncron.use_background_workers = on\ncron.database_name = 'postgres'\n");

plan skip_all => 'pg_cron is not installed'
  unless -e $node->config_data('--sharedir') . '/extension/pg_cron.control';

$node->start;
create_shop($node);
wait_for_workers($node, 'both extensions can be preloaded');
query($node, 'CREATE EXTENSION pg_cron');

# Seconds came with 1.5; before, a job runs at the full minute.
my ($major, $minor) = query($node, "SELECT extversion FROM pg_extension WHERE extname = 'pg_cron'") =~ /^(\d+)\.(\d+)/;
my $has_seconds = $major > 1 || $minor >= 5;

query($node, <<'SQL');
SELECT count(cmdsched.schedule('Effect', schedule_id => 'cron-' || i)) FROM generate_series(1, 50) AS i;
SELECT cmdsched.schedule('Fail', schedule_id => 'failing');
SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'later');
SQL
query($node, sprintf("SELECT cron.schedule('dispatch', '%s', 'SELECT cmdsched.run_once()')", $has_seconds ? '1 second' : '* * * * *'));
ran_once($node, 'cron-%', 50, 'a job of pg_cron drives the commands', timeout => 90);
is( query($node, "SELECT string_agg(schedule_id, ' ' ORDER BY schedule_id) FROM cmdsched.scheduled_commands WHERE status = 'pending'"),
	'failing later', 'the others wait');
is(query($node, "SELECT attempts > 0 AND last_error->>'sqlstate' = 'P0042' FROM cmdsched.scheduled_commands WHERE schedule_id = 'failing'"),
	't', 'one that failed is recorded');
wait_for($node, "SELECT bool_or(status = 'succeeded') FROM cron.job_run_details", 't', 'and does not make the job fail');
is(query($node, "SELECT count(*) FROM cmdsched.workers WHERE kind = 'executor'"), '0', 'no executor of ours was there');

if ($has_seconds)
{
	query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '2 seconds', schedule_id => 'soon')");
	ran_once($node, 'soon', 1, 'one that is due later is run by a later job');
}

# Both at once: whoever comes first.
reload_conf($node, 'cmdsched.enabled' => 'on');
query($node, "SELECT count(cmdsched.schedule('Effect', schedule_id => 'both-' || i)) FROM generate_series(1, 500) AS i");
ran_once($node, 'both-%', 500, 'job and workers together run every command once');

query($node, "SELECT cron.unschedule('dispatch')");
$node->stop;
done_testing();
