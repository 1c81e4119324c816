-- Calendars and policies in schedule(), and explain_schedule().
\i test/sql/include/shared.sql
\set ECHO none
\set VERBOSITY terse
CREATE SCHEMA policies;
GRANT USAGE ON SCHEMA policies TO PUBLIC;
CREATE FUNCTION policies.nothing(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT cmdsched.register_handler('PolicyTest', 'policies.nothing(jsonb)');

-- The time of a command, as the clock in Berlin shows it.
CREATE FUNCTION policies.on_wall(at timestamptz) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('timezone', 'Europe/Berlin', true);
    RETURN to_char(at, 'Dy YYYY-MM-DD HH24:MI:SS TZH');
END
$$;
CREATE FUNCTION policies.scheduled_for(schedule_id text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN policies.on_wall((cmdsched.get(schedule_id)).execute_at);
END
$$;
-- Nothing is scheduled where an error is raised.
CREATE FUNCTION policies.nothing_waits() RETURNS boolean LANGUAGE sql AS $$
    SELECT NOT EXISTS (SELECT FROM cmdsched.scheduled_commands WHERE schedule_id = 'refused')
$$;

SELECT cmdsched.create_calendar('p office', 'Europe/Berlin');
SELECT cmdsched.set_opening_hours('p office', 'mon-fri', '9:00-18:00');
SELECT cmdsched.add_exception('p office', '2126-04-22');
SELECT cmdsched.create_calendar('p night', 'Europe/Berlin');
SELECT cmdsched.set_opening_hours('p night', 'mon-sun', '2:30-3:30');
SELECT cmdsched.create_calendar('p shut', 'UTC');
SELECT cmdsched.create_calendar('p always', 'UTC');
SELECT cmdsched.set_opening_hours('p always', 'mon-sun', '0:00-24:00');

\set ECHO all
-- The calendar.  Far away, so that now is before all of it.
SET timezone = 'Europe/Berlin';
SELECT policies.scheduled_for(cmdsched.schedule('PolicyTest', execute_at => at, calendar => calendar)) AS scheduled_for, why
  FROM (VALUES ('2126-04-12 17:59:59'::timestamptz, 'p office', 'Friday, a second before it closes'),
               ('2126-04-12 18:00', 'p office', 'Friday 18:00: Monday'),
               ('2126-04-19 18:00', 'p office', 'the Monday that follows is a holiday: Tuesday'),
               ('2126-04-22 12:00', 'p office', 'on the holiday'),
               ('2126-04-15 09:00', 'p office', 'the moment it opens'),
               ('2126-04-15 03:00', 'p office', 'before it opens'),
               ('2126-03-29 18:00', 'p office', 'over a change to summer time'),
               ('2126-03-31 00:30', 'p night', 'opens in the hour that is left out'),
               ('2126-10-27 00:30', 'p night', 'opens in the hour that comes twice'),
               ('2126-04-12 18:00', NULL, 'no calendar'),
               ('2126-04-13 12:34:56', 'p always', 'never closed')) AS t (at, calendar, why);
SELECT policies.scheduled_for(cmdsched.schedule_in('PolicyTest', '{}', '2126-04-13'::timestamptz - now(), calendar => 'p office')) AS by_delay;
SET timezone = 'UTC';

-- What is past is due now: then it has to be open now.
BEGIN;
SELECT cmdsched.schedule('PolicyTest', execute_at => '2020-01-01', schedule_id => 'past', calendar => 'p always');
SELECT execute_at = '2020-01-01' AS as_given FROM cmdsched.get('past');
SELECT cmdsched.schedule('PolicyTest', execute_at => '2020-01-01 12:00', schedule_id => 'past closed', calendar => 'p tomorrow')
  FROM (SELECT cmdsched.create_calendar('p tomorrow', 'UTC'), cmdsched.add_exception('p tomorrow', current_date + 1, hours => '9:00-10:00'),
               cmdsched.add_exception('p tomorrow', '2020-01-01', hours => '0:00-24:00')) AS calendar;
SELECT execute_at = current_date + 1 + time '09:00' AS tomorrow FROM cmdsched.get('past closed');
ROLLBACK;

SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', calendar => 'p none')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', calendar => '')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', calendar => 'p shut')$$);
SELECT policies.nothing_waits();

-- Policies.
CREATE FUNCTION policies.later(at timestamptz, options jsonb) RETURNS timestamptz LANGUAGE sql STRICT AS $$
    SELECT at + coalesce(options ->> 'by', '1 hour')::interval
$$;
CREATE FUNCTION policies.answer(at timestamptz, options jsonb) RETURNS timestamptz LANGUAGE sql AS $$
    SELECT (options ->> 'answer')::timestamptz
$$;
CREATE FUNCTION policies.run(at timestamptz, options jsonb) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE options ->> 'run';
    RETURN at;
END
$$;
SELECT cmdsched.register_policy('later', 'policies.later(timestamptz, jsonb)');
SELECT cmdsched.register_policy('answer', 'policies.later(timestamptz, jsonb)');
SELECT cmdsched.register_policy('answer', 'policies.answer(timestamptz, jsonb)');
SELECT cmdsched.register_policy('run', 'policies.run(timestamptz, jsonb)');
SELECT name, function, owner = (SELECT oid FROM pg_roles WHERE rolname = current_user) AS mine, owner_name = current_user AS my_name
  FROM cmdsched.policies ORDER BY name;

SELECT policies.scheduled_for(cmdsched.schedule('PolicyTest', execute_at => '2126-04-12 10:00+02', policy => 'later')) AS one_hour,
       policies.scheduled_for(cmdsched.schedule('PolicyTest', execute_at => '2126-04-12 10:00+02', policy => 'later',
                                                policy_options => '{"by": "-2 hours"}')) AS two_less,
       policies.scheduled_for(cmdsched.schedule_in('PolicyTest', '{}', '2126-04-12 10:00+02'::timestamptz - now(), policy => 'later')) AS by_delay;
-- Chained: the calendar has the last word.
SELECT policies.scheduled_for(cmdsched.schedule('PolicyTest', execute_at => '2126-04-12 17:30+02', policy => 'later', calendar => 'p office')) AS policy_then_calendar;
-- The past is allowed, as it is without a policy.
BEGIN;
SELECT cmdsched.schedule('PolicyTest', schedule_id => 'answered', policy => 'answer', policy_options => '{"answer": "2020-01-01 00:00Z"}');
SELECT execute_at FROM cmdsched.get('answered');
ROLLBACK;

-- replace follows the new call; keep leaves all as it is; reschedule() is taken at its word.
SELECT cmdsched.schedule('PolicyTest', execute_at => '2126-04-13 12:00+02', schedule_id => 'again', on_conflict => conflict, calendar => calendar),
       policies.scheduled_for('again')
  FROM (VALUES ('error', 'p office'), ('keep', NULL), ('replace', NULL), ('replace', 'p office')) AS t (conflict, calendar);
SELECT policies.scheduled_for('again') FROM cmdsched.reschedule('again', '2126-04-13 12:00+02');

-- One that does not know when: nothing is scheduled.
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', policy => 'answer')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', policy => 'answer', policy_options => '{"answer": "infinity"}')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', policy => 'answer', policy_options => '{"answer": "-infinity"}')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', policy => 'answer', policy_options => '{"answer": "sometime"}')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', policy => 'none')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', policy => '')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', policy_options => '{}')$$);
SELECT policies.nothing_waits();
\set VERBOSITY default
SELECT cmdsched.schedule('PolicyTest', policy => 'run', policy_options => '{"run": "SELECT 1 / 0"}');
\set VERBOSITY terse

-- What cannot be a policy.
CREATE PROCEDURE policies.procedure(timestamptz, jsonb) LANGUAGE sql AS '';
CREATE FUNCTION policies.many(timestamptz, jsonb) RETURNS SETOF timestamptz LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION policies.one_argument(timestamptz) RETURNS timestamptz LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION policies.without_zone(timestamptz, jsonb) RETURNS timestamp LANGUAGE sql AS 'SELECT $1::timestamp';
SELECT f, e.*
  FROM (VALUES ('policies.procedure(timestamptz, jsonb)'), ('policies.many(timestamptz, jsonb)'), ('policies.one_argument(timestamptz)'),
               ('policies.without_zone(timestamptz, jsonb)'), ('policies.none(timestamptz, jsonb)'), (NULL)) AS t (f),
       pg_temp.error_of(format('SELECT cmdsched.register_policy(%L, %L)', 'p', f)) AS e;
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.register_policy('p', 1::regprocedure)$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.register_policy('', 'policies.later(timestamptz, jsonb)')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.register_policy(repeat('p', 256), 'policies.later(timestamptz, jsonb)')$$);

-- One that was dropped, or replaced by something else, after it was registered.
CREATE FUNCTION policies.gone(timestamptz, jsonb) RETURNS timestamptz LANGUAGE sql AS 'SELECT $1';
SELECT cmdsched.register_policy('gone', 'policies.gone(timestamptz, jsonb)');
DROP FUNCTION policies.gone;
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', policy => 'gone')$$);
CREATE FUNCTION policies.gone(timestamptz, jsonb) RETURNS text LANGUAGE sql AS $$SELECT 'now'$$;
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', policy => 'gone')$$);
SELECT cmdsched.unregister_policy('gone'), cmdsched.unregister_policy('gone') AS again;

-- Rights: those of the caller, nothing more.
CREATE ROLE regress_policy_user LOGIN;
CREATE ROLE regress_policy_friend LOGIN;
CREATE ROLE regress_policy_author;
GRANT USAGE ON SCHEMA cmdsched TO regress_policy_user, regress_policy_author;
GRANT regress_policy_friend TO regress_policy_user;
CREATE TABLE policies.secrets (secret text);
CREATE FUNCTION policies.who(at timestamptz, options jsonb) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> 'regress_policy_user' THEN
        RAISE 'called as %', current_user;
    END IF;
    RETURN at;
END
$$;
SELECT cmdsched.register_policy('who', 'policies.who(timestamptz, jsonb)');
GRANT EXECUTE ON FUNCTION cmdsched.register_policy(text, regprocedure), cmdsched.unregister_policy(text) TO regress_policy_author, regress_policy_user;
SET ROLE regress_policy_user;
SELECT cmdsched.schedule('PolicyTest', execute_at => '2126-04-12', schedule_id => 'mine', policy => 'who');
SELECT statement, e.*
  FROM (VALUES ('SELECT * FROM policies.secrets'),
               ('DELETE FROM cmdsched.scheduled_commands'),
               ('INSERT INTO cmdsched.policies VALUES (1, 1, 1, 1, 1)'),
               ('SET ROLE regress_policy_friend'),
               ('RESET ROLE'),
               ('SET LOCAL ROLE NONE'),
               ('SET SESSION AUTHORIZATION DEFAULT'),
               ('COMMIT')) AS t (statement),
       pg_temp.error_of(format('SELECT cmdsched.schedule(%L, schedule_id => %L, policy => %L, policy_options => jsonb_build_object(%L, %L))',
                               'PolicyTest', 'refused', 'run', 'run', statement)) AS e;
SELECT current_user, policies.nothing_waits();
-- A setting that it leaves behind is taken back.
SELECT cmdsched.schedule('PolicyTest', execute_at => '2126-04-12', schedule_id => 'set', policy => 'run', policy_options => '{"run": "SET search_path = nowhere"}');
SHOW search_path;
SELECT scheduled_by_name, count(*) FROM cmdsched.scheduled_commands WHERE schedule_id IN ('mine', 'set') GROUP BY 1;
-- Not the owner of the function, not the one who registered it.
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.register_policy('mine', 'policies.later(timestamptz, jsonb)')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.unregister_policy('later')$$);
RESET ROLE;
-- EXECUTE decides who may use one.
REVOKE EXECUTE ON FUNCTION policies.later FROM PUBLIC;
SET ROLE regress_policy_user;
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', policy => 'later')$$);
RESET ROLE;
-- What somebody else has made in the place of the function is not called.
SELECT cmdsched.register_policy('answer', 'policies.answer(timestamptz, jsonb)');
ALTER FUNCTION policies.answer(timestamptz, jsonb) OWNER TO regress_policy_friend;
SET ROLE regress_policy_user;
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', policy => 'answer')$$);
RESET ROLE;
ALTER FUNCTION policies.answer(timestamptz, jsonb) OWNER TO CURRENT_USER;
-- A superuser calls what a superuser owns, only.
ALTER FUNCTION policies.who(timestamptz, jsonb) OWNER TO regress_policy_author;
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', policy => 'who')$$);
SET ROLE regress_policy_user;
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused', policy => 'who')$$);
RESET ROLE;
SELECT policies.nothing_waits();

-- explain_schedule(): each kind of step.
SELECT * FROM cmdsched.explain_schedule('PolicyTest', execute_at => '2126-04-12 10:00');
SELECT * FROM cmdsched.explain_schedule('PolicyTest', execute_at => '2126-04-12 10:00', calendar => 'p office', policy => 'later');
SELECT * FROM cmdsched.explain_schedule('PolicyTest', execute_at => '2126-04-19 15:30', calendar => 'p office', policy => 'later');
SELECT * FROM cmdsched.explain_schedule('PolicyTest', execute_at => '2126-04-12 10:00', policy => 'later', policy_options => '{"by": "0"}');
SELECT * FROM cmdsched.explain_schedule('PolicyTest', execute_at => '2020-01-01', calendar => 'p always');
SELECT * FROM cmdsched.explain_schedule('PolicyTest', execute_at => '2126-04-14 10:00', schedule_id => 'again');
SELECT * FROM cmdsched.explain_schedule('PolicyTest', execute_at => '2126-04-14 10:00', schedule_id => 'again', on_conflict => 'replace', calendar => 'p office');
SELECT * FROM cmdsched.explain_schedule('PolicyTest', execute_at => '2126-04-14 10:00', schedule_id => 'again', on_conflict => 'error');
-- It schedules nothing, and undoes what the policy does.
CREATE TABLE policies.places (place text);
SELECT count(*) FROM cmdsched.explain_schedule('PolicyTest', schedule_id => 'refused', policy => 'run',
                                               policy_options => '{"run": "INSERT INTO policies.places VALUES (1)"}');
SELECT count(*) FROM cmdsched.explain_schedule('PolicyTest', policy => 'run',
                                               policy_options => $${"run": "SELECT cmdsched.schedule('PolicyTest', schedule_id => 'refused')"}$$);
SELECT policies.nothing_waits(), count(*) AS places FROM policies.places;
-- It raises what schedule() would raise, and the transaction can go on.
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.explain_schedule('PolicyNone')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.explain_schedule('PolicyTest', on_conflict => 'panic')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.explain_schedule('PolicyTest', execute_at => 'infinity')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.explain_schedule('PolicyTest', calendar => 'p none')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.explain_schedule('PolicyTest', policy => 'answer')$$);
SELECT * FROM pg_temp.error_of($$SELECT cmdsched.explain_schedule('PolicyTest', policy => 'run', policy_options => '{"run": "SELECT 1 / 0"}')$$);
BEGIN;
SAVEPOINT before;
SELECT count(*) FROM cmdsched.explain_schedule('PolicyTest', policy => 'run', policy_options => '{"run": "SELECT 1 / 0"}');
ROLLBACK TO before;
SELECT count(*) FROM cmdsched.explain_schedule('PolicyTest', policy => 'later');
COMMIT;

-- A handler may use both, and policies may be called while one runs.
CREATE FUNCTION policies.chain(jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT cmdsched.schedule('PolicyTest', execute_at => '2126-04-12 17:30+02', schedule_id => 'chained', policy => 'later', calendar => 'p office')
$$;
SELECT cmdsched.register_handler('PolicyChain', 'policies.chain(jsonb)');
SELECT cmdsched.schedule('PolicyChain', schedule_id => 'chain');
SELECT pg_temp.wait_until_gone('chain');
SELECT policies.scheduled_for('chained');

\set ECHO none
SELECT count(cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands WHERE command_type LIKE 'Policy%' \gset
SELECT count(cmdsched.drop_calendar(name)) FROM cmdsched.calendars WHERE name LIKE 'p %' \gset
SELECT count(cmdsched.unregister_policy(name)) FROM cmdsched.policies \gset
SELECT cmdsched.unregister_handler('PolicyTest'), cmdsched.unregister_handler('PolicyChain') \gset
SET client_min_messages = warning;
DROP SCHEMA policies CASCADE;
REVOKE USAGE ON SCHEMA cmdsched FROM regress_policy_user, regress_policy_author;
REVOKE ALL ON FUNCTION cmdsched.register_policy(text, regprocedure), cmdsched.unregister_policy(text) FROM regress_policy_author, regress_policy_user;
DROP ROLE regress_policy_user, regress_policy_friend, regress_policy_author;
