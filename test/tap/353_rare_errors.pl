# Errors and log lines that come only where a server has too little of
# something, or somebody does what nobody should.

use strict;
use warnings;

use Cmdsched;
use Test::More;

# ----------------------------------------------------------------------------
# A server that preloads cmdsched
# ----------------------------------------------------------------------------

my $node = new_node('preloaded');

wait_for_workers($node, 'the workers are there');
query($node, 'CREATE DATABASE bare; CREATE DATABASE closed');
create_shop($node, 'closed');

# Its functions, without the extension.
query($node, "CREATE FUNCTION run_once() RETURNS integer LANGUAGE C AS '\$libdir/cmdsched', 'cmdsched_run_once'", 'bare');
fails_with($node, 'SELECT run_once()', '55000', 'a function of the library, without the extension', 'bare');

my $session = session($node, 'closed');
$session->query('SELECT cmdsched.stop()');
query($node, 'ALTER DATABASE closed ALLOW_CONNECTIONS false');
$session->query("\\set VERBOSITY sqlstate");
$session->{stderr} = '';
$session->query('SELECT cmdsched.start()');
like($session->{stderr}, qr/ERROR:  55000/, 'start() where no scheduler can connect');
$session->quit;

my $offset = -s $node->logfile;
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'not logged')");
ran_once($node, 'not logged', 1, 'a command runs');
reload_conf($node, 'cmdsched.log_min_duration' => '0');
query($node, "SELECT pg_terminate_backend(pid, 5000) FROM cmdsched.workers WHERE kind = 'executor'");
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'logged')");
wait_for_log_line($node, qr/LOG:  command "logged" of type "Effect": succeeded, attempt 1, took \d+\.\d{3} ms/, $offset, 'log_min_duration logs how long a command took');
unlike(log_of($node, $offset), qr/command "not logged"/, 'but not by default');
$node->stop;

# ----------------------------------------------------------------------------
# A server without any room for workers
# ----------------------------------------------------------------------------

# The launchers of logical replication and of cmdsched are all.
$node = new_node('workerless', conf => "max_worker_processes = 2\nmax_parallel_workers = 0\n");
wait_for_log_line($node, qr/LOG:  cmdsched found no free background worker slot for a scheduler/, 0, 'the log says that there is no slot for a scheduler');
fails_with($node, 'SELECT cmdsched.start()', '53400', 'start() says so too');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'by hand')");
is(query($node, 'SELECT cmdsched.run_once()'), '1', 'commands can be run by hand');
my $complaints = () = log_of($node) =~ /found no free background worker slot/g;
is($complaints, 1, 'the log has said so once');
$node->stop;

# ----------------------------------------------------------------------------
# A server that does not preload cmdsched
# ----------------------------------------------------------------------------

# More databases than there is room for: this one and 127 others.
$node = new_node('many', preload => '');
query($node, 'CREATE DATABASE many_1');
create_shop($node, 'many_1');
query($node, join '', map { "CREATE DATABASE many_$_ TEMPLATE many_1 STRATEGY file_copy;\n" } 2 .. 128);
query($node, join '', map { "\\c many_$_\nSELECT cmdsched.trigger();\n" } 2 .. 127);
fails_with($node, 'SELECT cmdsched.start()', '53400', 'start() in one database too many', 'many_128');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'by hand')", 'many_128');
is(query($node, 'SELECT cmdsched.run_once()', 'many_128'), '1', 'commands can be run by hand');
is(query($node, 'SELECT cmdsched.stop()', 'many_128'), 'f', 'there is nothing to stop');
$node->stop;

# Others have taken what is left of the shared memory.
$node = new_node('full', preload => '', shop => 0);
fails_with($node, 'SELECT count(pg_advisory_lock(i)) FROM generate_series(1, 10000000) AS i', '53200', 'shared memory is full');
create_shop($node);
fails_with($node, 'SELECT cmdsched.start()', '55000', 'start() without shared memory');
fails_with($node, 'SELECT cmdsched.stop()', '55000', 'stop() without shared memory');
is(query($node, 'SELECT count(*) FROM cmdsched.workers'), '0', 'there are no workers');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'by hand'), cmdsched.trigger()");
is(query($node, 'SELECT cmdsched.run_once()'), '1', 'commands can be run by hand');
$node->stop;

done_testing();
