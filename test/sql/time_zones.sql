-- Only instants are stored: what a time zone makes of a time is settled when it is scheduled.
\i test/sql/include/shared.sql
SELECT cmdsched.start() IS NOT NULL AS started;

CREATE SCHEMA time_zones;
CREATE TABLE time_zones.log (command text, execute_at timestamptz, zone text DEFAULT current_setting('TimeZone'));
CREATE FUNCTION time_zones.write(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    INSERT INTO time_zones.log (command, execute_at) VALUES (c.schedule_id, c.execute_at)
$$;
SELECT cmdsched.register_handler('Write', 'time_zones.write(cmdsched.scheduled_commands)');
-- The worker has a time zone of its own.
CREATE ROLE regress_time_zones LOGIN;
ALTER ROLE regress_time_zones SET timezone = 'Asia/Kathmandu';
GRANT USAGE ON SCHEMA cmdsched, time_zones TO regress_time_zones;
GRANT INSERT ON time_zones.log TO regress_time_zones;
SET ROLE regress_time_zones;

SET timezone = 'America/New_York';
-- The hour that there was not, the hour that there was twice, and both with their offset.
SELECT cmdsched.schedule('Write', execute_at => t::timestamptz, schedule_id => t)
  FROM unnest('{2020-03-08 02:30,2020-11-01 01:30,2020-11-01 01:30-04,2020-11-01 01:30-05}'::text[]) AS t;
-- A day is not 24 hours when the clocks change.
SELECT cmdsched.schedule('Write', execute_at => '2020-10-31 12:00'::timestamptz + i::interval, schedule_id => i)
  FROM unnest('{1 day,24 hours}'::text[]) AS i;
SET timezone = 'UTC';
SELECT pg_temp.wait_until_gone('%');
RESET ROLE;
SELECT command, execute_at, zone FROM time_zones.log ORDER BY command;

-- schedule_in() counts as now() + interval does, in the session's time zone.
SET timezone = 'America/New_York';
BEGIN;
SELECT cmdsched.schedule_in('Write', '{}', i::interval, schedule_id => i) FROM unnest('{1 day,24 hours,6 months}'::text[]) AS i;
SELECT schedule_id, execute_at = now() + schedule_id::interval AS as_now_plus FROM cmdsched.scheduled_commands ORDER BY 1;
ROLLBACK;

SELECT cmdsched.unregister_handler('Write');
DROP OWNED BY regress_time_zones;
DROP ROLE regress_time_zones;
\set VERBOSITY terse
DROP SCHEMA time_zones CASCADE;
