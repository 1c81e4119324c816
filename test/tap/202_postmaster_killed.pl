# kill -9 of the postmaster: every process of ours ends soon, whatever its
# handler does, so that the server can be started again; nothing runs twice.

use strict;
use warnings;

use Cmdsched;
use Endless;
use Processes;
use Test::More;

# Promised are 2 seconds; the rest is for a busy machine.
my $patience = 4;

my $node = new_node('orphans');

wait_for_workers($node, 'the workers are there');
create_endless($node);
query($node, 'CREATE ROLE alice LOGIN');

# Twice, so that what the first left behind is no obstacle.
foreach my $gate ('first', 'second')
{
	query($node, "SET ROLE alice; SELECT count(cmdsched.schedule('Effect', '{}', now() + interval '2 seconds', schedule_id => 'soon-$gate-' || i)) FROM generate_series(1, 50) AS i");
	start_endless($node, $gate);
	my @workers = split /\n/, query($node, 'SELECT pid FROM cmdsched.workers WHERE pid > 0');
	my %executor = map { $_ => executor_pid($node, "$gate-$_") } 'asleep', 'busy', 'deaf';

	kill_postmaster($node);
	ended_within($patience, "$gate: the handler ends that was $_", $executor{$_}) foreach sort keys %executor;
	ended_within($patience, "$gate: and all other workers", @workers);
	ok($node->start(fail_ok => 1), "$gate: the server can be started again at once");
	is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id IN ('$gate-asleep', '$gate-busy', '$gate-deaf')"), '0', "$gate: what was running has left nothing behind");
	wait_for_workers($node, "$gate: the workers are back");
	ran_once($node, "soon-$gate-%", 50, "$gate: what was due meanwhile has run once");
	run_again_and_once($node, $gate);
}

ran_once($node, '%', query($node, 'SELECT count(*) FROM shop.effects'), 'nothing has run twice');
$node->stop;
done_testing();
