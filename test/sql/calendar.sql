-- Business calendars: the next open moment, and working time.
\i test/sql/include/shared.sql
CREATE SCHEMA calendar;
CREATE FUNCTION calendar.make(name text, zone text, weekdays text, hours text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cmdsched.create_calendar(name, zone), cmdsched.set_opening_hours(name, weekdays, hours);
END
$$;
-- A moment as the clock on the calendar's wall shows it, with its offset.
CREATE FUNCTION calendar.on_wall(at timestamptz, zone text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('timezone', zone, true);
    RETURN to_char(at, 'Dy YYYY-MM-DD HH24:MI:SS.US TZH:TZM');
END
$$;

SELECT calendar.make('office', 'Europe/Berlin', 'mon-fri', '9:00-18:00');
SELECT cmdsched.add_exception('office', '2026-04-06');
SELECT calendar.make('split', 'Europe/Berlin', 'mon, wed-thu', '9:00-12:30, 14:00-18:00');
SELECT calendar.make('night', 'America/New_York', 'fri-sun', '22:00-6:00');
SELECT calendar.make('always', 'UTC', 'mon-sun', '0:00-24:00');
SELECT calendar.make('early', 'Europe/Berlin', 'mon-sun', '2:15-2:45');
SELECT calendar.make('half', 'Australia/Lord_Howe', 'mon-sun', '1:40-2:10');
SELECT calendar.make('leap', 'UTC', 'mon-sun', 'closed');
SELECT cmdsched.add_exception('leap', '2028-02-29', hours => '12:00-13:00');
SELECT calendar.make('years', 'UTC', 'mon-fri', '9:00-17:00');
SELECT cmdsched.add_exception('years', '2026-01-01', '2035-12-31');
SELECT cmdsched.add_exception('years', '2030-05-01', '2030-05-31', '10:00-11:00');
SELECT cmdsched.add_exception('years', '2030-05-01', hours => 'closed');

SELECT c.calendar, c.at, calendar.on_wall(cmdsched.next_open(c.calendar, c.at::timestamptz), k.timezone) AS next_open
  FROM (VALUES
    (1, 'office', '2026-03-27 17:59:59.999999 Europe/Berlin'),   -- the last moment of Friday
    (2, 'office', '2026-03-27 18:00 Europe/Berlin'),             -- closed: Monday, the clocks have changed
    (3, 'office', '2026-04-03 18:00 Europe/Berlin'),             -- the Monday is a holiday
    (4, 'office', '2026-12-31 18:00 Europe/Berlin'),
    (5, 'office', '1999-12-31 23:59:59.999999 Europe/Berlin'),
    (6, 'split', '2026-03-02 12:30 Europe/Berlin'),
    (7, 'split', '2026-03-02 18:00 Europe/Berlin'),
    (8, 'night', '2026-01-31 23:00 America/New_York'),
    (9, 'night', '2026-02-02 05:59 America/New_York'),           -- Sunday's
    (10, 'night', '2026-02-02 06:00 America/New_York'),
    (11, 'always', '2026-02-28 23:59:59.999999 UTC'),
    -- Skipped by daylight saving, and repeated.
    (12, 'early', '2026-03-29 00:00 Europe/Berlin'),
    (13, 'early', '2026-10-25 00:00 Europe/Berlin'),
    (14, 'early', '2026-10-25 02:45+02'),
    (15, 'early', '2026-10-25 02:45+01'),
    -- From 2:00 to 2:30, and back to 1:30.
    (16, 'half', '2026-10-04 00:00 Australia/Lord_Howe'),
    (17, 'half', '2026-10-04 01:59:59+10:30'),
    (18, 'half', '2026-10-04 02:30+11'),
    (19, 'half', '2026-04-05 00:00 Australia/Lord_Howe'),
    (20, 'half', '2026-04-05 01:59:59+11'),
    (21, 'half', '2026-04-05 01:30+10:30'),
    (22, 'leap', '2026-01-01 UTC'),
    (23, 'years', '2025-12-31 17:00 UTC'),
    (24, 'years', '2030-05-31 11:00 UTC'),
    (25, 'office', '0044-03-15 12:00 UTC'),
    (26, 'office', '294270-01-01 00:00 UTC')) AS c (n, calendar, at)
  JOIN cmdsched.calendars AS k ON k.name = c.calendar
 ORDER BY c.n;

SELECT c.calendar, c.at, c.amount, calendar.on_wall(cmdsched.add_working_time(c.calendar, c.at::timestamptz, c.amount), k.timezone) AS done
  FROM (VALUES
    (1, 'office', '2026-03-27 17:00 Europe/Berlin', interval '0'),
    (2, 'office', '2026-03-28 12:00 Europe/Berlin', '0'),
    (3, 'office', '2026-03-27 17:00 Europe/Berlin', '1 hour'),
    (4, 'office', '2026-03-27 17:00 Europe/Berlin', '1 hour 1 microsecond'),
    (5, 'office', '2026-04-03 12:00 Europe/Berlin', '15 hours'),
    (6, 'split', '2026-03-02 12:00 Europe/Berlin', '45 minutes'),
    (7, 'night', '2026-03-07 22:00 America/New_York', '5 hours'),
    (8, 'night', '2026-11-01 00:00 America/New_York', '3 hours'),
    (9, 'always', '2026-02-28 12:00 UTC', '48 hours'),
    (10, 'early', '2026-10-24 12:00 Europe/Berlin', '1 hour')) AS c (n, calendar, at, amount)
  JOIN cmdsched.calendars AS k ON k.name = c.calendar
 ORDER BY c.n;

-- Exceptions go, and hours are replaced.
SELECT cmdsched.remove_exception('office', '2026-04-06') AS there, cmdsched.remove_exception('office', '2026-04-06') AS again;
SELECT calendar.on_wall(cmdsched.next_open('office', '2026-04-03 18:00 Europe/Berlin'), 'Europe/Berlin');
SELECT cmdsched.set_opening_hours('office', 'Sat-Mon', ' 10:00 - 11:00 , 12:00-13:00 ');
SELECT timezone, opening_hours FROM cmdsched.calendars WHERE name = 'office';

SELECT e.* FROM unnest(ARRAY[
    $$SELECT cmdsched.next_open('nowhere', now())$$,
    $$SELECT cmdsched.next_open('office', 'infinity')$$,
    $$SELECT cmdsched.next_open(NULL, now())$$,
    $$SELECT cmdsched.next_open('office', '294276-12-31 23:59:59 UTC')$$,
    $$SELECT cmdsched.remove_exception('leap', '2028-02-29'), cmdsched.next_open('leap', now())$$,
    $$SELECT cmdsched.add_exception('office', '2026-01-01', '2300-01-01'), cmdsched.next_open('office', '2026-01-01')$$,
    $$SELECT cmdsched.add_working_time('office', now(), '1 day')$$,
    $$SELECT cmdsched.add_working_time('office', now(), '-1 hour')$$,
    $$SELECT cmdsched.add_working_time('office', '2026-01-01 UTC', '1000000 hours')$$,
    $$SELECT cmdsched.create_calendar('office')$$,
    $$SELECT cmdsched.create_calendar('mars', 'Mars/Olympus')$$,
    $$SELECT cmdsched.set_opening_hours('nowhere', 'mon', 'closed')$$,
    $$SELECT cmdsched.set_opening_hours('office', 'monday', 'closed')$$,
    $$SELECT cmdsched.set_opening_hours('office', 'mon', '9-17')$$,
    $$SELECT cmdsched.set_opening_hours('office', 'mon', '9:00-9:00')$$,
    $$SELECT cmdsched.set_opening_hours('office', 'mon', '24:00-9:00')$$,
    $$SELECT cmdsched.set_opening_hours('office', 'mon', '9:00-24:01')$$,
    $$SELECT cmdsched.set_opening_hours('office', 'mon', '9:00-10:00 11:00-12:00')$$,
    $$SELECT cmdsched.set_opening_hours('office', 'mon', repeat('9:00-10:00,', 16) || '9:00-10:00')$$,
    $$SELECT cmdsched.add_exception('office', '2026-01-02', '2026-01-01')$$,
    $$SELECT cmdsched.add_exception('office', '2026-01-02', 'infinity')$$]) WITH ORDINALITY AS s (statement, n),
    LATERAL pg_temp.error_of(s.statement) AS e
 ORDER BY n;

-- Everybody uses a calendar, its owner changes it.
CREATE ROLE regress_calendar_owner;
CREATE ROLE regress_calendar_member IN ROLE regress_calendar_owner;
CREATE ROLE regress_calendar_other;
GRANT USAGE ON SCHEMA cmdsched TO regress_calendar_owner, regress_calendar_other;
GRANT EXECUTE ON FUNCTION cmdsched.create_calendar TO regress_calendar_owner;
SET ROLE regress_calendar_owner;
SELECT cmdsched.create_calendar('theirs', 'UTC');
SET ROLE regress_calendar_member;
SELECT cmdsched.set_opening_hours('theirs', 'wed', '0:00-24:00');
SET ROLE regress_calendar_other;
SELECT cmdsched.next_open('theirs', '2026-01-01 UTC') AS wednesday;
SELECT e.code, e.message FROM unnest(ARRAY[
    $$SELECT cmdsched.create_calendar('mine')$$,
    $$SELECT cmdsched.set_opening_hours('theirs', 'wed', 'closed')$$,
    $$SELECT cmdsched.add_exception('theirs', '2026-01-01')$$,
    $$SELECT cmdsched.remove_exception('theirs', '2026-01-01')$$,
    $$SELECT cmdsched.drop_calendar('theirs')$$]) WITH ORDINALITY AS s (statement, n),
    LATERAL pg_temp.error_of(s.statement) AS e
 ORDER BY n;
RESET ROLE;

-- Against an implementation that looks at every minute.  Hours are whole minutes, as are offsets of these years.
CREATE TABLE calendar.rules (calendar text, weekday integer, day date, opens integer, closes integer);
CREATE FUNCTION calendar.is_open(calendar text, at timestamptz, zone text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM (VALUES (0), (1)) AS back (days),
               LATERAL (SELECT (at AT TIME ZONE zone)::date - back.days AS day) AS d,
               calendar.rules AS r
         WHERE r.calendar = is_open.calendar
           AND CASE WHEN EXISTS (SELECT FROM calendar.rules AS x WHERE x.calendar = is_open.calendar AND x.day = d.day)
                    THEN r.day = d.day ELSE r.weekday = extract(isodow FROM d.day) END
           AND extract(hour FROM at AT TIME ZONE zone) * 60 + extract(minute FROM at AT TIME ZONE zone) + back.days * 1440 >= r.opens
           AND extract(hour FROM at AT TIME ZONE zone) * 60 + extract(minute FROM at AT TIME ZONE zone) + back.days * 1440 < r.closes)
$$;
CREATE FUNCTION calendar.random_minutes(n integer) RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT floor(random() * n)::integer';
CREATE FUNCTION calendar.hours_of(opens integer, closes integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('%s:%s-%s:%s', opens / 60, lpad((opens % 60)::text, 2, '0'),
                  (CASE WHEN closes > 1440 THEN closes - 1440 ELSE closes END) / 60, lpad((closes % 60)::text, 2, '0'))
$$;
-- Each minute of the days around a change of the clocks; returns the differences and how much there was to compare.
CREATE FUNCTION calendar.compare(seed double precision, zone text, changes date, OUT minutes bigint, OUT open_minutes bigint, OUT wrong_next bigint, OUT sums bigint, OUT wrong_sum bigint, OUT not_additive bigint)
LANGUAGE plpgsql AS $$
DECLARE
    o integer;
    c integer;
BEGIN
    PERFORM setseed(seed), cmdsched.create_calendar('random', zone);
    FOR weekday IN 1..7 LOOP
        CONTINUE WHEN random() < 0.3;
        o = calendar.random_minutes(1440);
        c = o + 1 + calendar.random_minutes(1440 - 1);
        INSERT INTO calendar.rules VALUES ('random', weekday, NULL, o, c);
        PERFORM cmdsched.set_opening_hours('random', (ARRAY['mon','tue','wed','thu','fri','sat','sun'])[weekday], calendar.hours_of(o, c));
    END LOOP;
    -- The days of the change: open through the hour that matters, or closed.
    INSERT INTO calendar.rules VALUES ('random', NULL, changes, 60 + calendar.random_minutes(120), 150 + calendar.random_minutes(60)) RETURNING opens, closes INTO o, c;
    UPDATE calendar.rules SET closes = greatest(c, o + 1) WHERE day = changes RETURNING closes INTO c;
    PERFORM cmdsched.add_exception('random', changes, hours => calendar.hours_of(o, c));
    INSERT INTO calendar.rules VALUES ('random', NULL, changes + 2, 0, 0);
    PERFORM cmdsched.add_exception('random', changes + 2);

    CREATE TEMP TABLE m ON COMMIT DROP AS
        SELECT at, is_open, count(*) FILTER (WHERE is_open) OVER (ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
               min(at) FILTER (WHERE is_open) OVER (ORDER BY at DESC ROWS UNBOUNDED PRECEDING) AS next_open
          FROM (SELECT at, calendar.is_open('random', at, zone) FROM generate_series(changes - 1 + time '00:00', changes + 3 + time '12:00', '1 minute') AS g (l), LATERAL (SELECT l AT TIME ZONE 'UTC') AS u (at)) AS s;
    SELECT count(*), count(*) FILTER (WHERE m.is_open),
           count(*) FILTER (WHERE m.next_open IS NOT NULL AND cmdsched.next_open('random', m.at) <> m.next_open)
      INTO minutes, open_minutes, wrong_next FROM m;
    -- From a moment, so much working time later, it has been open for that long.
    SELECT count(*), count(*) FILTER (WHERE e.before - s.before <> a.n),
           count(*) FILTER (WHERE cmdsched.add_working_time('random', cmdsched.add_working_time('random', s.at, make_interval(mins => b.n)), make_interval(mins => a.n - b.n)) <> done.at)
      INTO sums, wrong_sum, not_additive
      FROM (SELECT * FROM m WHERE extract(minute FROM at) = 7 AND before IS NOT NULL) AS s, LATERAL (SELECT 1 + calendar.random_minutes(600 + (s.before * 0)::integer)) AS a (n),
           LATERAL (SELECT a.n / 3) AS b (n),
           LATERAL (SELECT cmdsched.add_working_time('random', s.at, make_interval(mins => a.n))) AS done (at)
      JOIN m AS e ON e.at = done.at;
    PERFORM cmdsched.drop_calendar('random');
    DELETE FROM calendar.rules;
    DROP TABLE m;
END
$$;
SELECT v.*, c.minutes, c.open_minutes > 500 AS opens, c.open_minutes < c.minutes - 500 AS closes, c.wrong_next, c.sums > 20 AS sums, c.wrong_sum, c.not_additive
  FROM (VALUES (0.1, 'Europe/Berlin', date '2026-03-29'), (0.2, 'Europe/Berlin', '2026-10-25'), (0.3, 'America/New_York', '2026-11-01'), (0.4, 'Australia/Lord_Howe', '2026-10-04'),
               (0.5, 'Australia/Lord_Howe', '2026-04-05'), (0.6, 'Asia/Kathmandu', '2028-02-29'), (0.7, 'Pacific/Apia', '2011-12-30'), (0.9, 'America/Sao_Paulo', '2018-11-04')) AS v (seed, zone, changes),
       LATERAL calendar.compare(v.seed, v.zone, v.changes) AS c
 ORDER BY v.seed;

SELECT cmdsched.drop_calendar('nowhere') AS nowhere, bool_and(cmdsched.drop_calendar(name)) AS dropped FROM cmdsched.calendars;
SELECT count(*) FROM cmdsched.calendar_exceptions;
DROP OWNED BY regress_calendar_owner, regress_calendar_other;
DROP ROLE regress_calendar_member, regress_calendar_owner, regress_calendar_other;
\set VERBOSITY terse
DROP SCHEMA calendar CASCADE;
