-- Recurring schedules: one occurrence follows another, by a clock that moves.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;

CREATE SCHEMA recurring;
GRANT USAGE ON SCHEMA cmdsched TO PUBLIC;
CREATE TABLE recurring.log (n serial, id text, at timestamptz DEFAULT cmdsched.now(), what text);

-- In one line: what ran since the last time, in that order, and when.
CREATE FUNCTION pg_temp.ran() RETURNS TABLE (id text, at timestamptz, what text) LANGUAGE sql AS $$
    WITH d AS (DELETE FROM recurring.log RETURNING *) SELECT id, at, what FROM d ORDER BY n
$$;
CREATE FUNCTION pg_temp.state(name text) RETURNS TABLE (status text, next_schedule_id text, next_run timestamptz, last_run timestamptz, last_outcome text, runs bigint, skipped bigint) LANGUAGE sql AS $$
    SELECT status, next_schedule_id, next_run, last_run, last_outcome, runs, skipped FROM cmdsched.recurring_schedules AS r WHERE r.name = state.name
$$;

-- One handler for most of it: it runs the statements in command_data.
CREATE FUNCTION recurring.do(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO recurring.log (id, what) VALUES ((cmdsched.current_command()).schedule_id, $1->>'what');
    EXECUTE coalesce($1->>'do', 'SELECT');
END
$$;
SELECT cmdsched.register_handler('Do', 'recurring.do(jsonb)', max_attempts => 3, backoff => '1 hour', max_backoff => '1 hour');
SELECT cmdsched.register_handler('Once', 'recurring.do(jsonb)', max_attempts => 1);

-- -------------------------------------------------------------------------
-- One follows another
-- -------------------------------------------------------------------------

BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_cron('nightly', '0 3 * * *', 'Do', '{"what": "backup"}');
SELECT schedule_id, command_type, command_data, execute_at, status, recurring, occurrence_at, depth FROM cmdsched.scheduled_commands;
SELECT * FROM pg_temp.state('nightly');
SELECT cmdsched.advance_clock('14 hours');
SELECT * FROM pg_temp.ran();
SELECT cmdsched.advance_clock('2 days');
SELECT * FROM pg_temp.ran();
SELECT * FROM pg_temp.state('nightly');
-- A year of it.
SELECT cmdsched.advance_clock('1 year');
SELECT count(*), count(DISTINCT id), min(at), max(at) FROM pg_temp.ran();
SELECT * FROM pg_temp.state('nightly');
SELECT count(*) FROM cmdsched.scheduled_commands;
SELECT cmdsched.unschedule('nightly'), cmdsched.unschedule('nightly');
SELECT count(*) FROM cmdsched.scheduled_commands;
SELECT count(*) FROM cmdsched.recurring;
ROLLBACK;

-- Every so often: since now, or since starts_at.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('often', '6 hours', 'Do');
SELECT cmdsched.schedule_every('on the hour', '6 hours', 'Do', starts_at => '2040-01-01 18:30', ends_at => '2040-01-02 06:30');
SELECT cmdsched.schedule_every('three times', '6 hours', 'Do', starts_at => '2040-01-01 00:15', max_runs => 3);
SELECT cmdsched.advance_clock('1 day');
SELECT * FROM pg_temp.ran();
SELECT s.* FROM (VALUES ('often'), ('on the hour'), ('three times')) AS v (name), pg_temp.state(v.name) AS s;
-- More of what is finished.
SELECT cmdsched.alter_recurring('three times', max_runs => 4), cmdsched.alter_recurring('on the hour', ends_at => 'infinity');
SELECT s.* FROM (VALUES ('on the hour'), ('three times')) AS v (name), pg_temp.state(v.name) AS s;
ROLLBACK;

-- -------------------------------------------------------------------------
-- Those that fail
-- -------------------------------------------------------------------------

-- It is tried again, and the schedule goes on when that has ended.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('fails', '1 hour', 'Do', '{"do": "SELECT 1/0"}', starts_at => '2040-01-01 12:30');
SELECT cmdsched.advance_clock('35 minutes'), schedule_id, attempts FROM cmdsched.scheduled_commands;
SELECT status, next_schedule_id, next_run BETWEEN '2040-01-01 13:23' AND '2040-01-01 13:37' AS again_later, runs FROM pg_temp.state('fails');
SELECT n BETWEEN 4 AND 8 AS several FROM cmdsched.advance_clock('5 hours') AS n;
SELECT schedule_id, status, attempts FROM cmdsched.scheduled_commands WHERE schedule_id LIKE '%12:30%';
SELECT count(*) FROM cmdsched.scheduled_commands WHERE status = 'pending';
SELECT runs >= 1 AS ran, skipped >= 1 AS skipped, last_outcome FROM pg_temp.state('fails');
-- One that failed for good has its successor.
SELECT cmdsched.alter_recurring('fails', command_data => '{}');
SELECT cmdsched.retry(schedule_id), cmdsched.advance_clock('1 second') > 0 AS tried FROM cmdsched.scheduled_commands WHERE status = 'failed' AND schedule_id LIKE '%12:30%';
SELECT count(*) FROM cmdsched.scheduled_commands WHERE status = 'pending' AND execute_at > cmdsched.now();
ROLLBACK;

BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('abandoned', '1 hour', 'Do', '{"do": "SELECT cmdsched.abandon(''no use'')"}');
SELECT cmdsched.schedule_every('snoozed', '1 hour', 'Do', '{"do": "SELECT cmdsched.snooze(''40 minutes'') WHERE extract(minute FROM now()) = 0"}');
SELECT cmdsched.advance_clock('3 hours');
SELECT schedule_id, status, execute_at FROM cmdsched.scheduled_commands ORDER BY 1;
SELECT * FROM pg_temp.ran();
SELECT s.* FROM (VALUES ('abandoned'), ('snoozed')) AS v (name), pg_temp.state(v.name) AS s;
ROLLBACK;

-- Held: the same occurrence waits, and no others pile up.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('held', '1 hour', 'Once');
SELECT cmdsched.unregister_handler('Once');
SELECT cmdsched.advance_clock('1 day');
SELECT schedule_id, status FROM cmdsched.scheduled_commands;
SELECT status, reason, next_schedule_id FROM cmdsched.recurring_schedules;
SELECT cmdsched.register_handler('Once', 'recurring.do(jsonb)', max_attempts => 1);
SELECT cmdsched.advance_clock('1 hour');
SELECT count(*) FROM pg_temp.ran();
SELECT status, reason FROM cmdsched.recurring_schedules;
ROLLBACK;

-- -------------------------------------------------------------------------
-- Missed ones
-- -------------------------------------------------------------------------

BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('none', '1 hour', 'Do', catch_up => 'none');
SELECT cmdsched.schedule_every('last', '1 hour', 'Do', catch_up => 'last');
SELECT cmdsched.schedule_every('all', '1 hour', 'Do', catch_up => 'all');
SELECT cmdsched.schedule_every('all of 3', '1 hour', 'Do', catch_up => 'all', catch_up_limit => 3);
SELECT cmdsched.schedule_every('one', '1 day', 'Do');
SELECT cmdsched.schedule_every('until', '1 hour', 'Do', catch_up => 'last', ends_at => '2040-01-01 16:10');
-- A minute late is in time.
SELECT cmdsched.set_clock('2040-01-01 13:01');
SELECT cmdsched.run_once();
SELECT * FROM pg_temp.ran();
SELECT cmdsched.set_clock('2040-01-01 19:30');
SELECT cmdsched.run_once();
SELECT * FROM pg_temp.ran();
SELECT v.name, s.* FROM (VALUES ('none'), ('last'), ('all'), ('all of 3'), ('one'), ('until')) AS v (name), pg_temp.state(v.name) AS s;
-- Three days.
SELECT cmdsched.set_clock('2040-01-04 19:30');
SELECT cmdsched.run_once();
SELECT id, at FROM pg_temp.ran() WHERE id !~ '^all@';
SELECT v.name, s.* FROM (VALUES ('none'), ('last'), ('all'), ('all of 3'), ('one'), ('until')) AS v (name), pg_temp.state(v.name) AS s;
ROLLBACK;

-- A year of seconds is caught up at once.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('seconds', '1 second', 'Do');
SELECT cmdsched.schedule_every('all seconds', '1 second', 'Do', catch_up => 'all', catch_up_limit => 2);
SELECT cmdsched.schedule_cron('minutes', '* * * * *', 'Do', timezone => 'Europe/Berlin');
SELECT cmdsched.set_clock('2041-01-01 12:00:00.5');
SELECT cmdsched.run_once();
SELECT * FROM pg_temp.ran();
SELECT v.name, s.* FROM (VALUES ('seconds'), ('all seconds'), ('minutes')) AS v (name), pg_temp.state(v.name) AS s;
ROLLBACK;

-- -------------------------------------------------------------------------
-- Overlapping ones
-- -------------------------------------------------------------------------

-- An occurrence takes two and a half hours: it is snoozed meanwhile.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('skip', '1 hour', 'Do', '{"do": "SELECT cmdsched.snooze(''150 minutes'') WHERE extract(minute FROM now()) = 0"}');
SELECT cmdsched.schedule_every('queue', '1 hour', 'Do', '{"do": "SELECT cmdsched.snooze(''150 minutes'') WHERE extract(minute FROM now()) = 0"}', overlap => 'queue');
SELECT cmdsched.schedule_every('allow', '1 hour', 'Do', '{"do": "SELECT cmdsched.snooze(''150 minutes'') WHERE extract(minute FROM now()) = 0"}', overlap => 'allow');
SELECT cmdsched.advance_clock('4 hours');
SELECT schedule_id, execute_at FROM cmdsched.scheduled_commands ORDER BY 1;
SELECT cmdsched.advance_clock('2 hours');
SELECT * FROM pg_temp.ran() ORDER BY id;
SELECT v.name, s.* FROM (VALUES ('skip'), ('queue'), ('allow')) AS v (name), pg_temp.state(v.name) AS s;
ROLLBACK;

-- -------------------------------------------------------------------------
-- cancel(), reschedule(), delete_executed()
-- -------------------------------------------------------------------------

BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('hourly', '1 hour', 'Do');
SELECT cmdsched.cancel('hourly@2040-01-01T13:00:00Z'), cmdsched.cancel('hourly@2040-01-01T13:00:00Z');
SELECT * FROM pg_temp.state('hourly');
-- Earlier: not a second time when it would have been due.
SELECT cmdsched.reschedule('hourly@2040-01-01T14:00:00Z', '2040-01-01 12:10');
SELECT cmdsched.advance_clock('20 minutes');
SELECT * FROM pg_temp.ran();
SELECT * FROM pg_temp.state('hourly');
-- Later: the one after is not skipped.
SELECT cmdsched.reschedule('hourly@2040-01-01T15:00:00Z', '2040-01-01 15:10');
SELECT cmdsched.advance_clock('4 hours');
SELECT * FROM pg_temp.ran();
SELECT cmdsched.delete_executed('hourly@2040-01-01T17:00:00Z');
SELECT * FROM pg_temp.state('hourly');
ROLLBACK;

-- Ids of occurrences are not for others.
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('Do', schedule_id => 'hourly@2040-01-01T13:00:00Z')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('Do', schedule_id => '@2040-01-01T13:00:00Z')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('Do', schedule_id => 'a@Z')$$);

-- -------------------------------------------------------------------------
-- Changing a schedule
-- -------------------------------------------------------------------------

BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_cron('report', '0 9 * * mon-fri', 'Do', '{"what": "one"}', 'Europe/Berlin');
-- The same again, as when an application is deployed.
SELECT cmdsched.reschedule('report@2040-01-02T08:00:00Z', '2040-01-02 08:30');
SELECT cmdsched.schedule_cron('report', '0 9 * * mon-fri', 'Do', '{"what": "one"}', 'Europe/Berlin');
SELECT execute_at FROM cmdsched.scheduled_commands;
-- Another command at the same times, other times.
SELECT cmdsched.schedule_cron('report', '0 9 * * mon-fri', 'Do', '{"what": "two"}', 'Europe/Berlin');
SELECT schedule_id, execute_at, command_data FROM cmdsched.scheduled_commands;
SELECT cmdsched.alter_recurring('report', timezone => 'Asia/Kolkata', catch_up => 'all');
SELECT schedule_id, execute_at, command_data FROM cmdsched.scheduled_commands;
SELECT cmdsched.alter_recurring('report', every => '90 minutes', starts_at => '2040-01-02');
SELECT name, cron, every, timezone, catch_up, starts_at, ends_at, next_schedule_id FROM cmdsched.recurring_schedules;
SELECT cmdsched.advance_clock('14 hours');
SELECT * FROM pg_temp.ran();
-- A pause is not caught up, and stays over a deployment.
SELECT cmdsched.pause_recurring('report'), cmdsched.pause_recurring('report');
SELECT cmdsched.schedule_every('report', '90 minutes', 'Do', starts_at => '2040-01-02');
SELECT cmdsched.advance_clock('1 day');
SELECT * FROM pg_temp.state('report');
SELECT cmdsched.resume_recurring('report'), cmdsched.resume_recurring('report');
SELECT * FROM pg_temp.state('report');
SELECT cmdsched.alter_recurring('other'), cmdsched.pause_recurring('other'), cmdsched.resume_recurring('other'), cmdsched.unschedule('other');
ROLLBACK;

-- Missed, and the one that runs in their place fails: that is recorded.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('fails', '1 hour', 'Once', '{"do": "SELECT 1/0"}');
SELECT cmdsched.schedule_every('beside', '1 hour', 'Once', '{"do": "SELECT 1/0"}', overlap => 'allow', catch_up => 'all');
SELECT cmdsched.set_clock('2040-01-01 16:10');
SELECT cmdsched.advance_clock('1 hour');
SELECT * FROM pg_temp.state('fails');
SELECT * FROM pg_temp.state('beside');
SELECT schedule_id, status, attempts, last_error->>'sqlstate' AS code FROM cmdsched.scheduled_commands ORDER BY 1;
ROLLBACK;

-- An interval where a cron expression could be, as pg_cron has it.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_cron('poll', '30 seconds', 'Do');
SELECT name, cron, every, next_run FROM cmdsched.recurring_schedules;
SELECT cmdsched.advance_clock('1 minute');
SELECT id FROM pg_temp.ran();
-- The same again goes on; so does another way to say it, by schedule_every().
SELECT cmdsched.schedule_cron('poll', '30 seconds', 'Do');
SELECT cmdsched.schedule_every('poll', '30 seconds', 'Do');
SELECT name, cron, every, next_run, runs FROM cmdsched.recurring_schedules;
SELECT cmdsched.alter_recurring('poll', cron => ' 1 month ', starts_at => '2040-01-31');
SELECT name, cron, every, next_run FROM cmdsched.recurring_schedules;
SELECT cmdsched.alter_recurring('poll', cron => '0 0 * * *');
SELECT name, cron, every, next_run FROM cmdsched.recurring_schedules;
SELECT cmdsched.alter_recurring('poll', cron => '59 seconds', starts_at => '-infinity');
SELECT cmdsched.alter_recurring('poll', catch_up => 'all');
SELECT name, cron, every, next_run FROM cmdsched.recurring_schedules;
ROLLBACK;

-- By its own handler.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('ends itself', '1 hour', 'Do', '{"do": "SELECT cmdsched.unschedule(''ends itself'')"}');
SELECT cmdsched.schedule_every('pauses itself', '1 hour', 'Do', '{"do": "SELECT cmdsched.pause_recurring(''pauses itself'')"}');
SELECT cmdsched.schedule_every('slows down', '1 hour', 'Do', '{"do": "SELECT cmdsched.alter_recurring(''slows down'', every => ''2 hours'')"}');
SELECT cmdsched.advance_clock('4 hours');
SELECT * FROM pg_temp.ran();
SELECT name, status, next_schedule_id FROM cmdsched.recurring_schedules ORDER BY 1;
SELECT schedule_id FROM cmdsched.scheduled_commands;
ROLLBACK;

-- Spread: all of a schedule alike, and within the limit.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT count(cmdsched.schedule_every('spread ' || n, '1 hour', 'Do', spread => '10 minutes')) FROM generate_series(1, 100) AS n;
SELECT count(DISTINCT execute_at) > 90, min(execute_at) >= '2040-01-01 13:00', max(execute_at) < '2040-01-01 13:10' FROM cmdsched.scheduled_commands;
SELECT cmdsched.advance_clock('3 hours 15 minutes');
SELECT count(*), count(DISTINCT at - substring(id FROM '@(.*)Z')::timestamptz) > 90 AS differ,
       count(DISTINCT (split_part(id, '@', 1), at - substring(id FROM '@(.*)Z')::timestamptz)) AS of_each FROM pg_temp.ran();
ROLLBACK;

-- For an application: complete(), fail() and a lease that ends go on with it.
BEGIN;
SELECT cmdsched.register_handler('Mail', NULL, external => true, max_attempts => 1);
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('mail', '1 hour', 'Mail');
SELECT cmdsched.set_clock('2040-01-01 13:00');
SELECT schedule_id, cmdsched.complete(schedule_id, claim_token) FROM cmdsched.claim_due_commands(10);
SELECT cmdsched.set_clock('2040-01-01 14:00');
SELECT schedule_id, cmdsched.fail(schedule_id, claim_token, 'no') FROM cmdsched.claim_due_commands(10);
SELECT cmdsched.set_clock('2040-01-01 15:00');
SELECT schedule_id FROM cmdsched.claim_due_commands(10, lease => '10 minutes');
SELECT cmdsched.set_clock('2040-01-01 17:30');
SELECT schedule_id FROM cmdsched.claim_due_commands(10);
SELECT schedule_id, status FROM cmdsched.scheduled_commands ORDER BY 1;
SELECT * FROM pg_temp.state('mail');
ROLLBACK;

-- The server does not know the zone any more: held, and nobody else suffers.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_cron('lost', '0 * * * *', 'Do', timezone => 'Europe/Berlin');
SELECT cmdsched.schedule_cron('not lost', '0 * * * *', 'Do', timezone => 'Europe/Berlin');
UPDATE cmdsched.recurring SET timezone = 'Europe/Atlantis' WHERE name = 'lost';
SELECT cmdsched.advance_clock('2 hours');
SELECT * FROM pg_temp.ran();
SELECT name, status, reason, next_run FROM cmdsched.recurring_schedules ORDER BY name;
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.resume_recurring('lost')$$);
SELECT cmdsched.alter_recurring('lost', timezone => 'Europe/Berlin');
SELECT name, status, reason, next_run FROM cmdsched.recurring_schedules ORDER BY name;
ROLLBACK;

-- -------------------------------------------------------------------------
-- Cron expressions and the calendar
-- -------------------------------------------------------------------------

CREATE FUNCTION pg_temp.next(cron text, zone text, after timestamptz, gap text DEFAULT 'shift', overlap text DEFAULT 'first', n integer DEFAULT 3) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM cmdsched.set_clock(after);
    PERFORM cmdsched.schedule_cron('next', cron, 'Do', timezone => zone, dst_gap => gap, dst_overlap => overlap);
    FOR i IN 1..n LOOP
        answer = concat_ws(' | ', answer, (SELECT to_char(next_run AT TIME ZONE zone, 'YYYY-MM-DD HH24:MI') || to_char(next_run AT TIME ZONE 'UTC', ' (HH24:MI)') FROM cmdsched.recurring_schedules));
        PERFORM cmdsched.cancel(next_schedule_id) FROM cmdsched.recurring_schedules;
    END LOOP;
    RAISE USING ERRCODE = 'XX998', MESSAGE = answer;
EXCEPTION WHEN OTHERS THEN
    RETURN SQLERRM;
END
$$;
SELECT cron, pg_temp.next(cron, 'UTC', '2040-01-01 12:00') FROM (VALUES
    ('* * * * *'), ('*/20 * * * *'), ('5-10/2,59 8,20 * * *'), ('0 0 1,15 * 0'), ('0 0 29 2 *'), ('0 12 * jan-MAR/2 fri'), ('0 0 * * 7'), ('@hourly'), ('@Monthly'), ('30 1 31 * *')) AS v (cron);
SELECT zone, after, gap, overlap, pg_temp.next(cron, zone, after::timestamptz, gap, overlap) FROM (VALUES
    ('30 2 * * *', 'Europe/Berlin', '2040-03-24 00:00', 'shift', 'first'),
    ('30 2 * * *', 'Europe/Berlin', '2040-03-24 00:00', 'skip', 'first'),
    ('30 2 * * *', 'Europe/Berlin', '2040-10-27 00:00', 'shift', 'first'),
    ('30 2 * * *', 'Europe/Berlin', '2040-10-27 00:00', 'shift', 'last'),
    ('30 2 * * *', 'Europe/Berlin', '2040-10-27 00:00', 'shift', 'both'),
    ('30 * * * *', 'Europe/Berlin', '2040-03-25 00:00', 'shift', 'first'),
    ('30 * * * *', 'Europe/Berlin', '2040-10-27 23:50', 'shift', 'first'),
    ('15 2 * * *', 'Australia/Lord_Howe', '2040-10-05 12:00', 'shift', 'first'),
    ('0 0 * * *', 'America/Sao_Paulo', '2040-01-01', 'shift', 'first')) AS v (cron, zone, after, gap, overlap);

-- A month from the 31st; a day is one of the zone.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SELECT cmdsched.schedule_every('monthly', '1 month', 'Do', starts_at => '2040-01-31');
SELECT cmdsched.schedule_every('daily', '1 day', 'Do', timezone => 'Europe/Berlin', starts_at => '2040-03-24 08:00');
SELECT cmdsched.schedule_every('24 hours', '24 hours', 'Do', timezone => 'Europe/Berlin', starts_at => '2040-03-24 08:00');
SELECT cmdsched.advance_clock('86 days');
SELECT * FROM pg_temp.ran();
ROLLBACK;

-- -------------------------------------------------------------------------
-- With a business calendar
-- -------------------------------------------------------------------------

SELECT cmdsched.create_calendar('r office', 'UTC');
SELECT cmdsched.set_opening_hours('r office', 'mon-fri', '9:00-18:00');
SELECT cmdsched.add_exception('r office', '2040-01-09');

-- From Friday on: what falls into the weekend runs when it opens, on Tuesday,
-- since Monday is a holiday.  What comes due while it waits is skipped, or
-- queued, as overlap says.
BEGIN;
SELECT cmdsched.set_clock('2040-01-06 12:00');
SELECT cmdsched.schedule_cron('skip', '0 20 * * *', 'Do', calendar => 'r office');
SELECT cmdsched.schedule_cron('queue', '0 20 * * *', 'Do', calendar => 'r office', overlap => 'queue');
SELECT cmdsched.schedule_cron('allow', '0 20 * * *', 'Do', calendar => 'r office', overlap => 'allow');
SELECT cmdsched.schedule_every('open', '1 day', 'Do', starts_at => '2040-01-06 17:30', calendar => 'r office');
SELECT name, next_schedule_id, next_run, calendar FROM cmdsched.recurring_schedules ORDER BY name;
SELECT cmdsched.advance_clock('5 days');
SELECT split_part(id, '@', 1) AS name, id, at FROM pg_temp.ran() ORDER BY 1, at, id;
SELECT name, next_schedule_id, next_run, runs, skipped FROM cmdsched.recurring_schedules ORDER BY name;
ROLLBACK;

-- After days without a worker, on a day on which it is closed.
BEGIN;
SELECT cmdsched.set_clock('2040-01-04 12:00');
SELECT cmdsched.schedule_cron('late', '0 10 * * *', 'Do', calendar => 'r office');
SELECT cmdsched.set_clock('2040-01-07 12:00');
SELECT cmdsched.run_once();
SELECT * FROM pg_temp.state('late');
SELECT cmdsched.advance_clock('4 days');
SELECT * FROM pg_temp.ran();
SELECT * FROM pg_temp.state('late');
ROLLBACK;

-- It can be given later, changed and taken away; a spread ends in open hours.
BEGIN;
SELECT cmdsched.set_clock('2040-01-07 12:00');
SELECT cmdsched.schedule_cron('changed', '0 10 * * *', 'Do');
SELECT next_schedule_id, next_run FROM pg_temp.state('changed');
SELECT cmdsched.alter_recurring('changed', calendar => 'r office');
SELECT next_schedule_id, next_run FROM pg_temp.state('changed');
SELECT cmdsched.alter_recurring('changed', spread => '24 hours');
SELECT next_schedule_id, cmdsched.next_open('r office', next_run) = next_run AS open FROM pg_temp.state('changed');
SELECT cmdsched.alter_recurring('changed', spread => '0', calendar => '');
SELECT next_schedule_id, next_run FROM pg_temp.state('changed');
ROLLBACK;

-- A calendar that is not there any more, or does not open, holds the schedule.
BEGIN;
SELECT cmdsched.set_clock('2040-01-04 12:00');
SELECT cmdsched.schedule_cron('held', '0 10 * * *', 'Do', calendar => 'r office');
SELECT cmdsched.set_opening_hours('r office', 'mon-sun', 'closed');
SELECT cmdsched.advance_clock('2 days');
SELECT * FROM pg_temp.ran();
SELECT status, reason, next_run, runs FROM cmdsched.recurring_schedules;
SAVEPOINT closed;
SELECT cmdsched.resume_recurring('held');
ROLLBACK TO closed;
SELECT cmdsched.set_opening_hours('r office', 'mon-fri', '9:00-18:00');
SELECT cmdsched.resume_recurring('held');
SELECT status, reason, next_run FROM cmdsched.recurring_schedules;
SELECT cmdsched.drop_calendar('r office');
SELECT cmdsched.advance_clock('5 days');
SELECT * FROM pg_temp.ran();
SELECT status, reason FROM cmdsched.recurring_schedules;
ROLLBACK;
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule_cron('x', '* * * * *', 'Do', calendar => 'r none')$$);
SELECT cmdsched.drop_calendar('r office');

-- -------------------------------------------------------------------------
-- What is refused
-- -------------------------------------------------------------------------

SELECT arguments, e.* FROM (VALUES
    ($$NULL, '* * * * *', 'Do'$$), ($$'', '* * * * *', 'Do'$$), ($$repeat('x', 201), '* * * * *', 'Do'$$),
    ($$'x', NULL, 'Do'$$), ($$'x', '', 'Do'$$), ($$'x', '* * * *', 'Do'$$), ($$'x', '* * * * * * *', 'Do'$$),
    ($$'x', '60 * * * *', 'Do'$$), ($$'x', '* 24 * * *', 'Do'$$), ($$'x', '* * 0 * *', 'Do'$$), ($$'x', '* * * foo *', 'Do'$$), ($$'x', '* * * * 8', 'Do'$$),
    ($$'x', '5-1 * * * *', 'Do'$$), ($$'x', '*/0 * * * *', 'Do'$$), ($$'x', '1,, * * * *', 'Do'$$), ($$'x', '99999999999 * * * *', 'Do'$$),
    ($$'x', '0 0 31 2 *', 'Do'$$), ($$'x', '0 seconds', 'Do'$$), ($$'x', '-5 minutes', 'Do'$$), ($$'x', '30 secs of it', 'Do'$$), ($$'x', '178000000 years', 'Do'$$), ($$'x', '9999999999 years', 'Do'$$), ($$'x', '* * * * *', NULL$$), ($$'x', '* * * * *', 'Do', NULL$$), ($$'x', '* * * * *', 'Nothing'$$),
    ($$'x', '* * * * *', 'Do', timezone => 'Europe/Atlantis'$$), ($$'x', '* * * * *', 'Do', dst_gap => 'jump'$$), ($$'x', '* * * * *', 'Do', dst_overlap => 'none'$$),
    ($$'x', '* * * * *', 'Do', catch_up => 'some'$$), ($$'x', '* * * * *', 'Do', catch_up_limit => 0$$), ($$'x', '* * * * *', 'Do', catch_up_limit => 1001$$),
    ($$'x', '* * * * *', 'Do', overlap => 'kill'$$), ($$'x', '* * * * *', 'Do', spread => '-1 minute'$$), ($$'x', '* * * * *', 'Do', spread => '25 hours'$$), ($$'x', '* * * * *', 'Do', starts_at => 'infinity'$$), ($$'x', '* * * * *', 'Do', starts_at => '0010-01-01 BC'$$), ($$'x', '* * * * *', 'Do', max_runs => 0$$),
    ($$'x', '* * * * *', 'Do', ends_at => '2000-01-01'$$)) AS v (arguments), pg_temp.error_of(format('SELECT cmdsched.schedule_cron(%s)', arguments)) AS e;
SELECT arguments, e.* FROM (VALUES ($$'x', '0', 'Do'$$), ($$'x', '999 ms', 'Do'$$), ($$'x', '1 month -1 day', 'Do'$$), ($$'x', '-1 hour', 'Do'$$), ($$'x', NULL, 'Do'$$), ($$'x', '178000000 years', 'Do'$$), ($$'x', '2147483647 days', 'Do'$$), ($$'x', '2147483647 hours', 'Do'$$)) AS v (arguments), pg_temp.error_of(format('SELECT cmdsched.schedule_every(%s)', arguments)) AS e;
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.alter_recurring('x', cron => '* * * * *', every => '1 hour')$$);

-- Of one role each.
CREATE ROLE recurring_one;
CREATE ROLE recurring_two IN ROLE recurring_one;
ALTER ROLE recurring_one LOGIN;
ALTER ROLE recurring_two LOGIN;
GRANT USAGE ON SCHEMA recurring TO PUBLIC;
GRANT ALL ON recurring.log, recurring.log_n_seq TO PUBLIC;
BEGIN;
SELECT cmdsched.set_clock('2040-01-01 12:00');
SET LOCAL ROLE recurring_one;
SELECT cmdsched.schedule_every('mine', '1 hour', 'Do');
SET LOCAL ROLE recurring_two;
SELECT count(*) FROM cmdsched.recurring_schedules;
SELECT cmdsched.alter_recurring('mine', every => '2 hours');
SELECT cmdsched.schedule_every('mine', '1 hour', 'Do');
SELECT cmdsched.unschedule('mine'), cmdsched.pause_recurring('mine'), cmdsched.resume_recurring('mine');
SELECT name, every, scheduled_by_name, next_schedule_id FROM cmdsched.recurring_schedules;
SELECT cmdsched.schedule_every('mine', '1 hour', 'Do');
SET LOCAL ROLE recurring_one;
SELECT name, every, scheduled_by_name, next_schedule_id FROM cmdsched.recurring_schedules;
SELECT cmdsched.advance_clock('4 hours');
RESET ROLE;
SELECT * FROM pg_temp.ran();
ROLLBACK;

DROP TABLE recurring.log;
DROP FUNCTION recurring.do(jsonb);
DROP SCHEMA recurring;
SELECT cmdsched.unregister_handler('Do'), cmdsched.unregister_handler('Once');
DROP ROLE recurring_two, recurring_one;
REVOKE USAGE ON SCHEMA cmdsched FROM PUBLIC;
SELECT cmdsched.start() IS NOT NULL AS started;
