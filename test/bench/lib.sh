# test/bench/lib.sh
#
# What the workloads share.  Source it after test/server.sh.
#
# Counts, by which all workloads measure themselves:
#	$drained  commands of a drain          $large    of a large one
#	$future   commands that are not due    $seconds  of a pgbench run
#	$starts   latencies and timers         $minute   of the idle server
#	$steady   seconds of the steady state

quick=${BENCH_QUICK:-0}
if [ "$quick" = 0 ]; then
	readonly drained=200000 large=1000000 future=10000000 starts=500 seconds=4 steady=120 minute=60
else
	readonly drained=20000 large=100000 future=200000 starts=50 seconds=1 steady=12 minute=6
fi

sql()
{
	psql -X -q -v ON_ERROR_STOP=1 "$@"
}

progress()
{
	printf '%5d s  %s\n' $SECONDS "$*" >&2
}

# set_server [SETTING VALUE]...: these instead of the defaults, for all
# processes.  Without any, the defaults again.
set_server()
{
	{
		echo 'ALTER SYSTEM RESET ALL;'
		while [ $# -gt 0 ]; do
			echo "ALTER SYSTEM SET $1 = $2;"
			shift 2
		done
		echo 'SELECT pg_reload_conf(), pg_sleep(0.1);'
	} | sql >/dev/null
}

# Workers stop taking commands.  resume_with_reload lets them, but only when
# somebody reloads the settings: bench.drain() and its sisters do, and begin
# to measure.
pause_workers()
{
	sql >/dev/null <<-SQL
		ALTER SYSTEM SET cmdsched.enabled = off;
		SELECT pg_reload_conf(), pg_sleep(0.1);
	SQL
}

resume_with_reload()
{
	sql -c 'ALTER SYSTEM RESET cmdsched.enabled'
}

# fill HANDLER COUNT [ROLE]: due commands that nobody runs yet.  The checkpoint
# comes first, or the drain would write an image of every page to the WAL.
fill()
{
	pause_workers
	sql >/dev/null <<-SQL
		TRUNCATE bench.effects;
		VACUUM cmdsched.scheduled_commands;
		CHECKPOINT;
		SET ROLE ${3:-postgres};
		SELECT count(cmdsched.schedule('$1', data)) FROM bench.payloads WHERE n <= $2;
	SQL
	resume_with_reload
}

# drain HANDLER COUNT WORKLOAD [SUBJECT]: the rate at which cmdsched does it.
drain()
{
	progress "  $3: ${4:-cmdsched}"
	fill "$1" "$2"
	sql -c "CALL bench.drain('$3', '${4:-cmdsched}', $2)"
}

# call_handlers HANDLER COUNT WORKLOAD: the bare calls, and nothing else.
call_handlers()
{
	progress "  $3: handler calls"
	sql -c 'TRUNCATE bench.effects' -c "CALL bench.call_handlers('$3', '$1', $2)"
}

# consume PROCEDURE BATCH_SIZE HANDLER COUNT WORKLOAD: a queue of one's own.
consume()
{
	progress "  $5: $1 $2"
	sql <<-SQL
		TRUNCATE bench.effects, bench.queue;
		CHECKPOINT;
		INSERT INTO bench.queue (execute_at, data)
		SELECT clock_timestamp(), data FROM bench.payloads WHERE n <= $4;
		ANALYZE bench.queue;
		CALL bench.$1('$5', '$3', $4, $2);
	SQL
}

# empty_tables: nothing scheduled, nothing left of earlier runs.
empty_tables()
{
	sql -c 'TRUNCATE cmdsched.scheduled_commands, bench.plain, bench.queue, bench.effects' -c CHECKPOINT
}

# measure_throughput SCRIPT CLIENTS WORKLOAD SUBJECT: transactions a second.
measure_throughput()
{
	local tps
	progress "  $3: $4"
	empty_tables
	tps=$(pgbench -n -M prepared -c "$2" -j "$(nproc)" -T "$seconds" -f "test/bench/pgbench/$1.sql" |
		sed -nE 's/^tps = ([0-9.]+).*/\1/p')
	sql -c "INSERT INTO bench.figures VALUES ('$3', '$4', 'commands/s', $tps)"
}

# An old snapshot makes every dead row and index entry stay: a statement that
# does not end keeps one.
open_snapshot()
{
	PGAPPNAME=snapshot psql -X -q -c 'SELECT pg_sleep(3600)' >/dev/null 2>&1 &
	snapshot_client=$!
	until [ "$(sql -A -t -c "SELECT count(backend_xmin) FROM pg_stat_activity WHERE application_name = 'snapshot'")" = 1 ]; do
		sleep 0.05
	done
}

close_snapshot()
{
	sql -c "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'snapshot'" >/dev/null
	wait "$snapshot_client" || true
}

# Sessions that together need half of a core.
start_load()
{
	local rate
	rate=$(sql -A -t -c 'SELECT bench.calls_for_half_a_core()')
	pgbench -n -M prepared -c 2 -j 1 -R "$rate" -T 3600 -f test/bench/pgbench/burn.sql >/dev/null 2>&1 &
	load_client=$!
}

stop_load()
{
	kill "$load_client"
	wait "$load_client" || true
}
