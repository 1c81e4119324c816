# The stories of the demo, tested from Python.

use strict;
use warnings;

use Cmdsched;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('python', shop => 0);
my $output = '';

$node->safe_psql('postgres', slurp_file('test/demo/shop.sql'));
{
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'postgres', PYTHONDONTWRITEBYTECODE => 1);
	ok(IPC::Run::run(
			[ '/usr/bin/python3', '-m', 'pytest', '-v', '-p', 'no:cacheprovider', 'test/python' ],
			'>', \$output, '2>&1', IPC::Run::timeout(120)),
		'pytest is content') or diag($output);
}
my @passed = $output =~ /^test\S+::\S+ PASSED/mg;
is(scalar(@passed), 6, 'all six tests have passed');
is(query($node, 'SELECT (SELECT count(*) FROM cmdsched.scheduled_commands) + (SELECT count(*) FROM shop.orders)'), '0', 'they leave nothing behind');

$node->stop;
done_testing();
