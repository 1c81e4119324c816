# A handler in C that never looks at interrupts cannot be ended without a crash
# of the server.  It is left alone, and everything else goes on.

use strict;
use warnings;

use Cmdsched;
use Compile;
use PostgreSQL::Test::Utils;
use Processes;
use Test::More;

my $node = new_node('stuck');
my $library = compile('spin');
my $file = PostgreSQL::Test::Utils::tempdir() . '/end';

wait_for_workers($node, 'the workers are there');
query($node, <<"SQL");
CREATE ROLE alice LOGIN;
CREATE FUNCTION shop.spin(text) RETURNS void LANGUAGE c AS '$library', 'spin';
CREATE FUNCTION shop.spin(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	PERFORM shop.effect(command);
	PERFORM shop.spin('$file');
END
\$\$;
SELECT cmdsched.register_handler('Spin', 'shop.spin(cmdsched.scheduled_commands)', timeout => '0.5 seconds', backoff => '0.1 seconds');
SQL

# Its time limit, the 3 seconds after it and pg_terminate_backend() are without
# effect.
query($node, "SET ROLE alice; SELECT cmdsched.schedule('Spin', schedule_id => 'stuck')");
wait_until_running($node, 'stuck');
my $pid = executor_pid($node, 'stuck');
query($node, "SET ROLE alice; SELECT cmdsched.schedule('Effect', '{}', now() + interval '4 seconds', schedule_id => 'same-role')");
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '4 seconds', schedule_id => 'other-role')");
query($node, "SELECT pg_terminate_backend($pid)");
ran_once($node, 'same-role', 1, 'other commands of the role run');
ran_once($node, 'other-role', 1, 'and those of others');
is( query($node, "SELECT pid, state, clock_timestamp() - since > interval '3.5 seconds' FROM cmdsched.workers WHERE schedule_id = 'stuck'"),
	"$pid|running|t", 'cmdsched.workers shows which one is stuck, and since when');
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'stuck'"), '0', 'nobody else runs its command');

# An immediate shutdown does not wait for it.
cmp_ok(time_of(sub { $node->stop('immediate') }), '<', 4, 'immediate shutdown ends it');
ok(!is_alive($pid), 'its process is gone');
$node->start;
wait_until_running($node, 'stuck', 'it is run again');

append_to_file($file, '');
ran_once($node, 'stuck', 1, 'and may come to its end by itself');
unlike(log_of($node), qr/PANIC|TRAP|terminated by signal/, 'no worker crashed');

wait_until_idle($node, 'nothing is left');
$node->stop;
done_testing();
