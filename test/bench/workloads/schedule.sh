# schedule() one a transaction, against the INSERT of the same row; due in a
# day, and due within a second while workers run what is due.

for clients in 1 8 16; do
	far="schedule(), one a transaction, $clients clients"
	near="schedule() of what is due within 1 s, $clients clients"
	measure_throughput schedule_far $clients "$far" cmdsched
	measure_throughput insert $clients "$far" 'bare INSERT'
	measure_throughput schedule_near $clients "$near" cmdsched
	sql -c 'CALL bench.wait_until_drained()' >/dev/null
	sql -c "INSERT INTO bench.figures SELECT '$near', subject, unit, value FROM bench.figures
	         WHERE workload = '$far' AND subject = 'bare INSERT' ORDER BY n DESC LIMIT 1"
done
empty_tables
