# A standby has no workers and refuses to schedule; after promotion the
# pending commands run there, once.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = new_node('primary', streaming => 1);

wait_for_workers($primary, 'the workers are on the primary');
query($primary, <<'SQL');
SELECT count(cmdsched.schedule('Effect', schedule_id => 'primary-' || i)) FROM generate_series(1, 100) AS i;
SELECT count(cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'later-' || i)) FROM generate_series(1, 100) AS i;
SQL
ran_once($primary, 'primary-%', 100, 'due commands run on the primary');

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay');

# ----------------------------------------------------------------------------
# On the standby
# ----------------------------------------------------------------------------

# It is in the handler when the primary goes: its effects never get here.
query($primary, "SELECT cmdsched.schedule('Slow', '{\"gate\": \"promoted\"}', schedule_id => 'in-flight')");
wait_until_running($primary, 'in-flight');
query($primary, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '3 seconds', schedule_id => 'soon')");
query($primary, "SELECT count(cmdsched.reschedule('later-' || i, now() + interval '4 seconds')) FROM generate_series(1, 50) AS i");
$primary->wait_for_catchup($standby, 'replay');

is(query($standby, 'SELECT pg_is_in_recovery()'), 't', 'the standby is one');
is(query($standby, "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'cmdsched%'"), '0', 'it has no workers');
is(query($standby, "SELECT count(*) FROM cmdsched.workers"), '0', 'and cmdsched knows it');
is(query($standby, "SELECT (cmdsched.get('in-flight')).status"), 'pending', 'commands can be read there');

my %refused = (
	'schedule()' => "cmdsched.schedule('Effect')",
	'schedule_in()' => "cmdsched.schedule_in('Effect', '{}', '1 hour')",
	'cancel()' => "cmdsched.cancel('later-1')",
	'reschedule()' => "cmdsched.reschedule('later-1', now())",
	'retry()' => "cmdsched.retry('later-1')",
	'delete_executed()' => "cmdsched.delete_executed('later-1')",
	'process_due_commands()' => 'cmdsched.process_due_commands()',
	'run_once()' => 'cmdsched.run_once()',
	'start()' => 'cmdsched.start()',
	'register_handler()' => "cmdsched.register_handler('Effect', 'shop.effect(cmdsched.scheduled_commands)')",
	'unregister_handler()' => "cmdsched.unregister_handler('Effect')");
fails_with($standby, "SELECT $refused{$_}", '25006', "$_ is refused on a standby")
  foreach sort keys %refused;

# ----------------------------------------------------------------------------
# Promotion
# ----------------------------------------------------------------------------

$primary->stop('immediate');
$standby->promote;
wait_for_workers($standby, 'after promotion the workers are there');
wait_until_running($standby, 'in-flight', 'what ran on the old primary is run again');
open_gate($standby, 'promoted');
ran_once($standby, 'in-flight', 1, 'it has run once');
ran_once($standby, 'soon', 1, 'what was to run soon has run once');
ran_once($standby, 'later-%', 50, 'and what had been rescheduled');
ran_once($standby, 'primary-%', 100, 'what had run on the old primary has not run again');
query($standby, "SELECT cmdsched.schedule('Effect', schedule_id => 'promoted')");
ran_once($standby, 'promoted', 1, 'new commands run');
is(query($standby, 'SELECT count(*) FROM cmdsched.scheduled_commands'), '50', 'the others wait');

$standby->stop;
done_testing();
