# test/torture/lib.sh
#
# What run and faults.sh share: the server that is tortured, its clock, asking
# it, and waiting.  Source it after test/server.sh.
#
# $scratch/current is a link to the folder of the server that is the primary
# now: all clients connect there.

readonly limit=60 # seconds, for everything that is waited for
readonly ready='database system is ready to accept connections'

folder=          # of the primary: its socket, its log and data/
clock_offset=0   # seconds
ledger=          # of the runner's own commands in this round
complaints=0

log_line()
{
	printf '%5d s  %s\n' $SECONDS "$*"
}

# Something that must not be.  The run goes on.
complain()
{
	log_line "FAILED in round $round, $fault: $*"
	complaints=$((complaints + 1))
}

# Something after which there is no going on.
give_up()
{
	log_line "FAILED in round $round, $fault: $*"
	exit 1
}

# wait_until WHAT COMMAND...
wait_until()
{
	local what=$1 deadline=$((SECONDS + limit))
	shift
	until "$@"; do
		[ $SECONDS -lt $deadline ] || give_up "waited $limit s for $what"
		sleep 0.02
	done
}

pause_ms()
{
	sleep "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))"
}

# ---------------------------------------------------------------------------
# Asking
# ---------------------------------------------------------------------------

sql()
{
	psql -XqAt -v ON_ERROR_STOP=1 "$@" 2>>"$scratch/psql.log"
}

# The answer, also when the server is away for a while.
ask()
{
	wait_until "an answer to $1" try_to_ask "$1"
}

# What a query that failed had answered is not part of the answer.
try_to_ask()
{
	local answer
	answer=$(sql -c "$1") || return
	[ -z "$answer" ] || echo "$answer"
}

# As ask, and the answer must be this.
wait_for()
{
	wait_until "$2 from $1" answers "$1" "$2"
}

answers()
{
	[ "$(sql -c "$1")" = "$2" ]
}

configure()
{
	ask "ALTER SYSTEM SET $1 = $2"
	ask 'SELECT pg_reload_conf()' >/dev/null
	wait_for "SHOW $1" "${2//\'/}"
}

reset_configuration()
{
	ask "ALTER SYSTEM RESET $1"
	ask 'SELECT pg_reload_conf()' >/dev/null
}

# ---------------------------------------------------------------------------
# The server
# ---------------------------------------------------------------------------

# With a clock that we can set.  Our own child: another parent might not take
# notice of the end of a postmaster that is killed, which then looks alive.
try_to_start()
{
	local postmaster deadline=$((SECONDS + limit))
	(exec "${unprivileged[@]}" LD_PRELOAD="$scratch/clock.so" CLOCK_FILE="$scratch/clock" \
		postgres -D "$folder/data" -k "$folder" </dev/null >>"$folder/server.log" 2>&1) &
	postmaster=$!
	disown
	until pg_isready -q -h "$folder"; do
		[ $SECONDS -lt $deadline ] && kill -0 "$postmaster" 2>/dev/null || return 1
		sleep 0.02
	done
}

# Orphans of a postmaster that was killed keep a new one from starting.
start_again()
{
	wait_until 'the server to start' try_to_start
}

# stop fast | immediate | smart
stop()
{
	as_user pg_ctl stop -D "$folder/data" -m "$1" -w -t $limit >>"$scratch/pg_ctl.log" 2>&1 ||
		give_up "the server does not stop ($1)"
}

postmaster_pid()
{
	head -n 1 "$folder/data/postmaster.pid"
}

is_running()
{
	local pid
	pid=$(postmaster_pid 2>/dev/null) && [ "$(readlink "/proc/$pid/cwd")" = "$folder/data" ]
}

# From here on the log is looked at.
mark_log()
{
	log_mark=$(stat -c %s "$folder/server.log")
}

# What was logged since the mark.
new_log()
{
	tail -c "+$((log_mark + 1))" "$folder/server.log"
}

# grep reads to the end, or tail would complain.
log_has()
{
	new_log | grep -E "$1" >/dev/null
}

# ---------------------------------------------------------------------------
# Time
# ---------------------------------------------------------------------------

# The clock of the server, and from which moment on recovery counts.
since_now()
{
	local now=$EPOCHREALTIME
	since="to_timestamp($((${now%.*} + clock_offset)).${now#*.})"
}

# When the server said, after the mark, that it is ready.
since_ready()
{
	wait_until 'the server to be ready' log_has "$ready"
	since=$(time_of "$ready")
}

# Of the last such line after the mark, as SQL.
time_of()
{
	new_log | grep -E "$1" | tail -n 1 | sed -E "s/^([^ ]+ [^ ]+ [^ ]+) .*/timestamptz '\\1'/"
}

set_clock()
{
	clock_offset=$1
	perl -e 'open my $clock, "+<", $ARGV[0] or die; syswrite $clock, pack "q", $ARGV[1]' "$scratch/clock" "$1"
}

# ---------------------------------------------------------------------------
# Commands of our own
# ---------------------------------------------------------------------------

# schedule_probe ROLE: one that is due, until that is acknowledged.  Sets
# probe to its id.
schedule_probe()
{
	wait_until 'a command to be scheduled' try_to_probe "$1"
}

try_to_probe()
{
	printf -v probe '%05d.probe.%s' "$round" "${EPOCHREALTIME/./}"
	printf 'tried\t%s\n' "$probe" >>"$ledger"
	sql -U "$1" -c "SELECT torture.submit('Quick', '$probe', '0', false)" >/dev/null || return
	printf 'acked\t%s\n' "$probe" >>"$ledger"
	sync "$ledger"
}
