# A server with more databases than worker slots: only those with the extension
# keep a worker, and the others are looked at once.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $databases = 30;
my $node = new_node('many', shop => 0, conf => "max_worker_processes = 6\nautovacuum = off\n");

query($node, "CREATE DATABASE empty_$_ STRATEGY file_copy") foreach 1 .. $databases;
query($node, 'CREATE DATABASE served');
# Schedulers that looked into the new ones may still be there.
$node->restart;
create_shop($node, 'served');
wait_for_workers($node, 'the last database has its scheduler', db => 'served', timeout => 60);
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'first')", 'served');
ran_once($node, 'first', 1, 'and its commands run', db => 'served');

my $others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'cmdsched%' AND datname LIKE 'empty%'";
my $transactions = "SELECT sum(xact_commit) FROM pg_stat_database WHERE datname LIKE 'empty%'";

# A scheduler that finds no extension has committed a transaction there.
wait_for($node, "SELECT count(*) FROM pg_stat_database WHERE datname LIKE 'empty%' AND xact_commit > 0", $databases, 'each of the others was looked into', timeout => 60);
wait_for($node, $others, '0', 'no worker stays there');
my $before = query($node, $transactions);
query($node, 'SELECT cmdsched.trigger()', 'served');
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + i * interval '0.1 seconds', schedule_id => 'soon-' || i) FROM generate_series(1, 30) AS i", 'served');
ran_once($node, 'soon-%', 30, 'commands run for a while', db => 'served');
is(query($node, $transactions), $before, 'nobody has looked into the others again');

# After a restart all are looked at once more.
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'restart')", 'served');
$node->restart;
ran_once($node, 'restart', 1, 'after a restart commands run', db => 'served', timeout => 30);
wait_for($node, $others, '0', 'no worker stays in the others', timeout => 60);

# CREATE EXTENSION in one of them is noticed.
create_shop($node, 'empty_7');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'seven')", 'empty_7');
ran_once($node, 'seven', 1, 'CREATE EXTENSION in one of them brings its scheduler', db => 'empty_7');
is(query($node, "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_stat_activity WHERE backend_type = 'cmdsched scheduler'"), 'empty_7 served', 'these two have one');

$node->stop;
done_testing();
