# Recovery to a point in time: what had not run then runs after the recovery,
# what had has not to.  Whoever wants to look first switches the workers off.

use strict;
use warnings;

use Cmdsched;
use PostgreSQL::Test::Cluster;
use Test::More;

my $node = new_node('original', streaming => 1, start => 0);

$node->enable_archiving;
$node->start;
create_shop($node);
wait_for_workers($node, 'the workers are there');
$node->backup('base');

query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'done')");
ran_once($node, 'done', 1, 'a command has run');
query($node, "SELECT cmdsched.schedule('Slow', '{\"gate\": \"open\"}', schedule_id => 'pending')");
wait_until_running($node, 'pending');
query($node, "SELECT pg_create_restore_point('before')");
open_gate($node, 'open');
ran_once($node, 'pending', 1, 'another one has run later');
query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'new')");
query($node, "SELECT pg_create_restore_point('after')");
query($node, 'SELECT pg_switch_wal()');
$node->stop;

# A server of its own, which is as the other one was at that point.
sub recover
{
	my ($target, %settings) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($target);

	$copy->init_from_backup($node, 'base', has_restoring => 1, standby => 0);
	set_conf($copy, recovery_target_name => $target, recovery_target_action => 'promote', archive_mode => 'off', %settings);
	$copy->start;
	wait_for($copy, 'SELECT pg_is_in_recovery()', 'f', "$target: the recovery is done");
	return $copy;
}

{
	my $copy = recover('before', 'cmdsched.enabled' => 'off');

	wait_for_workers($copy, 'before: the workers are there, switched off');
	is( query($copy, "SELECT string_agg(schedule_id, ' ') FROM cmdsched.get_due_commands()"),
		'pending', 'before: due is what was running at that point');
	is(query($copy, 'SELECT count(*) FROM shop.effects'), '1', 'before: it has not run here');
	open_gate($copy, 'open');
	reload_conf($copy, 'cmdsched.enabled' => 'on');
	ran_once($copy, 'pending', 1, 'before: it runs when the workers are switched on');
	ran_once($copy, 'done', 1, 'before: what had run has not run again');
	is(query($copy, 'SELECT count(*) FROM cmdsched.scheduled_commands'), '0', 'before: there is nothing else');
	$copy->stop;
}

{
	my $copy = recover('after');

	query($copy, "SELECT cmdsched.schedule('Effect', schedule_id => 'here')");
	ran_once($copy, 'here', 1, 'after: commands run, with nothing to be done for it');
	ran_once($copy, '%', 3, 'after: what had run has not run again');
	is(query($copy, 'SELECT schedule_id FROM cmdsched.scheduled_commands'), 'new', 'after: what was waiting waits');
	$copy->stop;
}

done_testing();
