# What the TAP tests share: a server with cmdsched, a small shop whose handlers
# leave a trace, and waiting for a state with a limit.

package Cmdsched;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(
  new_node create_shop fails_with query session log_of set_conf reload_conf
  wait_for wait_for_log_line wait_for_workers wait_until_running
  wait_until_idle open_gate close_gates ran_once scheduler_pid executor_pid
  time_of
);

# How long to wait for a state, in seconds, where a test says nothing else.
my $default_timeout = 20;

# new_node(NAME, preload => 'cmdsched', conf => LINES, shop => 1, start => 1,
#          streaming => 0)
#
# A server on a socket only, with the shop in the database postgres.
sub new_node
{
	my ($name, %opts) = @_;
	my $preload = $opts{preload} // 'cmdsched';
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(
		allows_streaming => $opts{streaming} // 0,
		extra => [ '--no-sync', '-U', 'postgres', '-E', 'UTF8', '--locale=C' ]);
	$node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = '$preload'
listen_addresses = ''
max_worker_processes = 32
max_prepared_transactions = 10
max_connections = 50
restart_after_crash = on
log_statement = none
log_min_messages = warning
log_line_prefix = '%m [%p] %b '
CONF
	$node->append_conf('postgresql.conf', $opts{conf}) if $opts{conf};
	return $node if defined $opts{start} && !$opts{start};

	$node->start;
	create_shop($node) if $opts{shop} // 1;
	return $node;
}

# Every handler leaves a row in shop.effects, if its attempt is committed.
#
#	Effect     nothing else
#	Fail       and raises an error, in the first command_data.times attempts
#	Slow       and waits for open_gate(command_data.gate), or for so many
#	           command_data.seconds
#	Stubborn   and never ends: it catches every cancel
sub create_shop
{
	my ($node, $db) = @_;

	$node->safe_psql($db // 'postgres', <<'SQL');
CREATE EXTENSION IF NOT EXISTS cmdsched;
CREATE SCHEMA shop;
CREATE TABLE shop.effects (
	schedule_id text NOT NULL,
	attempt integer NOT NULL,
	pid integer NOT NULL DEFAULT pg_backend_pid(),
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	role name NOT NULL DEFAULT current_user,
	execute_at timestamptz NOT NULL,
	created_at timestamptz NOT NULL
);
CREATE TABLE shop.open_gates (gate text);

CREATE FUNCTION shop.effect(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE sql AS $$
	INSERT INTO shop.effects (schedule_id, attempt, execute_at, created_at)
	VALUES (command.schedule_id, command.attempts + 1, command.execute_at, command.created_at)
$$;

CREATE FUNCTION shop.fail(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.effect(command);
	IF command.attempts < coalesce((command.command_data->>'times')::integer, 1000000) THEN
		RAISE 'this handler fails' USING ERRCODE = 'P0042';
	END IF;
END
$$;

CREATE FUNCTION shop.slow(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	until timestamptz := clock_timestamp()
		+ make_interval(secs => coalesce((command.command_data->>'seconds')::float8, 1000000));
BEGIN
	PERFORM shop.effect(command);
	WHILE clock_timestamp() < until
		AND NOT EXISTS (SELECT FROM shop.open_gates WHERE gate = command.command_data->>'gate')
	LOOP
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;

CREATE FUNCTION shop.stubborn(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.effect(command);
	LOOP
		BEGIN
			PERFORM pg_sleep(1000);
		EXCEPTION WHEN query_canceled THEN
			NULL;
		END;
	END LOOP;
END
$$;

GRANT USAGE ON SCHEMA cmdsched, shop TO PUBLIC;
GRANT SELECT, INSERT ON shop.effects TO PUBLIC;
GRANT SELECT ON shop.open_gates TO PUBLIC;

SELECT cmdsched.register_handler('Effect', 'shop.effect(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('Fail', 'shop.fail(cmdsched.scheduled_commands)', backoff => '0.1 seconds');
SELECT cmdsched.register_handler('Slow', 'shop.slow(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('Stubborn', 'shop.stubborn(cmdsched.scheduled_commands)', timeout => '1 second', backoff => '1 hour');
SQL
	return;
}

# ----------------------------------------------------------------------------
# Asking
# ----------------------------------------------------------------------------

# The answer to a query; dies on an error.
sub query
{
	my ($node, $sql, $db) = @_;

	return $node->safe_psql($db // 'postgres', $sql);
}

# fails_with(NODE, SQL, SQLSTATE, WHAT, DB)
sub fails_with
{
	my ($node, $sql, $sqlstate, $what, $db) = @_;

	my ($ret, $stdout, $stderr) =
	  $node->psql($db // 'postgres', "\\set VERBOSITY sqlstate\n$sql");
	like($stderr, qr/ERROR:  \Q$sqlstate\E$/m, $what);
	return;
}

# A session that stays open.
sub session
{
	my ($node, $db) = @_;

	return $node->background_psql($db // 'postgres', on_error_stop => 0);
}

sub log_of
{
	my ($node, $offset) = @_;

	return slurp_file($node->logfile, $offset // 0);
}

# Seconds that a piece of code took.
sub time_of
{
	my ($code) = @_;
	my $started = time;

	$code->();
	return time - $started;
}

# Settings in postgresql.conf, from the next reload or start on.
sub set_conf
{
	my ($node, %settings) = @_;

	$node->append_conf('postgresql.conf', "$_ = '$settings{$_}'")
	  foreach sort keys %settings;
	return;
}

# And from now on.  One assertion: that new sessions have them.
sub reload_conf
{
	my ($node, %settings) = @_;
	my @names = sort keys %settings;

	set_conf($node, %settings);
	$node->reload;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return wait_for($node, join(';', map { "SHOW $_" } @names),
		join("\n", map { $settings{$_} } @names),
		join(', ', map { "$_ is $settings{$_}" } @names));
}

# ----------------------------------------------------------------------------
# Waiting
# ----------------------------------------------------------------------------

# wait_for(NODE, SQL, EXPECTED, WHAT, timeout => SECONDS, db => DB)
#
# One assertion: that the query gets that answer within the time.  The server
# may be restarting meanwhile.
sub wait_for
{
	my ($node, $sql, $expected, $what, %opts) = @_;
	my $deadline = time + ($opts{timeout} // $default_timeout);
	my ($ret, $stdout, $stderr);

	while (1)
	{
		($ret, $stdout, $stderr) = $node->psql($opts{db} // 'postgres', $sql);
		last if $ret == 0 && $stdout eq $expected;
		last if time > $deadline;
		usleep(20_000);
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $passed = is($stdout, $expected, $what);
	describe($node, $opts{db} // 'postgres', $stderr) unless $passed;
	return $passed;
}

# For whoever has to find out why.
sub describe
{
	my ($node, $db, $stderr) = @_;

	diag($stderr) if $stderr;
	foreach my $sql (
		'SELECT * FROM cmdsched.workers',
		'SELECT schedule_id, command_type, execute_at, due_at, status, attempts, scheduled_by_name, last_error FROM cmdsched.scheduled_commands ORDER BY due_at LIMIT 10',
		'SELECT * FROM shop.effects ORDER BY at DESC LIMIT 10',
		'SELECT clock_timestamp()')
	{
		my ($ret, $stdout) = $node->psql($db, $sql);
		diag("$sql:\n$stdout");
	}
	return;
}

# One assertion: that the log gets such a line after the offset.
sub wait_for_log_line
{
	my ($node, $regexp, $offset, $what) = @_;
	my $deadline = time + $default_timeout;
	my $log;

	while (1)
	{
		$log = log_of($node, $offset);
		last if $log =~ $regexp || time > $deadline;
		usleep(20_000);
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return like($log, $regexp, $what);
}

# One assertion: that the launcher and exactly one scheduler are there, as
# cmdsched and as the server itself say.
sub wait_for_workers
{
	my ($node, $what, %opts) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return wait_for(
		$node, <<'SQL', "launcher\nscheduler\ncmdsched launcher\ncmdsched scheduler", $what, %opts);
SELECT kind FROM cmdsched.workers WHERE kind <> 'executor' ORDER BY kind;
SELECT backend_type FROM pg_stat_activity
 WHERE backend_type = 'cmdsched launcher'
    OR backend_type = 'cmdsched scheduler' AND datname = current_database()
 ORDER BY backend_type;
SQL
}

# One assertion: that a handler is at work on this command.
sub wait_until_running
{
	my ($node, $schedule_id, $what, %opts) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return wait_for(
		$node,
		"SELECT state FROM cmdsched.workers WHERE schedule_id = '$schedule_id'",
		'running', $what // "$schedule_id is running", %opts);
}

# One assertion: that nothing is due any more.
sub wait_until_idle
{
	my ($node, $what, %opts) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return wait_for($node,
		"SELECT count(*) FROM cmdsched.scheduled_commands WHERE due_at < clock_timestamp() + interval '1 minute'",
		'0', $what, %opts);
}

# ----------------------------------------------------------------------------
# The shop
# ----------------------------------------------------------------------------

sub open_gate
{
	my ($node, $gate, $db) = @_;

	return query($node, "INSERT INTO shop.open_gates VALUES ('$gate')", $db);
}

sub close_gates
{
	my ($node, $db) = @_;

	return query($node, 'DELETE FROM shop.open_gates', $db);
}

# One assertion: that commands whose id is LIKE the pattern had so many effects,
# no two of the same command, none before its time.
sub ran_once
{
	my ($node, $pattern, $count, $what, %opts) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return wait_for(
		$node, <<"SQL", "$count|$count|0", $what, %opts);
SELECT count(*), count(DISTINCT (schedule_id, role)), count(*) FILTER (WHERE at < execute_at)
  FROM shop.effects WHERE schedule_id LIKE '$pattern'
SQL
}

sub scheduler_pid
{
	my ($node, $db) = @_;

	return query($node, "SELECT pid FROM cmdsched.workers WHERE kind = 'scheduler'", $db);
}

# The executor that runs this command.
sub executor_pid
{
	my ($node, $schedule_id, $db) = @_;

	return query($node, "SELECT pid FROM cmdsched.workers WHERE schedule_id = '$schedule_id'", $db);
}

1;
