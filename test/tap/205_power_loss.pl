# Power loss under load: every command whose schedule() was acknowledged has
# run once, or still waits, in a copy of what is left.

use strict;
use warnings;

use Cmdsched;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Processes;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_node('plug');
my $folder = PostgreSQL::Test::Utils::tempdir();

wait_for_workers($node, 'the workers are there');

# What clients were told is kept outside the database.  Each schedules commands
# for now and for later, one a transaction, and prints their ids.
append_to_file("$folder/schedule.sql", <<'SQL' x 20_000);
SELECT cmdsched.schedule('Effect');
SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day');
SQL

my @clients = map {
	my $acknowledged = "$folder/acknowledged-$_";
	IPC::Run::start([ 'psql', '-XAtq', '-h', $node->host, '-p', $node->port, '-U', 'postgres', '-f', "$folder/schedule.sql", 'postgres' ],
		'>', $acknowledged, '2>', "$folder/errors-$_");
} 1 .. 4;

sub acknowledged
{
	# The last line may be cut short.
	return map { slurp_file($_) =~ /^(\S+)\n/mg } glob "$folder/acknowledged-*";
}

wait_for($node, 'SELECT count(*) > 1000 FROM shop.effects', 't', 'many have run');
pull_the_plug($node);
$_->finish foreach @clients;

$node->backup_fs_cold('left');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'left', standby => 0);
set_conf($copy, 'cmdsched.enabled' => 'off');
$copy->start;

my @ids = acknowledged();
cmp_ok(@ids, '>', 2000, 'many were acknowledged');
append_to_file("$folder/ids", join("\n", @ids) . "\n");
query($copy, "CREATE TABLE shop.acknowledged (schedule_id text); COPY shop.acknowledged FROM '$folder/ids'");
is( query($copy, 'SELECT count(*) FROM shop.acknowledged AS a WHERE NOT EXISTS (SELECT FROM shop.effects AS e WHERE e.schedule_id = a.schedule_id) AND NOT EXISTS (SELECT FROM cmdsched.scheduled_commands AS c WHERE c.schedule_id = a.schedule_id)'),
	'0', 'none of them is lost');
is(query($copy, 'SELECT count(*) FROM shop.effects JOIN cmdsched.scheduled_commands USING (schedule_id)'), '0', 'none has run and still waits');
reload_conf($copy, 'cmdsched.enabled' => 'on');
wait_until_idle($copy, 'what was due runs');
ran_once($copy, '%', query($copy, 'SELECT count(*) FROM shop.effects'), 'nothing has run twice');
is(query($copy, "SELECT count(*) FROM shop.acknowledged AS a WHERE NOT EXISTS (SELECT FROM shop.effects AS e WHERE e.schedule_id = a.schedule_id)")
	  + 0, query($copy, 'SELECT count(*) FROM cmdsched.scheduled_commands JOIN shop.acknowledged USING (schedule_id)') + 0, 'and what is due tomorrow waits');

$copy->stop;
done_testing();
