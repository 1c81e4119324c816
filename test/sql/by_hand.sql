-- Everything works without a background worker.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;
SELECT kind FROM cmdsched.workers WHERE kind <> 'launcher';

CREATE SCHEMA by_hand;
CREATE TABLE by_hand.log (n serial, command text);
CREATE FUNCTION by_hand.write(c cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO by_hand.log (command) VALUES (c.schedule_id);
    IF c.command_data ? 'error' THEN
        RAISE EXCEPTION '%', c.command_data->>'error';
    END IF;
END
$$;
SELECT cmdsched.register_handler('Write', 'by_hand.write(cmdsched.scheduled_commands)', max_attempts => 2, backoff => '1 hour');

-- In one line: what ran since the last time, in that order.
CREATE FUNCTION pg_temp.ran() RETURNS text LANGUAGE sql AS $$
    WITH d AS (DELETE FROM by_hand.log RETURNING n, command) SELECT string_agg(command, ' ' ORDER BY n) FROM d
$$;

-- Oldest first, whatever the ids, and no more than max_commands.
SELECT cmdsched.schedule('Write', execute_at => '2020-01-01'::timestamptz + n * interval '1 hour', schedule_id => chr(97 + (n * 3) % 7))
  FROM generate_series(0, 6) AS n;
SELECT cmdsched.schedule('Write', execute_at => '2040-01-01', schedule_id => 'later');
SELECT schedule_id, execute_at FROM cmdsched.get_due_commands();
SELECT schedule_id FROM cmdsched.get_due_commands(3);
SELECT schedule_id FROM cmdsched.get_due_commands() LIMIT 1;
SELECT schedule_id FROM cmdsched.get_due_commands() WHERE schedule_id > 'd' LIMIT 2;
SELECT cmdsched.process_due_commands(2);
SELECT pg_temp.ran();
SELECT cmdsched.process_due_commands(4);
SELECT pg_temp.ran();
SELECT cmdsched.process_due_commands(4);
SELECT pg_temp.ran();
SELECT cmdsched.process_due_commands(4), cmdsched.process_due_commands(), cmdsched.run_once();

-- Reading changes nothing.
SELECT cmdsched.schedule('Write', schedule_id => 'read');
SELECT count(*) FROM cmdsched.get_due_commands(), generate_series(1, 3);
SELECT status, attempts FROM cmdsched.get('read');
SELECT cmdsched.run_once();
SELECT pg_temp.ran();

-- Those that fail are recorded and do not stop the rest.
SELECT count(cmdsched.schedule('Write', CASE WHEN n IN (1, 7, 8, 20, 25) THEN '{"error": "no"}' ELSE '{}' END::jsonb,
                               '2020-01-01'::timestamptz + n * interval '1 hour', schedule_id => 'c' || n))
  FROM generate_series(1, 25) AS n;
SELECT cmdsched.process_due_commands();
SELECT pg_temp.ran();
SELECT schedule_id, status, attempts, last_error->>'message' AS message FROM cmdsched.scheduled_commands WHERE attempts > 0 ORDER BY execute_at - now() > '2 hours', length(schedule_id), schedule_id;
-- An attempt that fails is one of max_commands.
SELECT cmdsched.reschedule(schedule_id, '2020-01-01') FROM cmdsched.scheduled_commands WHERE attempts > 0;
SELECT cmdsched.schedule('Write', execute_at => '2020-01-02', schedule_id => 'last');
SELECT cmdsched.process_due_commands(2);
SELECT status, count(*) FROM cmdsched.scheduled_commands WHERE attempts > 0 GROUP BY 1 ORDER BY 1;
SELECT cmdsched.run_once();
SELECT pg_temp.ran();
SELECT status, attempts, count(*) FROM cmdsched.scheduled_commands WHERE attempts > 0 GROUP BY 1, 2;
SELECT count(*) FROM cmdsched.scheduled_commands WHERE attempts > 0 AND cmdsched.cancel(schedule_id);

-- More than a batch.
SELECT count(cmdsched.schedule('Write', execute_at => '2020-01-01')) FROM generate_series(1, 1234);
SELECT cmdsched.process_due_commands();
DELETE FROM by_hand.log;

-- In the caller's transaction: rolled back with it.
SELECT cmdsched.schedule('Write', execute_at => '2020-01-01', schedule_id => 'good');
SELECT cmdsched.schedule('Write', '{"error": "no"}', execute_at => '2020-01-01', schedule_id => 'bad');
BEGIN;
SELECT cmdsched.run_once();
SELECT pg_temp.ran();
SELECT cmdsched.run_once();
SELECT schedule_id, status, attempts FROM cmdsched.scheduled_commands WHERE schedule_id <> 'later';
ROLLBACK;
SELECT schedule_id, status, attempts FROM cmdsched.get_due_commands();
BEGIN;
SAVEPOINT s;
SELECT cmdsched.run_once();
ROLLBACK TO s;
SELECT cmdsched.run_once();
COMMIT;
SELECT pg_temp.ran();
SELECT cmdsched.cancel('bad');

-- A handler may itself schedule, cancel, move and dispatch.
CREATE FUNCTION by_hand.act(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO by_hand.log (command) VALUES ((cmdsched.current_command()).schedule_id);
    EXECUTE 'SELECT ' || ($1->>'do');
    INSERT INTO by_hand.log (command) VALUES ((cmdsched.current_command()).schedule_id);
END
$$;
SELECT cmdsched.register_handler('Act', 'by_hand.act(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('Act', jsonb_build_object('do', v.act), '2020-01-01'::timestamptz + v.n * interval '1 hour', schedule_id => 'a' || v.n)
  FROM (VALUES (1, 'cmdsched.cancel(''a2'')'),
               (2, '1 / 0'),
               (3, 'cmdsched.reschedule(''a4'', ''2040-01-01'')'),
               (4, '1 / 0'),
               (5, 'cmdsched.schedule(''Write'', schedule_id => ''w1'')'),
               (6, 'cmdsched.cancel(''a6'')'),
               (7, 'cmdsched.process_due_commands(2)'),
               (8, 'cmdsched.run_once()'),
               (9, '1'),
               (10, '1')) AS v (n, act);
SELECT cmdsched.process_due_commands();
SELECT pg_temp.ran();
SELECT cmdsched.current_command() IS NULL AS no_command_outside;
SELECT schedule_id, status, attempts FROM cmdsched.scheduled_commands ORDER BY schedule_id;
SELECT cmdsched.process_due_commands();
SELECT pg_temp.ran();
SELECT cmdsched.cancel('a4');

-- One's own dispatcher: read, do, delete.
SELECT cmdsched.schedule('Write', jsonb_build_object('n', n), '2020-01-01', schedule_id => 'own ' || n) FROM generate_series(1, 2) AS n;
SELECT command_data, cmdsched.delete_executed(schedule_id) FROM cmdsched.get_due_commands();
SELECT cmdsched.delete_executed('own 1');
SELECT count(*) FROM cmdsched.get_due_commands();

-- The time limit holds, and is over afterwards.
CREATE FUNCTION by_hand.run_forever(jsonb) RETURNS void LANGUAGE plpgsql AS 'BEGIN LOOP END LOOP; END';
SELECT cmdsched.register_handler('RunForever', 'by_hand.run_forever(jsonb)', max_attempts => 1, timeout => '20 milliseconds');
SELECT cmdsched.schedule('RunForever', execute_at => '2020-01-01', schedule_id => 'forever');
SELECT cmdsched.schedule('Write', schedule_id => 'after forever');
SELECT cmdsched.process_due_commands();
SELECT pg_temp.ran();
SELECT status, attempts, last_error->>'sqlstate' AS sqlstate, last_error->>'message' AS message FROM cmdsched.get('forever');
SELECT cmdsched.cancel('forever');
-- That of the caller is the caller's: nothing is recorded.
SELECT cmdsched.register_handler('RunForever', 'by_hand.run_forever(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('RunForever', schedule_id => 'forever');
SET statement_timeout = '50ms';
SELECT cmdsched.process_due_commands();
RESET statement_timeout;
SELECT status, attempts, last_error, cmdsched.cancel('forever') FROM cmdsched.get('forever');

-- What a handler sets is not set afterwards; the caller's own settings are.
CREATE FUNCTION by_hand.set_things(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO by_hand.log (command) VALUES (current_setting('my.setting'));
    PERFORM set_config('my.setting', 'changed', false), set_config('search_path', 'by_hand', true);
    IF $1 ? 'error' THEN
        RAISE EXCEPTION 'no';
    END IF;
END
$$;
SELECT cmdsched.register_handler('SetThings', 'by_hand.set_things(jsonb)', max_attempts => 1);
SET my.setting = 'as before';
SELECT cmdsched.schedule('SetThings', d, '2020-01-01', schedule_id => 's' || n) FROM unnest('{"{}","{\"error\": 1}","{}"}'::jsonb[]) WITH ORDINALITY AS v (d, n);
SELECT cmdsched.process_due_commands();
SELECT pg_temp.ran(), current_setting('my.setting') AS setting, current_setting('search_path') AS path;
SELECT cmdsched.cancel('s2');

-- A procedure runs in the caller's transaction, where it cannot commit.
CREATE PROCEDURE by_hand.proceed(jsonb) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO by_hand.log (command) VALUES ('procedure');
    IF $1 ? 'commit' THEN
        COMMIT;
    END IF;
END
$$;
SELECT cmdsched.register_handler('Proceed', 'by_hand.proceed(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('Proceed', d, '2020-01-01', schedule_id => 'p' || n) FROM unnest('{"{}","{\"commit\": 1}","{}"}'::jsonb[]) WITH ORDINALITY AS v (d, n);
SELECT cmdsched.process_due_commands();
SELECT pg_temp.ran();
SELECT schedule_id, status, last_error->>'sqlstate' AS sqlstate, last_error->>'message' AS message FROM cmdsched.scheduled_commands WHERE attempts > 0;
SELECT cmdsched.cancel('p2');

-- From within a function, a cursor loop and a block that catches errors.
SELECT cmdsched.schedule('Write', execute_at => '2020-01-01', schedule_id => 'd' || n) FROM generate_series(1, 6) AS n;
DO $$
DECLARE
    ran integer := 0;
BEGIN
    FOR i IN 1..2 LOOP
        ran := ran + cmdsched.process_due_commands(1);
    END LOOP;
    BEGIN
        ran := ran + cmdsched.process_due_commands(1);
        RAISE EXCEPTION 'undo the last';
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
    RAISE NOTICE '% ran', ran;
END
$$;
SELECT pg_temp.ran();
DO $$
BEGIN
    WHILE cmdsched.process_due_commands(1) > 0 LOOP
        COMMIT;
    END LOOP;
END
$$;
SELECT pg_temp.ran();

-- In the stricter isolation levels.
SELECT cmdsched.schedule('Write', execute_at => '2020-01-01', schedule_id => 'i' || n) FROM generate_series(1, 2) AS n;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cmdsched.process_due_commands(1);
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT cmdsched.process_due_commands(1);
COMMIT;
SELECT pg_temp.ran();

SELECT cmdsched.cancel('later');
SELECT count(*) FROM cmdsched.scheduled_commands;
SELECT count(cmdsched.unregister_handler(command_type)) FROM cmdsched.handlers;
SELECT cmdsched.start();
\set VERBOSITY terse
DROP SCHEMA by_hand CASCADE;
