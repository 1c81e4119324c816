# What the TAP tests that send signals share: processes as the system sees
# them, also when the server can no longer be asked.

package Processes;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(is_alive ended_within kill_postmaster pull_the_plug postmaster_pid cpu_seconds);

# The fields of a process from its state on; none where it is gone.
sub stat_of
{
	my ($pid) = @_;

	open my $file, '<', "/proc/$pid/stat" or return;
	my $line = <$file> // '';
	return split ' ', $line =~ s/^.*\) //sr;
}

# One that has ended but that nobody has asked about does not count.
sub is_alive
{
	my ($pid) = @_;
	my ($state) = stat_of($pid);

	return defined $state && $state !~ /[ZX]/;
}

# One assertion: that all of them end within so many seconds.  Those that do
# not are not left behind.
sub ended_within
{
	my ($seconds, $what, @pids) = @_;
	my $started = time;

	usleep(10_000) while time - $started < 20 && grep { is_alive($_) } @pids;
	my $took = time - $started;
	kill 'KILL', grep { is_alive($_) } @pids;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return cmp_ok($took, '<', $seconds, $what);
}

# Seconds of processor time.
sub cpu_seconds
{
	my ($pid) = @_;
	my @fields = stat_of($pid);

	return ($fields[11] + $fields[12]) / 100;
}

sub postmaster_pid
{
	my ($node) = @_;
	my ($pid) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');

	return $pid;
}

# kill -9; another one can be started when nothing is left of its number.
sub kill_postmaster
{
	my ($node) = @_;
	my $pid = postmaster_pid($node);

	$node->kill9;
	usleep(1_000) while -e "/proc/$pid";
	return;
}

# All processes of the server end at once, none of them can do anything more.
sub pull_the_plug
{
	my ($node) = @_;
	my $postmaster = postmaster_pid($node);

	# It must not start others meanwhile.
	kill 'STOP', $postmaster;
	my @children = grep { ((stat_of($_))[1] // 0) == $postmaster } map { m{(\d+)} } glob '/proc/[0-9]*';
	kill 'KILL', @children;
	kill_postmaster($node);
	usleep(1_000) while grep { is_alive($_) } @children;
	return;
}

1;
