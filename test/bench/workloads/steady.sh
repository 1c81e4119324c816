# 2,000 commands a second, due within ten seconds: how late they start, and
# whether table and indexes stay small.

empty_tables
sql -c 'TRUNCATE bench.lateness'
pgbench -n -M prepared -c 4 -j 1 -R 2000 -T "$steady" -f test/bench/pgbench/schedule_steady.sql >"$scratch/steady.log" 2>&1 &
readonly client=$!

for part in 1 2 3 4 5 6; do
	sleep $((steady / 6))
	progress "  $((part * steady / 6)) s"
	sql <<-SQL
		INSERT INTO bench.curves VALUES
		    ('steady state, table', 'MB', $part * $steady / 6,
		     pg_table_size('cmdsched.scheduled_commands') / 1048576.0),
		    ('steady state, indexes', 'MB', $part * $steady / 6,
		     pg_indexes_size('cmdsched.scheduled_commands') / 1048576.0),
		    ('steady state, waiting commands', 'commands', $part * $steady / 6,
		     (SELECT count(*) FROM cmdsched.scheduled_commands));
	SQL
done
wait $client || die "$(cat "$scratch/steady.log")"
sleep 10
sql -c 'CALL bench.wait_until_drained()' >/dev/null
sql <<-SQL
	INSERT INTO bench.figures
	SELECT 'steady state, scheduled and run', 'cmdsched', 'commands/s', count(*) / $steady.0 FROM bench.lateness;
	INSERT INTO bench.figures
	SELECT 'steady state, lateness ' || p.name, 'cmdsched', 'ms',
	       (SELECT percentile_disc(p.share) WITHIN GROUP (ORDER BY 1000 * extract(epoch FROM at - execute_at))
	          FROM bench.lateness)
	  FROM (VALUES ('p50', 0.5), ('p99', 0.99), ('max', 1)) AS p(name, share);
	INSERT INTO bench.figures
	SELECT workload || ' at the end', 'cmdsched', 'MB', value
	  FROM bench.curves WHERE workload IN ('steady state, table', 'steady state, indexes') AND x = $steady;
	INSERT INTO bench.figures
	SELECT workload || ' at the end', 'after a third', 'MB', value
	  FROM bench.curves WHERE workload IN ('steady state, table', 'steady state, indexes') AND x = $steady / 3;
SQL
