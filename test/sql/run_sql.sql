-- run_sql(): a text of SQL as a command, by hand and by workers.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;

CREATE ROLE run_sql LOGIN;
GRANT USAGE ON SCHEMA cmdsched TO run_sql;
CREATE SCHEMA run_sql AUTHORIZATION run_sql;
CREATE TABLE run_sql.log (n integer GENERATED ALWAYS AS IDENTITY, who name DEFAULT current_user, what text);
ALTER TABLE run_sql.log OWNER TO run_sql;
ALTER ROLE run_sql SET search_path = run_sql, pg_catalog;
SELECT cmdsched.register_handler('RunSql', 'cmdsched.run_sql(jsonb)', max_attempts => 1, history => 'all');

-- It has to be granted.
SET ROLE run_sql;
SELECT * FROM pg_temp.error_of($$CALL cmdsched.run_sql('{"sql": "SELECT 1"}')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('RunSql', '{"sql": "SELECT 1"}')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.register_handler('Mine', 'cmdsched.run_sql(jsonb)')$$);
RESET ROLE;
GRANT EXECUTE ON PROCEDURE cmdsched.run_sql TO run_sql;

CREATE FUNCTION pg_temp.did(ids text) RETURNS TABLE (id text, outcome text, result jsonb, code text, message text) LANGUAGE sql AS $$
    SELECT schedule_id, outcome, result, error->>'sqlstate', CASE WHEN error->>'sqlstate' NOT IN ('25001', '42501') THEN error->>'message' END
      FROM cmdsched.command_history WHERE schedule_id LIKE ids ORDER BY schedule_id COLLATE "C"
$$;

-- -------------------------------------------------------------------------
-- By hand
-- -------------------------------------------------------------------------

CREATE TEMPORARY TABLE texts (n serial, command_data jsonb);
GRANT SELECT ON texts TO run_sql;
INSERT INTO texts (command_data) SELECT jsonb_build_object('sql', t) FROM unnest(ARRAY[
    $$INSERT INTO run_sql.log (what) VALUES ('a'), ('b'), ('c')$$,
    $$SELECT * FROM run_sql.log$$,
    $$UPDATE run_sql.log SET what = upper(what) WHERE what <> 'b' RETURNING what$$,
    $$WITH d AS (DELETE FROM run_sql.log RETURNING what) INSERT INTO run_sql.log (what) SELECT lower(what) FROM d$$,
    -- several, which see what those before did
    $$CREATE TABLE run_sql.made (i) AS SELECT 1; INSERT INTO run_sql.made VALUES (2); DELETE FROM run_sql.made WHERE i = 1;$$,
    $$SET LOCAL work_mem = '1MB'; SELECT set_config('search_path', 'run_sql', false); INSERT INTO log (what) VALUES (current_setting('work_mem'))$$,
    $$ANALYZE run_sql.log$$, $$DO 'BEGIN INSERT INTO run_sql.log (what) VALUES (''done''); END'$$, $$REFRESH MATERIALIZED VIEW run_sql.missing$$,
    $$EXPLAIN SELECT 1$$, $$NOTIFY run_sql$$, $$ -- nothing$$, $$$$, $$;;$$,
    -- all or nothing
    $$INSERT INTO run_sql.log (what) VALUES ('lost'); SELECT 1/0$$,
    $$INSERT INTO run_sql.log (what) VALUES ('lost'); this is not SQL$$,
    $$SELECT 'a "quoted" \ thing', E'\\u00e9'$$,
    -- the transaction is not its own
    $$BEGIN; INSERT INTO run_sql.log (what) VALUES ('lost'); COMMIT$$, $$COMMIT$$, $$ROLLBACK$$, $$SAVEPOINT s$$, $$PREPARE TRANSACTION 'p'$$, $$DO 'BEGIN COMMIT; END'$$,
    $$VACUUM run_sql.log$$, $$COPY run_sql.log FROM STDIN$$, $$COPY run_sql.log TO STDOUT$$, $$COPY run_sql.log TO '/tmp/x'$$,
    $$SELECT cmdsched.abandon('enough')$$, $$SELECT (cmdsched.current_command()).command_type$$,
    $$CALL cmdsched.run_sql('{"sql": "INSERT INTO run_sql.log (what) VALUES (''inner'')"}')$$]) AS t;
INSERT INTO texts (command_data) VALUES ('{}'), ('[]'), ('"sql"'), ('{"sql": null}'), ('{"sql": 1}'), ('{"SQL": "SELECT 1"}');

SET ROLE run_sql;
SET work_mem = '3MB';
SELECT count(cmdsched.schedule('RunSql', command_data, '2000-01-01', schedule_id => to_char(n, '"hand" 00'))) FROM texts;
SELECT cmdsched.run_once();
SELECT d.*, regexp_replace(t.command_data::text, '(.{60}).*', '\1...') AS command_data FROM pg_temp.did('hand%') AS d, texts AS t WHERE to_char(t.n, '"hand" 00') = d.id;
SELECT what, who FROM run_sql.log ORDER BY n;
SELECT * FROM run_sql.made;
-- Settings are as they were.
SHOW work_mem;
SELECT count(cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands;
TRUNCATE run_sql.log;

-- A CALL of one's own is no way out of a function or transaction, either.
\set VERBOSITY sqlstate
CALL cmdsched.run_sql('{"sql": "INSERT INTO run_sql.log (what) VALUES (''called'')"}');
CALL cmdsched.run_sql('{"sql": "VACUUM"}');
CALL cmdsched.run_sql('{"sql": "CALL cmdsched.run_sql(''{\"sql\": \"VACUUM\"}'')"}');
CALL cmdsched.run_sql(NULL);
DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM run_sql.log LOOP CALL cmdsched.run_sql('{"sql": "VACUUM"}'); END LOOP; END $$;
\set VERBOSITY default
SELECT what FROM run_sql.log;
RESET ROLE;

-- -------------------------------------------------------------------------
-- By a worker, where a text is a transaction of its own
-- -------------------------------------------------------------------------

TRUNCATE run_sql.log;
SELECT cmdsched.register_handler('Limited', 'cmdsched.run_sql(jsonb)', max_attempts => 1, timeout => '100 ms', history => 'all');
INSERT INTO texts (n, command_data) SELECT n + 100, jsonb_build_object('sql', t) FROM unnest(ARRAY[
    $$INSERT INTO log (what) VALUES (current_setting('search_path'))$$,
    $$INSERT INTO log (what) VALUES ('a'); UPDATE log SET what = upper(what) WHERE what = 'a'; SELECT * FROM log$$,
    $$INSERT INTO log (what) VALUES ('lost'); SELECT 1/0$$, $$INSERT INTO log (what) VALUES ('lost'); COMMIT$$, $$COPY log FROM STDIN$$, $$SELECT$$, $$--$$,
    -- what ends the transaction
    $$VACUUM (ANALYZE) log$$, $$CREATE INDEX CONCURRENTLY log_what ON log (what)$$, $$REINDEX INDEX CONCURRENTLY log_what$$,
    $$CREATE PROCEDURE in_parts() LANGUAGE plpgsql AS 'BEGIN FOR i IN 1..3 LOOP INSERT INTO run_sql.log (what) VALUES (''part '' || i); COMMIT; END LOOP; END'$$,
    $$CALL in_parts()$$, $$DO 'BEGIN INSERT INTO log (what) VALUES (''kept''); COMMIT; PERFORM 1/0; END'$$,
    $$CALL cmdsched.run_sql('{"sql": "CALL in_parts()"}')$$, $$VACUUM missing$$, $$VACUUM; SELECT 1$$, $$SELECT 1; CALL in_parts()$$,
    -- what would stay in the session
    $$SET work_mem = '1MB'$$, $$INSERT INTO log (what) VALUES (current_setting('work_mem'))$$, $$CREATE TEMPORARY TABLE t (i integer)$$, $$CREATE TEMPORARY TABLE t (i integer)$$,
    $$PREPARE p AS SELECT 1$$, $$PREPARE p AS SELECT 1$$, $$SELECT pg_advisory_lock(42)$$, $$DISCARD ALL$$, $$LISTEN run_sql$$,
    -- the role stays what it is
    $$RESET ROLE; SET SESSION AUTHORIZATION DEFAULT; INSERT INTO log (what) VALUES ('still ' || session_user)$$, $$SET ROLE pg_monitor$$]) WITH ORDINALITY AS v (t, n);

-- One after the other, and nobody's snapshot to wait for.
CREATE PROCEDURE pg_temp.run(type text, id text, command_data jsonb) LANGUAGE plpgsql AS $$
DECLARE
    give_up_at timestamptz := clock_timestamp() + interval '10 seconds';
BEGIN
    PERFORM cmdsched.schedule(type, command_data, schedule_id => id);
    COMMIT;
    WHILE (cmdsched.get(id)).status = 'pending' AND clock_timestamp() < give_up_at LOOP
        PERFORM pg_sleep(0.01);
        COMMIT;
    END LOOP;
END
$$;
SELECT cmdsched.start();
SET ROLE run_sql;
DO $$
DECLARE
    t record;
BEGIN
    FOR t IN SELECT * FROM texts WHERE n > 100 ORDER BY n LOOP
        CALL pg_temp.run('RunSql', 'work ' || t.n, t.command_data);
    END LOOP;
    CALL pg_temp.run('Limited', 'work limited', '{"sql": "SELECT pg_sleep(100)"}');
END
$$;
SELECT d.*, regexp_replace(t.command_data::text, '(.{60}).*', '\1...') AS command_data FROM pg_temp.did('work%') AS d LEFT JOIN texts AS t ON 'work ' || t.n = d.id;
SELECT what, who FROM run_sql.log ORDER BY n;
SELECT pg_temp.wait_for($$NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')$$) AS unlocked;
RESET ROLE;

SELECT cmdsched.stop() IS NOT NULL AS stopped;
SELECT count(cmdsched.cancel(schedule_id)) > 0 FROM cmdsched.scheduled_commands;
SELECT cmdsched.unregister_handler('RunSql'), cmdsched.unregister_handler('Limited');
DROP OWNED BY run_sql;
DROP ROLE run_sql;
SELECT cmdsched.start() IS NOT NULL AS started;
