# The memory of launcher, scheduler and executor does not grow with what they
# have done.  COMMANDS=1000000 makes it a long run.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $commands = $ENV{COMMANDS} || 100_000;
# Each round has the scheduler plan its statements anew: it takes some dozens
# until malloc has all that this needs at one time.
my $rounds = 80;
my $warm_up = 60;
my $allowed_kb = 128;

# One executor for each of two roles: there is always the same to look at.
my $node = new_node('memory', conf => "cmdsched.max_executors = 2\ncmdsched.executor_idle_timeout = 600\nlog_min_messages = fatal\n");

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
GRANT TEMPORARY ON DATABASE postgres TO alice;
CREATE FUNCTION shop.quick(jsonb, jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN $1 || $2; END $$;
CREATE FUNCTION shop.quick_sql(jsonb) RETURNS text LANGUAGE sql AS $$ SELECT repeat($1->>'n', 10) $$;
CREATE FUNCTION shop.again(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cmdsched.schedule('Quick', command.command_data);
	PERFORM cmdsched.schedule('Quick', '{}', schedule_id => 'again-' || command.schedule_id, on_conflict => 'replace');
	PERFORM cmdsched.cancel('again-' || command.schedule_id);
END
$$;
CREATE FUNCTION shop.error(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'this handler fails'; END $$;
CREATE FUNCTION shop.later(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM cmdsched.abandon('for a reason'); END $$;
CREATE FUNCTION shop.temporary(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TEMPORARY TABLE t (x integer); END $$;
CREATE PROCEDURE shop.commits(jsonb) LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
SELECT cmdsched.register_handler('Quick', 'shop.quick(jsonb, jsonb)'), cmdsched.register_handler('QuickSql', 'shop.quick_sql(jsonb)', timeout => '10 seconds'),
	cmdsched.register_handler('Again', 'shop.again(cmdsched.scheduled_commands)'), cmdsched.register_handler('Error', 'shop.error(jsonb)', max_attempts => 1),
	cmdsched.register_handler('Later', 'shop.later(jsonb)'), cmdsched.register_handler('Temporary', 'shop.temporary(jsonb)'),
	cmdsched.register_handler('Commits', 'shop.commits(jsonb)');
SQL

# All kinds of commands, most of them quick ones; and what else makes workers
# remember something.
sub play_round
{
	my $count = $commands / $rounds;

	query($node, <<"SQL");
SET ROLE alice;
SELECT count(cmdsched.schedule(CASE WHEN i % 1000 = 1 THEN 'Error' WHEN i % 1000 = 2 THEN 'Later' WHEN i % 1000 = 3 THEN 'Temporary'
		WHEN i % 1000 = 4 THEN 'Commits' WHEN i % 10 = 5 THEN 'Again' WHEN i % 10 = 6 THEN 'QuickSql' ELSE 'Quick' END,
	jsonb_build_object('n', i), metadata => '{"correlation_id": "x"}'))
  FROM generate_series(1, $count) AS i;
SQL
	wait_until_idle($node, "$count commands have run", timeout => 120);
	query($node, <<'SQL');
SET ROLE alice;
SELECT count(cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands WHERE status = 'failed';
RESET ROLE;
CREATE OR REPLACE FUNCTION shop.quick_sql(jsonb) RETURNS text LANGUAGE sql AS $$ SELECT repeat($1->>'n', 10) $$;
SELECT cmdsched.register_handler('Round', 'shop.quick_sql(jsonb)');
SELECT cmdsched.unregister_handler('Round');
SQL
	query($node, join(';', ("NOTIFY cmdsched; SELECT cmdsched.trigger(), pg_sleep(0.002)") x 50));
	return;
}

# Kilobytes of each worker that are its own and no file's.
sub memory
{
	my %memory;

	foreach my $worker (split /\n/, query($node, "SELECT kind || ' ' || pid FROM cmdsched.workers WHERE kind <> 'executor' OR role = 'alice' ORDER BY 1"))
	{
		my ($kind, $pid) = split / /, $worker;
		($memory{"$kind $pid"}) = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB$/m;
	}
	return %memory;
}

play_round() foreach 1 .. $warm_up;
my %before = memory();
is(scalar keys %before, 3, 'launcher, scheduler and executor are there');
play_round() foreach $warm_up + 1 .. $rounds;
my %after = memory();
is_deeply([ sort keys %after ], [ sort keys %before ], 'they are the same processes');
foreach my $worker (sort keys %before)
{
	my $growth = $after{$worker} - $before{$worker};

	note("$worker: $before{$worker} kB, then $after{$worker} kB");
	cmp_ok($growth, '<', $allowed_kb, (split / /, $worker)[0] . ": flat, $growth kB more");
}

# Workers that come and go.
my $launcher = query($node, "SELECT pid FROM cmdsched.workers WHERE kind = 'launcher'");
my $before;
foreach my $turn (1 .. 40)
{
	query($node, "SELECT cmdsched.stop(); SELECT cmdsched.start(); SET ROLE alice; SELECT cmdsched.schedule('Quick')");
	wait_until_idle($node, "start $turn") if $turn % 10 == 0;
	my %memory = memory();
	$before = $memory{"launcher $launcher"} if $turn == 10;
	%after = %memory;
}
cmp_ok($after{"launcher $launcher"} - $before, '<', $allowed_kb, 'the launcher is flat, whoever comes and goes');

$node->stop;
done_testing();
