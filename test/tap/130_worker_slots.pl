# A server with too few worker slots: commands wait, no attempt is counted, and
# they run as soon as there is a slot.

use strict;
use warnings;

use Cmdsched;
use Test::More;

# The launchers of logical replication and of cmdsched and one scheduler leave
# one for an executor.
my $node = new_node('slots', conf => "max_worker_processes = 4\nmax_parallel_workers = 0\n");

wait_for_workers($node, 'launcher and scheduler are there');
query($node, 'CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN');

query($node, "SET ROLE alice; SELECT cmdsched.schedule('Slow', '{\"gate\": \"slot\"}', schedule_id => 'slow')");
wait_until_running($node, 'slow');
query($node, "SET ROLE bob; SELECT cmdsched.schedule('Effect', schedule_id => 'waiting')");
wait_for_log_line($node, qr/cmdsched found no free background worker slot/, 0, 'the log says that there is no slot');
is(query($node, "SELECT status, attempts, last_error IS NULL FROM cmdsched.scheduled_commands WHERE schedule_id = 'waiting'"), 'pending|0|t', 'the command waits, and no attempt is counted');
open_gate($node, 'slot');
ran_once($node, 'slow', 1, 'the one that had the slot ends');
ran_once($node, 'waiting', 1, 'the one that waited gets it', timeout => 10);
my $complaints = () = log_of($node) =~ /found no free background worker slot/g;
is($complaints, 1, 'the log has said so once');

$node->stop;
done_testing();
