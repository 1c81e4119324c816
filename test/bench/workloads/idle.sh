# What the workers do while there is nothing to do: a launcher, a scheduler,
# and an executor that stays.

set_server cmdsched.executor_idle_timeout "'1 h'" autovacuum off
# Only those of this database, and new ones.
sql -c 'SELECT cmdsched.stop(), cmdsched.start()' >/dev/null
empty_tables
sql -c "SELECT cmdsched.schedule('do_nothing')" >/dev/null
sql -c 'CALL bench.wait_until_drained()' >/dev/null
sleep 2
progress "  $minute s"
sql -c "CALL bench.measure_idle($minute)"
set_server
