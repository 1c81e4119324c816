-- A role's privileges are those that it has when its command runs, not when it scheduled it.
\i test/sql/include/shared.sql
SELECT cmdsched.start() IS NOT NULL AS started;

CREATE ROLE regress_role_changes LOGIN;
CREATE ROLE regress_role_changes_group;
CREATE SCHEMA role_changes;
CREATE TABLE role_changes.log (command text);
CREATE TABLE role_changes.secrets (secret text);
GRANT USAGE ON SCHEMA cmdsched, role_changes TO regress_role_changes;
GRANT INSERT ON role_changes.log TO regress_role_changes;
CREATE FUNCTION role_changes.write(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    INSERT INTO role_changes.log (command) VALUES (c.schedule_id)
$$;
CREATE FUNCTION role_changes.read_secrets(c cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM role_changes.secrets;
    PERFORM role_changes.write(c);
END
$$;
CREATE FUNCTION role_changes.of_group(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS 'SELECT role_changes.write(c)';
REVOKE EXECUTE ON FUNCTION role_changes.of_group FROM PUBLIC;
GRANT EXECUTE ON FUNCTION role_changes.of_group TO regress_role_changes_group;
CREATE FUNCTION role_changes.of_nobody_special(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS 'SELECT role_changes.write(c)';
ALTER FUNCTION role_changes.of_nobody_special OWNER TO regress_role_changes_group;
SELECT cmdsched.register_handler('Write', 'role_changes.write(cmdsched.scheduled_commands)', max_attempts => 1),
       cmdsched.register_handler('ReadSecrets', 'role_changes.read_secrets(cmdsched.scheduled_commands)', max_attempts => 1),
       cmdsched.register_handler('OfGroup', 'role_changes.of_group(cmdsched.scheduled_commands)', max_attempts => 1),
       cmdsched.register_handler('OfNobodySpecial', 'role_changes.of_nobody_special(cmdsched.scheduled_commands)', max_attempts => 1);

-- Schedules for in an hour, makes the change, and brings it forward.
CREATE PROCEDURE pg_temp.change_and_run(command_type text, change text) LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL ROLE regress_role_changes;
    PERFORM cmdsched.schedule_in(command_type, '{}', '1 hour', schedule_id => change);
    RESET ROLE;
    COMMIT;
    EXECUTE change;
    COMMIT;
    PERFORM cmdsched.reschedule(change, now());
    COMMIT;
    PERFORM pg_temp.wait_for(format('NOT EXISTS (SELECT FROM cmdsched.scheduled_commands WHERE schedule_id = %L AND status = ''pending'')', change));
END
$$;
CREATE VIEW pg_temp.outcome AS
    SELECT schedule_id, status, attempts, last_error->>'sqlstate' AS sqlstate, last_error->>'message' AS message FROM cmdsched.scheduled_commands;

-- So that a worker is there, which has to hear of all that follows.
CALL pg_temp.change_and_run('Write', 'SELECT 1');

-- Membership.
GRANT regress_role_changes_group TO regress_role_changes;
CALL pg_temp.change_and_run('OfGroup', 'REVOKE regress_role_changes_group FROM regress_role_changes');
SELECT * FROM pg_temp.outcome;
GRANT regress_role_changes_group TO regress_role_changes;
SELECT cmdsched.retry(schedule_id) FROM cmdsched.scheduled_commands;
SELECT pg_temp.wait_until_gone('REVOKE%');

-- No superuser any more: it may no longer what it could.
ALTER ROLE regress_role_changes SUPERUSER;
CALL pg_temp.change_and_run('ReadSecrets', 'SELECT 2');
CALL pg_temp.change_and_run('ReadSecrets', 'ALTER ROLE regress_role_changes NOSUPERUSER');
SELECT * FROM pg_temp.outcome;
SELECT cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands;

-- A superuser now: it runs only what a superuser owns.
CALL pg_temp.change_and_run('OfNobodySpecial', 'SELECT 3');
CALL pg_temp.change_and_run('OfNobodySpecial', 'ALTER ROLE regress_role_changes SUPERUSER');
SELECT * FROM pg_temp.outcome;
ALTER ROLE regress_role_changes NOSUPERUSER;
SELECT cmdsched.retry(schedule_id) FROM cmdsched.scheduled_commands;
SELECT pg_temp.wait_until_gone('ALTER%');

SELECT command AS ran FROM role_changes.log ORDER BY command;
SELECT count(*) FROM cmdsched.scheduled_commands;

SELECT count(cmdsched.unregister_handler(command_type)) FROM cmdsched.handlers;
DROP OWNED BY regress_role_changes, regress_role_changes_group;
DROP ROLE regress_role_changes, regress_role_changes_group;
\set VERBOSITY terse
DROP SCHEMA role_changes CASCADE;
