# A handler runs out of stack, of memory or of what a value can hold: that is a
# failed attempt, and the log is not flooded.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('limits');

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
CREATE FUNCTION shop.recurse(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.recurse($1);
END
$$;
CREATE FUNCTION shop.repeat(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM repeat('x', 1024 * 1024 * 1024);
END
$$;
-- Some 2 GB, in small pieces.
CREATE FUNCTION shop.collect(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM array_agg(repeat('x', 10000) || i) FROM generate_series(1, 200000) AS i;
END
$$;
SELECT cmdsched.register_handler('Recurse', 'shop.recurse(jsonb)', max_attempts => 1);
SELECT cmdsched.register_handler('Repeat', 'shop.repeat(jsonb)', max_attempts => 1);
SELECT cmdsched.register_handler('Collect', 'shop.collect(jsonb)', max_attempts => 1);
SQL

my $offset = -s $node->logfile;

sub schedule_as_alice
{
	my ($type, $id) = @_;

	query($node, "SET ROLE alice; SELECT cmdsched.schedule('$type', schedule_id => '$id')");
	return;
}

sub fails
{
	my ($type, $sqlstate, $what) = @_;

	schedule_as_alice($type, $type);
	schedule_as_alice('Effect', "after-$type");
	wait_for($node, "SELECT status, attempts, last_error->>'sqlstate' FROM cmdsched.scheduled_commands WHERE schedule_id = '$type'", "failed|1|$sqlstate", $what);
	cmp_ok(query($node, "SELECT length(last_error::text) FROM cmdsched.get('$type')"), '<', 8192, "$type: what is kept of it is not too much");
	ran_once($node, "after-$type", 1, "$type: the next command of the role runs");
	return;
}

fails('Recurse', '54001', 'a handler that recurses without end has failed');
fails('Repeat', '54000', 'and so has one that makes too large a value');
cmp_ok((-s $node->logfile) - $offset, '<', 4000, 'the log is not flooded');

# The executors may have 100 MB more than they have.
my $executors = "SELECT pid FROM cmdsched.workers WHERE role = 'alice' ORDER BY pid";
my $pids = query($node, $executors);
foreach my $pid (split /\n/, $pids)
{
	my ($size) = slurp_file("/proc/$pid/status") =~ /^VmSize:\s+(\d+) kB/m;

	system_or_bail('prlimit', '--pid', $pid, '--as=' . ($size + 100 * 1024) * 1024);
}
fails('Collect', '53200', 'one that uses too much memory has failed');
is(query($node, $executors), $pids, 'the executors are the same');
unlike(log_of($node, $offset), qr/PANIC|TRAP|terminated by signal/, 'no worker crashed');

wait_until_idle($node, 'nothing is left');
$node->stop;
done_testing();
