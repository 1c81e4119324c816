-- What happens to an attempt, in a background worker.
\i test/sql/include/shared.sql
SELECT cmdsched.start() IS NOT NULL AS started;

CREATE SCHEMA attempts;
CREATE TABLE attempts.log (n serial, command text, what text, xid xid8 DEFAULT pg_current_xact_id(), pid integer DEFAULT pg_backend_pid());

-- In one line: what was logged since the last time.  Two executors may share the work.
CREATE FUNCTION pg_temp.logged() RETURNS text LANGUAGE sql AS $$
    WITH d AS (DELETE FROM attempts.log RETURNING n, command, what)
    SELECT string_agg(concat_ws(': ', command, what), ', ' ORDER BY command, n) FROM d
$$;
-- What is left of a command, once it is no longer as it was scheduled.
CREATE FUNCTION pg_temp.settled(
    id text, OUT status text, OUT attempts integer, OUT code text, OUT message text, OUT cancelled boolean
) RETURNS record LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_temp.wait_for(format('status <> ''pending'' OR attempts > 0 OR execute_at > clock_timestamp() FROM cmdsched.scheduled_commands WHERE schedule_id = %L', id));
    SELECT c.status, c.attempts, c.last_error->>'sqlstate', c.last_error->>'message' INTO status, attempts, code, message
      FROM cmdsched.get(id) AS c;
    cancelled := cmdsched.cancel(id);
END
$$;

-- One handler for most of it: it runs the statement in command_data.
CREATE FUNCTION attempts.do(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO attempts.log (command, what) VALUES ((cmdsched.current_command()).schedule_id, 'began');
    EXECUTE $1 #>> '{}';
END
$$;
SELECT cmdsched.register_handler('Do', 'attempts.do(jsonb)', max_attempts => 1);
CREATE FUNCTION pg_temp.schedule_do(id text, statement text) RETURNS text LANGUAGE sql AS $$
    SELECT cmdsched.schedule('Do', to_jsonb(statement), schedule_id => id)
$$;

-- It succeeds: effects and removal are one commit.
SELECT pg_temp.schedule_do('good', 'INSERT INTO attempts.log (what) VALUES (''did'')');
SELECT pg_temp.wait_until_gone('good');
SELECT count(DISTINCT xid) AS transactions, count(DISTINCT pid) AS processes FROM attempts.log;
SELECT pg_temp.logged();

-- It raises an error: rolled back, counted, and after max_attempts failed.
SELECT pg_temp.schedule_do('bad', 'SELECT 1 / 0');
SELECT * FROM pg_temp.settled('bad');
SELECT pg_temp.logged();
-- The good and the bad of one batch.
SELECT pg_temp.schedule_do('mixed ' || n, CASE n WHEN 3 THEN 'SELECT 1 / 0' ELSE 'SELECT 1' END) FROM generate_series(1, 5) AS n;
SELECT * FROM pg_temp.settled('mixed 3');
SELECT pg_temp.wait_until_gone('mixed %');
SELECT pg_temp.logged();
-- Errors of all kinds.
SELECT pg_temp.schedule_do('e1', 'SELECT nowhere()'),
       pg_temp.schedule_do('e2', 'no SQL'),
       pg_temp.schedule_do('e3', 'COMMIT'),
       pg_temp.schedule_do('e4', 'DO ''BEGIN COMMIT; END'''),
       pg_temp.schedule_do('e5', 'VACUUM'),
       pg_temp.schedule_do('e6', 'DO ''BEGIN RAISE SQLSTATE ''''42704''''; END''');
SELECT id, s.* FROM unnest('{e1,e2,e3,e4,e5,e6}'::text[]) AS id, pg_temp.settled(id) AS s;
-- An error of the commit is that of the command whose effects do not hold.
CREATE TABLE attempts.parents (id integer PRIMARY KEY);
CREATE TABLE attempts.children (parent integer REFERENCES attempts.parents DEFERRABLE INITIALLY DEFERRED);
SELECT pg_temp.schedule_do('d1', 'SELECT 1'),
       pg_temp.schedule_do('d2', 'INSERT INTO attempts.children VALUES (1)'),
       pg_temp.schedule_do('d3', 'SELECT 1');
SELECT * FROM pg_temp.settled('d2');
SELECT pg_temp.wait_until_gone('d%');
TRUNCATE attempts.log;

-- 40001 and 40P01 are tried again at once, five times, and not counted.
CREATE SEQUENCE attempts.calls;
CREATE FUNCTION attempts.conflict(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('attempts.calls') <= ($1->>'times')::integer THEN
        RAISE EXCEPTION 'conflict' USING ERRCODE = $1->>'code';
    END IF;
    INSERT INTO attempts.log (what) SELECT attempts FROM cmdsched.current_command();
END
$$;
SELECT cmdsched.register_handler('Conflict', 'attempts.conflict(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('Conflict', '{"code": "40001", "times": 5}', schedule_id => 'conflict');
SELECT pg_temp.wait_until_gone('conflict');
SELECT pg_temp.logged(), last_value FROM attempts.calls;
ALTER SEQUENCE attempts.calls RESTART;
SELECT cmdsched.schedule('Conflict', '{"code": "40P01", "times": 2}', schedule_id => 'conflict');
SELECT pg_temp.wait_until_gone('conflict');
SELECT pg_temp.logged(), last_value FROM attempts.calls;
ALTER SEQUENCE attempts.calls RESTART;
SELECT cmdsched.schedule('Conflict', '{"code": "40001", "times": 100}', schedule_id => 'conflict');
SELECT * FROM pg_temp.settled('conflict');
SELECT last_value FROM attempts.calls;

-- snooze(): not counted, rolled back, and later again.  Swallowing the error does not help.
ALTER SEQUENCE attempts.calls RESTART;
SELECT pg_temp.schedule_do('snooze', $$SELECT cmdsched.snooze('20 milliseconds') WHERE nextval('attempts.calls') < 4$$);
SELECT pg_temp.wait_until_gone('snooze');
SELECT pg_temp.logged(), last_value FROM attempts.calls;
SELECT pg_temp.schedule_do('snooze', $$SELECT cmdsched.snooze('1 hour')$$);
SELECT pg_temp.wait_for($$execute_at BETWEEN now() + interval '59 minutes' AND now() + interval '61 minutes' FROM cmdsched.get('snooze')$$);
SELECT * FROM pg_temp.settled('snooze');
CREATE FUNCTION attempts.swallow(statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    INSERT INTO attempts.log (what) VALUES (SQLERRM);
END
$$;
SELECT pg_temp.schedule_do('snooze', $$SELECT attempts.swallow('SELECT cmdsched.snooze(''1 hour'')')$$);
SELECT * FROM pg_temp.settled('snooze');
SELECT pg_temp.logged();

-- abandon(): failed at once, for this reason.
SELECT cmdsched.register_handler('Do', 'attempts.do(jsonb)', max_attempts => 5);
SELECT pg_temp.schedule_do('abandon', $$SELECT cmdsched.abandon('the order is gone')$$);
SELECT * FROM pg_temp.settled('abandon');
SELECT pg_temp.schedule_do('abandon', $$SELECT attempts.swallow('SELECT cmdsched.abandon(''really'')')$$);
SELECT * FROM pg_temp.settled('abandon');
SELECT pg_temp.logged();
-- Bad arguments are errors of the handler as others are.
SELECT pg_temp.schedule_do('s' || n, s) FROM unnest(ARRAY['SELECT cmdsched.snooze(''-1 s'')', 'SELECT cmdsched.snooze(NULL)', 'SELECT cmdsched.abandon(NULL)']) WITH ORDINALITY AS v (s, n);
SELECT id, s.* FROM unnest('{s1,s2,s3}'::text[]) AS id, pg_temp.settled(id) AS s;

-- The time limit: cancelled, counted.  What waits here waits for this session.
SELECT cmdsched.register_handler('Slow', 'attempts.do(jsonb)', max_attempts => 1, timeout => '50 milliseconds');
SELECT pg_advisory_lock(42);
SELECT cmdsched.schedule('Slow', '"SELECT pg_advisory_xact_lock(42)"', schedule_id => 'slow');
SELECT cmdsched.schedule('Slow', '"DO ''BEGIN LOOP END LOOP; END''"', schedule_id => 'busy');
SELECT cmdsched.schedule('Slow', '"SELECT attempts.swallow(''SELECT pg_advisory_xact_lock(42)'')"', schedule_id => 'others');
SELECT id, s.* FROM unnest('{slow,busy,others}'::text[]) AS id, pg_temp.settled(id) AS s;
-- A handler that swallows the cancel is terminated; the next command finds a new worker.
ALTER SEQUENCE attempts.calls RESTART;
CREATE FUNCTION attempts.swallow_cancel(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM nextval('attempts.calls');
    LOOP
        BEGIN
            PERFORM pg_advisory_xact_lock(42);
        EXCEPTION WHEN query_canceled THEN
            NULL;
        END;
    END LOOP;
END
$$;
SELECT cmdsched.register_handler('Stubborn', 'attempts.swallow_cancel(jsonb)', max_attempts => 1, timeout => '50 milliseconds');
SELECT cmdsched.schedule('Stubborn', schedule_id => 'stubborn');
SELECT * FROM pg_temp.settled('stubborn');
SELECT last_value AS calls FROM attempts.calls;
SELECT pg_advisory_unlock(42);
TRUNCATE attempts.log;
SELECT cmdsched.schedule('Slow', '"SELECT 1"', schedule_id => 'after');
SELECT pg_temp.wait_until_gone('after');
SELECT pg_temp.logged();

-- Held: the handler is missing, gone, of another shape, or may not be executed.  Nothing is counted.
CREATE ROLE regress_attempts LOGIN;
GRANT USAGE ON SCHEMA cmdsched, attempts TO regress_attempts;
GRANT INSERT ON attempts.log TO regress_attempts;
GRANT USAGE ON SEQUENCE attempts.log_n_seq TO regress_attempts;
CREATE FUNCTION attempts.write(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    INSERT INTO attempts.log (command, what) VALUES (c.schedule_id, concat_ws(' ', c.status, c.attempts))
$$;
SELECT cmdsched.register_handler('Gone', 'attempts.write(cmdsched.scheduled_commands)', 'shop');
BEGIN;
SET LOCAL ROLE regress_attempts;
SELECT cmdsched.schedule('Gone', schedule_id => 'gone', command_module => 'shop');
RESET ROLE;
SELECT cmdsched.unregister_handler('Gone', 'shop');
COMMIT;
SELECT pg_temp.wait_for($$status = 'held' FROM cmdsched.get('gone')$$);
SELECT status, attempts, last_error - 'at' AS last_error FROM cmdsched.get('gone');
-- The next of the type is held as well, others run.
SELECT cmdsched.register_handler('Gone', 'attempts.write(cmdsched.scheduled_commands)', 'other');
SELECT cmdsched.schedule('Gone', schedule_id => 'other', command_module => 'other');
SELECT pg_temp.wait_until_gone('other');
SELECT status FROM cmdsched.get('gone');
-- Its time is the one that it had: registering makes it due.
SELECT cmdsched.register_handler('Gone', 'attempts.write(cmdsched.scheduled_commands)', 'shop');
SELECT pg_temp.wait_until_gone('gone');
SELECT pg_temp.logged();

CREATE FUNCTION attempts.drop_me(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT cmdsched.register_handler('Dropped', 'attempts.drop_me(jsonb)');
BEGIN;
SET LOCAL ROLE regress_attempts;
SELECT cmdsched.schedule('Dropped', schedule_id => 'dropped');
RESET ROLE;
DROP FUNCTION attempts.drop_me;
COMMIT;
SELECT pg_temp.wait_for($$status = 'held' FROM cmdsched.get('dropped')$$);
SELECT status, attempts, last_error - 'at' AS last_error FROM cmdsched.get('dropped');
CREATE FUNCTION attempts.drop_me(jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO attempts.log (what) VALUES ('made again') $$;
SELECT cmdsched.register_handler('Dropped', 'attempts.drop_me(jsonb)');
SELECT pg_temp.wait_until_gone('dropped');
SELECT pg_temp.logged();

BEGIN;
SET LOCAL ROLE regress_attempts;
SELECT cmdsched.schedule('Dropped', schedule_id => 'revoked');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION attempts.drop_me FROM PUBLIC;
COMMIT;
SELECT pg_temp.wait_for($$status = 'held' FROM cmdsched.get('revoked')$$);
SELECT status, attempts, last_error - 'at' AS last_error FROM cmdsched.get('revoked');
-- Registering again does not help as long as the reason is there.
SELECT cmdsched.register_handler('Dropped', 'attempts.drop_me(jsonb)');
SELECT pg_temp.wait_for($$status = 'held' AND attempts = 0 FROM cmdsched.get('revoked')$$);
-- retry() is the other way out.
GRANT EXECUTE ON FUNCTION attempts.drop_me TO regress_attempts;
SELECT cmdsched.retry('revoked');
SELECT pg_temp.wait_until_gone('revoked');
SELECT pg_temp.logged();

-- The handler that a transaction registers is the one that runs what it schedules.
CREATE FUNCTION attempts.even(jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO attempts.log (what) VALUES (concat('even ', $1)) $$;
CREATE FUNCTION attempts.odd(jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO attempts.log (what) VALUES (concat('odd ', $1)) $$;
DO $$
BEGIN
    FOR n IN 1..50 LOOP
        PERFORM cmdsched.register_handler('Changing', CASE n % 2 WHEN 0 THEN 'attempts.even(jsonb)' ELSE 'attempts.odd(jsonb)' END::regprocedure);
        PERFORM cmdsched.schedule('Changing', CASE n % 2 WHEN 0 THEN '"even"' ELSE '"odd"' END::jsonb, schedule_id => 'changing ' || n);
        COMMIT;
        PERFORM pg_temp.wait_until_gone('changing %');
    END LOOP;
END
$$;
SELECT what, count(*) FROM attempts.log GROUP BY what ORDER BY what;
TRUNCATE attempts.log;

-- Paused: pending, and nobody runs it.
SELECT cmdsched.register_handler('Paused', 'attempts.write(cmdsched.scheduled_commands)', paused => true);
SELECT cmdsched.schedule('Paused', schedule_id => 'paused 1');
SELECT cmdsched.schedule('Paused', schedule_id => 'paused 2', execute_at => now() + interval '1 hour');
SELECT cmdsched.register_handler('Write', 'attempts.write(cmdsched.scheduled_commands)');
SELECT cmdsched.schedule('Write', schedule_id => 'not paused');
SELECT pg_temp.wait_until_gone('not paused');
SELECT schedule_id, status, attempts, last_error FROM cmdsched.get_due_commands();
SELECT cmdsched.process_due_commands();
SELECT cmdsched.reschedule('paused 2', now());
SELECT cmdsched.cancel('paused 1');
SELECT cmdsched.register_handler('Paused', 'attempts.write(cmdsched.scheduled_commands)');
SELECT pg_temp.wait_until_gone('paused %');
SELECT pg_temp.logged();

-- What a handler leaves behind is not there for the next command, be it of the same batch or later.
SELECT cmdsched.register_handler('Do', 'attempts.do(jsonb)', max_attempts => 1);
CREATE FUNCTION attempts.leave() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('work_mem', '77MB', false), set_config('search_path', 'attempts', false),
            set_config('my.leftover', 'left', false), set_config('role', 'regress_attempts', false);
    CREATE TEMP TABLE leftover (x integer);
    EXECUTE 'PREPARE leftover AS SELECT 1';
    PERFORM pg_advisory_lock(43);
    PERFORM pg_advisory_lock_shared(43, 44);
    EXECUTE 'DECLARE leftover CURSOR WITH HOLD FOR SELECT 1';
END
$$;
GRANT CREATE ON SCHEMA attempts TO regress_attempts;
CREATE FUNCTION attempts.look() RETURNS void LANGUAGE sql AS $$
    INSERT INTO attempts.log (what)
    SELECT concat_ws(' ', 'found', string_agg(name, ' ' ORDER BY name))
      FROM (SELECT name FROM pg_settings WHERE name = 'work_mem' AND source = 'session'
            UNION ALL SELECT 'search_path' WHERE current_setting('search_path') = 'attempts'
            UNION ALL SELECT 'my.leftover' WHERE current_setting('my.leftover', true) = 'left'
            UNION ALL SELECT 'role' WHERE current_user <> session_user
            UNION ALL SELECT 'table ' || relname FROM pg_class WHERE relname = 'leftover' AND relnamespace = pg_my_temp_schema()
            UNION ALL SELECT 'statement ' || name FROM pg_prepared_statements
            UNION ALL SELECT 'cursor ' || name FROM pg_cursors WHERE name = 'leftover'
            UNION ALL SELECT 'lock ' || mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid IN (0, 43)) AS t (name)
$$;
SELECT pg_temp.schedule_do('leave 1', 'SELECT attempts.leave()'),
       pg_temp.schedule_do('leave 2', 'SELECT attempts.look()'),
       pg_temp.schedule_do('leave 3', 'DO ''BEGIN PERFORM attempts.leave(); PERFORM 1 / 0; END'''),
       pg_temp.schedule_do('leave 4', 'SELECT attempts.look()');
SELECT * FROM pg_temp.settled('leave 3');
SELECT pg_temp.wait_until_gone('leave %');
SELECT pg_temp.schedule_do('leave 5', 'SELECT attempts.leave()');
SELECT pg_temp.wait_until_gone('leave %');
SELECT pg_temp.schedule_do('leave 6', 'SELECT attempts.look()');
SELECT pg_temp.wait_until_gone('leave %');
SELECT what FROM attempts.log WHERE what <> 'began';
TRUNCATE attempts.log;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid IN (0, 43);

-- The three signatures; a STRICT handler is not left out for want of metadata.
CREATE FUNCTION attempts.of_data(jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO attempts.log (what) VALUES (concat('data ', $1))
$$;
CREATE FUNCTION attempts.of_both(jsonb, jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO attempts.log (what) VALUES (concat('data ', $1, ' metadata ', coalesce($2::text, 'NULL')))
$$;
CREATE FUNCTION attempts.of_both_strictly(jsonb, jsonb) RETURNS void LANGUAGE plpgsql STRICT AS $$
BEGIN
    INSERT INTO attempts.log (what) VALUES (concat('data ', $1, ' metadata ', coalesce($2::text, 'NULL')));
END
$$;
CREATE FUNCTION attempts.of_row(cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    INSERT INTO attempts.log (command, what)
    VALUES ($1.schedule_id, concat_ws(' ', $1.command_type, $1.command_module, $1.command_data, $1.execute_at, $1.metadata, $1.attempts))
$$;
SELECT cmdsched.register_handler(n, h) FROM (VALUES ('Data', 'attempts.of_data(jsonb)'::regprocedure), ('Both', 'attempts.of_both(jsonb,jsonb)'),
    ('Strictly', 'attempts.of_both_strictly(jsonb,jsonb)'), ('Row', 'attempts.of_row(cmdsched.scheduled_commands)')) AS v (n, h);
SELECT cmdsched.schedule(t, '{"a": 1}', '2020-01-01 00:00+00'::timestamptz + n * interval '1 hour', m, 'form ' || n)
  FROM (VALUES (1, 'Data', NULL::jsonb), (2, 'Both', NULL), (3, 'Both', '{"m": 1}'), (4, 'Strictly', NULL), (5, 'Strictly', '{"m": 1}'), (6, 'Row', NULL), (7, 'Row', '{"m": 1}')) AS v (n, t, m);
SELECT pg_temp.wait_until_gone('form %');
SELECT command, what FROM attempts.log ORDER BY what;
TRUNCATE attempts.log;

-- What is returned does not matter.
CREATE FUNCTION attempts.returns_integer(jsonb) RETURNS integer LANGUAGE sql AS 'SELECT 17';
CREATE FUNCTION attempts.returns_null(jsonb) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
CREATE FUNCTION attempts.returns_jsonb(jsonb) RETURNS jsonb LANGUAGE plpgsql AS 'BEGIN RETURN jsonb_build_object(1, repeat(''x'', 100000)); END';
CREATE FUNCTION attempts.returns_record(jsonb, OUT a integer, OUT b text) RETURNS record LANGUAGE sql AS $$ SELECT 1, 'x' $$;
CREATE FUNCTION attempts.returns_row(jsonb) RETURNS cmdsched.scheduled_commands LANGUAGE sql AS 'SELECT cmdsched.current_command()';
CREATE FUNCTION attempts.returns_array(jsonb) RETURNS integer[] LANGUAGE plpgsql AS 'BEGIN RETURN ''{1,2}''; END';
SELECT cmdsched.register_handler(f, format('attempts.%s(jsonb)', f)::regprocedure)
  FROM unnest('{returns_integer,returns_null,returns_jsonb,returns_record,returns_row,returns_array}'::text[]) AS f;
SELECT cmdsched.register_handler('typeof', 'jsonb_typeof(jsonb)');
SELECT count(cmdsched.schedule(command_type, schedule_id => command_type)) FROM cmdsched.handlers WHERE command_type LIKE 'returns%' OR command_type = 'typeof';
SELECT pg_temp.wait_until_gone('returns%') AND pg_temp.wait_until_gone('typeof');

-- A handler may call its command off by its name, and schedule it anew.
SELECT pg_temp.schedule_do('self', $$SELECT cmdsched.schedule('Data', '{"again": 1}', schedule_id => 'self', on_conflict => 'error')$$);
SELECT pg_temp.wait_until_gone('self');
SELECT pg_temp.schedule_do('self', $$INSERT INTO attempts.log (what) VALUES (cmdsched.cancel('self'))$$);
SELECT pg_temp.wait_until_gone('self');
SELECT pg_temp.logged();
-- And others: they are waiting, hence not run.
SELECT cmdsched.stop();
SELECT pg_temp.schedule_do('m1', $$SELECT cmdsched.cancel('m2')$$), pg_temp.schedule_do('m2', 'SELECT 1'), pg_temp.schedule_do('m3', 'SELECT 1');
SELECT cmdsched.start();
SELECT pg_temp.wait_until_gone('m_');
SELECT pg_temp.logged();

-- A procedure may commit: each part stands, and an error undoes the last one only.
CREATE PROCEDURE attempts.proceed(c cmdsched.scheduled_commands) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO attempts.log (command, what) VALUES (c.schedule_id, 'first');
    COMMIT;
    INSERT INTO attempts.log (command, what) VALUES ((cmdsched.current_command()).schedule_id, 'second');
    EXECUTE c.command_data #>> '{}';
END
$$;
SELECT cmdsched.register_handler('Proceed', 'attempts.proceed(cmdsched.scheduled_commands)', max_attempts => 1);
SELECT cmdsched.schedule('Proceed', '"SELECT 1"', schedule_id => 'p1');
SELECT pg_temp.wait_until_gone('p1');
SELECT count(DISTINCT xid) AS transactions FROM attempts.log;
SELECT pg_temp.logged();
SELECT cmdsched.schedule('Proceed', to_jsonb(s), schedule_id => 'p' || n + 1)
  FROM unnest(ARRAY['SELECT 1 / 0', $$SELECT cmdsched.snooze('1 hour')$$, $$SELECT cmdsched.abandon('enough')$$, $$SELECT attempts.swallow('SELECT cmdsched.abandon(''enough'')')$$]) WITH ORDINALITY AS v (s, n);
SELECT id, s.* FROM unnest('{p2,p3,p4,p5}'::text[]) AS id, pg_temp.settled(id) AS s;
SELECT pg_temp.logged();
-- Both arguments, and a rollback of its own.
CREATE PROCEDURE attempts.proceed(jsonb, jsonb) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO attempts.log (what) VALUES ('undone');
    ROLLBACK;
    INSERT INTO attempts.log (what) VALUES (concat('data ', $1, ' metadata ', coalesce($2::text, 'NULL')));
END
$$;
SELECT cmdsched.register_handler('ProceedBoth', 'attempts.proceed(jsonb,jsonb)');
SELECT cmdsched.schedule('ProceedBoth', '{"a": 1}', schedule_id => 'p6');
SELECT pg_temp.wait_until_gone('p6');
SELECT pg_temp.logged();
-- It gives up its claim with the commit, and still runs once, however often it is asked for.
SELECT cmdsched.schedule('Proceed', '"SELECT 1"', schedule_id => 'p' || n) FROM generate_series(10, 12) AS n;
SELECT pg_temp.wait_until_gone('p1_');
SELECT pg_temp.logged();

SELECT schedule_id FROM cmdsched.scheduled_commands;
SELECT count(cmdsched.unregister_handler(command_type, command_module)) FROM cmdsched.handlers;
DROP OWNED BY regress_attempts;
DROP ROLE regress_attempts;
\set VERBOSITY terse
DROP SCHEMA attempts CASCADE;
