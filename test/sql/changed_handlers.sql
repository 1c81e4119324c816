-- A handler that changes while commands wait for it.  The registration is by signature: what has that signature when a command falls due is what runs.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;

CREATE ROLE regress_changed_owner LOGIN;
CREATE ROLE regress_changed LOGIN;
GRANT USAGE ON SCHEMA cmdsched TO regress_changed_owner, regress_changed;
GRANT EXECUTE ON FUNCTION cmdsched.register_handler TO regress_changed_owner;
CREATE SCHEMA changed AUTHORIZATION regress_changed_owner;
CREATE SCHEMA elsewhere AUTHORIZATION regress_changed_owner;
GRANT USAGE ON SCHEMA changed, elsewhere TO regress_changed;
CREATE TABLE changed.log (n serial, what text, as_user name DEFAULT current_user);
GRANT ALL ON changed.log TO regress_changed_owner, regress_changed;
GRANT ALL ON SEQUENCE changed.log_n_seq TO regress_changed_owner, regress_changed;

-- In one line: what was logged since the last time, and by whom.
CREATE FUNCTION pg_temp.logged() RETURNS text LANGUAGE sql AS $$
    WITH d AS (DELETE FROM changed.log RETURNING n, what, as_user)
    SELECT string_agg(concat_ws(' as ', what, as_user), ', ' ORDER BY n) FROM d
$$;
-- The handler of most of it, anew.
CREATE PROCEDURE pg_temp.make_handler() LANGUAGE plpgsql AS $$
BEGIN
    DROP ROUTINE IF EXISTS changed.f(jsonb);
    SET LOCAL ROLE regress_changed_owner;
    CREATE FUNCTION changed.f(jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''first'')';
    EXECUTE 'SELECT cmdsched.register_handler(''F'', ''changed.f(jsonb)'', max_attempts => 1)';
    RESET ROLE;
END
$$;
SET client_min_messages = warning;
-- A role schedules, something changes, the role's commands are run.
CREATE FUNCTION pg_temp.ran(change text, OUT ran integer, OUT logged text, OUT status text, OUT attempts integer, OUT code text, OUT message text)
RETURNS record LANGUAGE plpgsql AS $$
BEGIN
    CALL pg_temp.make_handler();
    SET LOCAL ROLE regress_changed;
    PERFORM cmdsched.schedule('F', schedule_id => 'c');
    RESET ROLE;
    EXECUTE change;
    SET LOCAL ROLE regress_changed;
    ran := cmdsched.run_once();
    RESET ROLE;
    logged := pg_temp.logged();
    SELECT c.status, c.attempts, c.last_error->>'sqlstate', c.last_error->>'message' INTO status, attempts, code, message
      FROM cmdsched.scheduled_commands AS c WHERE c.schedule_id = 'c';
    PERFORM cmdsched.cancel('c');
END
$$;

-- Nothing changes.
SELECT * FROM pg_temp.ran('');
-- Another body, another owner, another way of being called: that of the same signature runs.
SELECT * FROM pg_temp.ran($$CREATE OR REPLACE FUNCTION changed.f(jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''second'')'$$);
SELECT * FROM pg_temp.ran($$DROP FUNCTION changed.f(jsonb); CREATE FUNCTION changed.f(jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''another'')'$$);
SELECT * FROM pg_temp.ran($$ALTER FUNCTION changed.f(jsonb) OWNER TO CURRENT_USER$$);
SELECT * FROM pg_temp.ran($$ALTER FUNCTION changed.f(jsonb) SECURITY DEFINER$$);
SELECT * FROM pg_temp.ran($$ALTER FUNCTION changed.f(jsonb) STRICT$$);
SELECT * FROM pg_temp.ran($$ALTER FUNCTION changed.f(jsonb) SET search_path = ''$$);
SELECT * FROM pg_temp.ran($$DROP FUNCTION changed.f(jsonb); CREATE FUNCTION changed.f(data jsonb, OUT a integer, OUT b text) LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''a record''); SELECT 1, ''b'''$$);
SELECT * FROM pg_temp.ran($$DROP FUNCTION changed.f(jsonb); CREATE PROCEDURE changed.f(jsonb) LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''a procedure'')'$$);
-- What is no handler any more does not run, and brings nothing down.
SELECT v.what, r.ran, r.logged, r.status IN ('held', 'failed') AS stays
  FROM (VALUES (1, 'SQL, a set', $$RETURNS SETOF jsonb LANGUAGE sql AS 'SELECT $1'$$),
               (2, 'PL/pgSQL, a set', $$RETURNS SETOF jsonb LANGUAGE plpgsql AS 'BEGIN RETURN NEXT $1; END'$$),
               (3, 'a table', $$RETURNS TABLE (x jsonb) LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT $1; END'$$),
               (4, 'a window function', $$RETURNS bigint LANGUAGE internal WINDOW AS 'window_row_number'$$)) AS v (n, what, definition),
       pg_temp.ran('DROP FUNCTION changed.f(jsonb); CREATE FUNCTION changed.f(jsonb) ' || v.definition) AS r
 ORDER BY v.n;
SELECT ran, logged, status IN ('held', 'failed') AS stays
  FROM pg_temp.ran($$DROP FUNCTION changed.f(jsonb); CREATE AGGREGATE changed.f(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb)$$);

-- What is not there under this signature is held, whatever is there under another.
SELECT * FROM pg_temp.ran($$DROP FUNCTION changed.f(jsonb)$$);
SELECT * FROM pg_temp.ran($$ALTER FUNCTION changed.f(jsonb) RENAME TO g$$);
DROP FUNCTION changed.g(jsonb);
SELECT * FROM pg_temp.ran($$ALTER FUNCTION changed.f(jsonb) SET SCHEMA elsewhere$$);
DROP FUNCTION elsewhere.f(jsonb);
SELECT * FROM pg_temp.ran($$DROP FUNCTION changed.f(jsonb); CREATE FUNCTION changed.f(text) RETURNS void LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''text'')'$$);
SELECT * FROM pg_temp.ran($$DROP FUNCTION changed.f(jsonb); CREATE FUNCTION changed.f(VARIADIC jsonb[]) RETURNS void LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''variadic'')'$$);
SELECT * FROM pg_temp.ran($$DROP FUNCTION changed.f(jsonb); CREATE FUNCTION changed.f(jsonb, jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''two'')'$$);
SELECT * FROM pg_temp.ran($$DROP FUNCTION changed.f(jsonb); CREATE FUNCTION changed.f(jsonb, integer DEFAULT 1) RETURNS void LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''default'')'$$);
SELECT * FROM pg_temp.ran($$ALTER SCHEMA changed RENAME TO renamed; ALTER TABLE renamed.log SET SCHEMA elsewhere; CREATE SCHEMA changed; ALTER TABLE elsewhere.log SET SCHEMA changed$$);
DROP SCHEMA renamed CASCADE;
ALTER SCHEMA changed OWNER TO regress_changed_owner;
GRANT USAGE ON SCHEMA changed TO regress_changed;
-- The overloads change nothing while it is there.
CREATE FUNCTION changed.f(text) RETURNS void LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''text'')';
CREATE FUNCTION changed.f(jsonb, jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''two'')';
CREATE FUNCTION changed.f(VARIADIC jsonb[]) RETURNS void LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''variadic'')';
SELECT * FROM pg_temp.ran('');

-- Held commands run when the handler is registered again, under its new name too.
CALL pg_temp.make_handler();
SET ROLE regress_changed;
SELECT cmdsched.schedule('F', schedule_id => 'renamed');
RESET ROLE;
ALTER FUNCTION changed.f(jsonb) RENAME TO g;
SET ROLE regress_changed;
SELECT cmdsched.run_once();
SELECT status, attempts, last_error->>'sqlstate' AS sqlstate FROM cmdsched.get('renamed');
RESET ROLE;
SELECT cmdsched.register_handler('F', 'changed.g(jsonb)');
SET ROLE regress_changed;
SELECT cmdsched.run_once();
RESET ROLE;
SELECT pg_temp.logged();

-- The owner and all it owns are dropped.  The registration stays, for whoever makes the function anew.
SET ROLE regress_changed;
SELECT cmdsched.schedule('F', schedule_id => 'owned');
RESET ROLE;
DROP OWNED BY regress_changed_owner CASCADE;
DROP ROLE regress_changed_owner;
SET ROLE regress_changed;
SELECT cmdsched.run_once();
SELECT status, attempts, last_error->>'sqlstate' AS sqlstate FROM cmdsched.get('owned');
RESET ROLE;
CREATE SCHEMA changed;
GRANT USAGE ON SCHEMA changed TO regress_changed;
CREATE TABLE changed.log (n serial, what text, as_user name DEFAULT current_user);
GRANT ALL ON changed.log TO regress_changed;
GRANT ALL ON SEQUENCE changed.log_n_seq TO regress_changed;
CREATE FUNCTION changed.g(jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO changed.log (what) VALUES (''third'')';
SELECT cmdsched.register_handler('F', 'changed.g(jsonb)');
SET ROLE regress_changed;
SELECT cmdsched.run_once();
RESET ROLE;
SELECT what, as_user FROM changed.log;
TRUNCATE changed.log;

-- A handler that changes itself, or drops the one of the next command: each finds what is there when it begins.
CREATE FUNCTION changed.change(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changed.log (what) VALUES ('before');
    EXECUTE $1 #>> '{}';
END
$$;
SELECT cmdsched.register_handler('Change', 'changed.change(jsonb)', max_attempts => 1);
SELECT cmdsched.schedule('Change', to_jsonb(s), '2020-01-01'::timestamptz + n * interval '1 hour', schedule_id => 'change ' || n)
  FROM unnest(ARRAY[
    'CREATE OR REPLACE FUNCTION changed.change(jsonb) RETURNS void LANGUAGE plpgsql AS ''BEGIN INSERT INTO changed.log (what) VALUES (''''after''''); EXECUTE $1 #>> ''''{}''''; END''',
    'SELECT cmdsched.register_handler(''Change'', ''changed.g(jsonb)'')',
    'SELECT 1',
    'SELECT 1']) WITH ORDINALITY AS v (s, n);
SELECT cmdsched.process_due_commands(3);
SELECT string_agg(what, ' ' ORDER BY n) FROM changed.log;
SELECT cmdsched.register_handler('Change', 'changed.change(jsonb)');
SELECT cmdsched.schedule('Change', '"DROP FUNCTION changed.change(jsonb)"', '2020-01-01', schedule_id => 'change 0');
SELECT cmdsched.reschedule('change 4', '2020-01-02');
SELECT cmdsched.run_once();
SELECT schedule_id, status, attempts, last_error->>'message' AS message FROM cmdsched.scheduled_commands;

SELECT count(*) FROM cmdsched.scheduled_commands WHERE cmdsched.cancel(schedule_id);
SELECT count(cmdsched.unregister_handler(command_type)) FROM cmdsched.handlers;
SELECT cmdsched.start();
\set VERBOSITY terse
DROP SCHEMA changed CASCADE;
DROP OWNED BY regress_changed;
DROP ROLE regress_changed;
