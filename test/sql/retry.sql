-- The backoff rule, seen through what a failed attempt leaves in the row.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;

CREATE SCHEMA retry;
CREATE FUNCTION retry.fail(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'no stock for order %', $1->>'order_id'
        USING ERRCODE = 'P0042', DETAIL = 'Warehouse 3 is empty.';
END
$$;

-- Makes the next attempt, at its time.  The wait may be off by a tenth of what the rule says.
CREATE FUNCTION pg_temp.attempt(
    id text, expected_wait interval,
    OUT status text, OUT attempts integer, OUT wait_is_right boolean
) RETURNS record
LANGUAGE plpgsql AS $$
DECLARE
    command cmdsched.scheduled_commands;
BEGIN
    PERFORM cmdsched.set_clock(greatest((cmdsched.get(id)).execute_at, cmdsched.now()));
    PERFORM cmdsched.process_due_commands(1);
    command := cmdsched.get(id);
    status := command.status;
    attempts := command.attempts;
    wait_is_right := command.execute_at - cmdsched.now() BETWEEN 0.9 * expected_wait AND 1.1 * expected_wait;
END
$$;

-- Doubled with each attempt, up to max_backoff, then failed.
SELECT cmdsched.register_handler('Fail', 'retry.fail(jsonb)', max_attempts => 6, backoff => '10 seconds', max_backoff => '1 minute');
SELECT cmdsched.schedule('Fail', '{"order_id": 42}', schedule_id => 'doubled');
SELECT * FROM pg_temp.attempt('doubled', '10 seconds');
SELECT * FROM pg_temp.attempt('doubled', '20 seconds');
SELECT * FROM pg_temp.attempt('doubled', '40 seconds');
SELECT * FROM pg_temp.attempt('doubled', '60 seconds');
SELECT * FROM pg_temp.attempt('doubled', '60 seconds');
SELECT status, attempts FROM pg_temp.attempt('doubled', '0');
SELECT status, attempts FROM pg_temp.attempt('doubled', '0');

-- What is kept of the error.
SELECT last_error - 'context' - 'at' AS last_error,
       last_error->>'context' LIKE 'PL/pgSQL function retry.fail(jsonb) line % at RAISE%' AS has_context,
       (last_error->>'at')::timestamptz = execute_at AS at_is_right
  FROM cmdsched.get('doubled');

-- retry() gives it all its attempts again.
SELECT cmdsched.retry('doubled');
SELECT status, attempts, execute_at <= clock_timestamp() AS due FROM cmdsched.get('doubled');
SELECT * FROM pg_temp.attempt('doubled', '10 seconds');
SELECT cmdsched.cancel('doubled');

-- The documented defaults: ten attempts from one second, at most one hour apart.
SELECT cmdsched.register_handler('Fail', 'retry.fail(jsonb)');
SELECT cmdsched.schedule('Fail', schedule_id => 'default');
SELECT n, a.*
  FROM generate_series(1, 10) AS n,
       pg_temp.attempt('default', make_interval(secs => 2 ^ (n - 1))) AS a
 ORDER BY n;
SELECT cmdsched.cancel('default');

SELECT cmdsched.register_handler('Fail', 'retry.fail(jsonb)', max_attempts => 32767, backoff => '10 minutes');
SELECT cmdsched.schedule('Fail', schedule_id => 'limited');
SELECT * FROM pg_temp.attempt('limited', '10 minutes');
SELECT * FROM pg_temp.attempt('limited', '20 minutes');
SELECT * FROM pg_temp.attempt('limited', '40 minutes');
SELECT * FROM pg_temp.attempt('limited', '60 minutes');
-- Doubled a hundred times it would not fit into any number.
SELECT bool_and(wait_is_right) AS waits_are_right, max(attempts) AS attempts
  FROM generate_series(1, 100) AS n, pg_temp.attempt('limited', '60 minutes'::interval + n * interval '0');
SELECT cmdsched.cancel('limited');

-- One attempt only.
SELECT cmdsched.register_handler('Fail', 'retry.fail(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('Fail', execute_at => '2020-02-29 12:00', schedule_id => 'once');
SELECT cmdsched.process_due_commands();
SELECT status, attempts FROM cmdsched.get('once');
SELECT cmdsched.cancel('once');

-- A max_backoff below the backoff counts from the first attempt on.
SELECT cmdsched.register_handler('Fail', 'retry.fail(jsonb)', backoff => '1 hour', max_backoff => '1 minute');
SELECT cmdsched.schedule('Fail', schedule_id => 'capped');
SELECT * FROM pg_temp.attempt('capped', '1 minute');
SELECT * FROM pg_temp.attempt('capped', '1 minute');
SELECT cmdsched.cancel('capped');

-- Without a wait all attempts are made, and no more than these.
SELECT cmdsched.register_handler('Fail', 'retry.fail(jsonb)', max_attempts => 3, backoff => '0');
SELECT cmdsched.schedule('Fail', schedule_id => 'at once');
SELECT count(cmdsched.process_due_commands()) FROM generate_series(1, 4);
SELECT status, attempts FROM cmdsched.get('at once');
SELECT cmdsched.cancel('at once');

-- Beyond the end of time there is still a time.
SELECT cmdsched.register_handler('Fail', 'retry.fail(jsonb)', backoff => '170000000 years', max_backoff => '178000000 years');
SELECT cmdsched.schedule('Fail', schedule_id => 'never');
SELECT cmdsched.process_due_commands();
SELECT status, attempts, isfinite(execute_at) AS is_finite, extract(year FROM execute_at) > 100000 AS is_far FROM cmdsched.get('never');
SELECT cmdsched.cancel('never');

-- Commands that failed together do not come back together.
SELECT cmdsched.register_handler('Fail', 'retry.fail(jsonb)', backoff => '100 seconds');
SELECT count(cmdsched.schedule('Fail', schedule_id => 'jitter ' || n)) FROM generate_series(1, 50) AS n;
SELECT clock_timestamp() AS before \gset
SELECT cmdsched.process_due_commands();
SELECT count(*),
       bool_and(execute_at BETWEEN :'before'::timestamptz + interval '90 seconds'
                               AND clock_timestamp() + interval '110 seconds') AS waits_are_right,
       max(execute_at) - min(execute_at) > interval '2 seconds' AS waits_differ
  FROM cmdsched.scheduled_commands WHERE command_type = 'Fail';
SELECT count(*) FROM cmdsched.scheduled_commands WHERE command_type = 'Fail' AND cmdsched.cancel(schedule_id);

-- A long error is cut, between two characters.
CREATE FUNCTION retry.complain(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', repeat('ü', 100000) USING DETAIL = 'x' || repeat('ü', 100000);
END
$$;
SELECT cmdsched.register_handler('Complain', 'retry.complain(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('Complain', schedule_id => 'long');
SELECT cmdsched.process_due_commands();
SELECT octet_length(last_error::text) BETWEEN 4000 AND 8192 AS is_cut,
       last_error->>'message' ~ '^ü+$' AS message_is_intact,
       last_error->>'detail' ~ '^xü+$' AS detail_is_intact
  FROM cmdsched.get('long');
SELECT cmdsched.cancel('long');

-- With the background worker: it fails twice, and then does not.
CREATE SEQUENCE retry.calls;
CREATE FUNCTION retry.fail_twice(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('retry.calls') < 3 THEN
        RAISE EXCEPTION 'not yet';
    END IF;
END
$$;
SELECT cmdsched.register_handler('FailTwice', 'retry.fail_twice(jsonb)', backoff => '10 milliseconds');
SELECT cmdsched.start();
SELECT cmdsched.schedule('FailTwice', schedule_id => 'twice');
SELECT pg_temp.wait_until_gone('twice');
SELECT last_value FROM retry.calls;

SELECT cmdsched.unregister_handler(t) FROM unnest('{Fail,Complain,FailTwice}'::text[]) AS t;
\set VERBOSITY terse
DROP SCHEMA retry CASCADE;
