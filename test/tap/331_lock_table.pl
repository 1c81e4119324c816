# One session takes all the locks that the server has room for.  Nobody can do
# much then; but when it has gone, commands run as before, each once.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('lock_table', conf => "max_connections = 10\nmax_worker_processes = 8\nmax_prepared_transactions = 0\nmax_locks_per_transaction = 10\n");

wait_for_workers($node, 'the workers are there');
query($node, 'CREATE ROLE alice LOGIN; CREATE ROLE mallory LOGIN');
my $server_started = query($node, 'SELECT pg_postmaster_start_time()');
query($node, "SET ROLE alice; SELECT count(cmdsched.schedule('Effect', '{}', now() + interval '3 seconds', schedule_id => 'due-meanwhile-' || i)) FROM generate_series(1, 100) AS i");

my $hog = session($node);
$hog->query('SET SESSION AUTHORIZATION mallory');
$hog->query('SELECT count(pg_advisory_lock(i)) FROM generate_series(1, 1000000) AS i');
like($hog->{stderr}, qr/out of shared memory/, 'there is no room for a further lock');
wait_for_log_line($node, qr/cmdsched (executor|scheduler) (ERROR|FATAL):  out of shared memory/, 0, 'and the workers feel it');
$hog->quit;

ran_once($node, 'due-meanwhile-%', 100, 'when there is room again, what became due meanwhile runs, once', timeout => 60);
query($node, "SET ROLE alice; SELECT cmdsched.schedule('Effect', schedule_id => 'afterwards')");
ran_once($node, 'afterwards', 1, 'and so does the next');
wait_for_workers($node, 'launcher and scheduler are there');
is(query($node, 'SELECT pg_postmaster_start_time()'), $server_started, 'the server has not been restarted');
is(query($node, "SELECT count(*) FROM cmdsched.scheduled_commands"), '0', 'no attempt was counted, nothing is held');
cmp_ok(scalar(() = log_of($node) =~ /out of shared memory/g), '<', 100, 'the log was not flooded');

$node->stop;
done_testing();
