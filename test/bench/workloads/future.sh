# A drain beside many commands that are not due, against one beside none.  The
# many are in a database of their own, filled once, so that both can be
# measured in turn.

workload="drain beside $future future commands"

fill_future()
{
	progress "  filling in $future future commands"
	sql -c 'CREATE DATABASE bench_future'
	export PGDATABASE=bench_future
	sql -v payloads="$drained" <test/bench/setup.sql >/dev/null
	sql <test/bench/floors.sql
	sql <test/bench/measure.sql
	sql >/dev/null <<-SQL
		INSERT INTO cmdsched.scheduled_commands (schedule_id, command_type, command_data, execute_at,
		       created_at, scheduled_by, scheduled_by_name, due_at)
		SELECT 'future' || lpad(f.n::text, 20, '0'), 'do_nothing', p.data, at, now(), 10, 'postgres', at
		  FROM (SELECT n, now() + interval '1 day' + n * interval '1 s' FROM generate_series(1, $future) AS n) AS f(n, at)
		  JOIN bench.payloads AS p ON p.n = 1 + f.n % $drained;
		-- They were not scheduled, so this looks like a copy.
		SELECT cmdsched.adopt();
		VACUUM ANALYZE cmdsched.scheduled_commands;
		CHECKPOINT;
	SQL
	export PGDATABASE=postgres
}

[ "$(sql -A -t -c "SELECT count(*) FROM pg_database WHERE datname = 'bench_future'")" = 1 ] || fill_future
drain insert_row "$drained" "$workload" 'none beside'
PGDATABASE=bench_future drain insert_row "$drained" "$workload"
PGDATABASE=bench_future sql -c 'COPY (DELETE FROM bench.figures RETURNING workload, subject, unit, value, round) TO STDOUT' |
	sql -c 'COPY bench.figures (workload, subject, unit, value, round) FROM STDIN'
