# An application that carries commands out, through psycopg: how many it claims
# and completes, in batches of 100, alone, with another, and under an old
# snapshot; how late it has what is due, when there is nothing else to do.

consumer()
{
	/usr/bin/python3 test/bench/consumer.py "$@"
}

fill_external()
{
	empty_tables
	sql >/dev/null -c "SELECT count(cmdsched.schedule('external', data)) FROM bench.payloads WHERE n <= $drained"
}

# record WORKLOAD SUBJECT UNIT: a figure, from the input
record()
{
	sql -c "INSERT INTO bench.figures VALUES ('$1', '$2', '$3', $(cat))"
}

sql -c "SELECT cmdsched.register_handler('external', NULL, external => true, history => 'none')" >/dev/null

progress '  claim and complete, one application'
fill_external
consumer drain "$drained" 100 1 | record 'claim and complete, one application' cmdsched commands/s

progress '  claim and complete, two applications'
fill_external
for part in 1 2; do
	consumer drain $((drained / 2)) 100 1 >"$scratch/external$part" &
done
wait
cat "$scratch/external1" "$scratch/external2" | paste -sd + | record 'claim and complete, two applications' cmdsched commands/s

readonly workload='claim and complete under an old snapshot, the last tenth'
progress "  $workload"
open_snapshot
fill_external
consumer drain "$drained" 100 10 >"$scratch/external"
head -n 1 "$scratch/external" | record "$workload" 'the first tenth' commands/s
tail -n 1 "$scratch/external" | record "$workload" cmdsched commands/s
close_snapshot
empty_tables

progress '  lateness of a claim, idle'
consumer wait "$starts" >"$scratch/external" &
readonly client=$!
until grep -q listening "$scratch/external"; do
	sleep 0.05
done
sql >/dev/null <<-SQL
	DO \$\$
	BEGIN
	    FOR i IN 1..$starts LOOP
	        PERFORM cmdsched.schedule('external', jsonb_build_object('at', due_at), due_at)
	           FROM (SELECT clock_timestamp() + interval '20 milliseconds' AS due_at) AS d;
	        COMMIT;
	        PERFORM pg_sleep(0.03 + 0.01 * random());
	    END LOOP;
	END \$\$;
SQL
wait $client
sql <<-SQL
	CREATE TEMP TABLE late (ms float8);
	\copy late FROM PROGRAM 'grep -v listening $scratch/external'
	INSERT INTO bench.figures
	SELECT 'lateness of a claim, idle, ' || p.name, 'cmdsched', 'ms', (SELECT percentile_disc(p.share) WITHIN GROUP (ORDER BY ms) FROM late)
	  FROM (VALUES ('p50', 0.5), ('p99', 0.99)) AS p(name, share);
SQL
