# Whose code a command runs: that of the function that was registered.  A command
# waits for days, and its function may be gone by then; nobody else can put
# another one in its place.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('whose_code');

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE shop LOGIN;
CREATE ROLE alice LOGIN;
CREATE ROLE mallory LOGIN;
GRANT EXECUTE ON FUNCTION cmdsched.register_handler, cmdsched.unregister_handler TO shop, mallory;
-- A schema in which everybody may create, as public was before 15.
CREATE SCHEMA common;
GRANT ALL ON SCHEMA common TO PUBLIC;
CREATE TABLE shop.ran (by_whom name DEFAULT current_user, session name DEFAULT session_user, what text);
GRANT INSERT ON shop.ran TO PUBLIC;
SQL

sub create_handler
{
	my ($owner, $name, $body) = @_;
	$body //= "INSERT INTO shop.ran (what) VALUES ('$owner''s $name')";

	return query($node, "SET ROLE $owner; CREATE FUNCTION common.$name(jsonb) RETURNS void LANGUAGE plpgsql AS \$b\$BEGIN $body; END\$b\$");
}

sub is_held
{
	my ($id, $sqlstate, $what) = @_;

	return wait_for($node, "SELECT coalesce(max(status || ' ' || (last_error->>'sqlstate')), 'gone') FROM cmdsched.scheduled_commands WHERE schedule_id = '$id'", "held $sqlstate", $what);
}

# ----------------------------------------------------------------------------
# Another role's function in its place
# ----------------------------------------------------------------------------

foreach my $registrar ('shop', 'postgres')
{
	my $name = "of_$registrar";

	create_handler('shop', $name);
	query($node, "SET ROLE $registrar; SELECT cmdsched.register_handler('$name', 'common.$name(jsonb)')");
	query($node, "SET ROLE alice; SELECT cmdsched.schedule('$name', '{}', now() + interval '1 second', schedule_id => '$name')");
	query($node, "SET ROLE shop; DROP FUNCTION common.$name(jsonb)");
	create_handler('mallory', $name);
	is_held($name, '42501', "registered by $registrar, dropped, and made again by another role: the command is held");
	fails_with($node, "SET ROLE alice; SELECT cmdsched.schedule('$name')", '42501', 'and no other can be scheduled');
	query($node, "SET ROLE mallory; DROP FUNCTION common.$name(jsonb)");
	create_handler('shop', $name);
	query($node, "SET ROLE alice; SELECT cmdsched.retry('$name')");
	wait_for($node, "SELECT by_whom FROM shop.ran WHERE what = 'shop''s $name'", 'alice', 'made again by its owner, it runs');
}
is(query($node, "SELECT count(*) FROM shop.ran WHERE what LIKE 'mallory%'"), '0', "nobody ran mallory's code");

# ----------------------------------------------------------------------------
# Another registration in its place
# ----------------------------------------------------------------------------

create_handler('mallory', 'trap');
fails_with($node, "SET ROLE mallory; SELECT cmdsched.register_handler('of_shop', 'common.trap(jsonb)')", '42501', "mallory cannot replace shop's registration");
fails_with($node, "SET ROLE mallory; SELECT cmdsched.unregister_handler('of_shop')", '42501', 'nor remove it');
fails_with($node, "SET ROLE mallory; SELECT cmdsched.register_handler('trap', 'common.of_shop(jsonb)')", '42501', "nor register shop's function");
query($node, "SET ROLE shop; SELECT cmdsched.unregister_handler('of_shop'); SET ROLE mallory; SELECT cmdsched.register_handler('of_shop', 'common.trap(jsonb)')");
query($node, "SET ROLE alice; SELECT cmdsched.schedule('of_shop', schedule_id => 'new-owner')");
wait_for($node, "SELECT by_whom FROM shop.ran WHERE what = 'mallory''s trap'", 'alice', 'unless it was given up: then whoever registers a type is trusted by those who schedule it');

# ----------------------------------------------------------------------------
# A superuser among them
# ----------------------------------------------------------------------------

fails_with($node, "SELECT cmdsched.schedule('of_shop')", '42501', 'a superuser is not: the function has to belong to one');
create_handler('postgres', 'ours');
query($node, "SELECT cmdsched.register_handler('ours', 'common.ours(jsonb)')");
query($node, "SELECT cmdsched.schedule('ours', '{}', now() + interval '1 second', schedule_id => 'ours'); DROP FUNCTION common.ours(jsonb)");
create_handler('mallory', 'ours');
is_held('ours', '42501', "and a function that took its place does not run as a superuser");
is(query($node, 'SELECT cmdsched.retry($$ours$$), cmdsched.process_due_commands(), cmdsched.run_once()'), 't|0|0', 'nor by hand');
is(query($node, "SELECT count(*) FROM shop.ran WHERE what = 'mallory''s ours'"), '0', 'it was not called');

# Somebody who became a superuser, or is one no longer.
query($node, 'ALTER ROLE alice SUPERUSER');
fails_with($node, "SET ROLE alice; SELECT cmdsched.schedule('of_shop')", '42501', 'a role that became a superuser cannot schedule it any more');
query($node, 'ALTER ROLE alice NOSUPERUSER');
query($node, "SET ROLE alice; SELECT cmdsched.schedule('of_shop', '{}', now() + interval '1 second', schedule_id => 'promoted')");
query($node, 'ALTER ROLE alice SUPERUSER');
is_held('promoted', '42501', 'and what it had scheduled is held');
query($node, 'ALTER ROLE alice NOSUPERUSER');

# ----------------------------------------------------------------------------
# A superuser that dispatches by hand as somebody else
# ----------------------------------------------------------------------------

create_handler('mallory', 'seize', "RESET ROLE; INSERT INTO shop.ran (what) VALUES ('seized'); ALTER ROLE mallory SUPERUSER");
query($node, "SET ROLE mallory; SELECT cmdsched.register_handler('seize', 'common.seize(jsonb)', max_attempts => 1)");
query($node, 'SELECT cmdsched.stop()');
query($node, "SET ROLE alice; SELECT cmdsched.schedule('seize', schedule_id => 'seize')");
query($node, 'SET ROLE alice; SELECT cmdsched.process_due_commands()');
is(query($node, "SELECT string_agg(by_whom, ',') FROM shop.ran WHERE what = 'seized'"), '', 'SET ROLE, and by hand: the handler cannot go back to the superuser');
is(query($node, "SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'"), 'f', 'nothing was taken');

$node->stop;
done_testing();
