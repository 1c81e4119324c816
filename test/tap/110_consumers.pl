# Exactly once under concurrency: writers that schedule, cancel and roll back,
# several executors of the same role, and sessions that dispatch by hand.

use strict;
use warnings;

use Cmdsched;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

# The workers look at everything once a minute only: what they do not notice
# stays behind.
my $patience = 5;

my $node = new_node('consumers', conf => "cmdsched.max_executors = 4\ncmdsched.poll_interval = 60s\n");

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE TABLE shop.scheduled (schedule_id text PRIMARY KEY, phase text NOT NULL);
CREATE TABLE shop.cancelled (schedule_id text PRIMARY KEY);
SQL

# The actions of writers, with their weights: some come in quick succession,
# others pause before they change their mind.  shop.scheduled and
# shop.cancelled say in the same transaction what they did.
my $schedule = <<'SQL';
\set delay random(0, 300)
BEGIN;
SELECT cmdsched.schedule('%s', '%s', clock_timestamp() + :delay * interval '1 ms') AS id \gset
INSERT INTO shop.scheduled VALUES (':id', current_setting('application_name'));
SQL
my $pause = <<'SQL';
\set pause random(0, 300)
\sleep :pause ms
SQL
my %quick = (
	'plain@70' => sprintf($schedule, 'Effect', '{}') . "COMMIT;\n",
	'failing@10' => sprintf($schedule, 'Fail', '{"times": 1}') . "COMMIT;\n",
	'rolled_back@10' => sprintf($schedule, 'Effect', '{}') . "ROLLBACK;\n",
	'many@2' => <<'SQL',
INSERT INTO shop.scheduled
SELECT cmdsched.schedule('Effect', '{}', clock_timestamp() + i * interval '3 ms'), current_setting('application_name')
  FROM generate_series(1, 100) AS i;
SQL
	'savepoint@5' => <<'SQL');
\set delay random(0, 300)
BEGIN;
SAVEPOINT s;
SELECT cmdsched.schedule('Effect', '{}', now());
ROLLBACK TO s;
SELECT cmdsched.schedule('Effect', '{}', clock_timestamp() + :delay * interval '1 ms') AS id \gset
INSERT INTO shop.scheduled VALUES (':id', current_setting('application_name'));
COMMIT;
SQL
my %pausing = (
	'slow@1' => sprintf($schedule, 'Slow', '{"seconds": 0.1}') . "COMMIT;\n$pause",
	'cancelled@6' => sprintf($schedule, 'Effect', '{}') . "COMMIT;\n$pause" . <<'SQL',
INSERT INTO shop.cancelled SELECT ':id' WHERE cmdsched.cancel(':id');
SQL
	'cancel_rolled_back@2' => sprintf($schedule, 'Effect', '{}') . "COMMIT;\n$pause" . <<'SQL',
BEGIN;
SELECT cmdsched.cancel(':id');
\sleep 5 ms
ROLLBACK;
SQL
	'rescheduled@2' => sprintf($schedule, 'Effect', '{}') . "COMMIT;\n$pause" . <<'SQL');
SELECT cmdsched.reschedule(':id', clock_timestamp() + interval '100 ms');
SQL

my $folder = PostgreSQL::Test::Utils::tempdir();

# Writes the scripts; returns pgbench's options for them.
sub write_scripts
{
	my (%scripts) = @_;
	my @options;

	foreach my $name (sort keys %scripts)
	{
		my ($file, $weight) = split /@/, $name;

		append_to_file("$folder/$file", $scripts{$name});
		push @options, '-f', "$folder/$file\@$weight";
	}
	return @options;
}

my @quick = write_scripts(%quick);
my @pausing = write_scripts(%pausing);
my @by_hand = write_scripts('by_hand@1' => "SELECT cmdsched.process_due_commands(10);\n\\sleep 2 ms\n");

# Starts pgbench with these options.
sub start_pgbench
{
	my ($phase, @options) = @_;
	my $output = '';

	local $ENV{PGAPPNAME} = $phase;
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my $run = IPC::Run::start([ 'pgbench', '-n', '-U', 'postgres', @options, 'postgres' ], '<', \undef, '>&', \$output);
	return { run => $run, output => \$output };
}

# One assertion: that all of them ended well.
sub finish_pgbench
{
	my ($what, @pgbenches) = @_;

	$_->{run}->finish foreach @pgbenches;
	is(join(' ', map { $_->{run}->result(0) } @pgbenches), join(' ', map { 0 } @pgbenches), $what)
	  or diag(map { ${ $_->{output} } } @pgbenches);
	return;
}

# What must be so at the end of a phase.
sub check_phase
{
	my ($phase) = @_;

	wait_until_idle($node, "$phase: nothing stays behind", timeout => $patience * 4);
	is(query($node, 'SELECT count(*) FROM cmdsched.scheduled_commands'), '0', "$phase: no command is left");
	is( query($node, "SELECT count(*) FROM shop.scheduled AS s WHERE phase = '$phase' AND NOT EXISTS (SELECT FROM shop.effects AS e WHERE e.schedule_id = s.schedule_id) AND NOT EXISTS (SELECT FROM shop.cancelled AS c WHERE c.schedule_id = s.schedule_id)"),
		'0', "$phase: none is lost");
	is(query($node, 'SELECT count(*) - count(DISTINCT schedule_id) FROM shop.effects'), '0', "$phase: none has run twice");
	is(query($node, 'SELECT count(*) FROM shop.effects JOIN shop.cancelled USING (schedule_id)'), '0', "$phase: none has run and was cancelled");
	is( query($node, 'SELECT count(*) FROM shop.effects AS e WHERE NOT EXISTS (SELECT FROM shop.scheduled AS s WHERE s.schedule_id = e.schedule_id)'),
		'0', "$phase: none has run whose schedule() was rolled back");
	is(query($node, 'SELECT count(*) FROM shop.effects WHERE at < execute_at'), '0', "$phase: none has run early");
	is( query($node, "SELECT count(*) FROM shop.effects JOIN shop.scheduled USING (schedule_id) WHERE phase = '$phase' AND at > execute_at + interval '$patience seconds'"),
		'0', "$phase: none was more than $patience seconds late");
	my $counts = query($node, "SELECT count(*), count(c.schedule_id), count(DISTINCT e.pid) FROM shop.scheduled LEFT JOIN shop.effects AS e USING (schedule_id) LEFT JOIN shop.cancelled AS c USING (schedule_id) WHERE phase = '$phase'");
	my ($scheduled, $cancelled) = split /\|/, $counts;
	note("$phase: scheduled, cancelled, processes: $counts, greatest lateness: " . query($node, "SELECT max(at - execute_at) FROM shop.effects JOIN shop.scheduled USING (schedule_id) WHERE phase = '$phase'"));
	cmp_ok($scheduled, '>', 1000, "$phase: enough was scheduled");
	cmp_ok($cancelled, '>', 50, "$phase: some of it was cancelled");
	return;
}

# ----------------------------------------------------------------------------
# So few that the executors fall asleep in between, again and again
# ----------------------------------------------------------------------------

finish_pgbench(
	'few: the writers end well',
	start_pgbench('few', '-c', 4, '-T', 10, '-R', 200, @quick),
	start_pgbench('few', '-c', 8, '-T', 10, @pausing));
check_phase('few');

# ----------------------------------------------------------------------------
# As many as the machine can do
# ----------------------------------------------------------------------------

{
	my @writers = (
		start_pgbench('many', '-c', 4, '-T', 8, @quick),
		start_pgbench('many', '-c', 8, '-T', 8, @pausing));

	wait_for($node, "SELECT count(*) > 1 FROM cmdsched.workers WHERE kind = 'executor'", 't', 'many: there is more than one executor');
	finish_pgbench('many: the writers end well', @writers);
	check_phase('many');
}

# ----------------------------------------------------------------------------
# Sessions that dispatch by hand
# ----------------------------------------------------------------------------

finish_pgbench(
	'both: the writers, and those who dispatch by hand, end well',
	start_pgbench('both', '-c', 3, '-T', 9, @by_hand),
	start_pgbench('both', '-c', 4, '-T', 8, '-R', 1000, @quick),
	start_pgbench('both', '-c', 8, '-T', 8, @pausing));
check_phase('both');
is(query($node, "SELECT count(DISTINCT pid) > 3 FROM shop.effects JOIN shop.scheduled USING (schedule_id) WHERE phase = 'both'"), 't', 'both: sessions and executors had their share');

unlike(log_of($node), qr/PANIC|TRAP|terminated by signal|reinitializing/, 'no process crashed');
$node->stop;
done_testing();
