# Commands that are scheduled or cancelled in a prepared transaction: nobody
# hears of COMMIT PREPARED, and still they run within seconds.

use strict;
use warnings;

use Cmdsched;
use Test::More;

# Promised are 5 seconds; the rest is for a busy machine.
my $patience = 8;

my $node = new_node('prepared');

wait_for_workers($node, 'the workers are there');

# Runs statements in a transaction that is prepared under this name.
sub prepare
{
	my ($name, $sql) = @_;

	query($node, "BEGIN; $sql; PREPARE TRANSACTION '$name'");
	return;
}

# Runs a command from before to after, so that the workers have looked at
# everything that there was.
sub let_workers_look
{
	my ($id) = @_;

	query($node, "SELECT cmdsched.trigger(); SELECT cmdsched.schedule('Effect', schedule_id => '$id')");
	ran_once($node, $id, 1, "$id: the workers have looked");
	return;
}

# ----------------------------------------------------------------------------
# schedule()
# ----------------------------------------------------------------------------

prepare('committed', "SELECT cmdsched.schedule('Effect', schedule_id => 'committed')");
prepare('rolled back', "SELECT cmdsched.schedule('Effect', schedule_id => 'rolled-back')");
prepare('later', "SELECT cmdsched.schedule('Effect', '{}', now() + interval '6 seconds', schedule_id => 'later')");
let_workers_look('one');
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id <> 'one'"), '0', 'nothing runs before COMMIT PREPARED');
query($node, "COMMIT PREPARED 'committed'");
query($node, "ROLLBACK PREPARED 'rolled back'");
query($node, "COMMIT PREPARED 'later'");
ran_once($node, 'committed', 1, 'it runs within seconds of COMMIT PREPARED', timeout => $patience);
ran_once($node, 'later', 1, 'one that is due later runs then');
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'rolled-back'"), '0', 'never after ROLLBACK PREPARED');

# ----------------------------------------------------------------------------
# Over a restart
# ----------------------------------------------------------------------------

foreach my $mode ('fast', 'immediate')
{
	prepare("$mode committed", "SELECT cmdsched.schedule('Effect', schedule_id => '$mode-committed')");
	prepare("$mode rolled back", "SELECT cmdsched.schedule('Effect', schedule_id => '$mode-rolled-back')");
	$node->stop($mode);
	$node->start;
	wait_for_workers($node, "$mode restart: the workers are back");
	let_workers_look($mode);
	is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id LIKE '$mode-%'"), '0', "$mode restart: nothing runs before COMMIT PREPARED");
	query($node, "COMMIT PREPARED '$mode committed'");
	query($node, "ROLLBACK PREPARED '$mode rolled back'");
	ran_once($node, "$mode-committed", 1, "$mode restart: it runs within seconds of COMMIT PREPARED", timeout => $patience);
}

# ----------------------------------------------------------------------------
# cancel()
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '3 seconds', schedule_id => '$_')")
  foreach 'cancelled', 'cancelled-in-vain';
prepare('cancel', "SELECT cmdsched.cancel('cancelled')");
prepare('cancel in vain', "SELECT cmdsched.cancel('cancelled-in-vain')");
wait_for($node, "SELECT count(*) FROM cmdsched.get_due_commands() WHERE schedule_id LIKE 'cancelled%'", '2', 'commands are due that prepared transactions have cancelled');
let_workers_look('two');
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id LIKE 'cancelled%'"), '0', 'they do not run');
query($node, "ROLLBACK PREPARED 'cancel in vain'");
query($node, "COMMIT PREPARED 'cancel'");
ran_once($node, 'cancelled-in-vain', 1, 'one runs after ROLLBACK PREPARED', timeout => $patience);
let_workers_look('three');
is(query($node, "SELECT count(*) FROM shop.effects WHERE schedule_id = 'cancelled'"), '0', 'the other never after COMMIT PREPARED');

# ----------------------------------------------------------------------------
# reschedule() and more than one role
# ----------------------------------------------------------------------------

query($node, "SELECT cmdsched.schedule('Effect', '{}', now() + interval '1 day', schedule_id => 'rescheduled')");
query($node, "CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN");
prepare('rescheduled', "SELECT cmdsched.reschedule('rescheduled', now())");
prepare('roles', join('; ', map { "SET LOCAL ROLE $_; SELECT cmdsched.schedule('Effect', schedule_id => 'role-$_')" } 'alice', 'bob'));
query($node, "COMMIT PREPARED 'rescheduled'");
query($node, "COMMIT PREPARED 'roles'");
ran_once($node, 'rescheduled', 1, 'a reschedule() to now takes effect after COMMIT PREPARED', timeout => $patience);
ran_once($node, 'role-%', 2, 'commands of roles that had none run after COMMIT PREPARED', timeout => $patience);

wait_until_idle($node, 'nothing is left');
is(query($node, 'SELECT count(*) FROM cmdsched.scheduled_commands'), '0', 'nothing at all');
$node->stop;
done_testing();
