-- A recurring command is a command like any other for all who look at
-- commands; and a year of it is one move of the clock.
\i test/sql/include/shared.sql
SET datestyle = 'ISO';
SELECT cmdsched.stop() IS NOT NULL AS stopped;

CREATE SCHEMA nightly;
CREATE TABLE nightly.log (at timestamptz DEFAULT cmdsched.now());
CREATE TABLE nightly.seen (operation text, phase text, outcome text, id text);
CREATE FUNCTION nightly.run(jsonb) RETURNS jsonb LANGUAGE sql AS $$ INSERT INTO nightly.log DEFAULT VALUES RETURNING '{"rows": 1}'::jsonb $$;
CREATE FUNCTION nightly.fail(jsonb) RETURNS void LANGUAGE sql AS $$ SELECT 1 / 0 $$;
CREATE FUNCTION nightly.see(operation text, attributes jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO nightly.seen VALUES (operation, attributes->>'phase', attributes->>'outcome', attributes->>'schedule.id')
$$;
SELECT cmdsched.register_handler('Nightly', 'nightly.run(jsonb)', history => 'all');
SELECT cmdsched.register_handler('NightlyFails', 'nightly.fail(jsonb)', max_attempts => 2, backoff => '0');
SELECT cmdsched.register_handler('NightlyGone', 'nightly.run(jsonb)');
SELECT cmdsched.register_hook('scheduler.dispatch.Nightly*', 'nightly.see(text, jsonb)');
SELECT cmdsched.reset_statistics();

BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_cron('nightly', '0 3 * * *', 'Nightly');
SELECT cmdsched.schedule_cron('fails', '0 0 1 jan *', 'NightlyFails');
SELECT cmdsched.schedule_cron('gone', '30 3 * * *', 'NightlyGone');

-- What comes, and why.
SELECT due_from, due_until, commands FROM cmdsched.upcoming('1 day', 4);
SELECT fact, explanation FROM cmdsched.explain_command('nightly@2040-01-02T03:00:00Z') WHERE fact IN ('recurring', 'state', 'time');

-- The year: 2040 has 366 days.
SELECT cmdsched.unregister_handler('NightlyGone');
SET LOCAL statement_timeout = '60 s';
SELECT cmdsched.advance_clock('1 year');
RESET statement_timeout;
SELECT count(*), count(DISTINCT at), min(at), max(at), bool_and(at::time = '03:00') AS at_three FROM nightly.log;
SELECT name, status, reason, runs, last_run, last_outcome, next_run FROM cmdsched.recurring_schedules ORDER BY name;
SELECT due_from, due_until, commands FROM cmdsched.upcoming('1 day', 4);
COMMIT;

-- The history has them; of those that failed, what its handler says.
SELECT command_type, outcome, count(*), count(DISTINCT schedule_id), min(scheduled_for), max(scheduled_for), bool_and(result = '{"rows": 1}') AS with_result
  FROM cmdsched.command_history WHERE command_type LIKE 'Nightly%' GROUP BY 1, 2 ORDER BY 1, 2;
-- Hooks were told.
SELECT operation, phase, outcome, count(*), count(DISTINCT id), min(id) COLLATE "C" FROM nightly.seen GROUP BY 1, 2, 3 ORDER BY 1, 2 DESC, 3;
-- They are counted.
SELECT command_type, runs, succeeded, failures, failures_by_class, failed_for_good, retries, held FROM cmdsched.stat_handlers WHERE command_type LIKE 'Nightly%' ORDER BY 1;
SELECT pending, due, held, failed FROM cmdsched.stat_roles WHERE role = current_user;
-- doctor() tells of what cannot run, and of what has failed.
SELECT check_name, status, detail, advice FROM cmdsched.doctor() WHERE check_name IN ('held', 'failed', 'handlers', 'recurring') ORDER BY 1;
BEGIN;
UPDATE cmdsched.recurring SET timezone = 'Europe/Atlantis' WHERE name = 'nightly';
SELECT cmdsched.set_clock('2041-01-02 03:00');
SELECT cmdsched.advance_clock('0');
SELECT check_name, status, detail, advice FROM cmdsched.doctor() WHERE check_name = 'recurring';
ROLLBACK;

-- A year of every hour is not much longer for each of them.
BEGIN;
SELECT cmdsched.set_clock('2050-01-01 12:00');
SELECT cmdsched.unregister_hook('scheduler.dispatch.Nightly*', 'nightly.see(text, jsonb)');
SELECT count(cmdsched.unschedule(name)) FROM cmdsched.recurring_schedules;
SELECT cmdsched.schedule_cron('hourly', '0 * * * *', 'Nightly');
SET LOCAL statement_timeout = '60 s';
SELECT cmdsched.advance_clock('1 year');
RESET statement_timeout;
SELECT runs, next_run FROM cmdsched.recurring_schedules WHERE name = 'hourly';
-- What is rolled back to a savepoint is found where it is now.
SAVEPOINT here;
SELECT cmdsched.advance_clock('3 hours');
ROLLBACK TO here;
SELECT runs, next_run FROM cmdsched.recurring_schedules WHERE name = 'hourly';
SELECT cmdsched.advance_clock('2 hours');
SELECT cmdsched.pause_recurring('hourly'), cmdsched.resume_recurring('hourly');
SELECT cmdsched.advance_clock('2 hours');
SELECT runs, skipped, next_run FROM cmdsched.recurring_schedules WHERE name = 'hourly';
ROLLBACK;

SELECT count(cmdsched.unschedule(name)) FROM cmdsched.recurring_schedules;
SELECT count(cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands;
SELECT cmdsched.unregister_handler('Nightly'), cmdsched.unregister_handler('NightlyFails');
SELECT cmdsched.unregister_hook('scheduler.dispatch.Nightly*', 'nightly.see(text, jsonb)');
SET client_min_messages = warning;
DROP SCHEMA nightly CASCADE;
SELECT cmdsched.start() IS NOT NULL AS started;
