# Somebody's old snapshot keeps every dead index entry: a further command still
# reads a few pages of the index, not those of all that have run.
# bench/workloads/snapshot.sh measures what that means for the speed.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('snapshot', conf => "cmdsched.max_executors = 1\ncmdsched.executor_idle_timeout = 1s\nautovacuum = off\n");

wait_for_workers($node, 'the workers are there');

# Pages of the index that processes which have ended, and this session, read.
sub pages_read
{
	return query($node, "SELECT pg_stat_force_next_flush(); SELECT idx_blks_read + idx_blks_hit FROM pg_statio_user_indexes WHERE indexrelname = 'scheduled_commands_due'") =~ s/^\s*//r;
}

# Executors report what they read when they leave.
sub wait_until_alone
{
	my ($what) = @_;

	wait_for($node, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'cmdsched executor'", '0', $what);
	return;
}

my $old = session($node);
$old->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM cmdsched.scheduled_commands');

query($node, "SELECT count(cmdsched.schedule('Effect', schedule_id => 'many-' || i)) FROM generate_series(1, 20000) AS i");
ran_once($node, 'many-%', 20000, '20,000 commands have run', timeout => 60);
wait_until_alone('the executor has left');

my $before = pages_read();
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'one-' || i) FROM generate_series(1, 3) AS i");
ran_once($node, 'one-%', 3, 'three more have run');
wait_until_alone('the executor has left');
my $few = pages_read() - $before;
cmp_ok($few, '<', 60, 'an executor reads a few pages of the index for them');

# The measure would show more, where there is more: a session knows no mark.
$before = pages_read();
is(query($node, 'SELECT cmdsched.process_due_commands(); SELECT pg_stat_force_next_flush()') =~ s/\s+$//r, '0', 'by hand there is nothing to do');
my $all = pages_read() - $before;
cmp_ok($all, '>', 120, 'a scan from the beginning reads them all');
note("pages: $few, from the beginning: $all");

$old->quit;
$node->stop;
done_testing();
