# What a drain needs of WAL and CPU, and what workers keep of memory.

# The fill comes after the checkpoint, so that the drain finds pages that have
# been written to the WAL already; and nobody else may write now.
set_server autovacuum off
for handler in 'do_nothing empty handler' 'insert_row handler inserts a row'; do
	name=${handler%% *}
	workload="drain, ${handler#* }"
	progress "  $workload: WAL and CPU"
	pause_workers
	empty_tables
	sql -c "SELECT count(cmdsched.schedule('$name', data)) FROM bench.payloads WHERE n <= $drained" >/dev/null
	resume_with_reload
	sql -c "CALL bench.measure_use('$workload', $drained)"
	empty_tables
	sql -c "CALL bench.insert_plain($drained, now())"
	sql -c "CALL bench.measure_use_of_delete('$workload', '$name', $drained)"
done
set_server

sql <<-SQL
	INSERT INTO bench.figures
	SELECT 'own memory of the ' || kind, 'cmdsched', 'MB', max(bench.own_mb(pid))
	  FROM cmdsched.workers
	 GROUP BY kind
	 ORDER BY kind;
SQL
