# The primary dies before all of its work has reached the standby: there, what
# is missing has not run, so it runs; and the old primary, when it comes back
# as a standby, does nothing.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Promised are 2 seconds; the rest is for a busy machine.
my $patience = 5;

my $old = new_node('old', streaming => 1, conf => "wal_keep_size = 128MB\n");
my $count_workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'cmdsched%'";

wait_for_workers($old, 'the workers are on the primary');
query($old, "SELECT count(cmdsched.schedule('Effect', schedule_id => 'replicated-' || i)) FROM generate_series(1, 50) AS i");
ran_once($old, 'replicated-%', 50, 'commands run on the primary');
$old->backup('base');
my $new = PostgreSQL::Test::Cluster->new('new');
$new->init_from_backup($old, 'base', has_streaming => 1);
$new->start;
$old->wait_for_catchup($new, 'replay');

# ----------------------------------------------------------------------------
# What has not arrived has not happened
# ----------------------------------------------------------------------------

# Due on both, before the standby hears no more: nothing runs on the primary
# until then.
reload_conf($old, 'cmdsched.enabled' => 'off');
query($old, "SELECT count(cmdsched.schedule('Effect', schedule_id => 'unreplicated-' || i)) FROM generate_series(1, 50) AS i");
$old->wait_for_catchup($new, 'replay');
set_conf($new, primary_conninfo => '');
$new->reload;
wait_for($old, 'SELECT count(*) FROM pg_stat_replication', '0', 'nothing reaches the standby any more');
reload_conf($old, 'cmdsched.enabled' => 'on');
ran_once($old, 'unreplicated-%', 50, 'commands run that the standby knows as pending');
query($old, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'unheard')");
$old->stop('immediate');

is(query($new, "SELECT count(*) FROM cmdsched.get_due_commands()"), '50', 'there, they have not run');
$new->promote;
my $seconds = time_of(sub { ran_once($new, 'unreplicated-%', 50, 'they run on the new primary, once') });
cmp_ok($seconds, '<', $patience, 'soon after the promotion');
wait_for_workers($new, 'the workers are on the new primary');
ran_once($new, 'replicated-%', 50, 'what had arrived as done does not run again');
is(query($new, "SELECT cmdsched.get('unheard') IS NULL"), 't', 'a schedule() that did not arrive has not happened');

# ----------------------------------------------------------------------------
# The old primary comes back as a standby
# ----------------------------------------------------------------------------

query($new, 'CHECKPOINT');
my $conf = slurp_file($old->data_dir . '/postgresql.conf');
command_ok([ 'pg_rewind', '--no-sync', '-D', $old->data_dir, '--source-server', $new->connstr('postgres') ], 'pg_rewind of the old primary');
unlink $old->data_dir . '/postgresql.conf';
append_to_file($old->data_dir . '/postgresql.conf', $conf);
$old->enable_streaming($new);
$old->start;
query($new, "SELECT cmdsched.schedule('Slow', '{\"gate\": \"back\"}', schedule_id => 'back')");
wait_until_running($new, 'back', 'commands run on the new primary');
$new->wait_for_catchup($old, 'replay');
is(query($old, $count_workers), '0', 'the old one has no workers');
is(query($old, "SELECT (cmdsched.get('back')).status, pg_is_in_recovery()"), 'pending|t', 'but it has the commands');
fails_with($old, "SELECT cmdsched.schedule('Effect')", '25006', 'and does not take any');

# ... until it is the primary again.
query($new, "SELECT cmdsched.schedule('Effect', schedule_id => 'before-return')");
ran_once($new, 'before-return', 1, 'another command runs on the new primary');
$new->wait_for_catchup($old, 'replay');
$new->stop('fast');
$old->promote;
wait_for_workers($old, 'the workers are back on the old primary');
wait_until_running($old, 'back', 'what was running there is run again');
open_gate($old, 'back');
ran_once($old, 'back', 1, 'it has run once');
ran_once($old, '%', 102, 'and so has everything else');

$old->stop;
done_testing();
