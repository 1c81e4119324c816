-- Nobody but a superuser can attach anything to our tables, or change the schema:
-- what hangs on a table that the workers touch would run with their rights.

\set QUIET on
BEGIN;
SELECT no_plan();

CREATE ROLE tamper_other LOGIN;
CREATE ROLE tamper_user LOGIN;
CREATE ROLE tamper_member LOGIN IN ROLE tamper_user;
CREATE ROLE tamper_admin LOGIN CREATEDB CREATEROLE;
CREATE ROLE tamper_writer LOGIN IN ROLE pg_read_all_data, pg_write_all_data;
CREATE ROLE tamper_dba LOGIN;
CREATE SCHEMA tamper;
GRANT USAGE ON SCHEMA cmdsched TO PUBLIC;
GRANT ALL ON SCHEMA tamper, public TO PUBLIC;
GRANT CREATE ON DATABASE pgtap TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cmdsched TO tamper_admin;
ALTER DATABASE pgtap OWNER TO tamper_dba;
CREATE FUNCTION tamper.row_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION tamper.handler(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT cmdsched.register_handler('Tamper', 'tamper.handler(jsonb)') \gset
SET LOCAL ROLE tamper_user;
SELECT cmdsched.schedule('Tamper', '{}', now() + interval '1 hour', schedule_id => 'tamper') \gset
RESET ROLE;

-- What there is to change, as one text.
CREATE TEMP VIEW catalog AS
    SELECT md5(string_agg(object, E'\n' ORDER BY object)) AS sum
      FROM (SELECT c::text AS object FROM pg_class AS c WHERE relnamespace = 'cmdsched'::regnamespace
             UNION ALL SELECT a::text FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid WHERE relnamespace = 'cmdsched'::regnamespace
             UNION ALL SELECT t::text FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid WHERE relnamespace = 'cmdsched'::regnamespace
             UNION ALL SELECT r::text FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class WHERE relnamespace = 'cmdsched'::regnamespace
             UNION ALL SELECT p::text FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid WHERE relnamespace = 'cmdsched'::regnamespace
             UNION ALL SELECT k::text FROM pg_constraint AS k JOIN pg_class AS c ON c.oid IN (k.conrelid, k.confrelid) WHERE relnamespace = 'cmdsched'::regnamespace
             UNION ALL SELECT i::text FROM pg_inherits AS i JOIN pg_class AS c ON c.oid IN (i.inhrelid, i.inhparent) WHERE relnamespace = 'cmdsched'::regnamespace
             UNION ALL SELECT p::text FROM pg_proc AS p WHERE pronamespace = 'cmdsched'::regnamespace
             UNION ALL SELECT n::text FROM pg_namespace AS n WHERE nspname = 'cmdsched'
             UNION ALL SELECT e::text FROM pg_extension AS e WHERE extname = 'cmdsched'
             UNION ALL SELECT c::text FROM cmdsched.scheduled_commands AS c
             UNION ALL SELECT h::text FROM cmdsched.handlers AS h) AS o;
SELECT sum AS before FROM catalog \gset

-- The SQLSTATE, or done; what was done is undone.
CREATE FUNCTION pg_temp.answer(role name, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('role', role, true);
    EXECUTE statement;
    RAISE USING ERRCODE = 'XX999';
EXCEPTION
    WHEN SQLSTATE 'XX999' THEN
        RETURN 'done';
    WHEN OTHERS THEN
        RETURN SQLSTATE;
END
$$;
-- What others than the superuser get for it.
CREATE FUNCTION pg_temp.answers(statement text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(DISTINCT pg_temp.answer(rolname, statement), ', ') FROM pg_roles WHERE rolname LIKE 'tamper\_%'
$$;

-- ---------------------------------------------------------------------------
-- What would be called when a row is written, or read
-- ---------------------------------------------------------------------------

SELECT is(pg_temp.answers(format(statement, name)), '42501', format(statement, name))
  FROM unnest(ARRAY['cmdsched.scheduled_commands', 'cmdsched.handlers', 'cmdsched.home', 'cmdsched.hooks']) AS name,
       unnest(ARRAY['CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION tamper.row_trigger()',
                    'CREATE CONSTRAINT TRIGGER t AFTER DELETE ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tamper.row_trigger()',
                    'CREATE RULE r AS ON DELETE TO %s DO ALSO SELECT 1',
                    'CREATE POLICY p ON %s USING (true)',
                    'CREATE INDEX ON %s ((1))',
                    'CREATE STATISTICS tamper.s ON ctid, xmin FROM %s',
                    'ALTER TABLE %s ADD CHECK (true)',
                    'ALTER TABLE %s ADD COLUMN x text DEFAULT current_user',
                    'ALTER TABLE %s ADD COLUMN x text GENERATED ALWAYS AS (1) STORED',
                    'ALTER TABLE %s DISABLE ROW LEVEL SECURITY',
                    'ALTER TABLE %s FORCE ROW LEVEL SECURITY',
                    'ALTER TABLE %s DISABLE TRIGGER ALL',
                    'ALTER TABLE %s REPLICA IDENTITY FULL',
                    'CREATE TABLE tamper.child () INHERITS (%s)',
                    'ALTER TABLE %s SET (autovacuum_enabled = off)',
                    'ALTER TABLE %s RENAME TO renamed',
                    'ALTER TABLE %s SET SCHEMA tamper',
                    'ALTER TABLE %s OWNER TO CURRENT_USER',
                    'CREATE PUBLICATION tamper FOR TABLE %s',
                    'COMMENT ON TABLE %s IS ''tampered''',
                    'DROP TABLE %s CASCADE',
                    'REINDEX TABLE %s',
                    'TRUNCATE %s']) AS statement;
SELECT is(pg_temp.answers(statement), '42501', statement)
  FROM unnest(ARRAY['CREATE TABLE tamper.child (a text, b oid, FOREIGN KEY (a, b) REFERENCES cmdsched.scheduled_commands)',
                    'CREATE TABLE tamper.child (a text, b text, FOREIGN KEY (a, b) REFERENCES cmdsched.handlers)',
                    'ALTER TABLE cmdsched.scheduled_commands ALTER COLUMN status SET DEFAULT current_user',
                    'ALTER TABLE cmdsched.scheduled_commands DROP CONSTRAINT scheduled_commands_status_check',
                    'ALTER POLICY scheduled_by_me ON cmdsched.scheduled_commands USING (true)',
                    'DROP POLICY scheduled_by_me ON cmdsched.scheduled_commands',
                    'DROP INDEX cmdsched.scheduled_commands_due',
                    'ALTER INDEX cmdsched.scheduled_commands_due RENAME TO renamed',
                    'ALTER INDEX cmdsched.scheduled_commands_due SET (fillfactor = 10)',
                    'CREATE TRIGGER t INSTEAD OF DELETE ON cmdsched.workers FOR EACH ROW EXECUTE FUNCTION tamper.row_trigger()',
                    'CREATE OR REPLACE VIEW cmdsched.workers AS SELECT 1',
                    'CREATE RULE r AS ON INSERT TO cmdsched.workers DO INSTEAD NOTHING',
                    'ALTER VIEW cmdsched.workers SET (security_barrier)',
                    'CREATE CAST (cmdsched.scheduled_commands AS text) WITH INOUT AS IMPLICIT',
                    'CREATE CAST (text AS jsonb) WITH INOUT AS IMPLICIT',
                    'CREATE CAST (jsonb AS text) WITH INOUT AS IMPLICIT',
                    'CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION tamper.row_trigger()']) AS statement;

-- ---------------------------------------------------------------------------
-- The schema, the functions, the extension
-- ---------------------------------------------------------------------------

SELECT is(pg_temp.answers(statement), '42501', statement)
  FROM unnest(ARRAY['CREATE FUNCTION cmdsched.planted() RETURNS void LANGUAGE sql AS ''''',
                    'CREATE OR REPLACE FUNCTION cmdsched.run_once() RETURNS integer LANGUAGE sql AS ''SELECT 1''',
                    'CREATE TABLE cmdsched.planted ()',
                    'CREATE VIEW cmdsched.planted AS SELECT 1',
                    'CREATE TYPE cmdsched.planted AS ENUM ()',
                    'CREATE OPERATOR cmdsched.= (LEFTARG = text, RIGHTARG = jsonb, FUNCTION = pg_catalog.jsonb_exists)',
                    'ALTER FUNCTION cmdsched.run_once() SECURITY DEFINER',
                    'ALTER FUNCTION cmdsched.run_once() SET search_path = tamper',
                    'ALTER FUNCTION cmdsched.get(text) OWNER TO CURRENT_USER',
                    'ALTER FUNCTION cmdsched.get(text) SET SCHEMA tamper',
                    'DROP FUNCTION cmdsched.cancel(text)',
                    'ALTER SCHEMA cmdsched RENAME TO tampered',
                    'ALTER SCHEMA cmdsched OWNER TO CURRENT_USER',
                    'DROP SCHEMA cmdsched CASCADE',
                    'DROP EXTENSION cmdsched CASCADE',
                    'ALTER EXTENSION cmdsched SET SCHEMA tamper',
                    'ALTER EXTENSION cmdsched ADD FUNCTION tamper.row_trigger()',
                    'ALTER EXTENSION cmdsched DROP FUNCTION cmdsched.cancel(text)',
                    'ALTER EXTENSION cmdsched UPDATE TO ''1.0''',
                    'CREATE FUNCTION tamper.stolen() RETURNS void LANGUAGE c AS ''$libdir/cmdsched'', ''cmdsched_executor_main''']) AS statement;
-- Without a grant option this is an error only where the role has nothing.
SET LOCAL client_min_messages = error;
DO $$
DECLARE
    tamperer name;
    statement text;
BEGIN
    FOR tamperer, statement IN
        SELECT rolname, s
          FROM pg_roles, unnest(ARRAY['GRANT ALL ON ALL TABLES IN SCHEMA cmdsched TO PUBLIC', 'GRANT ALL ON SCHEMA cmdsched TO PUBLIC',
                                      'GRANT ALL ON ALL FUNCTIONS IN SCHEMA cmdsched TO PUBLIC', 'GRANT ALL ON FUNCTION cmdsched.start TO PUBLIC',
                                      'REVOKE ALL ON ALL TABLES IN SCHEMA cmdsched FROM PUBLIC', 'REVOKE ALL ON SCHEMA cmdsched FROM PUBLIC']) AS s
         WHERE rolname LIKE 'tamper\_%'
    LOOP
        PERFORM set_config('role', tamperer, true);
        BEGIN
            EXECUTE statement;
        EXCEPTION WHEN insufficient_privilege THEN
            NULL;
        END;
        RESET ROLE;
    END LOOP;
END
$$;
SET LOCAL client_min_messages = notice;
SELECT is(sum, :'before', 'nobody passes on privileges, or takes them away') FROM catalog;

-- ---------------------------------------------------------------------------
-- Locks: whoever may read can do what reading does, which holds up no worker
-- ---------------------------------------------------------------------------

SELECT is(string_agg(DISTINCT pg_temp.answer(rolname, format('LOCK TABLE %s IN %s MODE', name, mode)), ', '),
          CASE mode WHEN 'ACCESS SHARE' THEN 'done' ELSE '42501' END,
          'LOCK TABLE ' || name || ' IN ' || mode || ' MODE')
  FROM unnest(ARRAY['cmdsched.scheduled_commands', 'cmdsched.handlers', 'cmdsched.home', 'cmdsched.hooks']) AS name,
       unnest(ARRAY['ACCESS SHARE', 'ROW SHARE', 'ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE', 'SHARE', 'SHARE ROW EXCLUSIVE', 'EXCLUSIVE', 'ACCESS EXCLUSIVE']) AS mode,
       pg_roles
 WHERE rolname LIKE 'tamper\_%' AND rolname <> 'tamper_writer'
 GROUP BY name, mode ORDER BY name, mode;
SELECT is(string_agg(DISTINCT pg_temp.answer(rolname, 'SELECT * FROM ' || name || ' FOR ' || strength), ', '), '42501', 'SELECT FROM ' || name || ' FOR ' || strength)
  FROM unnest(ARRAY['cmdsched.scheduled_commands', 'cmdsched.handlers', 'cmdsched.home', 'cmdsched.hooks']) AS name,
       unnest(ARRAY['UPDATE', 'NO KEY UPDATE', 'SHARE', 'KEY SHARE']) AS strength,
       pg_roles
 WHERE rolname LIKE 'tamper\_%' AND rolname <> 'tamper_writer'
 GROUP BY name, strength ORDER BY name, strength;

-- ---------------------------------------------------------------------------
-- Settings
-- ---------------------------------------------------------------------------

SELECT is(pg_temp.answers(format(statement, name, setting)), '42501', format(statement, name, setting))
  FROM pg_settings, unnest(ARRAY['SET %s = %L', 'ALTER ROLE tamper_other SET %s = %L', 'ALTER DATABASE pgtap SET %s = %L']) AS statement
 WHERE name LIKE 'cmdsched.%' AND context = 'superuser';

SELECT * FROM finish();
ROLLBACK;
