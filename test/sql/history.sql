-- What cmdsched.command_history keeps of a command.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;
-- What other tests have left
DELETE FROM cmdsched.command_history;

CREATE SCHEMA history;
CREATE TABLE history.log (what text);
-- Runs the statement in command_data, and returns its result.
CREATE FUNCTION history.do(jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    answer jsonb;
BEGIN
    EXECUTE $1 #>> '{}' INTO answer;
    INSERT INTO history.log VALUES ((cmdsched.current_command()).schedule_id);
    RETURN answer;
END
$$;
CREATE PROCEDURE history.call(jsonb) LANGUAGE plpgsql AS $$
BEGIN
    COMMIT;
    EXECUTE $1 #>> '{}';
END
$$;
CREATE FUNCTION history.returns_text(jsonb) RETURNS text LANGUAGE sql AS $$ SELECT '{"a": 1}'::text $$;
CREATE FUNCTION history.returns_json(jsonb) RETURNS json LANGUAGE sql AS $$ SELECT '{"a": 1}'::json $$;
CREATE FUNCTION history.returns_void(jsonb) RETURNS void LANGUAGE sql AS $$ SELECT $$;
SELECT cmdsched.register_handler('All', 'history.do(jsonb)', history => 'all', max_attempts => 2, backoff => '1 hour');
SELECT cmdsched.register_handler('Failures', 'history.do(jsonb)', max_attempts => 2, backoff => '1 hour');
SELECT cmdsched.register_handler('None', 'history.do(jsonb)', history => 'none', max_attempts => 2, backoff => '1 hour');

-- What was kept since the last time, without what differs from run to run.
CREATE VIEW pg_temp.kept AS
    SELECT schedule_id AS id, outcome, attempt AS n, error->>'sqlstate' AS code, error->>'message' AS message, result, correlation_id AS correlation,
           started_at IS NOT NULL AS started, finished_at >= started_at AS in_order
      FROM cmdsched.command_history ORDER BY finished_at, schedule_id;

-- Every outcome, by hand, under each policy.
CREATE FUNCTION pg_temp.go_through_all(type text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM cmdsched.schedule(type, to_jsonb(statement), metadata => '{"correlation_id": "c-1"}', schedule_id => id)
       FROM (VALUES ('a good', 'SELECT ''{"rows": 3}'''), ('b null', 'SELECT NULL'), ('c bad', 'SELECT 1 / 0'),
                    ('d snooze', 'SELECT cmdsched.snooze(''1 hour'')'), ('e abandon', 'SELECT cmdsched.abandon(''no order'')')) AS v (id, statement);
    PERFORM cmdsched.process_due_commands();
    PERFORM cmdsched.advance_clock('2 hours');
    PERFORM cmdsched.cancel('c bad');
    PERFORM cmdsched.cancel('d snooze'), cmdsched.cancel('e abandon');
    PERFORM cmdsched.schedule(type, schedule_id => 'f deleted');
    PERFORM cmdsched.delete_executed('f deleted');
END
$$;
BEGIN;
SELECT pg_temp.go_through_all('All');
SELECT id, outcome, n, code, message, result, correlation, started, in_order FROM pg_temp.kept ORDER BY id, n;
ROLLBACK;
BEGIN;
SELECT pg_temp.go_through_all('Failures');
SELECT id, outcome, n, code FROM pg_temp.kept ORDER BY id, n;
ROLLBACK;
BEGIN;
SELECT pg_temp.go_through_all('None');
SELECT count(*) FROM pg_temp.kept;
ROLLBACK;
SELECT count(*) AS left_by_rollback FROM cmdsched.command_history;

-- Times are those of the clock.
BEGIN;
SELECT cmdsched.set_clock('2040-02-01 12:00+00');
SELECT cmdsched.schedule('All', '"SELECT NULL"', '2040-02-01 13:00+00', schedule_id => 'clock', command_module => '');
SELECT cmdsched.advance_clock('2 hours');
SELECT schedule_id, command_type, command_module, scheduled_for, started_at, finished_at, scheduled_by = current_user::regrole::oid AS mine, scheduled_by_name = current_user AS my_name FROM cmdsched.command_history;
ROLLBACK;

-- A failed attempt takes nothing of the others of its group with it.
BEGIN;
SELECT cmdsched.schedule('All', to_jsonb(CASE n WHEN 3 THEN 'SELECT 1 / 0' ELSE 'SELECT NULL' END), schedule_id => 'group ' || n) FROM generate_series(1, 5) AS n;
SELECT cmdsched.run_once();
SELECT id, outcome FROM pg_temp.kept ORDER BY id;
SELECT count(*) FROM history.log;
ROLLBACK;

-- The result is kept where it is jsonb.
BEGIN;
SELECT cmdsched.register_handler('Text', 'history.returns_text(jsonb)', history => 'all'),
       cmdsched.register_handler('Json', 'history.returns_json(jsonb)', history => 'all'),
       cmdsched.register_handler('Void', 'history.returns_void(jsonb)', history => 'all');
SELECT cmdsched.schedule(type, schedule_id => type) FROM unnest('{Text,Json,Void}'::text[]) AS type;
SELECT cmdsched.run_once();
SELECT id, outcome, result FROM pg_temp.kept ORDER BY id;
ROLLBACK;
-- One that has to be stored out of line, too.
BEGIN;
SELECT cmdsched.schedule('All', to_jsonb('SELECT to_jsonb(string_agg(md5(i::text), '''')) FROM generate_series(1, 1000) AS i'::text), schedule_id => 'large');
SELECT cmdsched.run_once();
SELECT schedule_id, length(result #>> '{}'), (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) AS i) = result #>> '{}' AS same FROM cmdsched.command_history;
ROLLBACK;
-- A correlation_id of another type.
BEGIN;
SELECT cmdsched.schedule('All', '"SELECT NULL"', metadata => m, schedule_id => m::text) FROM unnest('{"{\"correlation_id\": 42}","{\"correlation_id\": {\"a\": 1}}","{\"correlation_id\": null}","{}"}'::jsonb[]) AS m;
SELECT cmdsched.run_once();
SELECT schedule_id, correlation_id FROM cmdsched.command_history ORDER BY schedule_id;
ROLLBACK;

-- Held.
BEGIN;
SELECT cmdsched.schedule('All', schedule_id => 'unregistered');
SELECT cmdsched.unregister_handler('All');
SELECT cmdsched.run_once();
SELECT id, outcome, n, code, started FROM pg_temp.kept;
ROLLBACK;

-- A handler that dispatches by hand: inside and outside.
BEGIN;
SELECT cmdsched.set_clock('2040-01-01');
SELECT cmdsched.schedule('All', to_jsonb(statement), schedule_id => id) FROM (VALUES ('a outer', 'SELECT to_jsonb(cmdsched.run_once())'), ('b inner', 'SELECT NULL')) AS v (id, statement);
SELECT cmdsched.run_once();
SELECT id, outcome, result FROM pg_temp.kept ORDER BY id;
ROLLBACK;

-- With an index of an administrator's own, which has the row, too.
BEGIN;
CREATE INDEX ON cmdsched.command_history (correlation_id);
SELECT cmdsched.schedule('All', '"SELECT 1 / 0"', metadata => '{"correlation_id": "c-3"}', schedule_id => 'indexed');
SELECT cmdsched.run_once();
SET LOCAL enable_seqscan = off;
SELECT schedule_id, outcome, error->>'message' AS message FROM cmdsched.command_history WHERE correlation_id = 'c-3';
SELECT schedule_id FROM cmdsched.command_history WHERE schedule_id = 'indexed';
ROLLBACK;
-- All three indexes have what was written by table access.
BEGIN;
SELECT cmdsched.schedule('All', to_jsonb(s), schedule_id => s) FROM unnest('{SELECT NULL,SELECT 1 / 0}'::text[]) AS s;
SELECT cmdsched.run_once();
SET LOCAL enable_seqscan = off;
SELECT outcome FROM cmdsched.command_history WHERE schedule_id = 'SELECT NULL';
SELECT outcome FROM cmdsched.command_history WHERE finished_at > now() - interval '1 hour' ORDER BY outcome;
SELECT outcome FROM cmdsched.command_history WHERE finished_at > now() - interval '1 hour' AND outcome <> 'succeeded';
ROLLBACK;

-- By workers, procedures among them.
SELECT cmdsched.register_handler('Call', 'history.call(jsonb)', history => 'all', max_attempts => 1);
SELECT cmdsched.start();
SELECT cmdsched.schedule('All', '"SELECT ''[1]''"', schedule_id => 'w good'),
       cmdsched.schedule('All', '"SELECT 1 / 0"', schedule_id => 'w bad'),
       cmdsched.schedule('All', '"SELECT cmdsched.snooze(''1 day'')"', schedule_id => 'w snooze'),
       cmdsched.schedule('Call', '"SELECT 1"', schedule_id => 'w call'),
       cmdsched.schedule('Call', '"SELECT 1 / 0"', schedule_id => 'w call bad');
SELECT pg_temp.wait_for('count(*) = 5 FROM cmdsched.command_history');
SELECT id, outcome, n, code, result, started, in_order FROM pg_temp.kept ORDER BY id;
SELECT cmdsched.cancel(id) FROM unnest('{w bad,w snooze,w call bad}'::text[]) AS id;
SELECT id, outcome, n FROM pg_temp.kept WHERE outcome = 'cancelled' ORDER BY id;
-- A commit that fails is the command's failed attempt, and its success is not there.
CREATE TABLE history.parents (id integer PRIMARY KEY);
CREATE TABLE history.children (parent integer REFERENCES history.parents DEFERRABLE INITIALLY DEFERRED);
SELECT cmdsched.schedule('All', '"WITH i AS (INSERT INTO history.children VALUES (1) RETURNING 1) SELECT to_jsonb(count(*)) FROM i"', schedule_id => 'x commit');
SELECT pg_temp.wait_for($$count(*) = 1 FROM cmdsched.command_history WHERE schedule_id = 'x commit'$$);
SELECT id, outcome, n, code FROM pg_temp.kept WHERE id LIKE 'x%';
SELECT cmdsched.cancel('x commit');

-- Each role sees its own.
CREATE ROLE regress_history LOGIN;
GRANT USAGE ON SCHEMA cmdsched, history TO regress_history;
GRANT INSERT ON history.log TO regress_history;
SET ROLE regress_history;
SELECT cmdsched.schedule('All', '"SELECT NULL"', schedule_id => 'y mine');
SELECT pg_temp.wait_for('count(*) = 1 FROM cmdsched.command_history');
SELECT schedule_id, outcome, scheduled_by_name FROM cmdsched.command_history;
SELECT code FROM pg_temp.error_of('SELECT FROM cmdsched.command_history_0');
SELECT code FROM pg_temp.error_of('DELETE FROM cmdsched.command_history');
SELECT code FROM pg_temp.error_of('INSERT INTO cmdsched.command_history SELECT * FROM cmdsched.command_history');
SELECT code FROM pg_temp.error_of('TRUNCATE cmdsched.command_history');
RESET ROLE;
GRANT pg_read_all_data TO regress_history;
SET ROLE regress_history;
SELECT schedule_id FROM cmdsched.command_history;
SELECT count(*) FROM cmdsched.command_history_0;
RESET ROLE;

TRUNCATE cmdsched.command_history;

-- By an application.
SELECT cmdsched.register_handler('External', NULL, external => true, history => 'all', max_attempts => 2);
CREATE FUNCTION pg_temp.token(id text) RETURNS uuid LANGUAGE sql AS $$ SELECT claim_token FROM cmdsched.scheduled_commands WHERE schedule_id = id $$;
BEGIN;
SELECT cmdsched.schedule('External', metadata => '{"correlation_id": "c-2"}', schedule_id => id) FROM unnest('{e1,e2}'::text[]) AS id;
SELECT schedule_id, attempts FROM cmdsched.claim_due_commands(2);
SELECT cmdsched.complete('e1', pg_temp.token('e1'), '{"sent": true}'), cmdsched.fail('e2', pg_temp.token('e2'), 'no route', '0');
SELECT schedule_id, attempts FROM cmdsched.claim_due_commands(2);
SELECT cmdsched.fail('e2', pg_temp.token('e2'), 'no route');
SELECT id, outcome, n, code, message, result, correlation, started FROM pg_temp.kept ORDER BY id, n;
ROLLBACK;

-- Of a role that is gone.
CREATE ROLE regress_history_gone LOGIN;
GRANT USAGE ON SCHEMA cmdsched, history TO regress_history_gone;
SET ROLE regress_history_gone;
SELECT cmdsched.schedule(type, execute_at => '2040-01-01', schedule_id => type) FROM unnest('{All,Failures,None}'::text[]) AS type;
RESET ROLE;
DROP OWNED BY regress_history_gone;
DROP ROLE regress_history_gone;
SELECT cmdsched.trigger();
SELECT pg_temp.wait_for('count(*) = 2 FROM cmdsched.command_history');
SELECT schedule_id, outcome, attempt, error->>'sqlstate' AS code, scheduled_for, scheduled_by_name FROM cmdsched.command_history ORDER BY schedule_id;
DELETE FROM cmdsched.scheduled_commands WHERE scheduled_by_name = 'regress_history_gone';
TRUNCATE cmdsched.command_history;

SELECT cmdsched.unregister_handler(type) FROM unnest('{All,Failures,None,Call,External}'::text[]) AS type;
DROP SCHEMA history CASCADE;
DROP OWNED BY regress_history;
DROP ROLE regress_history;
