-- Commands run as the role that scheduled them, and nobody sees or gets more than that role has.
\i test/sql/include/shared.sql
SELECT cmdsched.start() IS NOT NULL AS started;

CREATE ROLE regress_roles_shop LOGIN;
CREATE ROLE regress_roles_guest LOGIN;
CREATE ROLE regress_roles_manager LOGIN;
CREATE ROLE regress_roles_stranger LOGIN;
GRANT regress_roles_shop TO regress_roles_manager;
GRANT USAGE ON SCHEMA cmdsched TO regress_roles_shop, regress_roles_guest, regress_roles_manager;
GRANT EXECUTE ON FUNCTION cmdsched.register_handler, cmdsched.unregister_handler TO regress_roles_shop, regress_roles_manager;
CREATE SCHEMA roles AUTHORIZATION regress_roles_shop;
GRANT USAGE ON SCHEMA roles TO PUBLIC;

-- Without USAGE on the schema there is no way in.
SET ROLE regress_roles_stranger;
SELECT cmdsched.schedule('Look');
SELECT * FROM cmdsched.scheduled_commands;
RESET ROLE;

SET ROLE regress_roles_shop;
CREATE TABLE roles.log (n serial, command text, as_user name DEFAULT current_user, as_session name DEFAULT session_user, what text);
CREATE TABLE roles.secrets (secret text);
CREATE FUNCTION roles.look(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    INSERT INTO roles.log (command, what) VALUES (c.schedule_id, current_setting('is_superuser'))
$$;
CREATE FUNCTION roles.read_secrets(jsonb) RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM FROM roles.secrets; END';
CREATE FUNCTION roles.look_as_owner(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO roles.log (command, what) SELECT c.schedule_id, count(*) || ' secrets' FROM roles.secrets
$$;
GRANT INSERT ON roles.log TO PUBLIC;
GRANT USAGE ON SEQUENCE roles.log_n_seq TO PUBLIC;
SELECT cmdsched.register_handler('Look', 'roles.look(cmdsched.scheduled_commands)', max_attempts => 1);
SELECT cmdsched.register_handler('ReadSecrets', 'roles.read_secrets(jsonb)', max_attempts => 1);
SELECT cmdsched.register_handler('LookAsOwner', 'roles.look_as_owner(cmdsched.scheduled_commands)', max_attempts => 1);
SELECT command_type, handler, owner = current_user::regrole::oid AS mine FROM cmdsched.handlers ORDER BY 1;

-- Each runs as its own role, also where one becomes the other with SET ROLE.
SELECT cmdsched.schedule('Look', schedule_id => 'by shop');
SET ROLE regress_roles_guest;
SELECT cmdsched.schedule('Look', schedule_id => 'by guest');
SET ROLE regress_roles_manager;
SELECT cmdsched.schedule('Look', schedule_id => 'by manager');
SET SESSION AUTHORIZATION regress_roles_manager;
SET ROLE regress_roles_shop;
SELECT cmdsched.schedule('Look', schedule_id => 'by manager as shop');
RESET ROLE;
RESET SESSION AUTHORIZATION;
SELECT pg_temp.wait_until_gone('by %');
SELECT command, as_user, as_session, what AS is_superuser FROM roles.log ORDER BY command;
TRUNCATE roles.log;
-- A handler is no way to what the role may not do, unless its owner made it one.
SET ROLE regress_roles_guest;
SELECT cmdsched.schedule('ReadSecrets', schedule_id => 'secrets');
SELECT cmdsched.schedule('LookAsOwner', schedule_id => 'as owner');
RESET ROLE;
SELECT pg_temp.wait_for($$status = 'failed' FROM cmdsched.get('secrets')$$);
SELECT pg_temp.wait_until_gone('as owner');
SELECT scheduled_by_name, status, attempts, last_error->>'sqlstate' AS sqlstate, last_error->>'message' AS message, cmdsched.cancel('secrets') FROM cmdsched.get('secrets');
SELECT command, as_user, as_session, what FROM roles.log;
TRUNCATE roles.log;
-- A function that schedules as its owner.
CREATE FUNCTION roles.schedule_as_owner() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT cmdsched.schedule('Look', schedule_id => 'as definer')
$$;
ALTER FUNCTION roles.schedule_as_owner OWNER TO regress_roles_shop;
SET ROLE regress_roles_guest;
SELECT roles.schedule_as_owner();
RESET ROLE;
SELECT pg_temp.wait_until_gone('as definer');
SELECT command, as_user, as_session FROM roles.log;
TRUNCATE roles.log;
-- A handler's way up: there is none.
SET ROLE regress_roles_shop;
CREATE FUNCTION roles.escape(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE $1 #>> '{}';
    INSERT INTO roles.log (command, what) VALUES ((cmdsched.current_command()).schedule_id, 'escaped');
END
$$;
SELECT cmdsched.register_handler('Escape', 'roles.escape(jsonb)', max_attempts => 1);
SET ROLE regress_roles_guest;
SELECT cmdsched.schedule('Escape', to_jsonb(s), schedule_id => 'escape ' || n)
  FROM unnest(ARRAY['SET ROLE regress_roles_shop', 'SET SESSION AUTHORIZATION regress_roles_shop', 'SELECT set_config(''role'', ''regress_roles_manager'', false)',
                    'DELETE FROM cmdsched.scheduled_commands', 'UPDATE cmdsched.handlers SET max_attempts = 5']) WITH ORDINALITY AS v (s, n);
-- RESET is no error, and leads nowhere.
SELECT cmdsched.schedule('Escape', '"RESET SESSION AUTHORIZATION; RESET ROLE"', schedule_id => 'reset');
RESET ROLE;
SELECT pg_temp.wait_until_gone('reset');
SELECT pg_temp.wait_for($$count(*) = 5 FROM cmdsched.scheduled_commands WHERE status = 'failed'$$);
SELECT command, as_user, as_session FROM roles.log;
SELECT schedule_id, last_error->>'sqlstate' AS sqlstate, last_error->>'message' AS message FROM cmdsched.scheduled_commands ORDER BY schedule_id;
SELECT count(*) FROM cmdsched.scheduled_commands WHERE cmdsched.cancel(schedule_id);
TRUNCATE roles.log;

-- A superuser's commands run only what a superuser owns.
SELECT cmdsched.schedule('Look');
CREATE FUNCTION roles.super(jsonb) RETURNS void LANGUAGE sql AS '';
SELECT cmdsched.register_handler('Super', 'roles.super(jsonb)');
SELECT cmdsched.schedule('Super', schedule_id => 'super');
SELECT pg_temp.wait_until_gone('super');
BEGIN;
SELECT cmdsched.schedule('Super', schedule_id => 'super');
ALTER FUNCTION roles.super(jsonb) OWNER TO regress_roles_shop;
COMMIT;
SELECT pg_temp.wait_for($$status = 'held' FROM cmdsched.get('super')$$);
SELECT attempts, last_error->>'sqlstate' AS sqlstate, last_error->>'message' AS message FROM cmdsched.get('super');
ALTER FUNCTION roles.super(jsonb) OWNER TO CURRENT_USER;
SELECT cmdsched.retry('super');
SELECT pg_temp.wait_until_gone('super');
-- Nor by hand.
SELECT cmdsched.stop();
SELECT cmdsched.schedule('Super', schedule_id => 'super');
ALTER FUNCTION roles.super(jsonb) OWNER TO regress_roles_shop;
SELECT cmdsched.process_due_commands();
SELECT status, last_error->>'sqlstate' AS sqlstate FROM cmdsched.get('super');
SELECT cmdsched.cancel('super');

-- Who sees what: one's own, and that of roles whose privileges one has.
SET ROLE regress_roles_shop;
SELECT cmdsched.schedule('Look', schedule_id => 'of shop');
SET ROLE regress_roles_guest;
SELECT cmdsched.schedule('Look', schedule_id => 'of guest');
SELECT schedule_id FROM cmdsched.scheduled_commands;
SELECT schedule_id FROM cmdsched.get_due_commands();
SELECT cmdsched.get('of shop') IS NULL AS not_mine, (cmdsched.get('of guest')).schedule_id AS mine;
SET ROLE regress_roles_manager;
SELECT schedule_id FROM cmdsched.scheduled_commands;
SELECT schedule_id FROM cmdsched.get_due_commands();
SELECT (cmdsched.get('of shop')).schedule_id;
-- But each runs its own only.
SELECT cmdsched.process_due_commands();
RESET ROLE;
SELECT schedule_id FROM cmdsched.scheduled_commands ORDER BY 1;
SELECT cmdsched.run_once();
SELECT schedule_id FROM cmdsched.get_due_commands() ORDER BY 1;
SET row_security = off;
SELECT count(*) FROM cmdsched.scheduled_commands;
SET ROLE regress_roles_guest;
SELECT count(*) FROM cmdsched.scheduled_commands;
RESET row_security;
SELECT cmdsched.run_once();
RESET ROLE;
SELECT command, as_user FROM roles.log;
TRUNCATE roles.log;
SELECT cmdsched.start();
SELECT pg_temp.wait_until_gone('of %');
TRUNCATE roles.log;
-- What a role does cannot be read through a function that is not leakproof.
SET ROLE regress_roles_guest;
SELECT cmdsched.schedule('Look', '{"token": "guest"}', now() + interval '1 hour', schedule_id => 'secret');
SET ROLE regress_roles_shop;
CREATE FUNCTION roles.leak(jsonb) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN RAISE NOTICE ''%'', $1; RETURN true; END';
SELECT count(*) FROM cmdsched.scheduled_commands WHERE roles.leak(command_data);
RESET ROLE;
SELECT cmdsched.cancel('secret');

-- Who may register: the owner of the function, and then only over one's own.
SET ROLE regress_roles_manager;
SELECT cmdsched.register_handler('Look', 'roles.look(cmdsched.scheduled_commands)', max_attempts => 2);
SELECT cmdsched.register_handler('Super', 'roles.look(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('Typeof', 'pg_catalog.jsonb_typeof(jsonb)');
SET ROLE regress_roles_shop;
SELECT cmdsched.unregister_handler('Look');
RESET ROLE;
SELECT cmdsched.register_handler('Look', 'roles.look(cmdsched.scheduled_commands)');

-- Settings of a role hold in its workers too, but not those that would keep it from working.
ALTER ROLE regress_roles_guest SET search_path = roles, pg_temp;
ALTER ROLE regress_roles_guest SET work_mem = '7MB';
ALTER ROLE regress_roles_guest SET default_transaction_read_only = on;
ALTER ROLE regress_roles_guest SET default_transaction_isolation = 'serializable';
ALTER ROLE regress_roles_guest SET statement_timeout = '1ms';
ALTER ROLE regress_roles_guest SET role = 'none';
ALTER ROLE regress_roles_guest SET row_security = off;
SELECT cmdsched.stop();
SELECT cmdsched.start();
SET ROLE regress_roles_shop;
CREATE FUNCTION roles.show_settings(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    INSERT INTO roles.log (command, what)
    SELECT c.schedule_id, string_agg(concat_ws(' ', name, current_setting(name)), ', ' ORDER BY name)
      FROM unnest('{search_path,work_mem,transaction_read_only,transaction_isolation,statement_timeout,role,row_security}'::text[]) AS name
$$;
SELECT cmdsched.register_handler('ShowSettings', 'roles.show_settings(cmdsched.scheduled_commands)');
SET ROLE regress_roles_guest;
SELECT cmdsched.schedule('ShowSettings', schedule_id => 'settings');
RESET ROLE;
SELECT pg_temp.wait_until_gone('settings');
SELECT as_user, what FROM roles.log;
TRUNCATE roles.log;
ALTER ROLE regress_roles_guest RESET ALL;

-- Nothing that a role puts in the way is called by our own statements, which run as the extension's owner.
SET ROLE regress_roles_shop;
CREATE TABLE roles.hijacked (by_whom name);
CREATE FUNCTION roles.hijack(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO roles.hijacked VALUES (current_user); RETURN true; END';
CREATE FUNCTION roles.hijack(oid, oid) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO roles.hijacked VALUES (current_user); RETURN true; END';
CREATE FUNCTION roles.pg_has_role(oid, oid, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO roles.hijacked VALUES (current_user); RETURN true; END';
CREATE FUNCTION roles.pg_has_role(oid, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN INSERT INTO roles.hijacked VALUES (current_user); RETURN true; END';
CREATE OPERATOR roles.= (LEFTARG = text, RIGHTARG = text, FUNCTION = roles.hijack);
CREATE OPERATOR roles.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = roles.hijack);
RESET ROLE;
-- In a new session, which has nothing prepared yet.
\c -
SET ROLE regress_roles_shop;
SET search_path = roles, pg_catalog;
CREATE TEMP TABLE scheduled_commands (LIKE cmdsched.scheduled_commands);
CREATE TEMP TABLE pg_roles (oid oid, rolname name);
SELECT cmdsched.schedule('Look', execute_at => now() + interval '1 hour', schedule_id => 'h');
SELECT cmdsched.schedule('Look', execute_at => now() + interval '1 hour', schedule_id => 'h', on_conflict => 'replace');
SELECT (cmdsched.get('h')).schedule_id;
SELECT cmdsched.reschedule('h', now() + interval '2 hours'), cmdsched.retry('h'), cmdsched.cancel('h');
SELECT cmdsched.delete_executed('h');
SELECT count(*) FROM cmdsched.get_due_commands();
SELECT cmdsched.process_due_commands(), cmdsched.run_once();
SELECT count(*) >= 0 AS shown FROM cmdsched.workers;
SELECT cmdsched.unregister_handler('Escape');
RESET search_path;
SELECT * FROM roles.hijacked;
RESET ROLE;
\i test/sql/include/shared.sql

-- A role's new name is no obstacle.
SET ROLE regress_roles_guest;
SELECT cmdsched.schedule_in('Look', '{}', '1 hour', schedule_id => 'renamed');
RESET ROLE;
ALTER ROLE regress_roles_guest RENAME TO regress_roles_visitor;
SELECT cmdsched.reschedule('renamed', now());
SELECT pg_temp.wait_until_gone('renamed');
SELECT command, as_user FROM roles.log;

SELECT schedule_id FROM cmdsched.scheduled_commands;
SELECT count(cmdsched.unregister_handler(command_type)) FROM cmdsched.handlers;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA roles CASCADE;
DROP OWNED BY regress_roles_shop, regress_roles_visitor, regress_roles_manager, regress_roles_stranger;
DROP ROLE regress_roles_shop, regress_roles_visitor, regress_roles_manager, regress_roles_stranger;
