-- A clock that tests move: of one transaction, forward only.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;

CREATE SCHEMA clock;
GRANT USAGE ON SCHEMA cmdsched TO PUBLIC;
CREATE TABLE clock.log (n serial, command text, at timestamptz DEFAULT cmdsched.now(), what text);

-- In one line: what ran since the last time, in that order, and when.
CREATE FUNCTION pg_temp.ran() RETURNS TABLE (command text, at timestamptz, what text) LANGUAGE sql AS $$
    WITH d AS (DELETE FROM clock.log RETURNING *) SELECT command, at, what FROM d ORDER BY n
$$;

-- One handler for most of it: it runs the statements in command_data.
CREATE FUNCTION clock.do(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO clock.log (command, what) VALUES ((cmdsched.current_command()).schedule_id, CASE WHEN now() <> cmdsched.now() THEN 'now() differs' END);
    EXECUTE coalesce($1->>'do', 'SELECT');
END
$$;
SELECT cmdsched.register_handler('Do', 'clock.do(jsonb)', max_attempts => 4, backoff => '1 hour', max_backoff => '100 hours');
SELECT cmdsched.register_handler('Once', 'clock.do(jsonb)', max_attempts => 1);

-- -------------------------------------------------------------------------
-- Where it stands
-- -------------------------------------------------------------------------

-- Not moved: the time of day, which goes on in a transaction.
BEGIN;
SELECT cmdsched.now() BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp() AS is_time_of_day, cmdsched.now() > now() AS goes_on;
SELECT cmdsched.advance_clock('0'), cmdsched.now() = now() AS stands, cmdsched.now() <= clock_timestamp() AS is_past;
COMMIT;

-- set_clock(): all that goes by the transaction's time follows.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.now(), now(), CURRENT_TIMESTAMP, transaction_timestamp(), LOCALTIMESTAMP, CURRENT_DATE;
SELECT cmdsched.now(), now(), clock_timestamp() < '2039-01-01' AS real_clock, statement_timestamp() < '2039-01-01' AS real_statement;
SELECT cmdsched.advance_clock('1 day 01:00');
SELECT cmdsched.now(), now();
SELECT cmdsched.advance_clock('1 month'), cmdsched.now(), now();
SELECT cmdsched.set_clock('2040-02-02 01:00'), cmdsched.advance_clock('0'), cmdsched.now();
SELECT cmdsched.set_clock('2040-02-02 01:00:00.000001');
SELECT cmdsched.now(), now();
CREATE TEMP TABLE made (at timestamptz DEFAULT now()) ON COMMIT DROP;
INSERT INTO made DEFAULT VALUES;
SELECT * FROM made;
-- In a plan that was made before.
PREPARE at AS SELECT now(), cmdsched.now();
EXECUTE at;
SELECT cmdsched.advance_clock('1 hour');
EXECUTE at;
SELECT cmdsched.reset_clock();
SELECT now() < '2039-01-01' AS reset, cmdsched.now() BETWEEN now() AND clock_timestamp() AS goes_on, cmdsched.now() > now() AS again;
SELECT cmdsched.reset_clock();
SELECT cmdsched.set_clock('2030-01-01');
SELECT now(), cmdsched.now();
COMMIT;
SELECT cmdsched.now() < '2030-01-01' AS over, now() < '2030-01-01' AS over;
DEALLOCATE at;

-- It ends with the transaction, however that ends.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
ROLLBACK;
SELECT cmdsched.now() < '2030-01-01' AS over, now() < '2030-01-01' AS over;
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT 1 / 0;
COMMIT;
SELECT cmdsched.now() < '2030-01-01' AS over, now() < '2030-01-01' AS over;
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
COMMIT AND CHAIN;
SELECT cmdsched.now() < '2030-01-01' AS over, now() < '2030-01-01' AS over;
SELECT cmdsched.set_clock('2040-01-01');
ROLLBACK AND CHAIN;
SELECT cmdsched.now() < '2030-01-01' AS over, now() < '2030-01-01' AS over;
COMMIT;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.now() < '2030-01-01' AS over, now() < '2030-01-01' AS over;
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
PREPARE TRANSACTION 'clock';
SELECT cmdsched.now() < '2030-01-01' AS over, now() < '2030-01-01' AS over;
COMMIT PREPARED 'clock';
DO $$
BEGIN
    PERFORM cmdsched.set_clock('2040-01-01');
    RAISE NOTICE '% %', now(), cmdsched.now();
    COMMIT;
    RAISE NOTICE '% %', now() < '2030-01-01', cmdsched.now() < '2030-01-01';
    PERFORM cmdsched.set_clock('2040-01-01');
    ROLLBACK;
    RAISE NOTICE '% %', now() < '2030-01-01', cmdsched.now() < '2030-01-01';
END
$$;

-- Savepoints: ROLLBACK TO restores it, RELEASE keeps it.
BEGIN;
SAVEPOINT a;
SELECT cmdsched.set_clock('2040-01-01');
ROLLBACK TO a;
SELECT cmdsched.now() < '2030-01-01' AS over, now() < '2030-01-01' AS over;
SELECT cmdsched.set_clock('2040-01-02');
RELEASE a;
SELECT cmdsched.now(), now();
SAVEPOINT a;
SELECT cmdsched.set_clock('2040-01-03');
SAVEPOINT b;
SELECT cmdsched.set_clock('2040-01-04');
SELECT cmdsched.set_clock('2040-01-05');
SAVEPOINT c;
SAVEPOINT d;
SELECT cmdsched.advance_clock('1 day');
RELEASE d;
SELECT cmdsched.now(), now();
ROLLBACK TO c;
SELECT cmdsched.now(), now();
SELECT cmdsched.set_clock('2040-01-07');
RELEASE c;
SELECT cmdsched.now(), now();
ROLLBACK TO b;
SELECT cmdsched.now(), now();
SELECT cmdsched.reset_clock();
SELECT now() < '2030-01-01' AS reset;
ROLLBACK TO b;
SELECT cmdsched.now(), now();
SELECT 1 / 0;
ROLLBACK TO a;
SELECT cmdsched.now(), now();
DO $$
BEGIN
    BEGIN
        PERFORM cmdsched.set_clock('2040-01-09');
        RAISE NOTICE '% %', now(), cmdsched.now();
        RAISE EXCEPTION 'no';
    EXCEPTION WHEN raise_exception THEN
        RAISE NOTICE '% %', now(), cmdsched.now();
    END;
    BEGIN
        PERFORM cmdsched.set_clock('2040-01-10');
    EXCEPTION WHEN raise_exception THEN
        NULL;
    END;
    RAISE NOTICE '% %', now(), cmdsched.now();
END
$$;
SELECT cmdsched.now(), now();
ROLLBACK;
SELECT now() < '2030-01-01' AS over;

-- -------------------------------------------------------------------------
-- What it refuses
-- -------------------------------------------------------------------------

BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT e.code, e.message, e.hint, s FROM unnest(ARRAY[
    'SELECT cmdsched.set_clock(''2039-12-31 23:59:59.999999'')',
    'SELECT cmdsched.set_clock(''-infinity'')',
    'SELECT cmdsched.set_clock(''infinity'')',
    'SELECT cmdsched.set_clock(NULL)',
    'SELECT cmdsched.advance_clock(''-1 microsecond'')',
    'SELECT cmdsched.advance_clock(NULL)',
    'SELECT cmdsched.advance_clock(''300000 years'')',
    'SELECT cmdsched.advance_clock(''1 day -25 hours'')']) AS s, pg_temp.error_of(s) AS e;
SELECT cmdsched.now(), now();
ROLLBACK;
SELECT (pg_temp.error_of('SELECT cmdsched.set_clock(now() - interval ''1 second'')')).code;

-- Inside a handler.
BEGIN;
SELECT cmdsched.schedule('Once', jsonb_build_object('do', 'SELECT cmdsched.' || f), schedule_id => f)
  FROM unnest('{"set_clock(''2050-01-01'')",advance_clock(''0''),reset_clock(),"now()"}'::text[]) AS f;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.advance_clock('1 second');
SELECT schedule_id, last_error->>'sqlstate' AS sqlstate, last_error->>'message' AS message FROM cmdsched.scheduled_commands ORDER BY schedule_id;
SELECT cmdsched.now(), now();
ROLLBACK;

-- Where now() must be trusted.  The setting is the superuser's.
CREATE ROLE regress_clock LOGIN;
SET cmdsched.test_clock = off;
SELECT e.code, e.message, e.hint FROM unnest(ARRAY[
    'SELECT cmdsched.set_clock(''2040-01-01'')',
    'SELECT cmdsched.advance_clock(''1 day'')',
    'SELECT cmdsched.reset_clock()',
    'SET ROLE regress_clock; SET cmdsched.test_clock = on']) AS s, pg_temp.error_of(s) AS e;
SELECT cmdsched.now() <= clock_timestamp() AS works;
RESET cmdsched.test_clock;

-- -------------------------------------------------------------------------
-- What runs on the way
-- -------------------------------------------------------------------------

-- In order of execute_at, each at its own instant; what is due later waits.
BEGIN;
SELECT cmdsched.schedule('Do', execute_at => '2040-01-01'::timestamptz + (n * 5) % 7 * interval '10 days', schedule_id => 'c' || (n * 5) % 7) FROM generate_series(0, 6) AS n;
SELECT cmdsched.set_clock('2040-01-01');
SELECT count(*) FROM pg_temp.ran();
SELECT cmdsched.advance_clock('0');
SELECT * FROM pg_temp.ran();
SELECT cmdsched.advance_clock('20 days');
SELECT * FROM pg_temp.ran();
SELECT cmdsched.advance_clock('9 days 23:59:59.999999');
SELECT cmdsched.advance_clock('00:00:00.000001');
SELECT * FROM pg_temp.ran();
SELECT cmdsched.advance_clock('100 years');
SELECT * FROM pg_temp.ran();
SELECT cmdsched.now(), now();
-- What was due before the clock stood here runs now.
SELECT cmdsched.schedule('Do', execute_at => '2020-01-01', schedule_id => 'past');
SELECT cmdsched.schedule('Do', schedule_id => 'at once');
SELECT schedule_id, execute_at, created_at FROM cmdsched.get_due_commands();
SELECT cmdsched.advance_clock('1 hour');
SELECT * FROM pg_temp.ran();
-- Two at the same instant.
SELECT cmdsched.schedule_in('Do', '{}', '1 hour', schedule_id => id) FROM unnest('{b,a,c}'::text[]) AS id;
SELECT cmdsched.advance_clock('1 day');
SELECT * FROM pg_temp.ran();
ROLLBACK;

-- What they schedule, and what those schedule, at its own time between the others.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.schedule('Do', execute_at => '2040-01-03 12:00', schedule_id => 'between');
SELECT cmdsched.schedule('Do', execute_at => '2040-01-02', schedule_id => 'first', metadata => '{"correlation_id": "story"}', command_data => $$
    {"do": "SELECT cmdsched.schedule_in('Do', '{\"do\": \"SELECT cmdsched.schedule_in(''Do'', ''{}'', ''1 day'', schedule_id => ''third''), cmdsched.schedule(''Do'', schedule_id => ''at once'')\"}', '1 day', schedule_id => 'second')"}$$);
SELECT cmdsched.advance_clock('1 day 12:00');
SELECT * FROM pg_temp.ran();
SELECT schedule_id, execute_at, created_at, metadata, depth FROM cmdsched.scheduled_commands ORDER BY execute_at;
SELECT cmdsched.advance_clock('1 day');
SELECT * FROM pg_temp.ran();
SELECT schedule_id, execute_at, created_at, metadata->>'correlation_id' AS correlation_id, metadata->>'causation_id' AS causation_id FROM cmdsched.scheduled_commands;
SELECT cmdsched.advance_clock('1 day');
SELECT * FROM pg_temp.ran();
ROLLBACK;

-- Retries, with backoff and jitter, until the attempts are used up.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.schedule('Do', '{"do": "SELECT 1 / 0"}', schedule_id => 'bad');
SELECT cmdsched.advance_clock('0');
SELECT status, attempts, execute_at BETWEEN '2040-01-01 00:30' AND '2040-01-01 01:30' AS backed_off,
       last_error->>'sqlstate' AS sqlstate, last_error->>'message' AS message, (last_error->>'at')::timestamptz AS at
  FROM cmdsched.get('bad');
SELECT cmdsched.advance_clock('12 hours');
SELECT status, attempts, last_error->>'sqlstate' AS sqlstate, (last_error->>'at')::timestamptz > '2040-01-01 05:00' AS at FROM cmdsched.get('bad');
SELECT cmdsched.advance_clock('1 year');
SELECT cmdsched.retry('bad');
SELECT status, attempts, execute_at FROM cmdsched.get('bad');
SELECT cmdsched.advance_clock('0');
SELECT status, attempts FROM cmdsched.get('bad');
ROLLBACK;
-- The log of a failed attempt is rolled back with it: a sequence is not.
BEGIN;
CREATE SEQUENCE clock.tries MINVALUE 0;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.schedule('Do', '{"do": "SELECT 1 / (nextval(''clock.tries'') / 3)"}', schedule_id => 'third time');
SELECT cmdsched.advance_clock('1 day');
SELECT command, at BETWEEN '2040-01-01 02:00' AND '2040-01-01 15:00' AS in_time FROM pg_temp.ran();
SELECT cmdsched.get('third time') IS NULL AS gone;
ROLLBACK;

-- snooze() and abandon().
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
CREATE SEQUENCE clock.tries MINVALUE 0;
SELECT cmdsched.schedule('Once', '{"do": "SELECT cmdsched.snooze(''1 day'') WHERE nextval(''clock.tries'') < 3"}', schedule_id => 'tired');
SELECT cmdsched.schedule('Do', '{"do": "SELECT cmdsched.abandon(''no use'')"}', schedule_id => 'hopeless');
SELECT cmdsched.advance_clock('1 day');
SELECT schedule_id, status, attempts, execute_at, last_error->>'message' AS message FROM cmdsched.scheduled_commands ORDER BY schedule_id;
SELECT cmdsched.advance_clock('1 week');
SELECT * FROM pg_temp.ran();
ROLLBACK;

-- A handler reads what it is, and schedules, cancels and moves others.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.schedule_in('Do', jsonb_build_object('do', v.act), v.n * interval '1 day', schedule_id => 'd' || v.n)
  FROM (VALUES (1, 'INSERT INTO clock.log (command, what) SELECT schedule_id, concat_ws('', '', execute_at, attempts, status) FROM cmdsched.current_command()'),
               (2, 'SELECT cmdsched.cancel(''d3'')'),
               (3, '1 / 0'),
               (4, 'SELECT cmdsched.reschedule(''d5'', now() + interval ''10 days'')'),
               (5, 'SELECT'),
               (6, 'SELECT cmdsched.reschedule(''d7'', now() - interval ''10 days'')'),
               (7, 'SELECT'),
               (8, 'SELECT')) AS v (n, act);
SELECT cmdsched.advance_clock('1 month');
SELECT * FROM pg_temp.ran();
SELECT count(*) FROM cmdsched.scheduled_commands;
ROLLBACK;

-- What is held stays held, and paused waits.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.register_handler('Paused', 'clock.do(jsonb)', paused => true);
SELECT cmdsched.register_handler('Lost', 'clock.do(jsonb)');
SELECT cmdsched.schedule(t, schedule_id => t) FROM unnest('{Lost,Paused}'::text[]) AS t;
SELECT cmdsched.unregister_handler('Lost');
SELECT cmdsched.advance_clock('1 day');
SELECT schedule_id, status, attempts, last_error->>'sqlstate' AS sqlstate FROM cmdsched.scheduled_commands ORDER BY 1;
SELECT cmdsched.register_handler('Paused', 'clock.do(jsonb)');
SELECT cmdsched.advance_clock('1 day');
SELECT * FROM pg_temp.ran();
ROLLBACK;

-- By hand, by the moved clock.
BEGIN;
SELECT cmdsched.schedule('Do', execute_at => '2040-01-01'::timestamptz + n * interval '1 day', schedule_id => 'h' || n) FROM generate_series(0, 4) AS n;
SELECT schedule_id FROM cmdsched.get_due_commands();
SELECT cmdsched.process_due_commands(), cmdsched.run_once();
SELECT cmdsched.set_clock('2040-01-03');
SELECT schedule_id FROM cmdsched.get_due_commands();
SELECT cmdsched.process_due_commands(1);
SELECT * FROM pg_temp.ran();
SELECT cmdsched.run_once();
SELECT * FROM pg_temp.ran();
SELECT cmdsched.set_clock('2040-01-04');
SELECT cmdsched.process_due_commands();
SELECT * FROM pg_temp.ran();
ROLLBACK;

-- schedule_on_change() goes by it.
CREATE TABLE clock.orders (id integer, pay_until timestamptz);
CREATE TRIGGER after_change AFTER INSERT OR UPDATE ON clock.orders FOR EACH ROW EXECUTE FUNCTION cmdsched.schedule_on_change('Do', '2 days');
CREATE TRIGGER before_column AFTER INSERT ON clock.orders FOR EACH ROW EXECUTE FUNCTION cmdsched.schedule_on_change('Do', '1 hour', 'pay_until');
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
INSERT INTO clock.orders VALUES (1, now() + interval '1 month');
SELECT cmdsched.advance_clock('1 day');
UPDATE clock.orders SET pay_until = NULL;
SELECT execute_at, created_at, command_data FROM cmdsched.scheduled_commands ORDER BY execute_at;
SELECT cmdsched.advance_clock('1 year');
SELECT at, what FROM pg_temp.ran();
ROLLBACK;

-- A transaction that commits stores the times that were given.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.schedule('Do', schedule_id => 'now');
SELECT cmdsched.schedule_in('Do', '{}', '1 hour', schedule_id => 'in an hour');
SELECT cmdsched.schedule('Do', execute_at => '2040-01-01 00:30', schedule_id => 'moved');
SELECT cmdsched.advance_clock('10 minutes');
SELECT cmdsched.reschedule('moved', now() + interval '1 day');
SELECT cmdsched.schedule('Once', '{"do": "SELECT 1 / 0"}', schedule_id => 'bad');
SELECT cmdsched.advance_clock('0');
COMMIT;
SELECT * FROM pg_temp.ran();
SELECT schedule_id, execute_at, created_at, due_at, status, (last_error->>'at')::timestamptz AS failed_at FROM cmdsched.scheduled_commands ORDER BY schedule_id;
SELECT cmdsched.process_due_commands();
SELECT count(*) FROM cmdsched.scheduled_commands WHERE cmdsched.cancel(schedule_id);

-- As the caller, and the caller's own only.
GRANT USAGE ON SCHEMA clock TO regress_clock;
GRANT INSERT ON clock.log TO regress_clock;
GRANT USAGE ON SEQUENCE clock.log_n_seq TO regress_clock;
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.schedule('Do', '{"do": "INSERT INTO clock.log (what) VALUES (current_user = session_user)"}', schedule_id => 'mine');
SET LOCAL ROLE regress_clock;
SELECT cmdsched.schedule('Do', '{"do": "INSERT INTO clock.log (what) VALUES (current_user)"}', schedule_id => 'theirs');
SELECT cmdsched.advance_clock('1 day');
RESET ROLE;
SELECT * FROM pg_temp.ran();
SELECT schedule_id FROM cmdsched.scheduled_commands;
SELECT cmdsched.advance_clock('1 day');
SELECT * FROM pg_temp.ran();
ROLLBACK;

-- -------------------------------------------------------------------------
-- Without end
-- -------------------------------------------------------------------------

CREATE FUNCTION clock.again(command cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    SELECT cmdsched.schedule_in(command.command_type, command.command_data, (command.command_data->>0)::interval)
$$;
SELECT cmdsched.register_handler('Again', 'clock.again(cmdsched.scheduled_commands)', max_attempts => 1);
-- At the same instant: the handler is stopped.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.schedule('Again', '["0"]') IS NOT NULL AS scheduled;
SELECT cmdsched.advance_clock('1 day');
SELECT status, attempts, last_error->>'sqlstate' AS sqlstate, last_error->>'message' AS message, execute_at, depth FROM cmdsched.scheduled_commands;
ROLLBACK;
-- Later and later: that is a schedule, not a loop.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.schedule('Again', '["1 day"]') IS NOT NULL AS scheduled;
SELECT cmdsched.advance_clock('1 year');
SELECT execute_at, depth FROM cmdsched.scheduled_commands;
ROLLBACK;
-- Where nothing else stops it, the move does.
SET cmdsched.max_depth = 0;
SET statement_timeout = '10s';
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.schedule('Again', '["0"]') IS NOT NULL AS scheduled;
SELECT (pg_temp.error_of('SELECT cmdsched.advance_clock(''0'')')).code;
SELECT cmdsched.now(), now(), count(*) FROM cmdsched.scheduled_commands;
ROLLBACK;
RESET statement_timeout;
RESET cmdsched.max_depth;

DROP TABLE clock.orders;
SELECT cmdsched.unregister_handler(t) FROM unnest('{Do,Once,Again}'::text[]) AS t;
DROP OWNED BY regress_clock;
DROP ROLE regress_clock;
DROP SCHEMA clock CASCADE;
REVOKE USAGE ON SCHEMA cmdsched FROM PUBLIC;
SELECT count(*) FROM cmdsched.scheduled_commands;
-- The first command of all, in a test that is rolled back, is not the database's first.
SELECT cmdsched.register_handler('First', 'jsonb_typeof(jsonb)');
DELETE FROM cmdsched.home;
\c -
BEGIN;
SELECT cmdsched.schedule('First', schedule_id => 'first');
SELECT cmdsched.advance_clock('1 day');
SELECT cmdsched.schedule('First', schedule_id => 'first');
ROLLBACK;
SELECT cmdsched.schedule('First', schedule_id => 'first');
SELECT count(*) FROM cmdsched.home;
SELECT cmdsched.cancel('first'), cmdsched.unregister_handler('First');
SELECT cmdsched.start() IS NOT NULL AS started;
