# What more executors buy, for the commands of one role and of four.

# fill_for_roles HANDLER COUNT: due commands of four roles in equal parts.
fill_for_roles()
{
	pause_workers
	local role
	sql -c 'TRUNCATE bench.effects' -c 'VACUUM cmdsched.scheduled_commands' -c CHECKPOINT
	for role in 1 2 3 4; do
		sql >/dev/null <<-SQL
			SET ROLE bench_$role;
			SELECT count(cmdsched.schedule('$1', data)) FROM bench.payloads WHERE n <= $2 / 4;
		SQL
	done
	resume_with_reload
}

for limit in 1 2 4; do
	max_executors=$limit
	# Those that are left from before count, too.
	sql -c 'SELECT cmdsched.stop(), cmdsched.start()' >/dev/null
	drain do_nothing "$drained" "drain, empty handler, one role, max_executors $limit"
	drain insert_row "$drained" "drain, handler inserts a row, one role, max_executors $limit"
	workload="drain, handler inserts a row, four roles, max_executors $limit"
	progress "  $workload"
	fill_for_roles insert_row "$drained"
	sql -c "CALL bench.drain('$workload', 'cmdsched', $drained)"
	call_handlers insert_row "$drained" "$workload"
done
set_server
