# Every kind of shutdown ends every kind of handler soon; the attempt does not
# count, and after the start the command runs again.

use strict;
use warnings;

use Cmdsched;
use Endless;
use PostgreSQL::Test::Utils;
use Test::More;

# Promised are 2 seconds; the rest is for a busy machine.
my $patience = 4;

my $node = new_node('shutdown');
my $offset = 0;

wait_for_workers($node, 'the workers are there');
create_endless($node);

foreach my $mode ('fast', 'immediate')
{
	start_endless($node, $mode);
	cmp_ok(time_of(sub { $node->stop($mode) }), '<', $patience, "$mode shutdown ends all handlers at once");
	$node->start;
	run_again_and_once($node, $mode);
}

# Smart shutdown waits for the clients; until then, commands run.
{
	my $session = session($node);

	start_endless($node, 'smart');
	$session->query('SELECT 1');
	command_ok([ 'pg_ctl', '-D', $node->data_dir, '-m', 'smart', '-W', 'stop' ], 'smart shutdown is asked for');
	wait_for_log_line($node, qr/received smart shutdown request/, $offset, 'smart shutdown has begun');
	like(
		$session->query(<<'SQL'), qr/^1$/m, 'smart shutdown: commands run as long as a client is there');
SELECT cmdsched.schedule('Effect', schedule_id => 'last');
DO $$
BEGIN
	FOR i IN 1 .. 500 LOOP
		EXIT WHEN EXISTS (SELECT FROM shop.effects WHERE schedule_id = 'last');
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;
SELECT count(*) FROM shop.effects WHERE schedule_id = 'last';
SQL
	cmp_ok(time_of(sub { $session->quit; $node->stop('smart', fail_ok => 1) }), '<', $patience, 'smart shutdown ends all handlers when the last client has left');
	$node->start;
	run_again_and_once($node, 'smart');
}

unlike(log_of($node, $offset), qr/PANIC|TRAP|terminated by signal/, 'no worker crashed');
ran_once($node, '%', query($node, 'SELECT count(*) FROM shop.effects'), 'nothing has run twice');
$node->stop;
done_testing();
