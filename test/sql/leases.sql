-- Dispatchers outside the database: a claim is a lease.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;
SET client_min_messages = warning;

CREATE SCHEMA leases;
CREATE TABLE leases.log (command text);
CREATE FUNCTION leases.run(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS 'INSERT INTO leases.log VALUES (c.schedule_id)';
SELECT cmdsched.register_handler('Mail', NULL, external => true, max_attempts => 3, backoff => '1 minute');
SELECT cmdsched.register_handler('Print', NULL, 'office', external => true, max_attempts => 1);
SELECT cmdsched.register_handler('Run', 'leases.run(cmdsched.scheduled_commands)');

-- The tokens that were given out, in order; and those of a claim, in one line.
CREATE TEMPORARY TABLE tokens (n serial, schedule_id text, token uuid);
CREATE FUNCTION pg_temp.claim(max_commands integer, command_types text[] DEFAULT NULL, lease interval DEFAULT '30 seconds') RETURNS text LANGUAGE sql AS $$
    WITH c AS MATERIALIZED (SELECT * FROM cmdsched.claim_due_commands($1, $2, $3) WITH ORDINALITY),
         t AS (INSERT INTO tokens (schedule_id, token) SELECT schedule_id, claim_token FROM c ORDER BY ordinality)
    SELECT string_agg(schedule_id || ' ' || attempts, ', ' ORDER BY ordinality) FROM c
$$;
CREATE FUNCTION pg_temp.token(id text) RETURNS uuid LANGUAGE sql AS 'SELECT token FROM tokens WHERE schedule_id = id ORDER BY n DESC LIMIT 1';
CREATE FUNCTION pg_temp.old_token(id text) RETURNS uuid LANGUAGE sql AS 'SELECT token FROM tokens WHERE schedule_id = id ORDER BY n DESC OFFSET 1 LIMIT 1';
CREATE VIEW pg_temp.state AS
    SELECT schedule_id, status, attempts,
           CASE WHEN execute_at < now() + '2 days' THEN date_trunc('second', execute_at - cmdsched.now() + '0.5 seconds') END AS due_in, claim_token IS NOT NULL AS claimed,
           concat_ws(' ', last_error->>'sqlstate', last_error->>'message') AS error
      FROM cmdsched.scheduled_commands ORDER BY schedule_id;

-- Workers and sessions that dispatch leave them alone; they are there to be read.
SELECT cmdsched.schedule('Mail', '{"to": "ann"}', execute_at => '2020-01-02', metadata => '{"correlation_id": "x"}', schedule_id => 'b');
SELECT cmdsched.schedule('Mail', execute_at => '2020-01-01', schedule_id => 'a');
SELECT cmdsched.schedule('Print', execute_at => '2020-01-03', schedule_id => 'p', command_module => 'office');
SELECT cmdsched.schedule('Mail', execute_at => '2040-01-01', schedule_id => 'later');
SELECT cmdsched.schedule('Run', execute_at => '2020-01-01', schedule_id => 'run');
SELECT schedule_id, due_at < 'infinity' AS for_workers, claimable_at < 'infinity' AS for_applications FROM cmdsched.scheduled_commands ORDER BY schedule_id;
SELECT cmdsched.run_once();
SELECT * FROM leases.log;
SELECT schedule_id FROM cmdsched.get_due_commands();

-- A claim: the oldest first, no more than max_commands, nobody gets them twice.
SELECT schedule_id, command_type, command_module, command_data, metadata, attempts, claim_token IS NOT NULL AS has_token FROM cmdsched.claim_due_commands(0);
SELECT schedule_id, command_type, command_module, command_data, metadata, attempts, claim_token IS NOT NULL AS has_token FROM cmdsched.claim_due_commands(2);
SELECT pg_temp.claim(10);
SELECT pg_temp.claim(10);
SELECT schedule_id FROM cmdsched.get_due_commands();
SELECT * FROM pg_temp.state;
SELECT cmdsched.cancel('a'), cmdsched.cancel('b');

-- Only the named types.
SELECT cmdsched.schedule('Mail', schedule_id => 'm');
SELECT pg_temp.claim(10, '{Print}'), pg_temp.claim(10, '{}'), pg_temp.claim(10, '{Nothing}'), pg_temp.claim(10, '{NULL}');
SELECT pg_temp.claim(10, '{Nothing,NULL,Mail,Mail}');

-- complete(): once, with the token, and with the id that it belongs to.
SELECT cmdsched.complete('m', gen_random_uuid()), cmdsched.complete('p', pg_temp.token('m')), cmdsched.complete('nothing', pg_temp.token('m'));
SELECT cmdsched.complete('m', pg_temp.token('m'), '{"sent": true}'), cmdsched.complete('m', pg_temp.token('m'));
SELECT cmdsched.complete('p', pg_temp.token('p'));
SELECT * FROM pg_temp.state;

-- In the application's transaction: its effects and the removal are one.
SELECT cmdsched.schedule('Mail', schedule_id => 'once');
SELECT pg_temp.claim(1);
BEGIN;
INSERT INTO leases.log SELECT 'effect' WHERE cmdsched.complete('once', pg_temp.token('once'));
ROLLBACK;
SELECT * FROM pg_temp.state WHERE schedule_id = 'once';
SELECT count(*) FROM leases.log WHERE command = 'effect';
BEGIN;
INSERT INTO leases.log SELECT 'effect' WHERE cmdsched.complete('once', pg_temp.token('once'));
COMMIT;
SELECT count(*) FROM leases.log WHERE command = 'effect';
-- A claim that is rolled back was none.
SELECT cmdsched.schedule('Mail', schedule_id => 'undone');
BEGIN;
SELECT pg_temp.claim(1);
ROLLBACK;
SELECT pg_temp.claim(1);
SELECT cmdsched.complete('undone', pg_temp.token('undone'));

-- fail(): the handler's backoff, or the given delay; at last, failed.
SELECT cmdsched.schedule('Mail', schedule_id => 'f');
SELECT pg_temp.claim(1);
SELECT cmdsched.fail('f', gen_random_uuid(), 'no'), cmdsched.fail('f', pg_temp.token('f'), 'no route to host'), cmdsched.fail('f', pg_temp.token('f'), 'again');
SELECT schedule_id, status, attempts, due_in BETWEEN '54 seconds' AND '66 seconds' AS after_backoff, claimed, error FROM pg_temp.state WHERE schedule_id = 'f';
SELECT cmdsched.reschedule('f', now()), pg_temp.claim(1);
SELECT cmdsched.fail('f', pg_temp.token('f'), 'come back tomorrow', '1 day');
SELECT * FROM pg_temp.state WHERE schedule_id = 'f';
SELECT cmdsched.reschedule('f', now()), pg_temp.claim(1);
SELECT cmdsched.fail('f', pg_temp.token('f'), 'third time', '1 day');
SELECT * FROM pg_temp.state WHERE schedule_id = 'f';
SELECT pg_temp.claim(1), cmdsched.reschedule('f', now());
SELECT cmdsched.retry('f'), pg_temp.claim(1);
SELECT cmdsched.fail('f', pg_temp.token('f'), repeat('x', 10000), '0');
SELECT length(last_error->>'message') FROM cmdsched.get('f');
SELECT pg_temp.claim(1), cmdsched.complete('f', pg_temp.token('f'));

-- The end of a lease: it is due again, and the old token is worth nothing.
BEGIN;
SELECT cmdsched.schedule('Mail', schedule_id => 'l');
SELECT pg_temp.claim(1, lease => '1 minute');
SELECT cmdsched.advance_clock('59 seconds'), pg_temp.claim(1);
SELECT cmdsched.extend_lease('l', pg_temp.token('l'), '1 minute');
SELECT cmdsched.advance_clock('59 seconds'), pg_temp.claim(1);
SELECT cmdsched.advance_clock('1 second');
SELECT cmdsched.complete('l', pg_temp.token('l')), cmdsched.fail('l', pg_temp.token('l'), 'late'), cmdsched.extend_lease('l', pg_temp.token('l'), '1 hour');
SELECT schedule_id FROM cmdsched.get_due_commands() WHERE command_type = 'Mail';
SELECT pg_temp.claim(1);
SELECT * FROM pg_temp.state WHERE schedule_id = 'l';
SELECT cmdsched.complete('l', pg_temp.old_token('l')), cmdsched.fail('l', pg_temp.old_token('l'), 'late'), cmdsched.extend_lease('l', pg_temp.old_token('l'), '1 hour');
SELECT cmdsched.advance_clock('30 seconds'), pg_temp.claim(1, lease => '1 second');
-- With its last attempt it fails.
SELECT cmdsched.advance_clock('1 second'), pg_temp.claim(1);
SELECT * FROM pg_temp.state WHERE schedule_id = 'l';
SELECT cmdsched.complete('l', pg_temp.token('l'));
SELECT cmdsched.retry('l'), pg_temp.claim(1);
ROLLBACK;

-- Whoever changes a command takes it from the one who has claimed it.
SELECT cmdsched.schedule('Mail', schedule_id => 'c'), cmdsched.schedule('Mail', schedule_id => 'r'), cmdsched.schedule('Mail', schedule_id => 's');
SELECT pg_temp.claim(3);
SELECT cmdsched.cancel('c'), cmdsched.reschedule('r', '2040-01-01'), cmdsched.schedule('Mail', '{"new": 1}', execute_at => '2040-01-01', schedule_id => 's', on_conflict => 'replace');
SELECT cmdsched.complete(id, pg_temp.token(id)) FROM unnest('{c,r,s}'::text[]) AS id;
SELECT schedule_id, status, attempts, execute_at, claimed FROM pg_temp.state JOIN cmdsched.scheduled_commands USING (schedule_id, status, attempts) WHERE schedule_id IN ('c', 'r', 's');
-- Keeping it does not.
SELECT cmdsched.reschedule('r', now()), pg_temp.claim(1), cmdsched.schedule('Mail', schedule_id => 'r'), cmdsched.complete('r', pg_temp.token('r'));
SELECT cmdsched.cancel('s'), cmdsched.cancel('later'), cmdsched.cancel('run');

-- By the older way: read, carry out, remove.
SELECT cmdsched.schedule('Mail', schedule_id => 'old');
SELECT schedule_id, cmdsched.delete_executed(schedule_id) FROM cmdsched.get_due_commands();
SELECT count(*) FROM cmdsched.scheduled_commands;

-- Handlers that change.  Paused: nobody gets its commands, but who has one may finish it.
SELECT cmdsched.schedule('Mail', schedule_id => '1'), cmdsched.schedule('Mail', schedule_id => '2');
SELECT pg_temp.claim(1);
SELECT cmdsched.register_handler('Mail', NULL, external => true, paused => true);
SELECT pg_temp.claim(1), cmdsched.complete('1', pg_temp.token('1'));
SELECT cmdsched.register_handler('Mail', NULL, external => true);
SELECT pg_temp.claim(1);
-- A function now: not before the lease ends.
SELECT cmdsched.schedule('Mail', schedule_id => '3');
SELECT cmdsched.register_handler('Mail', 'leases.run(cmdsched.scheduled_commands)');
SELECT pg_temp.claim(1), cmdsched.run_once();
DELETE FROM leases.log RETURNING command;
BEGIN;
SELECT cmdsched.complete('2', pg_temp.token('2'));
ROLLBACK;
BEGIN;
SELECT cmdsched.advance_clock('30 seconds'), cmdsched.complete('2', pg_temp.token('2'));
SELECT * FROM leases.log;
ROLLBACK;
SELECT cmdsched.fail('2', pg_temp.token('2'), 'no', '0'), cmdsched.run_once();
DELETE FROM leases.log RETURNING command;
-- And for an application again: what waits for a worker goes over when it is due.
SELECT cmdsched.schedule('Mail', schedule_id => '4');
SELECT cmdsched.register_handler('Mail', NULL, external => true);
SELECT cmdsched.run_once(), pg_temp.claim(1);
-- Gone: held, when it is due.
SELECT cmdsched.schedule('Mail', schedule_id => '5');
SELECT cmdsched.unregister_handler('Mail'), pg_temp.claim(1), cmdsched.run_once();
SELECT * FROM pg_temp.state;
SELECT cmdsched.fail('4', pg_temp.token('4'), 'no'), cmdsched.run_once();
SELECT * FROM pg_temp.state;
SELECT cmdsched.register_handler('Mail', NULL, external => true);
SELECT pg_temp.claim(2);
SELECT cmdsched.complete(schedule_id, claim_token) FROM cmdsched.scheduled_commands;

-- Of other roles only those whose privileges one has.
CREATE ROLE regress_leases_owner;
CREATE ROLE regress_leases_member IN ROLE regress_leases_owner;
CREATE ROLE regress_leases_other;
CREATE ROLE regress_leases_reserved NOINHERIT IN ROLE regress_leases_owner;
GRANT USAGE ON SCHEMA cmdsched TO regress_leases_owner, regress_leases_member, regress_leases_other, regress_leases_reserved;
GRANT ALL ON tokens, tokens_n_seq TO PUBLIC;
SET ROLE regress_leases_owner;
SELECT cmdsched.schedule('Mail', schedule_id => 'o');
SET ROLE regress_leases_other;
SELECT cmdsched.schedule('Mail', schedule_id => 'o');
SELECT pg_temp.claim(10);
SELECT cmdsched.complete('o', pg_temp.token('o'));
SELECT pg_temp.claim(10);
SET ROLE regress_leases_reserved;
SELECT pg_temp.claim(10);
SET ROLE regress_leases_member;
SELECT pg_temp.claim(10);
SET ROLE regress_leases_other;
SELECT cmdsched.complete('o', pg_temp.token('o')), cmdsched.fail('o', pg_temp.token('o'), ''), cmdsched.extend_lease('o', pg_temp.token('o'), '1 hour');
SET ROLE regress_leases_owner;
SELECT cmdsched.extend_lease('o', pg_temp.token('o'), '1 hour'), cmdsched.complete('o', pg_temp.token('o'));
RESET ROLE;

-- Whatever a superuser adds to the table.
CREATE TABLE leases.changes (id text, attempts integer);
CREATE FUNCTION leases.note_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO leases.changes VALUES (NEW.schedule_id, NEW.attempts); RETURN NULL; END';
CREATE TRIGGER note_change AFTER UPDATE ON cmdsched.scheduled_commands FOR EACH ROW EXECUTE FUNCTION leases.note_change();
SELECT cmdsched.schedule('Mail', schedule_id => 't');
SELECT pg_temp.claim(1), pg_temp.claim(1), cmdsched.complete('t', pg_temp.token('t'));
SELECT * FROM leases.changes;
DROP TRIGGER note_change ON cmdsched.scheduled_commands;

-- Arguments.
SELECT s.statement, e.code, e.message FROM unnest(ARRAY[
    $$SELECT cmdsched.claim_due_commands(NULL)$$,
    $$SELECT cmdsched.claim_due_commands(-1)$$,
    $$SELECT cmdsched.claim_due_commands(1, lease => NULL)$$,
    $$SELECT cmdsched.claim_due_commands(1, lease => '0')$$,
    $$SELECT cmdsched.claim_due_commands(1, lease => '-1 second')$$,
    $$SELECT cmdsched.claim_due_commands(1, lease => '1 month -40 days')$$,
    $$SELECT cmdsched.claim_due_commands(1, lease => '178000000 years')$$,
    $$SELECT cmdsched.complete(NULL, gen_random_uuid())$$,
    $$SELECT cmdsched.complete('', gen_random_uuid())$$,
    $$SELECT cmdsched.complete('x', NULL)$$,
    $$SELECT cmdsched.complete('x', gen_random_uuid(), to_jsonb(repeat('x', 2000000)))$$,
    $$SELECT cmdsched.fail('x', gen_random_uuid(), NULL)$$,
    $$SELECT cmdsched.fail('x', gen_random_uuid(), 'no', '-1 second')$$,
    $$SELECT cmdsched.extend_lease('x', gen_random_uuid(), '0')$$]) AS s (statement),
    LATERAL pg_temp.error_of(s.statement) AS e;

SELECT cmdsched.unregister_handler(command_type, command_module) FROM cmdsched.handlers;
DROP OWNED BY regress_leases_owner, regress_leases_member, regress_leases_other, regress_leases_reserved;
DROP ROLE regress_leases_owner, regress_leases_member, regress_leases_other, regress_leases_reserved;
DROP SCHEMA leases CASCADE;
SELECT count(*) FROM cmdsched.scheduled_commands;
SELECT cmdsched.start();
