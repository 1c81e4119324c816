# test/torture/faults.sh
#
# What is done to the server, one function per fault.  It leaves in
#	$since    from which moment on recovery counts, as SQL
#	$before   seconds that count already, as SQL
#	$role     whose next command is to run (empty: anybody's)
#	$worker   the kind of worker that has to come back (empty: none)
# NAME_after, where there is one, undoes the rest when the round's clients are
# through.  Chance is $RANDOM of the main shell only: so it follows from the
# seed.

# How many of 100 rounds, the goal for recovery in seconds, the number in the
# fault matrix, and what it is.  Recovery is from the fault (or its end, where
# it lasts) until the next due command has run; after a restart of the server,
# from "ready to accept connections".
readonly faults='
kill_executor       13  1  F1   kill -9 of an executor
kill_scheduler       6  1  F2   kill -9 of the scheduler
kill_launcher        5  1  F2   kill -9 of the launcher
kill_backend         5  1  F2   kill -9 of the session of a client
kill_other           3  1  F2   kill -9 of another process of the server
kill_postmaster      7  5  F3   kill -9 of the postmaster
end_executor         6  2  F4   SIGTERM to an executor
end_backend          3  2  F4   SIGTERM to the session of a client
end_scheduler        4  2  F5   SIGTERM to the scheduler
end_launcher         4  3  F5   SIGTERM to the launcher
interrupt            4  2  F6   SIGINT to a worker of any kind
freeze               5  2  F7   SIGSTOP to a worker of any kind
shutdown_fast        6  1  F8   fast shutdown
shutdown_immediate   6  1  F9   immediate shutdown
shutdown_smart       2  1  F9   smart shutdown, SIGTERM to the postmaster
promote              5  2  F14  promotion of a standby
no_standby           3  2  F18  the synchronous standby is missing
clock_forward        4  5  F19  the clock is set forward, then back
clock_back           4  5  F20  the clock is set back, then forward
no_slots             3  2  F22  all worker slots are taken
full_tablespace      1  5  F64  no space left for tables
full_wal             1  1  F64  no space left for the WAL
'

# fault_field NAME FIELD
fault_field()
{
	awk -v name="$1" -v field="$2" '$1 == name { print $field }' <<<"$faults"
}

# ---------------------------------------------------------------------------
# Choosing a victim: sets pid
# ---------------------------------------------------------------------------

choose()
{
	wait_until "a process: $1" try_to_choose "$1"
}

try_to_choose()
{
	pid=$(sql -c "$1") && [ -n "$pid" ]
}

# One that runs a command, if there is one, in two of three cases.
choose_executor()
{
	local order='random()'
	[ $((RANDOM % 3)) = 0 ] || order='schedule_id IS NULL, random()'
	choose "SELECT pid, role FROM cmdsched.workers WHERE kind = 'executor' ORDER BY $order LIMIT 1"
	role=${pid#*|}
	pid=${pid%|*}
}

choose_worker()
{
	choose "SELECT pid FROM pg_stat_activity WHERE backend_type = 'cmdsched $1' ORDER BY random() LIMIT 1"
}

# The clients may be through already, so there is one more.
choose_backend()
{
	sql -U bob -c 'SELECT pg_sleep(3)' >/dev/null &
	choose "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> 'postgres' ORDER BY random() LIMIT 1"
}

# Any worker of ours.
choose_any_worker()
{
	case $((RANDOM % 3)) in
		0) choose_worker launcher ;;
		1) choose_worker scheduler ;;
		2) choose_executor ;;
	esac
}

# hit SIGNAL CHOICE...: whom the choice chooses, and if it is gone by then,
# another one.
hit()
{
	local signal=$1
	shift
	until
		"$@"
		since_now
		kill -s "$signal" "$pid" 2>/dev/null
	do
		:
	done
}

# ---------------------------------------------------------------------------
# F1 to F3: kill -9
# ---------------------------------------------------------------------------

# Nobody notices when one is killed that has just left by itself.
hit_hard()
{
	until
		hit KILL "$@"
		server_has_crashed
	do
		:
	done
}

server_has_crashed()
{
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		! log_has 'was terminated by signal 9' || return 0
		sleep 0.02
	done
	return 1
}

kill_executor()
{
	hit_hard choose_executor
	role=
	since_ready
}

kill_scheduler()
{
	hit_hard choose_worker scheduler
	since_ready
}

kill_launcher()
{
	hit_hard choose_worker launcher
	since_ready
}

kill_backend()
{
	hit_hard choose_backend
	since_ready
}

kill_other()
{
	local kinds=(checkpointer 'background writer' walwriter 'autovacuum launcher' 'logical replication launcher')
	hit KILL choose "SELECT pid FROM pg_stat_activity WHERE backend_type = '${kinds[RANDOM % 5]}'"
	since_ready
}

# What its orphans still do is no recovery: the time until they are gone and a
# new one can start is a part of it.  Its start is PostgreSQL's own affair.
kill_postmaster()
{
	local killed
	since_now
	killed=$since
	kill -9 "$(postmaster_pid)"
	start_again
	since_ready
	before="extract(epoch FROM $(time_of 'LOG:  starting PostgreSQL') - $killed)"
}

# ---------------------------------------------------------------------------
# F4 to F7: other signals to one process
# ---------------------------------------------------------------------------

end_executor()
{
	hit TERM choose_executor
}

end_backend()
{
	hit TERM choose_backend
}

end_scheduler()
{
	worker=scheduler
	hit TERM choose_worker $worker
}

end_launcher()
{
	worker=launcher
	hit TERM choose_worker $worker
}

interrupt()
{
	hit INT choose_any_worker
}

# Of its commands nobody may think that they need to be run again.
freeze()
{
	hit STOP choose_any_worker
	frozen=$pid
	pause_ms $((500 + RANDOM % 2500))
	since_now
	kill -CONT "$frozen"
	frozen=
}

# ---------------------------------------------------------------------------
# F8, F9: shutdown
# ---------------------------------------------------------------------------

shut_down()
{
	stop "$1"
	mark_log
	start_again
	since_ready
}

shutdown_fast()
{
	shut_down fast
}

shutdown_immediate()
{
	shut_down immediate
}

# It waits for the sessions of the clients.
shutdown_smart()
{
	shut_down smart
}

# ---------------------------------------------------------------------------
# F14, F18: standby
# ---------------------------------------------------------------------------

# A synchronous one, or what was acknowledged last would be lost with the
# primary.
promote()
{
	local old=$folder new=$scratch/server.$round
	as_user mkdir "$new"
	as_user pg_basebackup -D "$new/data" -h "$old" -U postgres -c fast -R --no-sync 2>>"$scratch/psql.log" ||
		give_up 'no base backup'
	folder=$new
	start_again
	wait_for 'SELECT count(*) FROM pg_stat_replication' 1
	configure synchronous_standby_names "'*'"
	# When this is acknowledged, so is everything before.
	schedule_probe alice
	pause_ms $((RANDOM % 1000))

	folder=$old
	case $((RANDOM % 3)) in
		0) kill -9 "$(postmaster_pid)" ;;
		1) stop immediate ;;
		2) stop fast ;;
	esac
	folder=$new
	since_now
	as_user pg_ctl promote -D "$new/data" -w -t $limit >>"$scratch/pg_ctl.log" 2>&1 || give_up 'no promotion'
	ln -sfn "$new" "$scratch/current"
}

promote_after()
{
	local old
	for old in "$scratch"/server.*; do
		[ "$old" != "$folder" ] || continue
		wait_until "the processes of $old to end" nobody_is_in "$old/data"
		rm -rf "$old/data"
	done
}

nobody_is_in()
{
	local process
	for process in /proc/[0-9]*; do
		[ "$(readlink "$process/cwd" || true)" != "$1" ] || return 1
	done
}

# Every commit waits, of clients and executors; as soon as all do, they must do
# so quietly.  And a shutdown must not wait for them.
no_standby()
{
	local before after
	configure synchronous_standby_names "'nobody'"
	pause_ms 1000
	before=$(cpu_of_workers)
	pause_ms 1000
	after=$(cpu_of_workers)
	[ $((after - before)) -lt 50 ] || complain "workers are busy while commits hang: $((after - before)) % of a core"
	if [ $((RANDOM % 2)) = 0 ]; then
		stop fast
		as_user sed -i /synchronous_standby_names/d "$folder/data/postgresql.auto.conf"
		mark_log
		start_again
		since_ready
	else
		since_now
		reset_configuration synchronous_standby_names
	fi
}

# In hundredths of a second.
cpu_of_workers()
{
	local pid sum=0 stat
	for pid in $(ask "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'cmdsched%'"); do
		stat=$(cat "/proc/$pid/stat") || continue
		# shellcheck disable=SC2086
		set -- ${stat##*) }
		sum=$((sum + ${12} + ${13}))
	done
	echo $sum
}

# ---------------------------------------------------------------------------
# F19, F20: the clock
# ---------------------------------------------------------------------------

readonly steps=(1 60 3600 86400 34560000)

# Further and further, and back when everything of that time has run.
clock_forward()
{
	local step
	for step in "${steps[@]}"; do
		step_to $((step + RANDOM % step))
	done
	wait_for_load
	wait_for 'SELECT count(*) FROM cmdsched.scheduled_commands' 0
	rename_database
	set_clock 0
	since_now
}

clock_back()
{
	local step
	for step in "${steps[@]}"; do
		step_to -$((step + RANDOM % step))
	done
	wait_for_load
	wait_for 'SELECT count(*) FROM cmdsched.scheduled_commands WHERE execute_at <= clock_timestamp()' 0
	rename_database
	set_clock 0
	since_now
}

step_to()
{
	last_n=$(last_effect)
	set_clock "$1"
	since_now
	schedule_probe alice
	measure
	last_n=$(last_effect)
	pause_ms $((RANDOM % 500))
}

# The workers have to notice that they are in the way, whatever time it is.
rename_database()
{
	if sql -c 'ALTER DATABASE beside RENAME TO besides'; then
		ask 'ALTER DATABASE besides RENAME TO beside'
	else
		complain 'a database cannot be renamed after the clock was set'
	fi
}

# ---------------------------------------------------------------------------
# F22: worker slots
# ---------------------------------------------------------------------------

# A parallel query takes what the executors had.
no_slots()
{
	local hog
	mark_log
	configure cmdsched.enabled off
	wait_for "SELECT count(*) FROM cmdsched.workers WHERE kind = 'executor'" 0
	sql >/dev/null <<-SQL &
		SET max_parallel_workers_per_gather = 64;
		SET parallel_setup_cost = 0;
		SET parallel_tuple_cost = 0;
		SELECT pg_sleep(1000) FROM torture.hog;
	SQL
	hog=$!
	wait_for "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'" t
	configure cmdsched.enabled on
	schedule_probe alice
	wait_until 'the log to say that there is no slot' log_has 'found no free background worker slot'
	pause_ms $((RANDOM % 1000))
	since_now
	ask "SELECT pg_terminate_backend(leader_pid) FROM pg_stat_activity WHERE leader_pid IS NOT NULL LIMIT 1" >/dev/null
	wait $hog || true
}

no_slots_after()
{
	reset_configuration cmdsched.enabled
}

# ---------------------------------------------------------------------------
# F64: disk full
# ---------------------------------------------------------------------------

# mount_small MEGABYTES: at $scratch/small
mount_small()
{
	as_user mkdir -p "$scratch/small"
	mount -t tmpfs -o "size=${1}m,mode=700,uid=$(id -u "$server_user")" tmpfs "$scratch/small"
}

fill_small()
{
	dd if=/dev/zero of="$scratch/small/filler" bs=64k 2>/dev/null || true
}

# The queue and the effects cannot grow; the server lives.
full_tablespace()
{
	mount_small $((64 + $(ask "SELECT sum(pg_table_size(t)) / 1000000 FROM unnest('{torture.effects, cmdsched.scheduled_commands}'::regclass[]) AS t" | cut -d . -f 1)))
	ask "CREATE TABLESPACE small LOCATION '$scratch/small/'"
	move_tables small
	# Or what earlier rounds left free would do for long.
	ask 'VACUUM FULL torture.effects, cmdsched.scheduled_commands'
	mark_log
	fill_small
	wait_until 'the disk to be full' tables_are_full
	pause_ms $((RANDOM % 2000))
	rm "$scratch/small/filler"
	since_now
}

# A client has been told, or a handler has failed.
tables_are_full()
{
	log_has 'could not extend file' ||
		answers "SELECT count(*) > 0 FROM cmdsched.scheduled_commands WHERE last_error->>'sqlstate' = '53100'" t
}

full_tablespace_after()
{
	move_tables pg_default
	ask 'DROP TABLESPACE small'
	wait_until 'the files to be closed' umount "$scratch/small"
}

move_tables()
{
	ask "ALTER TABLE torture.effects SET TABLESPACE $1"
	ask "ALTER TABLE cmdsched.scheduled_commands SET TABLESPACE $1"
}

# The server stops, and cannot start before there is space again.
full_wal()
{
	local wal=$folder/data/pg_wal
	stop fast
	mount_small $((48 + $(du -sm "$wal" | cut -f 1)))
	as_user cp -a "$wal" "$scratch/small/"
	as_user mv "$wal" "$wal.aside"
	as_user ln -s "$scratch/small/pg_wal" "$wal"
	start_again
	mark_log
	fill_small
	wait_until 'the disk to be full' use_up_wal
	pause_ms $((RANDOM % 2000))
	mark_log
	rm "$scratch/small/filler"
	since_now
	wait_until 'the server to be back' is_back
	if log_has "$ready"; then
		since_ready
	fi
}

is_back()
{
	if is_running; then
		answers 'SELECT 1' 1
	else
		try_to_start
	fi
}

# False until the server is in trouble.
use_up_wal()
{
	sql -c 'SELECT pg_switch_wal() FROM pg_logical_emit_message(false, $$torture$$, $$more$$)' >/dev/null || true
	log_has 'PANIC: '
}

full_wal_after()
{
	local wal=$folder/data/pg_wal
	stop fast
	as_user rm "$wal"
	as_user cp -a "$scratch/small/pg_wal" "$wal"
	as_user rm -rf "$wal.aside"
	umount "$scratch/small"
	start_again
}
