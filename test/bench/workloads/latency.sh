# How long after the commit a command starts that is due, and how late one
# that is due later; on an idle server, and beside sessions that need half of
# a core.

measure()
{
	progress "  $1: latency"
	sql -c "CALL bench.measure_latency('start after commit, $1', $starts)"
	sql -c "CALL bench.wait_for_locks($starts)" &
	sql -c "CALL bench.release_locks('start after commit, $1', $starts)"
	wait
	progress "  $1: lateness"
	sql -c "CALL bench.measure_lateness('lateness of a timer, $1', $starts)"
	sql -c "CALL bench.sleep_until_due('lateness of a timer, $1', $starts)"
}

measure idle
start_load
(measure 'half a core busy')
stop_load
