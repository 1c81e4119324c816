-- cancel() tells the truth: true, and it never runs; false, and it has run or never was.
\i test/sql/include/shared.sql
SELECT cmdsched.start() IS NOT NULL AS started;

CREATE SCHEMA cancel;
CREATE TABLE cancel.log (n serial, command text);
CREATE FUNCTION cancel.write(c cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = cancel, pg_temp AS $$
BEGIN
    INSERT INTO log (command) VALUES (c.schedule_id);
    IF c.command_data ? 'fail' THEN
        RAISE EXCEPTION 'no';
    END IF;
END
$$;
SELECT cmdsched.register_handler('Write', 'cancel.write(cmdsched.scheduled_commands)', max_attempts => 1);
CREATE ROLE regress_cancel_1 LOGIN;
CREATE ROLE regress_cancel_2 LOGIN;
CREATE ROLE regress_cancel_boss LOGIN;
GRANT regress_cancel_1, regress_cancel_2 TO regress_cancel_boss;
GRANT USAGE ON SCHEMA cmdsched TO regress_cancel_1, regress_cancel_2, regress_cancel_boss;

-- Before its time.
SELECT cmdsched.schedule('Write', execute_at => now() + interval '1 hour', schedule_id => 'waiting');
SELECT cmdsched.cancel('waiting');
SELECT cmdsched.get('waiting') IS NULL AS gone;
SELECT cmdsched.cancel('waiting');
-- In the transaction that scheduled it, and in one that is rolled back.
BEGIN;
SELECT cmdsched.schedule('Write', schedule_id => 'at once');
SELECT cmdsched.cancel('at once');
COMMIT;
BEGIN;
SELECT cmdsched.schedule('Write', execute_at => now() + interval '1 hour', schedule_id => 'kept');
COMMIT;
BEGIN;
SELECT cmdsched.cancel('kept');
ROLLBACK;
SELECT cmdsched.cancel('kept');
-- Without a word about what it is: after it has run, or failed, or under another name.
SELECT cmdsched.schedule('Write', schedule_id => 'done');
SELECT pg_temp.wait_until_gone('done');
SELECT cmdsched.cancel('done'), cmdsched.cancel('DONE'), cmdsched.cancel('nothing');
SELECT cmdsched.schedule('Write', '{"fail": true}', schedule_id => 'failed');
SELECT pg_temp.wait_for($$status = 'failed' FROM cmdsched.get('failed')$$);
SELECT cmdsched.cancel('failed'), cmdsched.cancel('failed');
-- Held.
SELECT cmdsched.register_handler('Soon', 'cancel.write(cmdsched.scheduled_commands)');
BEGIN;
SELECT cmdsched.schedule('Soon', schedule_id => 'held');
SELECT cmdsched.unregister_handler('Soon');
COMMIT;
SELECT pg_temp.wait_for($$status = 'held' FROM cmdsched.get('held')$$);
SELECT cmdsched.cancel('held'), cmdsched.cancel('held');
-- A cancelled one that was due, and is rolled back into being due, runs.
BEGIN;
SELECT cmdsched.schedule('Write', schedule_id => 'rolled back');
SAVEPOINT s;
SELECT cmdsched.cancel('rolled back');
ROLLBACK TO s;
COMMIT;
SELECT pg_temp.wait_until_gone('rolled back');
-- Thousands at once.
SELECT count(cmdsched.schedule('Write', execute_at => now() + interval '1 hour', schedule_id => 'bulk ' || n)) FROM generate_series(1, 5000) AS n;
SELECT count(*) FILTER (WHERE cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands;
SELECT count(*) FROM cmdsched.scheduled_commands;
SELECT command FROM cancel.log ORDER BY n;

-- That of another role is as good as not there.
SET ROLE regress_cancel_1;
SELECT cmdsched.schedule('Write', '{"by": 1}', now() + interval '1 hour', schedule_id => 'one');
SELECT cmdsched.schedule('Write', '{"by": 1}', now() + interval '1 hour', schedule_id => 'both');
SET ROLE regress_cancel_2;
SELECT cmdsched.cancel('one'), cmdsched.reschedule('one', now()), cmdsched.retry('one'), cmdsched.get('one') IS NULL AS get_is_null;
SELECT cmdsched.delete_executed('one');
-- The same id, for another role, is another command.
SELECT cmdsched.schedule('Write', '{"by": 2}', now() + interval '1 hour', schedule_id => 'both', on_conflict => 'error');
SELECT command_data FROM cmdsched.get('both');
-- Whoever has the privileges of both has to say which.
SET ROLE regress_cancel_boss;
SELECT scheduled_by_name, schedule_id FROM cmdsched.scheduled_commands ORDER BY 1, 2;
SELECT cmdsched.cancel('both');
SELECT cmdsched.reschedule('both', now());
SELECT cmdsched.retry('both');
SELECT cmdsched.delete_executed('both');
\set VERBOSITY sqlstate
SELECT cmdsched.cancel('both');
\set VERBOSITY default
SELECT command_data FROM cmdsched.get('both');
-- One's own comes first.
SELECT cmdsched.schedule('Write', '{"by": "boss"}', now() + interval '1 hour', schedule_id => 'both');
SELECT command_data FROM cmdsched.get('both');
SELECT cmdsched.cancel('both');
SET ROLE regress_cancel_1;
SELECT cmdsched.cancel('both');
SET ROLE regress_cancel_boss;
SELECT command_data FROM cmdsched.get('both');
SELECT cmdsched.cancel('both'), cmdsched.cancel('one'), cmdsched.cancel('one');
RESET ROLE;
SELECT count(*) FROM cmdsched.scheduled_commands;
-- A superuser has the privileges of all.
SET ROLE regress_cancel_1;
SELECT cmdsched.schedule('Write', execute_at => now() + interval '1 hour', schedule_id => 'one');
RESET ROLE;
SELECT cmdsched.cancel('one');

SELECT cmdsched.unregister_handler('Write');
DROP OWNED BY regress_cancel_1, regress_cancel_2, regress_cancel_boss;
DROP ROLE regress_cancel_1, regress_cancel_2, regress_cancel_boss;
\set VERBOSITY terse
DROP SCHEMA cancel CASCADE;
