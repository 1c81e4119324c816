-- What schedule() writes down, and what finds and changes it before it runs.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;

CREATE SCHEMA schedule;
CREATE TABLE schedule.log (n serial, command_data jsonb, metadata jsonb);
CREATE FUNCTION schedule.write(jsonb, jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO schedule.log (command_data, metadata) VALUES ($1, $2)
$$;
SELECT cmdsched.register_handler('Write', 'schedule.write(jsonb,jsonb)');
SELECT cmdsched.register_handler('Write', 'schedule.write(jsonb,jsonb)', command_module => 'shop');

-- The defaults: nothing to say, and now.
BEGIN;
SELECT cmdsched.schedule('Write') AS id \gset
SELECT command_type, command_module, command_data, metadata, status, attempts, last_error,
       execute_at = now() AS is_now,
       created_at BETWEEN now() AND clock_timestamp() AS just_created,
       scheduled_by = current_user::regrole::oid AS by_me,
       scheduled_by_name = current_user AS under_my_name
  FROM cmdsched.scheduled_commands WHERE schedule_id = :'id';
SELECT schedule_id = :'id' AS is_due FROM cmdsched.get_due_commands();
ROLLBACK;
SELECT cmdsched.get(:'id') IS NULL AS gone_by_rollback;

-- Everything said.
SELECT cmdsched.schedule('Write', '{"order_id": 42}', '2040-02-29 12:00:00.123456', '{"reason": "test"}', 'mine', 'shop', 'error');
SELECT schedule_id, command_type, command_module, command_data, execute_at, status, metadata, attempts
  FROM cmdsched.get('mine');
SELECT count(*) FROM cmdsched.get_due_commands();
SELECT cmdsched.cancel('mine');

-- command_data is any JSON.
SELECT cmdsched.schedule('Write', d, '2040-01-01', d, 'json ' || n)
  FROM unnest('{"null",1,"[1, 2]","\"a\"",true,"{}"}'::jsonb[]) WITH ORDINALITY AS j (d, n) ORDER BY n;
SELECT schedule_id, command_data, metadata
  FROM cmdsched.scheduled_commands WHERE cmdsched.cancel(schedule_id) ORDER BY schedule_id;

-- Generated ids are ULIDs: time first, and in the order in which they were made.
BEGIN;
CREATE TEMP TABLE made ON COMMIT DROP AS
    SELECT n, cmdsched.schedule('Write', jsonb_build_object('n', n)) AS id FROM generate_series(1, 10000) AS n;
SELECT count(DISTINCT id) AS ids,
       bool_and(id ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$') AS all_are_ulids,
       array_agg(n ORDER BY id COLLATE "C") = array_agg(n ORDER BY n) AS all_in_order
  FROM made;
SELECT abs(extract(epoch FROM clock_timestamp()) * 1000 - ms) < 10000 AS time_is_now
  FROM (SELECT sum((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(id, i, 1)) - 1) * 32::numeric ^ (10 - i)) AS ms
          FROM made, generate_series(1, 10) AS i WHERE n = 1) AS t;
SELECT count(*) FROM cmdsched.scheduled_commands AS c JOIN made AS m ON c.schedule_id = m.id AND c.command_data = jsonb_build_object('n', m.n);
ROLLBACK;

-- The past means due now.
SELECT cmdsched.schedule('Write', execute_at => '1999-12-31', schedule_id => 'past');
SELECT cmdsched.schedule('Write', execute_at => '4714-11-24 00:00+00 BC', schedule_id => 'long past');
SELECT cmdsched.schedule('Write', execute_at => now() + interval '1 hour', schedule_id => 'future');
SELECT schedule_id FROM cmdsched.get_due_commands();
SELECT cmdsched.run_once();
SELECT schedule_id, cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands;

-- schedule_in(): from the start of the transaction, in the time zone of the session.
BEGIN;
SELECT cmdsched.schedule_in('Write', '{}', '90 minutes', schedule_id => 'later');
SELECT execute_at = now() + interval '90 minutes' AS is_later FROM cmdsched.get('later');
SELECT cmdsched.schedule_in('Write', '{}', '0', '{"reason": "test"}', 'at once', 'shop', 'error');
SELECT execute_at = now() AS is_now, metadata, command_module FROM cmdsched.get('at once');
ROLLBACK;

-- The same id again: keep.
SELECT cmdsched.schedule('Write', '{"v": 1}', '2040-01-01', NULL, 'again');
SELECT cmdsched.schedule('Write', '{"v": 2}', '2041-01-01', '{"reason": "test"}', 'again', 'shop');
SELECT command_module, command_data, execute_at, metadata FROM cmdsched.scheduled_commands WHERE schedule_id = 'again';
-- Replace.
SELECT cmdsched.schedule('Write', '{"v": 3}', '2042-01-01', '{"reason": "test"}', 'again', 'shop', 'replace');
SELECT command_module, command_data, execute_at, metadata FROM cmdsched.scheduled_commands WHERE schedule_id = 'again';
-- Error.
SELECT cmdsched.schedule('Write', '{"v": 4}', '2043-01-01', NULL, 'again', on_conflict => 'error');
SELECT command_data FROM cmdsched.scheduled_commands WHERE schedule_id = 'again';
-- Several times in one statement.
SELECT cmdsched.schedule('Write', jsonb_build_object('v', v), '2040-01-01', schedule_id => 'again', on_conflict => 'replace')
  FROM generate_series(5, 7) AS v;
SELECT command_data FROM cmdsched.scheduled_commands WHERE schedule_id = 'again';
-- In a transaction that already cancelled it.
BEGIN;
SELECT cmdsched.cancel('again');
SELECT cmdsched.schedule('Write', '{"v": 8}', '2040-01-01', schedule_id => 'again', on_conflict => 'error');
COMMIT;
SELECT command_data FROM cmdsched.scheduled_commands WHERE schedule_id = 'again';
-- Once it has run, the id is free.
SELECT cmdsched.reschedule('again', '2020-01-01');
SELECT cmdsched.run_once();
SELECT cmdsched.schedule('Write', '{"v": 9}', '2040-01-01', schedule_id => 'again', on_conflict => 'error');
SELECT cmdsched.cancel('again');

-- A failed command stays failed with keep, and starts anew with replace.
CREATE FUNCTION schedule.fail(jsonb) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
SELECT cmdsched.register_handler('Fail', 'schedule.fail(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('Fail', schedule_id => 'failed');
SELECT cmdsched.run_once();
SELECT cmdsched.schedule('Write', '{"v": 2}', schedule_id => 'failed');
SELECT command_type, status, attempts, last_error->>'message' AS message FROM cmdsched.get('failed');
SELECT cmdsched.schedule('Write', '{"v": 3}', schedule_id => 'failed', on_conflict => 'replace');
SELECT command_type, status, attempts, last_error->>'message' AS message FROM cmdsched.get('failed');
SELECT cmdsched.run_once();

-- reschedule() is for pending commands, retry() for the others.
SELECT cmdsched.schedule('Write', '{"v": 10}', '2040-01-01', schedule_id => 'pending');
SELECT cmdsched.retry('pending');
SELECT cmdsched.reschedule('pending', '2041-01-01');
SELECT status, execute_at FROM cmdsched.get('pending');
SELECT cmdsched.schedule('Fail', schedule_id => 'failed');
SELECT cmdsched.run_once();
SELECT cmdsched.reschedule('failed', '2041-01-01');
SELECT cmdsched.retry('failed');
SELECT cmdsched.reschedule('failed', '2041-01-01');
SELECT status, execute_at, attempts FROM cmdsched.get('failed');
SELECT cmdsched.reschedule('nothing', '2041-01-01'), cmdsched.retry('nothing'), cmdsched.cancel('nothing'), cmdsched.get('nothing') IS NULL AS get_is_null;
SELECT schedule_id, cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands ORDER BY schedule_id;

-- A savepoint that is rolled back takes with it what was scheduled in it.
BEGIN;
SELECT cmdsched.schedule('Write', '{"v": "before"}', schedule_id => 'before');
SAVEPOINT s;
SELECT cmdsched.schedule('Write', '{"v": "within"}', schedule_id => 'within');
SELECT cmdsched.cancel('before');
ROLLBACK TO s;
SELECT cmdsched.schedule('Write', '{"v": "after"}', schedule_id => 'after');
COMMIT;
SELECT schedule_id FROM cmdsched.get_due_commands();
TRUNCATE schedule.log;
SELECT cmdsched.run_once();
SELECT command_data FROM schedule.log ORDER BY n;

-- What a handler schedules inherits the correlation_id, and has the command as its cause.
CREATE FUNCTION schedule.follow(jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT cmdsched.schedule('Write', jsonb_build_object('follows', schedule_id), metadata => nullif($1, 'null'), schedule_id => 'after ' || schedule_id)
      FROM cmdsched.current_command()
$$;
SELECT cmdsched.register_handler('Follow', 'schedule.follow(jsonb)');
SELECT cmdsched.schedule('Follow', 'null', '2020-01-01', m, i)
  FROM (VALUES ('1 none', NULL::jsonb),
               ('2 empty', '{}'),
               ('3 id', '{"correlation_id": "c1", "causation_id": "x", "reason": "r"}'),
               ('4 number', '{"correlation_id": 17}'),
               ('5 array', '["correlation_id"]')) AS v (i, m);
-- What the handler says itself comes first.
SELECT cmdsched.schedule('Follow', d, '2020-01-01', '{"correlation_id": "c2"}', i)
  FROM (VALUES ('6 more', '{"reason": "r"}'::jsonb),
               ('7 own', '{"correlation_id": "mine", "causation_id": "mine too"}')) AS v (i, d);
TRUNCATE schedule.log;
SELECT cmdsched.process_due_commands();
SELECT cmdsched.process_due_commands();
SELECT command_data->>'follows' AS follows, metadata - 'reason' AS metadata, metadata->>'reason' AS reason FROM schedule.log ORDER BY 1;
-- Not outside of a handler, even after one.
SELECT cmdsched.schedule('Write', execute_at => '2040-01-01', schedule_id => 'outside');
SELECT metadata FROM cmdsched.get('outside');
SELECT cmdsched.cancel('outside');
-- Nothing is left of what a failing handler scheduled.
CREATE FUNCTION schedule.follow_and_fail(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cmdsched.schedule('Write', '{"v": "never"}', schedule_id => 'never');
    RAISE EXCEPTION 'no';
END
$$;
SELECT cmdsched.register_handler('FollowAndFail', 'schedule.follow_and_fail(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('FollowAndFail', schedule_id => 'failing');
SELECT cmdsched.run_once();
SELECT schedule_id, status, cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands;

SELECT count(cmdsched.unregister_handler(command_type, command_module)) FROM cmdsched.handlers;
SELECT cmdsched.start();
\set VERBOSITY terse
DROP SCHEMA schedule CASCADE;
