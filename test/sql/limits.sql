-- Commands that schedule commands, and roles that schedule without end, come to a limit.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;

CREATE SCHEMA limits;
CREATE TABLE limits.log (depth integer, what text);
-- It schedules itself so many times, after so long.
CREATE FUNCTION limits.breed(c cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO limits.log VALUES (c.depth, c.schedule_id);
    PERFORM cmdsched.schedule_in('Breed', c.command_data, (c.command_data->>'after')::interval)
       FROM generate_series(1, (c.command_data->>'children')::integer);
END
$$;
SELECT cmdsched.register_handler('Breed', 'limits.breed(cmdsched.scheduled_commands)', max_attempts => 1);

-- Two children each: the deepest cannot have any, and fail.
SHOW cmdsched.max_depth;
SET cmdsched.max_depth = 5;
SELECT cmdsched.schedule('Breed', '{"children": 2, "after": "0"}') IS NOT NULL AS scheduled;
DO $$ BEGIN FOR i IN 1..10 LOOP PERFORM cmdsched.run_once(); END LOOP; END $$;
SELECT depth, count(*) FROM limits.log GROUP BY 1 ORDER BY 1;
SELECT depth, status, attempts, last_error->>'sqlstate' AS sqlstate, last_error->>'message' AS message, count(*)
  FROM cmdsched.scheduled_commands GROUP BY 1, 2, 3, 4, 5;
SELECT count(*) FROM cmdsched.scheduled_commands WHERE cmdsched.cancel(schedule_id);
TRUNCATE limits.log;
-- What runs every so often is not a chain without end.
SELECT cmdsched.schedule('Breed', '{"children": 1, "after": "2 seconds"}') IS NOT NULL AS scheduled;
DO $$
BEGIN
    FOR i IN 1..20 LOOP
        PERFORM cmdsched.run_once();
        PERFORM cmdsched.reschedule(schedule_id, now()) FROM cmdsched.scheduled_commands;
    END LOOP;
END
$$;
SELECT depth, count(*) FROM limits.log GROUP BY 1;
SELECT status, attempts, cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands;
TRUNCATE limits.log;
-- Outside of handlers there is no depth.
SELECT cmdsched.schedule('Breed', schedule_id => 'outside');
SELECT depth, cmdsched.cancel('outside') FROM cmdsched.get('outside');
-- No limit.
SET cmdsched.max_depth = 0;
SELECT cmdsched.schedule('Breed', '{"children": 1, "after": "0"}') IS NOT NULL AS scheduled;
DO $$ BEGIN FOR i IN 1..150 LOOP PERFORM cmdsched.run_once(); END LOOP; END $$;
SELECT count(*) >= 150 AS many, max(depth) FROM limits.log;
SELECT status, cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands;
RESET cmdsched.max_depth;
TRUNCATE limits.log;
-- In a worker, with the default.
SELECT cmdsched.start();
SELECT cmdsched.schedule('Breed', '{"children": 1, "after": "0"}') IS NOT NULL AS scheduled;
SELECT pg_temp.wait_for($$count(*) = 1 FROM cmdsched.scheduled_commands WHERE status = 'failed'$$);
SELECT depth, last_error->>'sqlstate' AS sqlstate, cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands;
SELECT count(*), max(depth) FROM limits.log;

-- So many waiting commands a role may have.  It is not counted each time.
SELECT cmdsched.stop();
CREATE ROLE regress_limits LOGIN;
CREATE ROLE regress_limits_other LOGIN;
GRANT USAGE ON SCHEMA cmdsched, limits TO regress_limits, regress_limits_other;
SHOW cmdsched.max_pending;
SET cmdsched.max_pending = 50;
SET ROLE regress_limits;
SELECT count(cmdsched.schedule('Breed', execute_at => '2040-01-01', schedule_id => n::text)) FROM generate_series(1, 50) AS n;
SELECT code, message, hint FROM pg_temp.error_of($$SELECT count(cmdsched.schedule('Breed', execute_at => '2040-01-01')) FROM generate_series(1, 50) AS n$$);
SELECT code FROM pg_temp.error_of($$SELECT count(cmdsched.schedule_in('Breed', '{}', '1 hour', schedule_id => 'own ' || n)) FROM generate_series(1, 50) AS n$$);
SELECT count(*) FROM cmdsched.scheduled_commands;
-- It may still move and cancel what it has, and others have their own limit.
SELECT cmdsched.reschedule('1', '2041-01-01');
SET ROLE regress_limits_other;
SELECT count(cmdsched.schedule('Breed', execute_at => '2040-01-01')) FROM generate_series(1, 50) AS n;
SET ROLE regress_limits;
SELECT count(*) FROM cmdsched.scheduled_commands WHERE cmdsched.cancel(schedule_id);
SELECT count(cmdsched.schedule('Breed', execute_at => '2040-01-01')) FROM generate_series(1, 50) AS n;
RESET ROLE;
-- Nobody but an administrator changes the limits.
SET ROLE regress_limits;
SELECT code FROM unnest('{max_depth,max_pending}'::text[]) AS s, pg_temp.error_of(format('SET cmdsched.%s = 0', s));
RESET ROLE;
RESET cmdsched.max_pending;

SELECT count(*) FROM cmdsched.scheduled_commands WHERE cmdsched.cancel(schedule_id);
SELECT cmdsched.unregister_handler('Breed');
SELECT cmdsched.start();
\set VERBOSITY terse
DROP SCHEMA limits CASCADE;
DROP OWNED BY regress_limits, regress_limits_other;
DROP ROLE regress_limits, regress_limits_other;
