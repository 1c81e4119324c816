# clients/python: the shared cases, its own tests, its example and quick start, on
# a server that they may restart; and its types.

use strict;
use warnings;

use Cmdsched;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('python_client', shop => 0, conf => "max_connections = 100\nfsync = off");
my $output = '';
my $restart = join(' ', 'pg_ctl', 'restart', '-s', '-w', '-m', 'fast', '-D', $node->data_dir, '-l', $node->logfile);

local %ENV = (
	%ENV,
	PGHOST => $node->host,
	PGPORT => $node->port,
	PGDATABASE => 'postgres',
	CMDSCHED_TEST_RESTART => $restart,
	PYTHONDONTWRITEBYTECODE => 1);
ok(IPC::Run::run(
		[ '/usr/bin/python3', '-m', 'pytest', '-v', '-rs', '--durations=5', '-p', 'no:cacheprovider', 'clients/python/tests' ],
		'>', \$output, '2>&1', IPC::Run::timeout(300)),
	'pytest is content') or diag($output);
my @passed = $output =~ /^clients\S+::.* PASSED/mg;
cmp_ok(scalar(@passed), '>=', 125, 'all tests have run');
note($output =~ /(=+ slowest.*)/s);

ok(IPC::Run::run(
		[ '/usr/bin/python3', '-m', 'mypy', '--config-file', 'clients/python/pyproject.toml', '--cache-dir', '/dev/null', 'clients/python/cmdsched', 'clients/python/examples' ],
		'>', \$output, '2>&1', IPC::Run::timeout(300)),
	'its types are right') or diag($output);

$node->stop;
done_testing();
