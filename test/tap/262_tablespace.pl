# ALTER DATABASE ... SET TABLESPACE needs a database without connections: idle
# workers make room for it, a running handler is waited for like anybody else.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Utils;
use Test::More;

# The server waits 5 s for connections to go away; we promise to need less.
my $patience = 4;

my $node = new_node('tablespace', shop => 0);
my $folder = PostgreSQL::Test::Utils::tempdir();
my $seconds;

query($node, "CREATE TABLESPACE elsewhere LOCATION '$folder'");
query($node, 'CREATE DATABASE moving');
create_shop($node, 'moving');
wait_for_workers($node, 'the workers are there', db => 'moving');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'before')", 'moving');
ran_once($node, 'before', 1, 'an executor is there', db => 'moving');
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '3 seconds', schedule_id => 'soon')", 'moving');

$seconds = time_of(sub { query($node, 'ALTER DATABASE moving SET TABLESPACE elsewhere') });
cmp_ok($seconds, '<', $patience, 'the database moves while workers are connected');
is(query($node, "SELECT spcname FROM pg_database AS d JOIN pg_tablespace AS t ON t.oid = dattablespace WHERE datname = 'moving'"), 'elsewhere', 'it has moved');
wait_for_workers($node, 'the workers are back', db => 'moving');
ran_once($node, 'soon', 1, 'what was due soon runs', db => 'moving');

# ----------------------------------------------------------------------------
# While a handler runs
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('Slow', '{\"gate\": \"moving\"}', schedule_id => 'slow')", 'moving');
wait_until_running($node, 'slow', undef, db => 'moving');
fails_with($node, 'ALTER DATABASE moving SET TABLESPACE pg_default', '55006', 'it does not move under a running handler');
wait_for_workers($node, 'the scheduler is back', db => 'moving');
open_gate($node, 'moving', 'moving');
ran_once($node, 'slow', 1, 'the handler was not disturbed', db => 'moving');
query($node, 'ALTER DATABASE moving SET TABLESPACE pg_default');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'after')", 'moving');
ran_once($node, 'after', 1, 'and then it does', db => 'moving');
unlike(log_of($node), qr/PANIC|TRAP|terminated by signal/, 'no worker crashed');

$node->stop;
done_testing();
