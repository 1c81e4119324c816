# Statistics: the arithmetic of histograms, and what is counted through
# restarts, dropped databases and more handlers than there is room for.

use strict;
use warnings;

use Cmdsched;
use Compile;
use Test::More;

my $node = new_node('statistics');
wait_for_workers($node, 'the workers are there');

# ----------------------------------------------------------------------------
# Histograms
# ----------------------------------------------------------------------------

my $library = compile('histogram');
query($node, <<"SQL");
CREATE FUNCTION histogram_bucket(bigint) RETURNS integer LANGUAGE c STRICT AS '$library';
CREATE FUNCTION histogram_mean(bigint[]) RETURNS float8 LANGUAGE c STRICT AS '$library';
CREATE FUNCTION histogram_percentile(bigint[], float8) RETURNS float8 LANGUAGE c STRICT AS '$library';
SQL

# Below 4 each value has its own bucket, then each power of two has four.
is(query($node, "SELECT string_agg(v || ':' || histogram_bucket(v), ' ' ORDER BY v) FROM unnest(ARRAY[$_->[0]]) AS v"), $_->[1], "buckets of $_->[0]")
  for (
	[ '0, 1, 2, 3, 4, 7, 8', '0:0 1:1 2:2 3:3 4:4 7:7 8:8' ],
	[ '9, 10, 15, 16, 19, 20', '9:8 10:9 15:11 16:12 19:12 20:13' ],
	[ '999999, 1000000, 1048576', '999999:75 1000000:75 1048576:76' ],
	[ '120259084287, 120259084288, 9223372036854775807', '120259084287:142 120259084288:143 9223372036854775807:143' ]);

# times, percent, expected in microseconds
foreach my $case (
	[ '{}', 50, 0 ],
	[ '{0}', 50, 0 ],
	[ '{-5}', 99, 0 ],
	[ '{3}', 50, 3 ],
	[ '{5,5,5,5}', 99, 5 ],
	[ '{2,2,2,2,100}', 50, 2.625 ],
	[ '{16,17,18,19}', 50, 18 ],
	[ '{16,17,18,19}', 100, 19 ],
	[ '{16,17,18,19,1000}', 80, 20 ],
	[ '{100,200,300,400}', 25, 112 ],
	[ '{100,200,300,400}', 100, 400 ],
	[ '{1000000,1000000,4000000000000}', 100, 4000000000000 ],
	[ '{120259084288,240518168576}', 50, 180388626432 ],
	[ '{200000000000,400000000000}', 100, 400000000000 ])
{
	my ($times, $percent, $expected) = @$case;

	is(query($node, "SELECT histogram_percentile('$times', $percent)::numeric"), $expected, "$percent percent of $times");
}
is(query($node, "SELECT histogram_mean('$_->[0]')"), $_->[1], "mean of $_->[0]") for ([ '{}', 0 ], [ '{7}', 7 ], [ '{1,2,3,1000}', 251.5 ]);

# Beside what percentile_disc() says of the times themselves.
foreach my $percent (50, 95, 99)
{
	my $wrong = query($node, <<"SQL");
SELECT coalesce(string_agg(format('%s for %s, spread %s', said, real, spread), '; '), '')
  FROM (SELECT spread, histogram_percentile(times, $percent) AS said,
               (SELECT percentile_disc($percent / 100.0) WITHIN GROUP (ORDER BY t) FROM unnest(times) AS t) AS real
          FROM unnest(ARRAY[1, 3, 8, 20]) AS spread,
               LATERAL (SELECT array_agg((exp((n * 7919 % 1000) / 1000.0 * spread))::bigint) AS times FROM generate_series(1, 1000) AS n) AS t) AS c
 WHERE abs(said - real) > greatest(1, 0.25 * real)
SQL
	is($wrong, '', "$percent percent of a thousand times is right to a quarter");
}

# ----------------------------------------------------------------------------
# Who leaves, what is prepared, what is dropped
# ----------------------------------------------------------------------------

sub counts
{
	my ($db) = @_;

	return query($node, "SELECT string_agg(command_type || ' ' || runs, ', ' ORDER BY command_type) FROM cmdsched.stat_handlers", $db);
}

query($node, "SELECT count(cmdsched.schedule('Effect', schedule_id => 'one-' || n)) FROM generate_series(1, 10) AS n");
ran_once($node, 'one-%', 10, 'commands run');
wait_for($node, "SELECT runs = 10 FROM cmdsched.stat_handlers WHERE command_type = 'Effect'", 't', 'and are counted');
query($node, "SELECT pg_terminate_backend(pid) FROM cmdsched.workers WHERE kind = 'executor'");
wait_for($node, "SELECT count(*) = 0 FROM cmdsched.workers WHERE kind = 'executor'", 't', 'the executor leaves');
is(counts(), 'Effect 10', 'what it counted stays');

query($node, 'SELECT cmdsched.stop()');
query($node, "BEGIN; SELECT cmdsched.schedule('Effect', schedule_id => 'prepared'), cmdsched.run_once(); SELECT cmdsched.run_once(); PREPARE TRANSACTION 'p'");
is(counts(), 'Effect 11', 'a prepared transaction counts');
query($node, "ROLLBACK PREPARED 'p'");

query($node, 'CREATE DATABASE other');
create_shop($node, 'other');
query($node, "SELECT cmdsched.schedule('Fail', schedule_id => 'there')", 'other');
query($node, 'SELECT cmdsched.run_once()', 'other');
wait_for($node, "SELECT count(*) > 0 FROM cmdsched.stat_handlers", 't', 'another database counts', db => 'other');
like(counts('other'), qr/^Fail \d+$/, 'its own');
is(counts(), 'Effect 11', 'and does not see those of others');

# ----------------------------------------------------------------------------
# More than there is room for
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.register_handler('Many-' || n, 'shop.effect(cmdsched.scheduled_commands)') FROM generate_series(1, 300) AS n");
query($node, "SELECT count(cmdsched.schedule('Many-' || n, schedule_id => 'many-' || n)) FROM generate_series(1, 300) AS n");
is(query($node, 'SELECT cmdsched.run_once()'), '300', 'of 300 types one command each');
my $shown = query($node, "SELECT count(*) FROM cmdsched.stat_handlers WHERE command_type LIKE 'Many-%'");
cmp_ok($shown, '>', 200, 'most have a row');
cmp_ok($shown, '<', 300, 'but not all');
is(query($node, "SELECT command_module IS NULL, runs FROM cmdsched.stat_handlers WHERE command_type IS NULL"), 't|' . (300 - $shown), 'the others are counted together');
query($node, 'SELECT cmdsched.reset_statistics()');
is(query($node, 'SELECT count(*) FROM cmdsched.stat_handlers'), '0', 'reset_statistics() begins anew');
is(query($node, 'SELECT count(*) > 0 FROM cmdsched.stat_handlers', 'other'), 't', 'in this database');
query($node, "SELECT count(cmdsched.schedule('Many-' || n, schedule_id => 'again-' || n)) FROM generate_series(1, 250) AS n; SELECT cmdsched.run_once(); SELECT cmdsched.run_once()");
is(query($node, 'SELECT count(command_type), sum(runs) FROM cmdsched.stat_handlers'), '250|250', 'there is room again');

query($node, 'DROP DATABASE other');
query($node, 'SELECT pg_terminate_backend(pid) FROM cmdsched.workers WHERE kind = \'launcher\'');
query($node, "SELECT count(cmdsched.schedule('Many-' || n, schedule_id => 'more-' || n)) FROM generate_series(251, 256) AS n");
wait_for($node, "SELECT count(*) = 1 FROM cmdsched.workers WHERE kind = 'launcher'", 't', 'the launcher is back');
query($node, 'SELECT cmdsched.run_once()');
is(query($node, 'SELECT count(command_type), count(*) FROM cmdsched.stat_handlers'), '256|256', 'a database that is gone takes its rows with it');

$node->restart;
is(query($node, 'SELECT count(*) FROM cmdsched.stat_handlers'), '0', 'after a restart counting begins anew');

# ----------------------------------------------------------------------------
# Not preloaded
# ----------------------------------------------------------------------------

set_conf($node, shared_preload_libraries => '');
$node->restart;
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'by-hand')");
query($node, 'SELECT cmdsched.run_once()');
like(counts(), qr/^(Effect 1)?$/, 'where it is not preloaded, it is counted if there is memory for it');
query($node, 'SELECT cmdsched.reset_statistics()');
is(counts(), '', 'and begun anew');

done_testing();
