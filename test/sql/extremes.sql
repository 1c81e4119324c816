-- What is as large, as deep, as far or as odd as it may be works; what is beyond that gets PostgreSQL's own error, before it is a command.
\i test/sql/include/shared.sql
SELECT cmdsched.start() IS NOT NULL AS started;

CREATE SCHEMA extremes;
CREATE TABLE extremes.log (command text, what text);
CREATE FUNCTION extremes.measure(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    INSERT INTO extremes.log VALUES (c.schedule_id, concat_ws(' ', jsonb_typeof(c.command_data), length(c.command_data::text), jsonb_typeof(c.metadata), length(c.metadata::text)))
$$;
CREATE FUNCTION extremes.do(jsonb) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE $1 #>> ''{}''; END';
SELECT cmdsched.register_handler('Measure', 'extremes.measure(cmdsched.scheduled_commands)', max_attempts => 1);
SELECT cmdsched.register_handler('Do', 'extremes.do(jsonb)', max_attempts => 1);
CREATE FUNCTION pg_temp.codes_of(statements text[]) RETURNS TABLE (code text, statement text) LANGUAGE sql AS $$
    SELECT e.code, s.statement FROM unnest(statements) WITH ORDINALITY AS s (statement, n), pg_temp.error_of(s.statement) AS e ORDER BY s.n
$$;

-- Sizes and depths.
SET cmdsched.max_command_size = '1048575kB';
SELECT cmdsched.schedule('Measure', to_jsonb(repeat('x', 100 * 1024 * 1024)), schedule_id => '100 MB');
SELECT cmdsched.schedule('Measure', '1', metadata => to_jsonb(repeat('x', 10 * 1024 * 1024)), schedule_id => '10 MB beside it');
SELECT cmdsched.schedule('Measure', (SELECT jsonb_agg(n) FROM generate_series(1, 200000) AS n), schedule_id => '200,000 members');
SELECT cmdsched.schedule('Measure', (repeat('[', 5000) || repeat(']', 5000))::jsonb, metadata => (repeat('{"a":', 5000) || '1' || repeat('}', 5000))::jsonb, schedule_id => '5,000 deep');
SELECT pg_temp.wait_until_gone('%');
SELECT * FROM extremes.log ORDER BY command COLLATE "C";
RESET cmdsched.max_command_size;
SELECT * FROM pg_temp.codes_of(ARRAY[
    $$SELECT cmdsched.schedule('Measure', to_jsonb(repeat('x', 268435456)))$$,
    $$SELECT cmdsched.schedule('Measure', (repeat('[', 1000000) || repeat(']', 1000000))::jsonb)$$,
    $$SELECT cmdsched.schedule('Measure', '"\u0000"')$$,
    $$SELECT cmdsched.schedule('Measure', '{"a":')$$,
    $$SELECT cmdsched.schedule('Measure', to_jsonb(convert_from('\xff', 'UTF8')))$$,
    $$SELECT cmdsched.schedule(convert_from('\xc3', 'UTF8'))$$,
    $$SELECT cmdsched.schedule('Measure', schedule_id => convert_from('\xc328', 'UTF8'))$$]);

-- Moments and spans.
SELECT * FROM pg_temp.codes_of(ARRAY[
    $$SELECT cmdsched.schedule('Measure', execute_at => now() + interval '178000000 years')$$,
    $$SELECT cmdsched.schedule('Measure', execute_at => to_timestamp('NaN'))$$,
    $$SELECT cmdsched.schedule('Measure', execute_at => '294277-01-01')$$,
    $$SELECT cmdsched.schedule('Measure', execute_at => '4715-01-01 BC')$$,
    $$SELECT cmdsched.schedule_in('Measure', '{}', '178000000 years')$$,
    $$SELECT cmdsched.schedule_in('Measure', '{}', '1 month -31 days')$$,
    $$SELECT cmdsched.schedule_in('Measure', '{}', make_interval(secs => 'NaN'))$$,
    $$SELECT cmdsched.reschedule('x', to_timestamp('NaN'))$$,
    $$SELECT cmdsched.register_handler('X', 'extremes.do(jsonb)', backoff => '1 month -31 days')$$,
    $$SELECT cmdsched.register_handler('X', 'extremes.do(jsonb)', max_attempts => 2147483647)$$,
    $$SELECT cmdsched.register_handler('X', 'extremes.do(jsonb)', max_attempts => -2147483648)$$,
    $$SELECT cmdsched.register_handler(repeat('x', 10000), 'extremes.do(jsonb)')$$,
    $$SELECT cmdsched.process_due_commands(-2147483648)$$]);
SELECT cmdsched.process_due_commands(2147483647), (SELECT count(*) FROM cmdsched.get_due_commands(2147483647));
-- A month is 30 days in a backoff, and in schedule_in() what the calendar says.
SELECT cmdsched.register_handler('Do', 'extremes.do(jsonb)', max_attempts => 2, backoff => '1 month', max_backoff => '1 year');
SELECT cmdsched.schedule('Do', '"SELECT 1 / 0"', schedule_id => 'month');
SELECT pg_temp.wait_for($$attempts = 1 FROM cmdsched.get('month')$$);
SELECT execute_at BETWEEN now() + interval '26 days' AND now() + interval '34 days' AS in_a_month FROM cmdsched.get('month');
SELECT cmdsched.cancel('month');
BEGIN;
SELECT cmdsched.schedule_in('Do', '{}', '1 month', schedule_id => 'month');
SELECT execute_at = now() + interval '1 month' AS in_a_month FROM cmdsched.get('month');
ROLLBACK;
-- snooze() too may go far, but not too far.
SELECT cmdsched.register_handler('Do', 'extremes.do(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('Do', '"SELECT cmdsched.snooze(''290000 years'')"', schedule_id => 'far');
SELECT cmdsched.schedule('Do', '"SELECT cmdsched.snooze(''300000 years'')"', schedule_id => 'too far');
SELECT pg_temp.wait_for($$status = 'failed' FROM cmdsched.get('too far')$$);
SELECT pg_temp.wait_for($$execute_at > '200000-01-01' FROM cmdsched.get('far')$$);
SELECT schedule_id, status, attempts, last_error->>'sqlstate' AS sqlstate, cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands ORDER BY 1;

-- The longest and the shortest time limit.
SELECT cmdsched.register_handler('Long', 'extremes.do(jsonb)', max_attempts => 1, timeout => '178000000 years');
SELECT cmdsched.register_handler('Short', 'extremes.do(jsonb)', max_attempts => 1, timeout => '1 microsecond');
SELECT cmdsched.schedule('Long', '"SELECT pg_sleep(0.01)"', schedule_id => 'long');
SELECT cmdsched.schedule('Short', '"SELECT pg_sleep(100)"', schedule_id => 'short');
SELECT pg_temp.wait_until_gone('long');
SELECT pg_temp.wait_for($$status = 'failed' FROM cmdsched.get('short')$$);
SELECT attempts, last_error->>'sqlstate' AS sqlstate, cmdsched.cancel('short') FROM cmdsched.get('short');

-- Counted to the end.
SELECT cmdsched.register_handler('Do', 'extremes.do(jsonb)', max_attempts => 32767, backoff => '1 hour');
SELECT cmdsched.schedule('Do', '"SELECT 1 / 0"', now() + interval '1 hour', schedule_id => 'count ' || n) FROM generate_series(32765, 32767) AS n;
UPDATE cmdsched.scheduled_commands SET attempts = right(schedule_id, 5)::integer, conflicts = 32767;
SELECT cmdsched.reschedule(schedule_id, now()) FROM cmdsched.scheduled_commands;
SELECT pg_temp.wait_for($$count(*) = 3 FROM cmdsched.scheduled_commands WHERE last_error IS NOT NULL$$);
SELECT schedule_id, status, attempts, execute_at > now() + interval '50 minutes' AS later, cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands ORDER BY 1;

SELECT count(cmdsched.unregister_handler(command_type)) FROM cmdsched.handlers;
\set VERBOSITY terse
DROP SCHEMA extremes CASCADE;
