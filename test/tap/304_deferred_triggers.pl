# What a deferred trigger leaves behind, after the last of the handlers, is not
# there for the next command in the same process, and a trigger that fails is
# the failure of its command alone.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('deferred');

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
GRANT bob TO alice;
CREATE TABLE shop.found (schedule_id text, what text, pid integer DEFAULT pg_backend_pid());
CREATE TABLE shop.deferred (what text, times integer DEFAULT 1);
GRANT INSERT ON shop.found, shop.deferred TO PUBLIC;
GRANT ALL ON SCHEMA shop TO alice;

CREATE FUNCTION shop.at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.found VALUES ('trigger', NEW.what || ' as ' || current_user);
	CASE NEW.what
		WHEN 'lock' THEN PERFORM pg_advisory_lock(42);
		WHEN 'prepare' THEN PREPARE left_behind AS SELECT 1;
		WHEN 'cursor' THEN EXECUTE 'DECLARE left_behind CURSOR WITH HOLD FOR SELECT 1';
		WHEN 'temporary' THEN CREATE TEMPORARY TABLE left_behind (x integer);
		WHEN 'settings' THEN
			SET search_path = nowhere;
			SET statement_timeout = 1;
			SET default_transaction_read_only = on;
			SET cmdsched_test.left_behind = 'yes';
		WHEN 'role' THEN SET ROLE bob;
		-- It queues another one, for later still.
		WHEN 'again' THEN INSERT INTO shop.deferred VALUES ('role'), ('lock');
	END CASE;
	RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON shop.deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.at_commit();

CREATE FUNCTION shop.defer(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.deferred VALUES (command.command_data->>'what');
	PERFORM shop.effect(command);
END
$$;
CREATE FUNCTION shop.look(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.found
	SELECT command.schedule_id, what
	  FROM (SELECT 'looked' AS what
			UNION ALL
			SELECT 'temporary table' FROM pg_class WHERE relname = 'left_behind' AND pg_table_is_visible(oid)
			UNION ALL
			SELECT 'advisory lock' FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND pid = pg_backend_pid()
			UNION ALL
			SELECT 'prepared statement' FROM pg_prepared_statements
			UNION ALL
			SELECT 'cursor' FROM pg_cursors WHERE name = 'left_behind'
			UNION ALL
			SELECT 'setting ' || name FROM pg_settings
			 WHERE name = 'search_path' AND setting = 'nowhere'
				OR name = 'statement_timeout' AND setting <> '0'
				OR name = 'default_transaction_read_only' AND setting = 'on'
			UNION ALL
			SELECT 'setting of its own' WHERE current_setting('cmdsched_test.left_behind', true) = 'yes'
			UNION ALL
			SELECT 'role ' || current_user WHERE current_user <> command.scheduled_by_name) AS f;
	PERFORM shop.effect(command);
END
$$;
SELECT cmdsched.register_handler('Defer', 'shop.defer(cmdsched.scheduled_commands)', max_attempts => 1);
SELECT cmdsched.register_handler('Look', 'shop.look(cmdsched.scheduled_commands)');
SQL

# The trigger fires at the end of the first batch; the look is a second one.
foreach my $what ('lock', 'prepare', 'cursor', 'temporary', 'settings', 'role', 'again')
{
	query($node, "SET ROLE alice; SELECT cmdsched.schedule('Defer', '{\"what\": \"$what\"}', schedule_id => 'defer-$what')");
	ran_once($node, "defer-$what", 1, "$what: a handler that leaves it to a deferred trigger");
	query($node, "SET ROLE alice; SELECT cmdsched.schedule('Look', schedule_id => 'look-$what')");
	ran_once($node, "look-$what", 1, "$what: the next command");
	is(query($node, "SELECT string_agg(what, ', ') FROM shop.found WHERE schedule_id = 'look-$what'"), 'looked', "$what: nothing is left behind");
}
is(query($node, "SELECT count(DISTINCT pid) FROM shop.found"), '1', 'all in the same process');
is(query($node, "SELECT count(*), bool_and(what LIKE '% as alice' OR what = 'lock as bob') FROM shop.found WHERE schedule_id = 'trigger'"), '9|t', 'every trigger was called');
is(query($node, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42"), '0', 'no advisory lock is held');

$node->stop;
done_testing();
