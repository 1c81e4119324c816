-- Bad input gets a clear error, and nothing is lost by it.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;

CREATE SCHEMA bad_input;
SET search_path = bad_input, public;
CREATE FUNCTION run(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT cmdsched.register_handler('Run', 'run(jsonb)');
CREATE ROLE regress_bad_input LOGIN;
CREATE ROLE regress_bad_input_nologin;
GRANT USAGE ON SCHEMA cmdsched, bad_input TO regress_bad_input, regress_bad_input_nologin;

-- What was there before, here and in the transaction of the errors.
SELECT cmdsched.schedule('Run', '{"n": 1}', '2040-01-01', schedule_id => 'before');
BEGIN;
SELECT cmdsched.schedule('Run', '{"n": 2}', '2040-01-01', schedule_id => 'just before');

CREATE FUNCTION pg_temp.errors_of(statements text[]) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format(E'%s\n    %s: %s\n    %s', s.statement, e.code, e.message, e.hint)
      FROM unnest(statements) WITH ORDINALITY AS s (statement, n), pg_temp.error_of(s.statement) AS e
     ORDER BY s.n
$$;
\pset format unaligned
\pset tuples_only on

-- NULL where it may not be.
SELECT pg_temp.errors_of(ARRAY[
    $$SELECT cmdsched.register_handler(NULL, 'run(jsonb)')$$,
    $$SELECT cmdsched.register_handler('X', NULL)$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', command_module => NULL)$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', max_attempts => NULL)$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', backoff => NULL)$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', max_backoff => NULL)$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', history => NULL)$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', external => NULL)$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', paused => NULL)$$,
    $$SELECT cmdsched.unregister_handler(NULL)$$,
    $$SELECT cmdsched.unregister_handler('X', NULL)$$,
    $$SELECT cmdsched.schedule(NULL)$$,
    $$SELECT cmdsched.schedule('Run', NULL)$$,
    $$SELECT cmdsched.schedule('Run', execute_at => NULL)$$,
    $$SELECT cmdsched.schedule('Run', command_module => NULL)$$,
    $$SELECT cmdsched.schedule('Run', on_conflict => NULL)$$,
    $$SELECT cmdsched.schedule_in(NULL, '{}', '0')$$,
    $$SELECT cmdsched.schedule_in('Run', NULL, '0')$$,
    $$SELECT cmdsched.schedule_in('Run', '{}', NULL)$$,
    $$SELECT cmdsched.schedule_in('Run', '{}', '0', command_module => NULL)$$,
    $$SELECT cmdsched.schedule_in('Run', '{}', '0', on_conflict => NULL)$$,
    $$SELECT cmdsched.cancel(NULL)$$,
    $$SELECT cmdsched.reschedule(NULL, now())$$,
    $$SELECT cmdsched.reschedule('before', NULL)$$,
    $$SELECT cmdsched.retry(NULL)$$,
    $$SELECT cmdsched.delete_executed(NULL)$$,
    $$SELECT cmdsched.stop(NULL)$$,
    $$SELECT cmdsched.snooze(NULL)$$,
    $$SELECT cmdsched.abandon(NULL)$$]);
-- Here it has a meaning: none, none, and all that is due.
SELECT cmdsched.get(NULL) IS NULL, (SELECT count(*) FROM cmdsched.get_due_commands(NULL)), cmdsched.process_due_commands(NULL);

-- Types that nobody handles.
SELECT pg_temp.errors_of(ARRAY[
    $$SELECT cmdsched.schedule('Unheard')$$,
    $$SELECT cmdsched.schedule('run')$$,
    $$SELECT cmdsched.schedule('Run ')$$,
    $$SELECT cmdsched.schedule('Run', command_module => 'shop')$$,
    $$SELECT cmdsched.schedule_in('Unheard', '{}', '1 day')$$]);
SELECT cmdsched.unregister_handler('Unheard'), cmdsched.unregister_handler('Run', 'shop');

-- Names: 1 to 255 bytes, the module 0 to 255.
SELECT pg_temp.errors_of(ARRAY[
    $$SELECT cmdsched.register_handler('', 'run(jsonb)')$$,
    $$SELECT cmdsched.register_handler(repeat('x', 256), 'run(jsonb)')$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', repeat('ü', 128))$$,
    $$SELECT cmdsched.unregister_handler('')$$,
    $$SELECT cmdsched.unregister_handler('X', repeat('x', 256))$$,
    $$SELECT cmdsched.schedule('')$$,
    $$SELECT cmdsched.schedule(repeat('x', 256))$$,
    $$SELECT cmdsched.schedule(repeat('x', 1000000))$$,
    $$SELECT cmdsched.schedule('Run', schedule_id => '')$$,
    $$SELECT cmdsched.schedule('Run', schedule_id => repeat('x', 256))$$,
    $$SELECT cmdsched.schedule('Run', schedule_id => repeat('ü', 128))$$,
    $$SELECT cmdsched.schedule('Run', command_module => repeat('x', 256))$$,
    $$SELECT cmdsched.schedule_in('', '{}', '0')$$,
    $$SELECT cmdsched.schedule_in('Run', '{}', '0', schedule_id => '')$$,
    $$SELECT cmdsched.schedule_in('Run', '{}', '0', command_module => repeat('x', 256))$$,
    $$SELECT cmdsched.cancel('')$$,
    $$SELECT cmdsched.cancel(repeat('x', 256))$$,
    $$SELECT cmdsched.reschedule('', now())$$,
    $$SELECT cmdsched.reschedule(repeat('x', 256), now())$$,
    $$SELECT cmdsched.retry('')$$,
    $$SELECT cmdsched.delete_executed('')$$]);
SELECT cmdsched.register_handler(repeat('t', 255), 'run(jsonb)', repeat('ü', 127) || 'm');
SELECT length(cmdsched.schedule(repeat('t', 255), schedule_id => repeat('ü', 127) || 'i', command_module => repeat('ü', 127) || 'm'));
SELECT cmdsched.run_once();
SELECT cmdsched.unregister_handler(repeat('t', 255), repeat('ü', 127) || 'm');
-- Any characters.
SELECT cmdsched.register_handler(E'a "b"\n''c\\', 'run(jsonb)', ' ');
SELECT cmdsched.schedule(E'a "b"\n''c\\', schedule_id => E'%s "x"\n''; --', command_module => ' ') = E'%s "x"\n''; --';
SELECT cmdsched.run_once(), cmdsched.unregister_handler(E'a "b"\n''c\\', ' ');

-- Times.
SELECT pg_temp.errors_of(ARRAY[
    $$SELECT cmdsched.schedule('Run', execute_at => 'infinity')$$,
    $$SELECT cmdsched.schedule('Run', execute_at => '-infinity')$$,
    $$SELECT cmdsched.reschedule('before', 'infinity')$$,
    $$SELECT cmdsched.reschedule('before', '-infinity')$$,
    $$SELECT cmdsched.schedule_in('Run', '{}', '-1 second')$$,
    $$SELECT cmdsched.schedule_in('Run', '{}', '1 day -25 hours')$$,
    $$SELECT cmdsched.schedule_in('Run', '{}', '300000 years')$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', backoff => '-1 second')$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', max_backoff => '-1 second')$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', timeout => '-1 second')$$,
    $$SELECT cmdsched.stop('-1 second')$$]);
-- Before 17 there is no infinite interval to begin with.
SELECT bool_and(e.code IN ('22007', '22023'))
  FROM unnest('{infinity,-infinity}'::text[]) AS i,
       unnest(ARRAY['schedule_in(''Run'', ''{}'', %L)', 'register_handler(''X'', ''run(jsonb)'', backoff => %L)',
                    'register_handler(''X'', ''run(jsonb)'', max_backoff => %L)', 'register_handler(''X'', ''run(jsonb)'', timeout => %L)',
                    'stop(%L)']) AS f,
       pg_temp.error_of('SELECT cmdsched.' || format(f, i)) AS e;
-- The far future is fine.
SELECT cmdsched.schedule('Run', execute_at => '294276-12-31 23:59:59.999999+00', schedule_id => 'last');
SELECT cmdsched.schedule_in('Run', '{}', '290000 years', schedule_id => 'late');
SELECT execute_at FROM cmdsched.get('last');
SELECT cmdsched.reschedule('last', '294276-12-31 23:59:59.999998+00');

-- Sizes.
SHOW cmdsched.max_command_size;
SELECT pg_temp.errors_of(ARRAY[
    $$SELECT cmdsched.schedule('Run', to_jsonb(repeat('x', 1024 * 1024)))$$,
    $$SELECT cmdsched.schedule('Run', metadata => to_jsonb(repeat('x', 1024 * 1024)))$$,
    $$SELECT cmdsched.schedule_in('Run', to_jsonb(repeat('x', 1024 * 1024)), '0')$$]);
CREATE TABLE large AS SELECT to_jsonb(repeat('x', 1024 * 1024)) AS compressed;
SELECT pg_temp.errors_of(ARRAY[$$SELECT cmdsched.schedule('Run', compressed) FROM large$$]);
-- 8 bytes are the frame of a jsonb string.
SELECT cmdsched.schedule('Run', to_jsonb(repeat('x', 1024 * 1024 - 8)), schedule_id => 'largest');
SELECT length(command_data #>> '{}') FROM cmdsched.get('largest');
SELECT cmdsched.run_once();

-- Other values.
SELECT pg_temp.errors_of(ARRAY[
    $$SELECT cmdsched.schedule('Run', on_conflict => '')$$,
    $$SELECT cmdsched.schedule('Run', on_conflict => 'KEEP')$$,
    $$SELECT cmdsched.schedule('Run', schedule_id => 'before', on_conflict => 'ignore')$$,
    $$SELECT cmdsched.schedule('Run', schedule_id => 'before', on_conflict => 'error')$$,
    $$SELECT cmdsched.schedule_in('Run', '{}', '0', schedule_id => 'before', on_conflict => 'error')$$,
    $$SELECT cmdsched.process_due_commands(-1)$$,
    $$SELECT cmdsched.snooze('1 second')$$,
    $$SELECT cmdsched.abandon('because')$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', max_attempts => 0)$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', max_attempts => -1)$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', max_attempts => 32768)$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', history => 'some')$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)', external => true)$$]);
SELECT code FROM pg_temp.error_of($$SELECT * FROM cmdsched.get_due_commands(-1)$$);
SELECT count(*), cmdsched.process_due_commands(0) FROM cmdsched.get_due_commands(0);

-- Functions that cannot be handlers.
CREATE FUNCTION f() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION f(text) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION f(json) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION f(jsonb, text) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION f(jsonb, text DEFAULT '', integer DEFAULT 1) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION f(jsonb, jsonb, jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION f(VARIADIC jsonb[]) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION f(anyelement) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION f(record) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION f(cmdsched.handlers) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION f(jsonb) RETURNS SETOF jsonb LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION t(jsonb) RETURNS TABLE (x jsonb) LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION window_f(jsonb) RETURNS bigint LANGUAGE internal WINDOW AS 'window_row_number';
CREATE AGGREGATE agg(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb);
CREATE DOMAIN checked AS jsonb;
CREATE FUNCTION f(checked) RETURNS void LANGUAGE sql AS '';
SELECT pg_temp.errors_of(array_agg(format($$SELECT cmdsched.register_handler('X', %L)$$, f) ORDER BY n))
  FROM unnest(ARRAY['f()', 'f(text)', 'f(json)', 'f(jsonb,text)', 'f(jsonb,text,integer)', 'f(jsonb,jsonb,jsonb)', 'f(jsonb[])',
                    'f(anyelement)', 'f(record)', 'f(cmdsched.handlers)', 'f(checked)', 'f(jsonb)', 't(jsonb)', 'change()', 'event()',
                    'window_f(jsonb)', 'agg(jsonb)',
                    'int8_avg_serialize(internal)', 'jsonb_in(cstring)', 'internal_in(cstring)',
                    'nowhere(jsonb)', 'run', 'run(jsonb']) WITH ORDINALITY AS h (f, n);
SELECT pg_temp.errors_of(ARRAY[$$SELECT cmdsched.register_handler('X', 4294967295::oid::regprocedure)$$]);
SELECT count(*) FROM cmdsched.handlers WHERE command_type = 'X';

-- Roles that may not.
REVOKE EXECUTE ON FUNCTION run(jsonb) FROM PUBLIC;
SET ROLE regress_bad_input;
SELECT pg_temp.errors_of(ARRAY[
    $$SELECT cmdsched.schedule('Run')$$,
    $$SELECT cmdsched.schedule_in('Run', '{}', '1 day')$$,
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)')$$,
    $$SELECT cmdsched.unregister_handler('Run')$$,
    $$SELECT cmdsched.start()$$,
    $$SELECT cmdsched.stop()$$]);
RESET ROLE;
GRANT EXECUTE ON FUNCTION cmdsched.register_handler, cmdsched.unregister_handler TO regress_bad_input;
GRANT EXECUTE ON FUNCTION run(jsonb) TO PUBLIC;
SET ROLE regress_bad_input;
SELECT pg_temp.errors_of(ARRAY[
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)')$$,
    $$SELECT cmdsched.register_handler('Run', 'pg_catalog.jsonb_typeof(jsonb)')$$,
    $$SELECT cmdsched.unregister_handler('Run')$$]);
RESET ROLE;
-- A role that may not log in is no obstacle from 17 on.
SELECT current_setting('server_version_num')::integer < 170000 AS needs_login \gset
SET ROLE regress_bad_input_nologin;
SELECT CASE WHEN :'needs_login'
            THEN (e.code, e.message, e.hint) = ('28000', 'role "regress_bad_input_nologin" is not permitted to log in',
                      'Commands run as the role that schedules them, in a process that logs in as it. Schedule as another role, or use ALTER ROLE ... LOGIN.')
            ELSE e.code = 'XX999' END
  FROM pg_temp.error_of($$SELECT cmdsched.schedule('Run')$$) AS e;
RESET ROLE;

-- Nothing of all this was written down, and what was there still is.
COMMIT;
SELECT schedule_id, command_data, CASE schedule_id WHEN 'late' THEN '290000 years from now' ELSE execute_at::text END AS execute_at
  FROM cmdsched.scheduled_commands ORDER BY schedule_id;
SELECT command_type, command_module FROM cmdsched.handlers;

-- A read-only transaction.
BEGIN READ ONLY;
SELECT pg_temp.errors_of(ARRAY[
    $$SELECT cmdsched.register_handler('X', 'run(jsonb)')$$,
    $$SELECT cmdsched.unregister_handler('Run')$$,
    $$SELECT cmdsched.schedule('Run')$$,
    $$SELECT cmdsched.schedule_in('Run', '{}', '0')$$,
    $$SELECT cmdsched.cancel('before')$$,
    $$SELECT cmdsched.reschedule('before', now())$$,
    $$SELECT cmdsched.retry('before')$$,
    $$SELECT cmdsched.delete_executed('before')$$,
    $$SELECT cmdsched.process_due_commands()$$,
    $$SELECT cmdsched.run_once()$$]);
SELECT schedule_id FROM cmdsched.get('before');
SELECT count(*) FROM cmdsched.get_due_commands();
COMMIT;

-- Commands of the far future hold up nobody: the worker can still wait for one that is soon.
SELECT cmdsched.start();
SELECT cmdsched.schedule_in('Run', '{}', '50 milliseconds', schedule_id => 'soon');
SELECT pg_temp.wait_until_gone('soon');

SELECT schedule_id, cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands ORDER BY schedule_id;
SELECT cmdsched.unregister_handler('Run');
DROP OWNED BY regress_bad_input, regress_bad_input_nologin;
DROP ROLE regress_bad_input, regress_bad_input_nologin;
\set VERBOSITY terse
DROP SCHEMA bad_input CASCADE;
