# A small library in C, for what no handler in SQL can do to the server.

package Compile;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(compile);

sub pg_config
{
	my ($option) = @_;

	my ($value) = run_command([ $ENV{PG_CONFIG} // 'pg_config', $option ]);

	return $value;
}

# Makes a library of test/modules/NAME/NAME.c, in a folder of the test's own;
# returns its path.
sub compile
{
	my ($name) = @_;
	my $library = PostgreSQL::Test::Utils::tempdir() . "/$name.so";

	system_or_bail('sh', '-c',
		join(' ',
			pg_config('--cc'), pg_config('--cflags'), pg_config('--cflags_sl'), '-shared',
			'-I', pg_config('--includedir-server'), '-I', 'src', '-o', $library, "test/modules/$name/$name.c"));
	return $library;
}

1;
