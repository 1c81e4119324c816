# No process can be started for a while: commands wait, no attempt is counted,
# nobody turns in circles, and when processes can be started they run.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Utils;
use Processes;
use Test::More;

my $node = new_node('fork');

wait_for_workers($node, 'the workers are there');
query($node, 'CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN');
query($node, "SET ROLE alice; SELECT cmdsched.schedule('Effect', schedule_id => 'alice-first')");
ran_once($node, 'alice-first', 1, 'alice has an executor');

# As nobody can connect meanwhile.
my $session = session($node);
my $postmaster = postmaster_pid($node);
my ($limit) = run_command([ 'prlimit', '--pid', $postmaster, '--nproc', '--output', 'SOFT', '--noheadings' ]);
my $offset = -s $node->logfile;

$session->query('SELECT 1');
system_or_bail('prlimit', '--pid', $postmaster, '--nproc=1:');
$session->query("SET ROLE bob; SELECT cmdsched.schedule('Effect', schedule_id => 'bob')");
wait_for_log_line($node, qr/could not fork .*process/, $offset, 'no executor can be started');
like(
	$session->query(<<'SQL'), qr/^1$/m, 'those that are there go on');
RESET ROLE;
SET ROLE alice;
SELECT cmdsched.schedule('Effect', '{}', now() + interval '3 seconds', schedule_id => 'alice');
RESET ROLE;
DO $$
BEGIN
	FOR i IN 1 .. 500 LOOP
		EXIT WHEN EXISTS (SELECT FROM shop.effects WHERE schedule_id = 'alice');
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;
SELECT count(*) FROM shop.effects WHERE schedule_id = 'alice';
SQL
my $failures = () = log_of($node, $offset) =~ /could not fork/g;
cmp_ok($failures, '<', 10, 'it was tried now and then only');
is($session->query("SELECT status, attempts FROM cmdsched.get('bob')"), 'pending|0', 'the command waits, and no attempt is counted');
system_or_bail('prlimit', '--pid', $postmaster, "--nproc=$limit:");
ran_once($node, 'bob', 1, 'when processes can be started it runs, once', timeout => 10);
is(query($node, "SELECT attempt FROM shop.effects WHERE schedule_id = 'bob'"), '1', 'in its first attempt');

# The same, and the scheduler is gone too.
query($node, 'CREATE ROLE carol LOGIN');
$offset = -s $node->logfile;
system_or_bail('prlimit', '--pid', $postmaster, '--nproc=1:');
$session->query("SET ROLE carol; SELECT cmdsched.schedule('Effect', schedule_id => 'carol')");
wait_for_log_line($node, qr/could not fork .*process/, $offset, 'again no executor can be started');
$session->query("RESET ROLE; SELECT pg_terminate_backend(pid) FROM cmdsched.workers WHERE kind = 'scheduler'");
wait_for_log_line($node, qr/cmdsched scheduler FATAL.*could not fork .*process/s, $offset, 'nor can a scheduler');
system_or_bail('prlimit', '--pid', $postmaster, "--nproc=$limit:");
wait_for_workers($node, 'when processes can be started, the scheduler is back');
ran_once($node, 'carol', 1, 'and the command runs, once', timeout => 10);
unlike(log_of($node, $offset), qr/PANIC|TRAP|terminated by signal/, 'no worker crashed');

$session->quit;
$node->stop;
done_testing();
