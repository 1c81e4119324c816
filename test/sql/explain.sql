-- What comes, and why a command has the time and the state that it has.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;
SET client_min_messages = warning;

CREATE SCHEMA explained;
CREATE ROLE regress_explain LOGIN;
CREATE ROLE regress_explain_other LOGIN;
GRANT USAGE ON SCHEMA cmdsched, explained TO regress_explain, regress_explain_other;
CREATE FUNCTION explained.run(c cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF c.command_data ? 'error' THEN
        RAISE '%', c.command_data->>'error';
    END IF;
END
$$;
SELECT cmdsched.register_handler('Run', 'explained.run(cmdsched.scheduled_commands)', max_attempts => 2, backoff => '1 minute');
SELECT cmdsched.register_handler('Mail', NULL, 'office', external => true, max_attempts => 2);

-- -------------------------------------------------------------------------
-- upcoming()
-- -------------------------------------------------------------------------

BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00+00');
SELECT * FROM cmdsched.upcoming('1 hour', 3);
SELECT count(cmdsched.schedule('Run', execute_at => '2040-01-01 12:00:30+00'::timestamptz + n * interval '2 minutes')) FROM generate_series(0, 19) AS n;
SELECT count(cmdsched.schedule('Mail', execute_at => '2040-01-01 12:30+00', command_module => 'office')) FROM generate_series(1, 5);
-- Not counted: too late, failed, in the hands of an application.
SELECT cmdsched.schedule('Run', execute_at => '2040-01-01 13:00+00', schedule_id => 'later');
SELECT cmdsched.schedule('Run', '{"error": "no"}', schedule_id => 'failed') FROM (SELECT cmdsched.register_handler('Run', 'explained.run(cmdsched.scheduled_commands)', max_attempts => 1)) AS r;
SELECT cmdsched.run_once();
SELECT cmdsched.schedule('Mail', command_module => 'office', schedule_id => 'claimed');
SELECT schedule_id FROM cmdsched.claim_due_commands(10, lease => '10 minutes');
SELECT cmdsched.schedule('Run'), cmdsched.schedule('Mail', command_module => 'office') IS NOT NULL \g (format=unaligned tuples_only) /dev/null
SELECT due_from, due_until, commands, for_applications, bar FROM cmdsched.upcoming('1 hour', 6);
-- The end of a part belongs to the next one.
SELECT commands FROM cmdsched.upcoming('30 minutes', 1);
SELECT commands FROM cmdsched.upcoming('30 minutes 1 microsecond', 1);
SELECT count(*), sum(commands) FROM cmdsched.upcoming();
-- What is overdue.
SELECT cmdsched.set_clock('2040-01-01 12:20+00');
SELECT due_from, due_until, commands, for_applications, bar FROM cmdsched.upcoming('1 day', 2);
-- Everybody sees what is theirs.
SET LOCAL ROLE regress_explain;
SELECT cmdsched.schedule('Run', execute_at => '2040-01-01 12:45+00', schedule_id => 'mine');
SELECT sum(commands) FROM cmdsched.upcoming();
SET LOCAL ROLE regress_explain_other;
SELECT sum(commands) FROM cmdsched.upcoming();
ROLLBACK;
SELECT s.statement, e.code, e.message FROM unnest(ARRAY[
    $$SELECT cmdsched.upcoming('0')$$, $$SELECT cmdsched.upcoming('-1 hour')$$, $$SELECT cmdsched.upcoming(NULL)$$, $$SELECT cmdsched.upcoming('10000 years')$$,
    $$SELECT cmdsched.upcoming('1 hour', 0)$$, $$SELECT cmdsched.upcoming('1 hour', 1001)$$, $$SELECT cmdsched.upcoming('1 hour', NULL)$$]) AS s (statement),
    LATERAL pg_temp.error_of(s.statement) AS e;

-- -------------------------------------------------------------------------
-- explain_command()
-- -------------------------------------------------------------------------

BEGIN;
\pset format unaligned
\pset tuples_only on
SET LOCAL ROLE regress_explain;
SELECT cmdsched.set_clock('2040-01-01 12:00+00');
SELECT cmdsched.schedule('Run', execute_at => '2040-01-01 12:30+00', schedule_id => 'c');
SELECT * FROM cmdsched.explain_command('c');
-- It is due; it failed once, and for good.
SELECT cmdsched.schedule('Run', '{"error": "no route"}', execute_at => '2020-01-01', schedule_id => 'c', on_conflict => 'replace');
SELECT cmdsched.set_clock('2040-01-01 12:10+00');
SELECT * FROM cmdsched.explain_command('c');
SELECT cmdsched.run_once();
SELECT fact, regexp_replace(explanation, '12:1[01]:\d\d(\.\d+)?|@ .*(?=\.$)', '(some time)', 'g') FROM cmdsched.explain_command('c') WHERE fact IN ('state', 'time', 'last error');
SELECT cmdsched.advance_clock('2 minutes');
SELECT fact, explanation FROM cmdsched.explain_command('c') WHERE fact NOT IN ('command', 'time', 'handler');
SELECT cmdsched.cancel('c');
-- For an application.
SELECT cmdsched.schedule('Mail', command_module => 'office', schedule_id => 'm');
SELECT * FROM cmdsched.explain_command('m');
SELECT count(*) FROM cmdsched.claim_due_commands(1, lease => '10 minutes');
SELECT * FROM cmdsched.explain_command('m') WHERE fact IN ('state', 'time', 'waits for', 'attempts');
SELECT cmdsched.advance_clock('10 minutes');
SELECT * FROM cmdsched.explain_command('m') WHERE fact IN ('state', 'waits for');
SELECT cmdsched.complete('m', claim_token) FROM cmdsched.claim_due_commands(1);
-- An occurrence.
SELECT cmdsched.schedule_cron('nightly', '0 3 * * *', 'Run', timezone => 'UTC');
SELECT e.fact, e.explanation FROM cmdsched.recurring_schedules AS r, cmdsched.explain_command(r.next_schedule_id) AS e WHERE e.fact IN ('recurring', 'time');
SELECT cmdsched.unschedule('nightly');
-- Paused; not registered; not to be executed; a role that is gone.
SELECT cmdsched.schedule('Run', schedule_id => 'c');
RESET ROLE;
SELECT cmdsched.register_handler('Run', 'explained.run(cmdsched.scheduled_commands)', paused => true);
SET LOCAL ROLE regress_explain;
SELECT cmdsched.run_once();
SELECT * FROM cmdsched.explain_command('c') WHERE fact IN ('state', 'waits for');
RESET ROLE;
SELECT cmdsched.register_handler('Run', 'explained.run(cmdsched.scheduled_commands)');
REVOKE ALL ON FUNCTION explained.run(cmdsched.scheduled_commands) FROM PUBLIC;
SET LOCAL ROLE regress_explain;
SELECT cmdsched.run_once();
SELECT * FROM cmdsched.explain_command('c') WHERE fact IN ('state', 'time', 'last error', 'waits for', 'runs as');
RESET ROLE;
SELECT cmdsched.unregister_handler('Run');
SELECT * FROM cmdsched.explain_command('c') WHERE fact IN ('state', 'handler', 'attempts');
-- Others see nothing of it, nor does anybody of what is not there.
SET LOCAL ROLE regress_explain_other;
SELECT * FROM cmdsched.explain_command('c');
SELECT * FROM cmdsched.explain_command('nothing');
SELECT * FROM cmdsched.explain_command(NULL);
ROLLBACK;
\pset format aligned
\pset tuples_only off

SELECT cmdsched.unregister_handler(command_type, command_module) FROM cmdsched.handlers;
DROP SCHEMA explained CASCADE;
DROP OWNED BY regress_explain, regress_explain_other;
DROP ROLE regress_explain, regress_explain_other;
SELECT count(*) FROM cmdsched.scheduled_commands;
SELECT cmdsched.start();
