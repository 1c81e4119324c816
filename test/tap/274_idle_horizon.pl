# Workers that have nothing to do hold no snapshot and no transaction, so that
# VACUUM can freeze everything; and transaction ids that grow by billions
# change nothing.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('horizon', conf => "autovacuum = off\ncmdsched.executor_idle_timeout = 1h\n");

wait_for_workers($node, 'the workers are there');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'first')");
ran_once($node, 'first', 1, 'an executor is there');
wait_for($node, "SELECT string_agg(kind, ' ' ORDER BY kind) FROM cmdsched.workers WHERE state = 'idle' OR kind <> 'executor'", 'executor launcher scheduler', 'all workers are idle');

# ----------------------------------------------------------------------------
# Idle
# ----------------------------------------------------------------------------

is(query($node, "SELECT count(*), count(backend_xmin), count(backend_xid), count(xact_start) FROM pg_stat_activity WHERE backend_type LIKE 'cmdsched%'"),
	'3|0|0|0', 'none of them is in a transaction');
query($node, 'DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$');
$node->command_ok([ 'vacuumdb', '-U', 'postgres', '--all', '--freeze', '--quiet' ], 'VACUUM FREEZE everywhere');
is(query($node, "SELECT max(age(datfrozenxid)) < 1000 FROM pg_database WHERE datname = 'postgres'"), 't', 'nothing keeps datfrozenxid back');

# ----------------------------------------------------------------------------
# Old rows
# ----------------------------------------------------------------------------

query($node, <<'SQL');
SELECT count(cmdsched.schedule('Effect', '{}', now() + interval '3 seconds', schedule_id => 'old-' || i)) FROM generate_series(1, 100) AS i;
SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'later');
SELECT cmdsched.schedule('Fail', '{"times": 2}', now() + interval '3 seconds', schedule_id => 'old-failing');
SQL
$node->stop;

# At the beginning of a segment of pg_xact, which has to be there.
my $xid = 1400 * 1024 * 1024;
my $segment = sprintf '%s/pg_xact/%04X', $node->data_dir, $xid / (1024 * 1024);
open my $file, '>', $segment or die "$segment: $!";
binmode $file;
print $file "\0" x (256 * 1024);
close $file;
command_ok([ 'pg_resetwal', '-x', $xid, '-D', $node->data_dir ], 'the next transaction id is over a billion later');
$node->start;

wait_for_workers($node, 'the workers are back');
cmp_ok(query($node, "SELECT age(xmin) FROM cmdsched.scheduled_commands WHERE schedule_id = 'later'"), '>', 1_000_000_000, 'rows are that old');
ran_once($node, 'old-%', 101, 'what is due runs');
is(query($node, "SELECT attempt FROM shop.effects WHERE schedule_id = 'old-failing'"), '3', 'and is tried again');
is(query($node, "SELECT cmdsched.reschedule('later', now())"), 't', 'an old one can be moved');
ran_once($node, 'later', 1, 'and runs');
$node->command_ok([ 'vacuumdb', '-U', 'postgres', '--all', '--freeze', '--quiet' ], 'VACUUM FREEZE everywhere');
is(query($node, "SELECT max(age(datfrozenxid)) < 1000 FROM pg_database WHERE datname = 'postgres'"), 't', 'after which all is young again');

$node->stop;
done_testing();
