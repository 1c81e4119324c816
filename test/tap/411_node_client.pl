# clients/node: its types, and on a server that they may restart the shared cases,
# its own tests, its example and quick start.

use strict;
use warnings;

use Cmdsched;
use File::Path qw(remove_tree);
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('node_client', shop => 0, conf => "max_connections = 100\nfsync = off");
my $client = 'clients/node';
my $restart = join(' ', 'pg_ctl', 'restart', '-s', '-w', '-m', 'fast', '-D', $node->data_dir, '-l', $node->logfile);

# Debian's packages have them where TypeScript and modules do not look.
my $packages = '/usr/share/nodejs';
unless (-e "$client/node_modules")
{
	mkdir("$client/$_") foreach ('node_modules', 'node_modules/@types');
	symlink("$packages/$_", "$client/node_modules/$_") foreach ('pg', 'typescript', '@types/node', '@types/pg');
}
my $compiler = "$client/node_modules/typescript/bin/tsc";

sub succeeds
{
	my ($name, @command) = @_;
	my $output = '';
	ok(IPC::Run::run(\@command, '>', \$output, '2>&1', IPC::Run::timeout(300)), $name) or diag($output);
	return $output;
}

# Of an earlier run, in the checkout that this is a copy of.
remove_tree("$client/dist", "$client/build");
succeeds('the client is compiled', 'node', $compiler, '--project', $client);
succeeds('its tests and examples are', 'node', $compiler, '--project', "$client/tests");

local %ENV = (
	%ENV,
	PGHOST => $node->host,
	PGPORT => $node->port,
	PGDATABASE => 'postgres',
	CMDSCHED_TEST_RESTART => $restart);
my @tests = sort glob("$client/build/tests/*.test.js");
my $output = succeeds("node's test runner is content", 'node', '--test', '--test-concurrency=1', '--test-reporter=tap', @tests);
my ($passed) = $output =~ /^# pass (\d+)/m;
cmp_ok($passed // 0, '>=', 73, 'all tests have run');

$node->stop;
done_testing();
