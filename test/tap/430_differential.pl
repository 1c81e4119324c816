# test/differential in small.

use strict;
use warnings;

use Test::More;

my $version = qx(/usr/bin/python3 -c 'import dateutil; from importlib.metadata import version; print(version("croniter"))' 2>/dev/null);

plan skip_all => 'the croniter of Debian 12 is not installed' unless $version =~ /^1\.3\./;

my $output = qx(test/differential/run 1 3000 2>&1);

is($?, 0, 'cmdsched, croniter and dateutil agree') or diag($output);
like($output, qr/^0 differences in 3000 cases$/m, 'on all cases');
note($output);

done_testing();
