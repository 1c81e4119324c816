# An update of the extension while commands run: the library that the server
# has preloaded stays the old one until a restart, and goes on with the newer
# tables.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('newer');
my $offset = -s $node->logfile;

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE PROCEDURE shop.proceed(command cmdsched.scheduled_commands) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.effect(command);
	COMMIT;
END
$$;
SELECT cmdsched.register_handler('Proceed', 'shop.proceed(cmdsched.scheduled_commands)');
SQL

# Every way to write a command down, and every way to run one.
sub everything_works
{
	my ($when) = @_;

	query($node, <<"SQL");
BEGIN;
SELECT cmdsched.schedule('Effect') FROM generate_series(1, 50);
SELECT cmdsched.schedule('Effect', schedule_id => '$when-own-id');
SELECT cmdsched.schedule('Effect', schedule_id => '$when-own-id', on_conflict => 'replace');
SELECT cmdsched.schedule('Fail', '{"times": 1}', schedule_id => '$when-failing');
SELECT cmdsched.schedule('Proceed', schedule_id => '$when-procedure');
COMMIT;
SQL
	ran_once($node, "$when-%", 3, "$when: commands run");
	wait_until_idle($node, "$when: all of them");
	return;
}

everything_works('before');

# ----------------------------------------------------------------------------
# While a handler runs
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('Slow', '{\"gate\": \"update\"}', schedule_id => 'slow')");
wait_until_running($node, 'slow');
like(($node->psql('postgres', 'ALTER EXTENSION cmdsched UPDATE'))[2], qr/NOTICE:  version "\S+" of extension "cmdsched" is already installed/,
	'ALTER EXTENSION UPDATE with nothing to do is done at once');

# What an update script does; there is no newer version to install yet.
my $update = <<'SQL';
BEGIN;
ALTER TABLE cmdsched.scheduled_commands ADD COLUMN added text;
ALTER TABLE cmdsched.scheduled_commands ADD COLUMN added_with_default text NOT NULL DEFAULT 'something';
ALTER TABLE cmdsched.handlers ADD COLUMN added text;
CREATE FUNCTION cmdsched.added() RETURNS void LANGUAGE sql AS '';
ALTER EXTENSION cmdsched ADD FUNCTION cmdsched.added();
COMMIT;
SQL
my $session = session($node);
$session->query_until(qr/started/, "\\echo started\n$update\\echo updated\n");
wait_for($node, "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE%' AND wait_event_type = 'Lock'", 't', 'an update waits for a running handler');
open_gate($node, 'update');
$session->query_until(qr/updated/, "\\echo\n");
$session->quit;
ran_once($node, 'slow', 1, 'which ends');
is(query($node, "SELECT count(*) FROM pg_proc WHERE proname = 'added'"), '1', 'the update is done');

everything_works('after');
query($node, "SELECT cmdsched.stop()");
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'by-hand')");
is(query($node, 'SELECT cmdsched.run_once()'), '1', 'by hand too');
query($node, "SELECT cmdsched.start()");
$node->restart;
everything_works('restarted');
unlike(log_of($node, $offset), qr/PANIC|TRAP|terminated by signal|deadlock detected/, 'no process crashed');

$node->stop;
done_testing();
