-- Deadlocks and serialization failures, real ones and at commit: tried again at once, not counted.
\i test/sql/include/shared.sql
SELECT cmdsched.start() IS NOT NULL AS started;

CREATE ROLE regress_conflicts_1 LOGIN;
CREATE ROLE regress_conflicts_2 LOGIN;
ALTER ROLE regress_conflicts_1 SET deadlock_timeout = '10ms';
ALTER ROLE regress_conflicts_2 SET deadlock_timeout = '10ms';
CREATE SCHEMA conflicts;
CREATE TABLE conflicts.log (command text, attempts integer);
CREATE TABLE conflicts.counters (id integer PRIMARY KEY, n integer);
INSERT INTO conflicts.counters VALUES (1, 0), (2, 0);
CREATE SEQUENCE conflicts.calls;
CREATE SEQUENCE conflicts.met;
GRANT USAGE ON SCHEMA cmdsched, conflicts TO regress_conflicts_1, regress_conflicts_2;
GRANT ALL ON ALL TABLES IN SCHEMA conflicts TO regress_conflicts_1, regress_conflicts_2;
GRANT ALL ON ALL SEQUENCES IN SCHEMA conflicts TO regress_conflicts_1, regress_conflicts_2;

-- Two that lock the same rows in the opposite order, once they have both met.  One is called again, and waits for the other.
CREATE FUNCTION conflicts.lock_both(c cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('conflicts.calls') > 2 THEN
        WHILE NOT EXISTS (SELECT FROM conflicts.log) LOOP
            PERFORM pg_sleep(0.01);
        END LOOP;
    END IF;
    UPDATE conflicts.counters SET n = n + 1 WHERE id = (c.command_data->>0)::integer;
    PERFORM nextval('conflicts.met');
    WHILE (SELECT last_value FROM conflicts.met) < 2 LOOP
        PERFORM pg_sleep(0.01);
    END LOOP;
    UPDATE conflicts.counters SET n = n + 1 WHERE id = (c.command_data->>1)::integer;
    INSERT INTO conflicts.log VALUES (c.schedule_id, c.attempts);
END
$$;
SELECT cmdsched.register_handler('LockBoth', 'conflicts.lock_both(cmdsched.scheduled_commands)', max_attempts => 1);
SET ROLE regress_conflicts_1;
SELECT cmdsched.schedule('LockBoth', '[1, 2]', schedule_id => 'first');
SET ROLE regress_conflicts_2;
SELECT cmdsched.schedule('LockBoth', '[2, 1]', schedule_id => 'second');
RESET ROLE;
SELECT pg_temp.wait_for('NOT EXISTS (SELECT FROM cmdsched.scheduled_commands WHERE status = ''pending'')');
SELECT command, attempts FROM conflicts.log ORDER BY command;
SELECT c.*, s.last_value AS calls FROM conflicts.counters AS c, conflicts.calls AS s ORDER BY id;
TRUNCATE conflicts.log;
ALTER SEQUENCE conflicts.calls RESTART;

-- At the commit, among others of the same batch: five times, and the sixth does it.
CREATE TABLE conflicts.checked_at_commit ();
CREATE FUNCTION conflicts.fail_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('conflicts.calls') <= TG_ARGV[0]::integer THEN
        RAISE EXCEPTION 'conflict' USING ERRCODE = TG_ARGV[1];
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON conflicts.checked_at_commit
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION conflicts.fail_at_commit('5', '40001');
CREATE FUNCTION conflicts.check_at_commit(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    INSERT INTO conflicts.log VALUES (c.schedule_id, c.attempts);
    INSERT INTO conflicts.checked_at_commit SELECT WHERE c.command_data = '"check"'
$$;
SELECT cmdsched.register_handler('CheckAtCommit', 'conflicts.check_at_commit(cmdsched.scheduled_commands)', max_attempts => 1);
BEGIN;
SELECT cmdsched.schedule('CheckAtCommit', CASE n WHEN 3 THEN '"check"' ELSE '{}' END::jsonb, schedule_id => 'commit ' || n) FROM generate_series(1, 5) AS n;
COMMIT;
SELECT pg_temp.wait_for('NOT EXISTS (SELECT FROM cmdsched.scheduled_commands WHERE status = ''pending'')');
SELECT command, attempts FROM conflicts.log ORDER BY command;
SELECT last_value AS checks FROM conflicts.calls;

SELECT schedule_id, status, last_error FROM cmdsched.scheduled_commands;
SELECT count(cmdsched.unregister_handler(command_type)) FROM cmdsched.handlers;
DROP OWNED BY regress_conflicts_1, regress_conflicts_2;
DROP ROLE regress_conflicts_1, regress_conflicts_2;
\set VERBOSITY terse
DROP SCHEMA conflicts CASCADE;
