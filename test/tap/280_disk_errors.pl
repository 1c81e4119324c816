# Files that cannot be read, and a full disk: what cannot be done is an error
# like others, or waits; nothing is lost, nothing runs twice, and nobody spins.
# The errors are made by lib/disk_errors.c, which the server preloads.

use strict;
use warnings;

use Cmdsched;
use Cwd;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = new_node('disk', start => 0, conf => "autovacuum = off\nmax_files_per_process = 100\n");
my $folder = PostgreSQL::Test::Utils::tempdir();
my $orders = "$folder/orders";
my $library = "$folder/disk_errors.so";

command_ok([ 'gcc', '-shared', '-fPIC', '-O1', '-o', $library, getcwd() . '/test/tap/lib/disk_errors.c', '-ldl' ], 'the library that makes errors is built');

sub start
{
	local $ENV{LD_PRELOAD} = $library;
	local $ENV{DISK_ERRORS} = $orders;

	$node->start;
	return;
}

# From now on; at once for all processes.
sub begin_errors
{
	my ($what) = @_;

	append_to_file("$orders.new", "$what\n");
	rename "$orders.new", $orders or die $!;
	return;
}

sub end_errors
{
	unlink $orders or die $!;
	return;
}

# With nothing in memory, so that everything is read.
sub restart_with_errors
{
	my ($what) = @_;

	query($node, 'CHECKPOINT');
	$node->stop;
	begin_errors($what);
	start();
	return;
}

sub path_of
{
	my ($relation) = @_;

	return query($node, "SELECT pg_relation_filepath('$relation')");
}

# How often a second the log says something, between its second and its last
# time.
sub rate_of
{
	my ($regexp, $offset) = @_;
	my $count = 0;
	my $began = time;
	my $lines = sub { my $n = () = log_of($node, $offset) =~ /$regexp/g; return $n };

	usleep(20_000) while $lines->() < 2 && time < $began + 20;
	$began = time;
	$count = $lines->();
	usleep(20_000) while $lines->() < $count + 2 && time < $began + 20;
	return ($lines->() - $count) / (time - $began);
}

start();
create_shop($node);
wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE TABLE shop.ledger AS SELECT i FROM generate_series(1, 1000) AS i;
CREATE FUNCTION shop.read_ledger(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM count(*) FROM shop.ledger;
	PERFORM shop.effect(command);
END
$$;
CREATE FUNCTION shop.write_ledger(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.ledger SELECT i FROM generate_series(1, 5000) AS i;
	PERFORM shop.effect(command);
END
$$;
CREATE TABLE shop.parts (part integer) PARTITION BY LIST (part);
DO $$ BEGIN FOR i IN 1..200 LOOP EXECUTE format('CREATE TABLE shop.part_%s PARTITION OF shop.parts FOR VALUES IN (%s)', i, i); END LOOP; END $$;
INSERT INTO shop.parts SELECT generate_series(1, 200);
CREATE FUNCTION shop.read_parts(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM count(*) FROM shop.parts;
	PERFORM shop.effect(command);
END
$$;
SELECT cmdsched.register_handler('ReadLedger', 'shop.read_ledger(cmdsched.scheduled_commands)', backoff => '0.5 seconds', max_attempts => 100, max_backoff => '0.5 seconds');
SELECT cmdsched.register_handler('WriteLedger', 'shop.write_ledger(cmdsched.scheduled_commands)', backoff => '0.5 seconds', max_attempts => 100, max_backoff => '0.5 seconds');
SELECT cmdsched.register_handler('ReadParts', 'shop.read_parts(cmdsched.scheduled_commands)', max_attempts => 1);
SQL

# ----------------------------------------------------------------------------
# max_files_per_process
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('ReadParts', schedule_id => 'parts-' || i) FROM generate_series(1, 3) AS i");
ran_once($node, 'parts-%', 3, 'handlers may read more files than a process may have open');

# ----------------------------------------------------------------------------
# EIO
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('ReadLedger', '{}', now() + interval '1 second', schedule_id => 'unreadable')");
restart_with_errors('read EIO ' . path_of('shop.ledger'));
wait_for($node, "SELECT status, attempts > 0, last_error->>'sqlstate' FROM cmdsched.get('unreadable')", 'pending|t|58030', 'a table that a handler cannot read is an error of the handler');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'beside-unreadable')");
ran_once($node, 'beside-unreadable', 1, 'others run');
end_errors();
ran_once($node, 'unreadable', 1, 'it is tried again when it can be read');

query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'own-' || i) FROM generate_series(1, 100) AS i");
my $offset = -s $node->logfile;
restart_with_errors('read EIO ' . path_of('cmdsched.scheduled_commands'));
cmp_ok(rate_of(qr/cmdsched \w+ ERROR:  could not read block/, $offset), '<', 5, 'workers that cannot read our table try again, but do not spin');
is(query($node, 'SELECT 1'), '1', 'the server is there');
end_errors();
ran_once($node, 'own-%', 100, 'when it can be read, all run');
is(query($node, "SELECT DISTINCT attempt FROM shop.effects WHERE schedule_id LIKE 'own-%'"), '1', 'in their first attempt');

# ----------------------------------------------------------------------------
# ENOSPC: where the data are
# ----------------------------------------------------------------------------

begin_errors('write ENOSPC ' . path_of('shop.ledger'));
query($node, "SELECT cmdsched.schedule('WriteLedger', schedule_id => 'full')");
wait_for($node, "SELECT status, attempts > 0, last_error->>'sqlstate' FROM cmdsched.get('full')", 'pending|t|53100', 'a full disk is an error of the handler that writes');
end_errors();
ran_once($node, 'full', 1, 'it is tried again when there is room');

# Rows so wide that the record of a failed attempt needs another page.
my $wide = "jsonb_build_object('times', 1, 'wide', (SELECT string_agg(md5(i::text || n::text), '') FROM generate_series(1, 30) AS n))";
$offset = -s $node->logfile;
query($node, "SELECT cmdsched.schedule('Fail', $wide, now() + interval '1 second', schedule_id => 'own-full-' || i) FROM generate_series(1, 200) AS i");
begin_errors('write ENOSPC ' . path_of('cmdsched.scheduled_commands'));
fails_with($node, "SELECT cmdsched.schedule('Effect', $wide) FROM generate_series(1, 200) AS i", '53100', 'schedule() fails on a full disk');
cmp_ok(rate_of(qr/cmdsched executor ERROR:  could not (?:extend|write)/, $offset), '<', 5, 'workers that cannot record a failed attempt try again, but do not spin');
end_errors();
ran_once($node, 'own-full-%', 200, 'when there is room, all run');

# ----------------------------------------------------------------------------
# ENOSPC: pg_wal.  The server goes down.
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 second', schedule_id => 'wal-' || i) FROM generate_series(1, 100) AS i");
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'wal-later')");
# Or it would try again and again.
reload_conf($node, restart_after_crash => 'off');
$offset = -s $node->logfile;
begin_errors('write ENOSPC pg_wal');
$node->psql('postgres', "SELECT cmdsched.schedule('Effect', schedule_id => 'unacknowledged')");
wait_for_log_line($node, qr/PANIC:  could not write to (?:log )?file.*No space left on device/, $offset, 'a full pg_wal is a PANIC');
wait_for_log_line($node, qr/shutting down because "?restart_after_crash"? is off.*database system is shut down/s, $offset, 'which ends the server');
$node->stop('immediate', fail_ok => 1);
end_errors();
$offset = -s $node->logfile;
start();
wait_for_workers($node, 'with room it starts again');
ran_once($node, 'wal-%', 100, 'and what was scheduled runs, once');
is(query($node, "SELECT status FROM cmdsched.get('wal-later')"), 'pending', 'what is due later waits');
wait_until_idle($node, 'nothing is left');
unlike(log_of($node, $offset), qr/PANIC|TRAP|terminated by signal/, 'and no process crashes');

$node->stop;
done_testing();
