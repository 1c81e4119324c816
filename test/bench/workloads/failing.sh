# Handlers that raise an error.  The calls they are compared with catch it, one
# by one, but record nothing and keep no command.

for percent in 1 50; do
	workload="drain, $percent % of the commands fail"
	drain fail_${percent}_percent $((drained / 4)) "$workload"
	progress "  $workload: calls that catch errors"
	sql -c 'TRUNCATE bench.effects' \
		-c "CALL bench.call_failing_handlers('$workload', 'fail_${percent}_percent', $((drained / 4)))"
	empty_tables
done
