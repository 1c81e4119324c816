# Many roles with commands due at once, and a role with few beside one with
# very many.

workload='200 roles with 10 commands each, until all have run'
progress "  $workload"
pause_workers
sql <<-SQL
	TRUNCATE cmdsched.scheduled_commands;
	DO \$\$
	BEGIN
	    FOR i IN 1..200 LOOP
	        PERFORM set_config('role', 'bench_' || i, true);
	        PERFORM cmdsched.schedule('note_start', jsonb_build_object('n', i)) FROM generate_series(1, 10);
	    END LOOP;
	END \$\$;
	CHECKPOINT;
SQL
resume_with_reload
sql -c "CALL bench.measure_starts('$workload', 2000)"

workload="10 commands of one role beside $large of another"
progress "  $workload"
fill do_nothing "$large" bench_1
pause_workers
sql >/dev/null <<-SQL
	SET ROLE bench_2;
	SELECT cmdsched.schedule('note_start', jsonb_build_object('n', n)) FROM generate_series(1, 10) AS n;
SQL
resume_with_reload
sql -c "CALL bench.measure_starts('$workload', 10)"
sql -c 'CALL bench.wait_until_drained()' >/dev/null
