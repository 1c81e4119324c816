-- Who may do what: a row for each object, and for each thing that can be done to
-- a command.  An object that is not in the first table here fails the test, so
-- that whoever adds one has to say who may use it.
--
-- The rows are printed as the names of the assertions: the columns are the role
-- that scheduled the command, another one, a member of the first, an
-- administrator (who was granted all functions) and a superuser.

\set QUIET on
BEGIN;
SELECT no_plan();

CREATE ROLE matrix_owner LOGIN;
CREATE ROLE matrix_other LOGIN;
CREATE ROLE matrix_member LOGIN IN ROLE matrix_owner;
CREATE ROLE matrix_admin LOGIN;
CREATE ROLE matrix_super LOGIN SUPERUSER;
CREATE ROLE matrix_nobody;
GRANT USAGE ON SCHEMA cmdsched TO matrix_owner, matrix_other, matrix_member, matrix_admin;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA cmdsched TO matrix_admin;

CREATE TEMP TABLE roles (n integer, role name);
INSERT INTO roles VALUES (1, 'matrix_owner'), (2, 'matrix_other'), (3, 'matrix_member'), (4, 'matrix_admin'), (5, 'matrix_super');
GRANT SELECT ON roles TO PUBLIC;

-- ---------------------------------------------------------------------------
-- Objects: (U)SAGE and (C)REATE; SELECT (r), INSERT (a), UPDATE (w),
-- DELETE (d), TRUNCATE (D), REFERENCES (x), TRIGGER (t); E(X)ECUTE
-- ---------------------------------------------------------------------------

CREATE TEMP TABLE object_matrix (object text, owner text, other text, member text, admin text, superuser text);
INSERT INTO object_matrix VALUES
    ('cmdsched', 'U', 'U', 'U', 'U', 'UC'),
    ('cmdsched.scheduled_commands', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.handlers', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.home', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.command_history', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.history_position', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.workers', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.stat_handlers', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.doctor()', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.worker_health()', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.stat_roles', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.stat_database', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.list_handler_statistics()', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.reset_statistics()', '-', '-', '-', 'X', 'X'),
    ('cmdsched.hooks', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.register_hook(text,regprocedure,integer)', '-', '-', '-', 'X', 'X'),
    ('cmdsched.unregister_hook(text,text)', '-', '-', '-', 'X', 'X'),
    ('cmdsched.enable_hook(text,text)', '-', '-', '-', 'X', 'X'),
    ('cmdsched.disable_hook(text,text,text)', '-', '-', '-', 'X', 'X'),
    ('cmdsched.check_hooks()', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.calendars', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.calendar_exceptions', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.policies', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.register_policy(text,regprocedure)', '-', '-', '-', 'X', 'X'),
    ('cmdsched.unregister_policy(text)', '-', '-', '-', 'X', 'X'),
    ('cmdsched.explain_schedule(text,jsonb,timestamp with time zone,jsonb,text,text,text,text,text,jsonb)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.create_calendar(text,text)', '-', '-', '-', 'X', 'X'),
    ('cmdsched.drop_calendar(text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.set_opening_hours(text,text,text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.add_exception(text,date,date,text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.remove_exception(text,date,date)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.next_open(text,timestamp with time zone)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.add_working_time(text,timestamp with time zone,interval)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.register_handler(text,regprocedure,text,integer,interval,interval,interval,text,boolean,boolean)', '-', '-', '-', 'X', 'X'),
    ('cmdsched.unregister_handler(text,text)', '-', '-', '-', 'X', 'X'),
    ('cmdsched.start()', '-', '-', '-', 'X', 'X'),
    ('cmdsched.stop(interval)', '-', '-', '-', 'X', 'X'),
    ('cmdsched.adopt()', '-', '-', '-', 'X', 'X'),
    ('cmdsched.schedule(text,jsonb,timestamp with time zone,jsonb,text,text,text,text,text,jsonb)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.schedule_in(text,jsonb,interval,jsonb,text,text,text,text,text,jsonb)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.schedule_on_change()', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.recurring', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.recurring_schedules', 'r', 'r', 'r', 'r', 'rawdDxt'),
    ('cmdsched.schedule_cron(text,text,text,jsonb,text,jsonb,text,text,text,text,integer,text,interval,timestamp with time zone,timestamp with time zone,bigint,text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.schedule_every(text,interval,text,jsonb,text,jsonb,text,text,text,text,integer,text,interval,timestamp with time zone,timestamp with time zone,bigint,text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.alter_recurring(text,text,interval,text,jsonb,text,jsonb,text,text,text,text,integer,text,interval,timestamp with time zone,timestamp with time zone,bigint,text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.pause_recurring(text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.resume_recurring(text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.unschedule(text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.get(text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.cancel(text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.reschedule(text,timestamp with time zone)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.retry(text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.get_due_commands(integer)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.delete_executed(text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.process_due_commands(integer)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.claim_due_commands(integer,text[],interval)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.complete(text,uuid,jsonb)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.fail(text,uuid,text,interval)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.extend_lease(text,uuid,interval)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.run_once()', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.trigger()', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.list_workers()', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.upcoming(interval,integer)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.explain_command(text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.current_command()', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.snooze(interval)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.abandon(text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.now()', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.set_clock(timestamp with time zone)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.advance_clock(interval)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.next_runs(text,text,timestamp with time zone,integer,text,text)', 'X', 'X', 'X', 'X', 'X'),
    ('cmdsched.run_sql(jsonb)', '-', '-', '-', 'X', 'X'),
    ('cmdsched.reset_clock()', 'X', 'X', 'X', 'X', 'X');

CREATE FUNCTION pg_temp.table_privileges(role name, relation oid) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(letter, '' ORDER BY n), '-')
      FROM (VALUES (1, 'r', 'SELECT'), (2, 'a', 'INSERT'), (3, 'w', 'UPDATE'), (4, 'd', 'DELETE'),
                   (5, 'D', 'TRUNCATE'), (6, 'x', 'REFERENCES'), (7, 't', 'TRIGGER')) AS v (n, letter, privilege)
     WHERE has_table_privilege(role, relation, privilege)
$$;
CREATE FUNCTION pg_temp.schema_privileges(role name, schema oid) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN has_schema_privilege(role, schema, 'USAGE') THEN 'U' ELSE '-' END
        || CASE WHEN has_schema_privilege(role, schema, 'CREATE') THEN 'C' ELSE '' END
$$;

-- Whatever is in the schema, or belongs to the extension.
CREATE FUNCTION pg_temp.extension_of(function oid) RETURNS name LANGUAGE sql AS $$
    SELECT e.extname FROM pg_depend AS d JOIN pg_extension AS e ON d.refobjid = e.oid AND d.refclassid = 'pg_extension'::regclass
     WHERE d.classid = 'pg_proc'::regclass AND d.objid = extension_of.function AND d.deptype = 'e'
$$;
CREATE TEMP VIEW objects AS
    SELECT n.oid::regnamespace::text AS object, pg_temp.schema_privileges(r.role, n.oid) AS privileges, r.n
      FROM pg_namespace AS n, roles AS r
     WHERE n.nspname = 'cmdsched'
     UNION ALL
    SELECT c.oid::regclass::text, pg_temp.table_privileges(r.role, c.oid), r.n
      FROM pg_class AS c, roles AS r
     WHERE c.relnamespace = 'cmdsched'::regnamespace AND c.relkind NOT IN ('i', 'I', 't', 'c') AND NOT c.relispartition
     UNION ALL
    SELECT p.oid::regprocedure::text, CASE WHEN has_function_privilege(r.role, p.oid, 'EXECUTE') THEN 'X' ELSE '-' END, r.n
      FROM pg_proc AS p, roles AS r
     WHERE (p.pronamespace = 'cmdsched'::regnamespace OR pg_temp.extension_of(p.oid) = 'cmdsched')
       -- Assertions for tests, which only those have who install them.
       AND pg_temp.extension_of(p.oid) IS DISTINCT FROM 'cmdsched_pgtap';
CREATE TEMP VIEW found AS
    SELECT object, array_agg(privileges ORDER BY n) AS privileges FROM objects GROUP BY object;

CREATE FUNCTION pg_temp.row_name(object text, cells text[]) RETURNS text LANGUAGE sql AS $$
    SELECT rpad(object, 108) || string_agg(rpad(cell, 9), '' ORDER BY n) FROM unnest(cells) WITH ORDINALITY AS c (cell, n)
$$;

SELECT '#        ' || pg_temp.row_name('', '{owner,other,member,admin,superuser}');
SELECT is(f.privileges, ARRAY[e.owner, e.other, e.member, e.admin, e.superuser],
          pg_temp.row_name(coalesce(e.object, f.object), coalesce(f.privileges, '{gone}')))
  FROM object_matrix AS e FULL JOIN found AS f USING (object)
 ORDER BY coalesce(e.object, f.object);

-- From 17 on there is one privilege more.
SELECT is(bool_or(CASE WHEN current_setting('server_version_num')::integer >= 170000
                       THEN has_table_privilege(r.role, c.oid, 'MAINTAIN') ELSE false END), false,
          'no one but a superuser may vacuum, analyze, cluster, reindex or lock')
  FROM roles AS r, pg_class AS c
 WHERE r.n < 5 AND c.relnamespace = 'cmdsched'::regnamespace AND c.relkind IN ('r', 'v');
-- Who has not been granted USAGE cannot even name them.
SELECT ok(NOT has_schema_privilege('matrix_nobody', 'cmdsched', 'USAGE'), 'who was granted nothing has nothing');
SELECT is(string_agg(object, ', '), NULL, 'nobody may pass on what was granted')
  FROM (SELECT c.oid::regclass::text AS object, c.relacl AS acl FROM pg_class AS c WHERE c.relnamespace = 'cmdsched'::regnamespace
         UNION ALL
        SELECT p.oid::regprocedure::text, p.proacl FROM pg_proc AS p WHERE p.pronamespace = 'cmdsched'::regnamespace) AS o,
       aclexplode(o.acl) AS a
 WHERE a.is_grantable;

-- ---------------------------------------------------------------------------
-- Commands of the owner: what is tried, and what comes of it
-- ---------------------------------------------------------------------------

CREATE SCHEMA matrix;
GRANT USAGE ON SCHEMA matrix TO PUBLIC;
CREATE FUNCTION matrix.handler(jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION matrix.of_admin(jsonb) RETURNS void LANGUAGE sql AS '';
ALTER FUNCTION matrix.of_admin(jsonb) OWNER TO matrix_admin;
SELECT cmdsched.register_handler('MatrixTest', 'matrix.handler(jsonb)') \gset
SELECT cmdsched.register_handler('MatrixMail', NULL, external => true) \gset
SELECT cmdsched.register_handler('MatrixPrint', NULL, external => true) \gset
SET LOCAL ROLE matrix_owner;
SELECT cmdsched.schedule('MatrixTest', '{"card": "4111"}', schedule_id => 'mine') \gset
SELECT cmdsched.schedule('MatrixTest', schedule_id => 'failed') \gset
SELECT cmdsched.schedule('MatrixMail', schedule_id => 'due') \gset
SELECT cmdsched.schedule('MatrixPrint', schedule_id => 'claimed') \gset
RESET ROLE;
UPDATE cmdsched.scheduled_commands SET status = 'failed', due_at = 'infinity', last_error = '{"message": "secret"}' WHERE schedule_id = 'failed';
SELECT claim_token AS token FROM cmdsched.claim_due_commands(1, '{MatrixPrint}') \gset

-- The answer, or the SQLSTATE; what was done is undone.
CREATE FUNCTION pg_temp.answer(role name, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
    state text;
BEGIN
    PERFORM set_config('role', role, true);
    EXECUTE statement INTO answer;
    RAISE USING ERRCODE = 'XX999', MESSAGE = coalesce(answer, '-');
EXCEPTION
    WHEN SQLSTATE 'XX999' THEN
        RETURN CASE SQLERRM WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' ELSE SQLERRM END;
    WHEN OTHERS THEN
        RETURN SQLSTATE;
END
$$;

CREATE TEMP TABLE command_matrix (what text, statement text, owner text, other text, member text, admin text, superuser text);
INSERT INTO command_matrix VALUES
    ('sees it in the table', $$SELECT count(*) = 1 FROM cmdsched.scheduled_commands WHERE schedule_id = 'mine' AND command_data->>'card' = '4111'$$,
     'yes', 'no', 'yes', 'no', 'yes'),
    ('sees why it failed', $$SELECT count(*) = 1 FROM cmdsched.scheduled_commands WHERE last_error->>'message' = 'secret'$$,
     'yes', 'no', 'yes', 'no', 'yes'),
    ('gets it', $$SELECT (cmdsched.get('mine')).command_data->>'card'$$, '4111', '-', '4111', '-', '4111'),
    ('sees that it is due', $$SELECT count(*) = 1 FROM cmdsched.get_due_commands() WHERE schedule_id = 'mine'$$,
     'yes', 'no', 'yes', 'no', 'yes'),
    ('cancels it', $$SELECT cmdsched.cancel('mine')$$, 'yes', 'no', 'yes', 'no', 'yes'),
    ('reschedules it', $$SELECT cmdsched.reschedule('mine', now())$$, 'yes', 'no', 'yes', 'no', 'yes'),
    ('retries it', $$SELECT cmdsched.retry('failed')$$, 'yes', 'no', 'yes', 'no', 'yes'),
    ('runs it', $$SELECT cmdsched.process_due_commands() = 1$$, 'yes', 'no', 'no', 'no', 'no'),
    ('claims it', $$SELECT count(*) = 1 FROM cmdsched.claim_due_commands(10)$$, 'yes', 'no', 'yes', 'no', 'yes'),
    ('completes it', format($$SELECT cmdsched.complete('claimed', %L)$$, :'token'), 'yes', 'no', 'yes', 'no', 'yes'),
    ('lets it fail', format($$SELECT cmdsched.fail('claimed', %L, 'no')$$, :'token'), 'yes', 'no', 'yes', 'no', 'yes'),
    ('extends its lease', format($$SELECT cmdsched.extend_lease('claimed', %L, '1 hour')$$, :'token'), 'yes', 'no', 'yes', 'no', 'yes'),
    ('writes it', $$UPDATE cmdsched.scheduled_commands SET execute_at = now() WHERE schedule_id = 'mine' RETURNING 'yes'$$,
     '42501', '42501', '42501', '42501', 'yes'),
    ('deletes it', $$DELETE FROM cmdsched.scheduled_commands WHERE schedule_id = 'mine' RETURNING 'yes'$$,
     '42501', '42501', '42501', '42501', 'yes'),
    ('adds one as its owner', $$INSERT INTO cmdsched.scheduled_commands SELECT 'forged', command_type, command_module, command_data, execute_at, status,
                                created_at, metadata, 'matrix_owner'::regrole, attempts, last_error, 'matrix_owner', due_at
                                FROM cmdsched.scheduled_commands WHERE schedule_id = 'mine' RETURNING 'yes'$$,
     '42501', '42501', '42501', '42501', 'yes'),
    ('registers another handler', $$SELECT cmdsched.register_handler('MatrixTest', 'matrix.handler(jsonb)')$$, '42501', '42501', '42501', '42501', ''),
    ('registers its own in its place', $$SELECT cmdsched.register_handler('MatrixTest', 'matrix.of_admin(jsonb)')$$, '42501', '42501', '42501', '42501', ''),
    ('registers its own', $$SELECT cmdsched.register_handler('MatrixNew', 'matrix.of_admin(jsonb)')$$, '42501', '42501', '42501', '', ''),
    ('unregisters the handler', $$SELECT cmdsched.unregister_handler('MatrixTest')$$, '42501', '42501', '42501', '42501', 'yes');

SELECT '#        ' || pg_temp.row_name('', '{owner,other,member,admin,superuser}');
SELECT is(f.answers, ARRAY[e.owner, e.other, e.member, e.admin, e.superuser], pg_temp.row_name(e.what, f.answers))
  FROM command_matrix AS e,
       LATERAL (SELECT array_agg(pg_temp.answer(r.role, e.statement) ORDER BY r.n) AS answers FROM roles AS r) AS f;

-- Without INHERIT, a member has nothing of it before SET ROLE.
CREATE ROLE matrix_reserved LOGIN NOINHERIT IN ROLE matrix_owner;
GRANT USAGE ON SCHEMA cmdsched TO matrix_reserved;
SELECT is(pg_temp.answer('matrix_reserved', statement), 'no', 'a member that does not inherit: ' || what)
  FROM command_matrix WHERE what IN ('sees it in the table', 'sees why it failed', 'sees that it is due', 'cancels it', 'reschedules it', 'retries it', 'runs it', 'claims it', 'completes it', 'lets it fail', 'extends its lease');

-- A role that may read and write every table: rows are hidden from it, and what
-- it could write would be run as somebody else.
GRANT pg_read_all_data, pg_write_all_data, pg_monitor TO matrix_other;
SELECT is(pg_temp.answer('matrix_other', statement), 'no', 'a role that may read all data: ' || what)
  FROM command_matrix WHERE what IN ('sees it in the table', 'sees why it failed');
SELECT is(pg_temp.answer('matrix_other', statement), expected, 'a role that may write all data: ' || what)
  FROM (VALUES
    ('forges a command', '42501', $$INSERT INTO cmdsched.scheduled_commands (schedule_id, command_type, command_data, execute_at, created_at, scheduled_by, scheduled_by_name, due_at)
                                    VALUES ('forged', 'MatrixTest', '{}', now(), now(), 10, 'postgres', now()) RETURNING 'forged'$$),
    ('changes a command', '-', $$UPDATE cmdsched.scheduled_commands SET execute_at = now() WHERE schedule_id = 'mine' RETURNING 'changed'$$),
    ('deletes a command', '-', $$DELETE FROM cmdsched.scheduled_commands WHERE schedule_id = 'mine' RETURNING 'deleted'$$),
    ('forges a handler', '42501', $$INSERT INTO cmdsched.handlers (command_type, handler, owner) VALUES ('Forged', 'matrix.of_admin(jsonb)', 10) RETURNING 'forged'$$),
    ('changes a handler', '-', $$UPDATE cmdsched.handlers SET handler = 'matrix.of_admin(jsonb)' WHERE command_type = 'MatrixTest' RETURNING 'changed'$$),
    ('deletes a handler', '-', $$DELETE FROM cmdsched.handlers WHERE command_type = 'MatrixTest' RETURNING 'deleted'$$),
    ('adopts a copy', '42501', $$INSERT INTO cmdsched.home (database) VALUES (0) RETURNING 'forged'$$),
    ('makes this a copy', '-', $$DELETE FROM cmdsched.home RETURNING 'deleted'$$)) AS v (what, expected, statement);
REVOKE pg_read_all_data, pg_write_all_data, pg_monitor FROM matrix_other;

-- An id is the role's own: nobody can find out by trying whether another role
-- uses it.
SET LOCAL ROLE matrix_other;
SELECT is(cmdsched.schedule('MatrixTest', '{"card": "none"}', schedule_id => 'mine', on_conflict => c), 'mine', 'another role may use the same id: ' || c)
  FROM unnest(ARRAY['error', 'keep', 'replace']) AS c;
RESET ROLE;
SELECT is(string_agg(scheduled_by_name || ' ' || command_data, ', ' ORDER BY scheduled_by_name), 'matrix_other {"card": "none"}, matrix_owner {"card": "4111"}', 'each has its own command')
  FROM cmdsched.scheduled_commands WHERE schedule_id = 'mine';

SELECT * FROM finish();
ROLLBACK;
