# What a handler leaves behind in its session is not there for the next command
# of the role, in the same process or not.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('leftovers');

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
GRANT bob TO alice;
GRANT TEMPORARY ON DATABASE postgres TO alice;
CREATE TABLE shop.found (schedule_id text, what text);
GRANT INSERT ON shop.found TO PUBLIC;

CREATE FUNCTION shop.litter(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.effect(command);
	CREATE TEMPORARY TABLE left_behind (x integer) ON COMMIT PRESERVE ROWS;
	PERFORM pg_advisory_lock(42);
	EXECUTE 'PREPARE left_behind AS SELECT 1';
	EXECUTE 'DECLARE left_behind CURSOR WITH HOLD FOR SELECT 1';
	PERFORM set_config('search_path', 'nowhere', false);
	PERFORM set_config('statement_timeout', '1', false);
	PERFORM set_config('default_transaction_read_only', 'on', false);
	PERFORM set_config('cmdsched_test.left_behind', 'yes', false);
	PERFORM set_config('role', 'bob', false);
	IF command.command_data ? 'fails' THEN
		RAISE 'this handler fails';
	END IF;
END
$$;

CREATE FUNCTION shop.look(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.found
	SELECT command.schedule_id, what
	  FROM (SELECT 'temporary table' AS what FROM pg_class WHERE relname = 'left_behind' AND pg_table_is_visible(oid)
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
-- A procedure may commit what it does in its session.
CREATE PROCEDURE shop.litter_and_commit(command cmdsched.scheduled_commands)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM shop.litter(command);
	COMMIT;
	IF command.command_data ? 'fails later' THEN
		RAISE 'this handler fails';
	END IF;
END
$$;
SELECT cmdsched.register_handler('Litter', 'shop.litter(cmdsched.scheduled_commands)', max_attempts => 1);
SELECT cmdsched.register_handler('LitterAndCommit', 'shop.litter_and_commit(cmdsched.scheduled_commands)', max_attempts => 1);
SELECT cmdsched.register_handler('Look', 'shop.look(cmdsched.scheduled_commands)');
SQL

# In one batch, so that they follow one another in the same process.
sub look_after
{
	my ($id, $data, $what, $type) = @_;
	$type //= 'Litter';

	query($node, <<"SQL");
SET ROLE alice;
BEGIN;
SELECT cmdsched.schedule('Look', '{}', now() - interval '9 seconds', schedule_id => '$id-before');
SELECT cmdsched.schedule('$type', '$data', now() - interval '8 seconds', schedule_id => '$id-litter');
SELECT cmdsched.schedule('Look', '{}', now() - interval '7 seconds', schedule_id => '$id-after');
SELECT cmdsched.schedule('Look', '{}', now() - interval '6 seconds', schedule_id => '$id-later');
COMMIT;
SQL
	ran_once($node, "$id-%", $data =~ /"fails"/ ? 3 : 4, "$what: all have run");
	is(query($node, "SELECT string_agg(schedule_id || ': ' || what, ', ') FROM shop.found WHERE schedule_id LIKE '$id-%'"), '', "$what: nothing is left behind");
	return;
}

look_after('success', '{}', 'a handler that succeeds');
look_after('again', '{}', 'a second one');
look_after('failure', '{"fails": true}', 'a handler that fails');
look_after('procedure', '{}', 'a procedure that succeeds', 'LitterAndCommit');
look_after('procedure-failure', '{"fails": true}', 'a procedure that fails', 'LitterAndCommit');
look_after('procedure-later-failure', '{"fails later": true}', 'a procedure that fails after a commit', 'LitterAndCommit');
is(query($node, "SELECT last_error->>'message' FROM cmdsched.get('failure-litter')"), 'this handler fails', 'for the reason that was meant');
is(query($node, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42"), '0', 'no advisory lock is held');
wait_for($node, "SELECT count(*) FROM pg_class WHERE relname = 'left_behind'", '0', 'no temporary table is left');

$node->stop;
done_testing();
