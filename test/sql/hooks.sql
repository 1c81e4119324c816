-- Hooks: what they are told, as whom they run, and what becomes of one that fails.
\i test/sql/include/shared.sql
SELECT cmdsched.start() IS NOT NULL AS started;

CREATE SCHEMA hooks;
CREATE ROLE regress_hooks LOGIN;
CREATE ROLE regress_hooks_other LOGIN;
GRANT USAGE ON SCHEMA cmdsched, hooks TO PUBLIC;
CREATE TABLE hooks.told (n serial, hook text, operation text, attributes jsonb, role name DEFAULT current_user, pid integer DEFAULT pg_backend_pid());
GRANT INSERT ON hooks.told TO PUBLIC;
GRANT USAGE ON SEQUENCE hooks.told_n_seq TO PUBLIC;

CREATE FUNCTION hooks.note(operation text, attributes jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO hooks.told (hook, operation, attributes) VALUES ('note', operation, attributes)
$$;
CREATE FUNCTION hooks.first(operation text, attributes jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO hooks.told (hook, operation, attributes) VALUES ('first', operation, attributes)
$$;
-- What was told since the last time; durations only as far as they are there.
CREATE FUNCTION pg_temp.told(wanted text DEFAULT '%') RETURNS TABLE (hook text, operation text, role name, attributes text) LANGUAGE sql AS $$
    WITH d AS (DELETE FROM hooks.told RETURNING *)
    SELECT hook, operation, role, (attributes - 'duration_ms')::text || CASE WHEN (attributes->>'duration_ms')::numeric >= 0 THEN ' in ms' ELSE '' END
      FROM d WHERE operation LIKE wanted ORDER BY n
$$;

CREATE FUNCTION hooks.do(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE $1 #>> '{}'; END $$;
SELECT cmdsched.register_handler('Do', 'hooks.do(jsonb)', max_attempts => 2, backoff => '1 hour');

-- By hand.  The highest priority is called first.
SELECT cmdsched.stop();
SELECT cmdsched.register_hook('*', 'hooks.note(text, jsonb)');
SELECT cmdsched.register_hook('scheduler.dispatch.D?', 'hooks.first(text, jsonb)', 1);
SELECT cmdsched.schedule('Do', '"SELECT"', metadata => '{"correlation_id": "c"}', schedule_id => 'good');
SELECT cmdsched.run_once();
SELECT * FROM pg_temp.told();
-- In another order, and only what matches.
SELECT cmdsched.register_hook('scheduler.dispatch.D?', 'hooks.first(text, jsonb)', -1);
SELECT cmdsched.unregister_hook('*', 'hooks.note(text, jsonb)'), cmdsched.unregister_hook('*', 'hooks.note(text, jsonb)');
SELECT cmdsched.register_hook('scheduler.*.Do', 'hooks.note(text, jsonb)');
SELECT cmdsched.schedule('Do', '"SELECT 1 / 0"', schedule_id => 'bad');
SELECT cmdsched.run_once();
-- What the hook did at the start was rolled back with the attempt.
SELECT * FROM pg_temp.told();
SELECT cmdsched.reschedule('bad', now()), cmdsched.run_once();
SELECT * FROM pg_temp.told() WHERE hook = 'note';
SELECT cmdsched.cancel('bad');
SELECT cmdsched.unregister_hook('scheduler.dispatch.D?', 'hooks.first(text, jsonb)');
-- The other ends.
SELECT cmdsched.schedule('Do', to_jsonb(s), schedule_id => s)
  FROM unnest(ARRAY[$$SELECT cmdsched.snooze('1 hour')$$, $$SELECT cmdsched.abandon('enough')$$, $$DO 'BEGIN RAISE SQLSTATE ''40001''; END'$$]) AS s;
SELECT cmdsched.run_once();
SELECT DISTINCT attributes FROM pg_temp.told() ORDER BY 1;
SELECT cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands WHERE command_type = 'Do';
-- Disabled and enabled.
SELECT cmdsched.disable_hook('scheduler.*.Do', 'hooks.note(text, jsonb)', 'not now'), cmdsched.disable_hook('scheduler.*.Do', 'hooks.note(text, jsonb)');
SELECT cmdsched.schedule('Do', '"SELECT"') IS NOT NULL, cmdsched.run_once();
SELECT count(*) FROM pg_temp.told();
SELECT operation_pattern, hook, enabled, disabled_reason, disabled_at IS NOT NULL FROM cmdsched.hooks;
SELECT cmdsched.enable_hook('scheduler.*.Do', 'hooks.note(text, jsonb)'), cmdsched.enable_hook('scheduler.*.Do', 'hooks.note(text, jsonb)');
SELECT cmdsched.schedule('Do', '"SELECT"') IS NOT NULL, cmdsched.run_once();
SELECT count(*) FROM pg_temp.told();

-- In a worker, as the role whose command it is; what a hook leaves behind is not there for the handler.
CREATE FUNCTION hooks.leave(operation text, attributes jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('work_mem', '77MB', false), set_config('my.leftover', 'left', false), pg_advisory_lock(45);
    EXECUTE 'PREPARE leftover AS SELECT 1';
END
$$;
CREATE FUNCTION hooks.look(jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO hooks.told (hook, operation, attributes)
    SELECT 'handler', current_setting('my.leftover', true), to_jsonb(count(*)) FROM (
        SELECT FROM pg_prepared_statements UNION ALL SELECT FROM pg_settings WHERE name = 'work_mem' AND source = 'session'
        UNION ALL SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND classid = 0) AS f
$$;
SELECT cmdsched.register_handler('Look', 'hooks.look(jsonb)');
SELECT cmdsched.register_hook('scheduler.*.Look', 'hooks.leave(text, jsonb)');
SELECT cmdsched.register_hook('scheduler.*', 'hooks.note(text, jsonb)');
SELECT cmdsched.start();
SET ROLE regress_hooks;
SELECT cmdsched.schedule('Look', schedule_id => 'look');
RESET ROLE;
SELECT pg_temp.wait_until_gone('look');
SELECT count(DISTINCT pid) AS processes, bool_or(pid = pg_backend_pid()) AS here FROM hooks.told;
SELECT DISTINCT hook, operation, role, attributes->>'phase' AS phase, attributes->>'outcome' AS outcome, jsonb_typeof(attributes) AS type
  FROM hooks.told WHERE role = 'regress_hooks' ORDER BY hook, operation, phase;
SELECT attributes AS left_behind FROM hooks.told WHERE hook = 'handler';
TRUNCATE hooks.told;
-- A procedure, which has its lock all the time.
CREATE PROCEDURE hooks.proceed(jsonb) LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
SELECT cmdsched.register_handler('Proceed', 'hooks.proceed(jsonb)');
SELECT cmdsched.schedule('Proceed', schedule_id => 'proceed');
SELECT pg_temp.wait_until_gone('proceed');
SELECT * FROM pg_temp.told('%Proceed');
-- A commit that fails because of a hook does not fail the command.
CREATE TABLE hooks.parents (id integer PRIMARY KEY);
CREATE TABLE hooks.children (parent integer REFERENCES hooks.parents DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION hooks.orphan(operation text, attributes jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO hooks.children VALUES (1)';
SELECT cmdsched.register_hook('scheduler.*.Do', 'hooks.orphan(text, jsonb)');
SELECT cmdsched.schedule('Do', '"INSERT INTO hooks.told (hook) VALUES (''handler'')"', schedule_id => 'innocent ' || n) FROM generate_series(1, 3) AS n;
SELECT pg_temp.wait_until_gone('innocent %');
SELECT count(*) FROM hooks.told WHERE hook = 'handler';
SELECT cmdsched.unregister_hook('scheduler.*.Do', 'hooks.orphan(text, jsonb)');
SELECT cmdsched.stop() IS NOT NULL;
SELECT cmdsched.unregister_hook(operation_pattern, hook) FROM cmdsched.hooks;
TRUNCATE hooks.told;

-- One that fails harms only itself, and is disabled after ten failures in a row.
CREATE FUNCTION hooks.fail(operation text, attributes jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hooks.told (hook) VALUES ('fail');
    EXECUTE current_setting('hooks.statement');
END
$$;
SET hooks.statement = 'SELECT 1 / 0';
SELECT cmdsched.register_hook('*.Do', 'hooks.fail(text, jsonb)');
SELECT count(cmdsched.schedule('Do', '"INSERT INTO hooks.told (hook) VALUES (''handler'')"')) FROM generate_series(1, 4);
SELECT cmdsched.run_once();
SELECT hook, count(*) FROM hooks.told GROUP BY hook;
SELECT failures_in_a_row, enabled FROM cmdsched.hooks;
-- A success between them begins the count anew.
SET hooks.statement = 'SELECT 1';
SELECT cmdsched.schedule('Do', '"SELECT"') IS NOT NULL, cmdsched.run_once();
SELECT failures_in_a_row, enabled FROM cmdsched.hooks;
-- All that a hook may not do, each counted as a failure; its handler runs all the same.
TRUNCATE hooks.told;
SET cmdsched.hook_timeout = '50ms';
DO $$
DECLARE
    s text;
BEGIN
    FOREACH s IN ARRAY ARRAY['SELECT cmdsched.snooze(''1 hour'')', 'SELECT cmdsched.abandon(''x'')', 'SELECT cmdsched.run_once()',
        'SELECT cmdsched.process_due_commands()', 'SELECT cmdsched.stop()', 'SELECT cmdsched.advance_clock(''1 hour'')', 'COMMIT',
        'DO ''BEGIN RAISE query_canceled; END''', 'SELECT pg_sleep(10)'] LOOP
        PERFORM set_config('hooks.statement', s, false);
        PERFORM cmdsched.schedule('Do', '"SELECT cmdsched.enable_hook(''*.Do'', ''hooks.fail(text, jsonb)'')"');
        RAISE NOTICE '%: % succeeded, % failures', s, cmdsched.run_once(), (SELECT failures_in_a_row FROM cmdsched.hooks);
        PERFORM cmdsched.register_hook('*.Do', 'hooks.fail(text, jsonb)');
    END LOOP;
END
$$;
SET hooks.statement = 'SELECT 1 / 0';
SELECT count(cmdsched.schedule('Do', '"SELECT"')) FROM generate_series(1, 20);
SELECT cmdsched.run_once();
SELECT failures_in_a_row, enabled, disabled_reason, disabled_at IS NOT NULL FROM cmdsched.hooks;
SELECT count(*) FROM hooks.told;
-- It survives a command that fails.
SELECT cmdsched.register_hook('*.Do', 'hooks.fail(text, jsonb)');
SELECT count(cmdsched.schedule('Do', to_jsonb('SELECT 1 / ' || n % 2), schedule_id => 'f' || n)) FROM generate_series(1, 8) AS n;
SELECT cmdsched.run_once();
SELECT enabled FROM cmdsched.hooks;
SELECT count(cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands WHERE schedule_id LIKE 'f_';
SELECT cmdsched.unregister_hook('*.Do', 'hooks.fail(text,jsonb)');

-- What a hook schedules follows from the command.
CREATE FUNCTION hooks.follow(operation text, attributes jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF attributes->>'phase' = 'end' THEN
        PERFORM cmdsched.schedule('Other', schedule_id => 'followed', execute_at => now() + interval '1 hour');
    END IF;
END
$$;
SELECT cmdsched.register_handler('Other', 'hooks.do(jsonb)');
SELECT cmdsched.register_hook('scheduler.dispatch.Do', 'hooks.follow(text, jsonb)');
SELECT cmdsched.schedule('Do', '"SELECT"', metadata => '{"correlation_id": "c"}', schedule_id => 'leader');
SELECT cmdsched.run_once();
SELECT metadata FROM cmdsched.get('followed');
SELECT cmdsched.cancel('followed');
SELECT cmdsched.unregister_hook('scheduler.dispatch.Do', 'hooks.follow(text,jsonb)');

-- For whose commands: of roles whose privileges its owner has.
CREATE FUNCTION hooks.own(operation text, attributes jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO hooks.told (hook) VALUES ('own') $$;
ALTER FUNCTION hooks.own OWNER TO regress_hooks;
GRANT EXECUTE ON FUNCTION cmdsched.register_hook, cmdsched.unregister_hook TO regress_hooks;
SET ROLE regress_hooks;
SELECT cmdsched.register_hook('*', 'hooks.own(text, jsonb)');
SELECT pg_temp.error_of($$SELECT cmdsched.register_hook('*', 'hooks.note(text, jsonb)')$$);
SELECT is_called, problem FROM cmdsched.check_hooks();
SET ROLE regress_hooks_other;
SELECT is_called, problem FROM cmdsched.check_hooks();
SELECT count(*) FROM cmdsched.hooks;
RESET ROLE;
SELECT is_called, problem FROM cmdsched.check_hooks();
SELECT cmdsched.run_once();
SET ROLE regress_hooks_other;
SELECT cmdsched.run_once();
SET ROLE regress_hooks;
SELECT cmdsched.run_once();
RESET ROLE;
SELECT hook, role, count(*) FROM hooks.told WHERE hook = 'own' GROUP BY hook, role;
SELECT failures_in_a_row, enabled FROM cmdsched.hooks;
REVOKE EXECUTE ON FUNCTION hooks.own FROM PUBLIC, regress_hooks;
SET ROLE regress_hooks;
SELECT is_called, problem FROM cmdsched.check_hooks();
RESET ROLE;
ALTER FUNCTION hooks.own OWNER TO regress_hooks_other;
GRANT EXECUTE ON FUNCTION hooks.own TO regress_hooks_other;
SET ROLE regress_hooks_other;
SELECT is_called, problem FROM cmdsched.check_hooks();
RESET ROLE;
DROP FUNCTION hooks.own;
SELECT is_called, problem FROM cmdsched.check_hooks();
SET ROLE regress_hooks;
SELECT cmdsched.unregister_hook('*', 'hooks.own(text,jsonb)');
RESET ROLE;

-- Bad arguments.
SELECT e.* FROM unnest(ARRAY[
    $$SELECT cmdsched.register_hook(NULL, 'hooks.note(text, jsonb)')$$, $$SELECT cmdsched.register_hook('', 'hooks.note(text, jsonb)')$$,
    $$SELECT cmdsched.register_hook('*', NULL)$$, $$SELECT cmdsched.register_hook('*', 'hooks.note(text, jsonb)', NULL)$$,
    $$SELECT cmdsched.register_hook('*', 'hooks.do(jsonb)')$$, $$SELECT cmdsched.register_hook('*', 'hooks.proceed(jsonb)')$$,
    $$SELECT cmdsched.unregister_hook('*', NULL)$$]) AS s, pg_temp.error_of(s) AS e;

SET client_min_messages = warning;
DROP SCHEMA hooks CASCADE;
SELECT cmdsched.unregister_handler(command_type) FROM cmdsched.handlers WHERE command_type IN ('Do', 'Look', 'Proceed', 'Other') ORDER BY 1;
REVOKE USAGE ON SCHEMA cmdsched FROM PUBLIC;
DROP OWNED BY regress_hooks, regress_hooks_other;
DROP ROLE regress_hooks, regress_hooks_other;
SELECT cmdsched.start() IS NOT NULL;
