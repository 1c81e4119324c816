# All connections are taken, and roles may have none: workers need none of
# them.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('connections', conf => "max_connections = 5\n");

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE alice LOGIN CONNECTION LIMIT 0;
ALTER DATABASE postgres CONNECTION LIMIT 0;
SQL

my @sessions = map { session($node) } 1 .. 5;
$_->query('SELECT 1') foreach @sessions;
my ($ret, $stdout, $stderr) = $node->psql('postgres', 'SELECT 1');
like($stderr, qr/too many clients/, 'there is no free connection');
like(
	$sessions[0]->query(<<'SQL'), qr/^10$/m, 'commands run');
SET ROLE alice;
SELECT cmdsched.schedule('Effect', schedule_id => 'alice-' || i) FROM generate_series(1, 10) AS i;
RESET ROLE;
DO $$
BEGIN
	FOR i IN 1 .. 500 LOOP
		EXIT WHEN 10 = (SELECT count(*) FROM shop.effects);
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;
SELECT count(*) FROM shop.effects WHERE role = 'alice';
SQL

# And without a process that is there already.
$sessions[0]->query('SELECT pg_terminate_backend(pid, 5000) FROM cmdsched.workers');
$_->quit foreach @sessions;
wait_for_workers($node, 'the workers are back');
ran_once($node, 'alice-%', 10, 'each has run once');
unlike(log_of($node), qr/cmdsched \w+ FATAL:  (?!terminating)/, 'no worker was refused');

$node->stop;
done_testing();
