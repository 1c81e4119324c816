# test/fuzz in small: every boundary value in every argument, and handlers that
# are changed while they run.

use strict;
use warnings;

use Test::More;

# Seed, calls (the boundary values are always made) and seconds, of which
# handlers get a tenth.
foreach my $part ([ 'arguments', 1, 0, 0 ], [ 'handlers', 1, 0, 20 ])
{
	my ($name, @numbers) = @$part;
	my $output = qx(test/fuzz/run @numbers $name 2>&1);

	is($?, 0, "$name: no violation") or diag($output);
	note($output);
}

done_testing();
