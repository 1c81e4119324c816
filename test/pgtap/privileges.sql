-- Who may do what, and what the catalog promises.

\set QUIET on
BEGIN;
SELECT no_plan();

CREATE ROLE regress_privileges;
GRANT USAGE ON SCHEMA cmdsched TO regress_privileges;

-- All that belongs to the extension.
CREATE TEMP VIEW members AS
    SELECT d.classid, d.objid, d.objsubid
      FROM pg_depend AS d JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE e.extname = 'cmdsched' AND d.deptype = 'e';
CREATE TEMP VIEW functions AS
    SELECT p.*, p.oid::regprocedure::text AS signature
      FROM pg_proc AS p JOIN members AS m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid;
CREATE TEMP VIEW relations AS
    SELECT c.* FROM pg_class AS c JOIN members AS m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid;

-- -------------------------------------------------------------------------
-- What there is
-- -------------------------------------------------------------------------

SELECT has_extension('cmdsched');
SELECT has_schema('cmdsched');
SELECT is(count(*), 0::bigint, 'every function is in the schema cmdsched')
  FROM functions WHERE pronamespace <> 'cmdsched'::regnamespace;
SELECT is(count(*), 0::bigint, 'every relation is in the schema cmdsched')
  FROM relations WHERE relnamespace <> 'cmdsched'::regnamespace;
SELECT set_eq('SELECT relname::text, relkind::text FROM relations WHERE NOT relispartition',
              $$VALUES ('command_history', 'p'), ('history_position', 'r'), ('scheduled_commands', 'r'), ('handlers', 'r'), ('hooks', 'r'), ('home', 'r'), ('workers', 'v'), ('stat_handlers', 'v'), ('stat_roles', 'v'), ('stat_database', 'v'), ('recurring', 'r'), ('recurring_schedules', 'v'), ('calendars', 'r'), ('calendar_exceptions', 'r'), ('policies', 'r')$$,
              'the tables and views');
SELECT set_eq('SELECT signature FROM functions',
              ARRAY['cmdsched.register_handler(text,regprocedure,text,integer,interval,interval,interval,text,boolean,boolean)',
                    'cmdsched.unregister_handler(text,text)',
                    'cmdsched.register_hook(text,regprocedure,integer)', 'cmdsched.unregister_hook(text,text)',
                    'cmdsched.enable_hook(text,text)', 'cmdsched.disable_hook(text,text,text)', 'cmdsched.check_hooks()',
                    'cmdsched.schedule(text,jsonb,timestamp with time zone,jsonb,text,text,text,text,text,jsonb)',
                    'cmdsched.schedule_in(text,jsonb,interval,jsonb,text,text,text,text,text,jsonb)',
                    'cmdsched.get(text)', 'cmdsched.cancel(text)',
                    'cmdsched.reschedule(text,timestamp with time zone)', 'cmdsched.retry(text)',
                    'cmdsched.schedule_on_change()',
                    'cmdsched.get_due_commands(integer)', 'cmdsched.delete_executed(text)', 'cmdsched.process_due_commands(integer)',
                    'cmdsched.start()', 'cmdsched.stop(interval)', 'cmdsched.trigger()', 'cmdsched.run_once()', 'cmdsched.list_workers()',
                    'cmdsched.list_handler_statistics()', 'cmdsched.reset_statistics()', 'cmdsched.doctor()', 'cmdsched.worker_health()',
                    'cmdsched.adopt()', 'cmdsched.now()', 'cmdsched.set_clock(timestamp with time zone)',
                    'cmdsched.advance_clock(interval)', 'cmdsched.reset_clock()',
                    'cmdsched.schedule_cron(text,text,text,jsonb,text,jsonb,text,text,text,text,integer,text,interval,timestamp with time zone,timestamp with time zone,bigint,text)',
                    'cmdsched.schedule_every(text,interval,text,jsonb,text,jsonb,text,text,text,text,integer,text,interval,timestamp with time zone,timestamp with time zone,bigint,text)',
                    'cmdsched.alter_recurring(text,text,interval,text,jsonb,text,jsonb,text,text,text,text,integer,text,interval,timestamp with time zone,timestamp with time zone,bigint,text)',
                    'cmdsched.pause_recurring(text)', 'cmdsched.resume_recurring(text)', 'cmdsched.unschedule(text)',
                    'cmdsched.next_runs(text,text,timestamp with time zone,integer,text,text)', 'cmdsched.run_sql(jsonb)',
                    'cmdsched.claim_due_commands(integer,text[],interval)', 'cmdsched.complete(text,uuid,jsonb)',
                    'cmdsched.fail(text,uuid,text,interval)', 'cmdsched.extend_lease(text,uuid,interval)',
                    'cmdsched.upcoming(interval,integer)', 'cmdsched.explain_command(text)',
                    'cmdsched.register_policy(text,regprocedure)', 'cmdsched.unregister_policy(text)',
                    'cmdsched.explain_schedule(text,jsonb,timestamp with time zone,jsonb,text,text,text,text,text,jsonb)',
                    'cmdsched.create_calendar(text,text)', 'cmdsched.drop_calendar(text)', 'cmdsched.set_opening_hours(text,text,text)',
                    'cmdsched.add_exception(text,date,date,text)', 'cmdsched.remove_exception(text,date,date)',
                    'cmdsched.next_open(text,timestamp with time zone)', 'cmdsched.add_working_time(text,timestamp with time zone,interval)',
                    'cmdsched.current_command()', 'cmdsched.snooze(interval)', 'cmdsched.abandon(text)'],
              'the functions');

-- Names, arguments and defaults, as applications call them.
SELECT is(pg_get_function_arguments(f::regprocedure), a, 'the arguments of ' || f)
  FROM (VALUES
    ('cmdsched.register_handler(text,regprocedure,text,integer,interval,interval,interval,text,boolean,boolean)',
     'command_type text, handler regprocedure, command_module text DEFAULT ''''::text, max_attempts integer DEFAULT 10, backoff interval DEFAULT ''00:00:01''::interval, max_backoff interval DEFAULT ''01:00:00''::interval, timeout interval DEFAULT NULL::interval, history text DEFAULT ''failures''::text, external boolean DEFAULT false, paused boolean DEFAULT false'),
    ('cmdsched.unregister_handler(text,text)', 'command_type text, command_module text DEFAULT ''''::text'),
    ('cmdsched.schedule(text,jsonb,timestamptz,jsonb,text,text,text,text,text,jsonb)',
     'command_type text, command_data jsonb DEFAULT ''{}''::jsonb, execute_at timestamp with time zone DEFAULT now(), metadata jsonb DEFAULT NULL::jsonb, schedule_id text DEFAULT NULL::text, command_module text DEFAULT ''''::text, on_conflict text DEFAULT ''keep''::text, calendar text DEFAULT NULL::text, policy text DEFAULT NULL::text, policy_options jsonb DEFAULT NULL::jsonb'),
    ('cmdsched.schedule_in(text,jsonb,interval,jsonb,text,text,text,text,text,jsonb)',
     'command_type text, command_data jsonb, delay interval, metadata jsonb DEFAULT NULL::jsonb, schedule_id text DEFAULT NULL::text, command_module text DEFAULT ''''::text, on_conflict text DEFAULT ''keep''::text, calendar text DEFAULT NULL::text, policy text DEFAULT NULL::text, policy_options jsonb DEFAULT NULL::jsonb'),
    ('cmdsched.register_hook(text,regprocedure,integer)', 'operation_pattern text, hook regprocedure, priority integer DEFAULT 0'),
    ('cmdsched.unregister_hook(text,text)', 'operation_pattern text, hook text'),
    ('cmdsched.enable_hook(text,text)', 'operation_pattern text, hook text'),
    ('cmdsched.disable_hook(text,text,text)', 'operation_pattern text, hook text, reason text DEFAULT NULL::text'),
    ('cmdsched.get(text)', 'schedule_id text'),
    ('cmdsched.cancel(text)', 'schedule_id text'),
    ('cmdsched.reschedule(text,timestamptz)', 'schedule_id text, execute_at timestamp with time zone'),
    ('cmdsched.retry(text)', 'schedule_id text'),
    ('cmdsched.schedule_on_change()', ''),
    ('cmdsched.get_due_commands(integer)', 'max_commands integer DEFAULT NULL::integer'),
    ('cmdsched.delete_executed(text)', 'schedule_id text'),
    ('cmdsched.process_due_commands(integer)', 'max_commands integer DEFAULT NULL::integer'),
    ('cmdsched.claim_due_commands(integer,text[],interval)',
     'max_commands integer, command_types text[] DEFAULT NULL::text[], lease interval DEFAULT ''00:00:30''::interval, OUT schedule_id text, OUT command_type text, OUT command_module text, OUT command_data jsonb, OUT metadata jsonb, OUT attempts integer, OUT claim_token uuid'),
    ('cmdsched.complete(text,uuid,jsonb)', 'schedule_id text, claim_token uuid, result jsonb DEFAULT NULL::jsonb'),
    ('cmdsched.fail(text,uuid,text,interval)', 'schedule_id text, claim_token uuid, error text, retry_in interval DEFAULT NULL::interval'),
    ('cmdsched.extend_lease(text,uuid,interval)', 'schedule_id text, claim_token uuid, lease interval'),
    ('cmdsched.upcoming(interval,integer)',
     'within interval DEFAULT ''01:00:00''::interval, buckets integer DEFAULT 12, OUT due_from timestamp with time zone, OUT due_until timestamp with time zone, OUT commands bigint, OUT for_applications bigint, OUT bar text'),
    ('cmdsched.explain_command(text)', 'schedule_id text'),
    ('cmdsched.start()', ''),
    ('cmdsched.stop(interval)', 'timeout interval DEFAULT ''00:00:05''::interval'),
    ('cmdsched.trigger()', ''),
    ('cmdsched.run_once()', ''),
    ('cmdsched.adopt()', ''),
    ('cmdsched.now()', ''),
    ('cmdsched.set_clock(timestamptz)', 'at timestamp with time zone'),
    ('cmdsched.advance_clock(interval)', 'by interval'),
    ('cmdsched.next_runs(text,text,timestamp with time zone,integer,text,text)',
     'cron_or_interval text, timezone text DEFAULT NULL::text, after timestamp with time zone DEFAULT cmdsched.now(), count integer DEFAULT 10, dst_gap text DEFAULT ''shift''::text, dst_overlap text DEFAULT ''first''::text'),
    ('cmdsched.run_sql(jsonb)', 'IN command_data jsonb'),
    ('cmdsched.reset_clock()', ''),
    ('cmdsched.current_command()', ''),
    ('cmdsched.snooze(interval)', 'delay interval'),
    ('cmdsched.abandon(text)', 'reason text')) AS v (f, a);
SELECT is(pg_get_function_result(f::regprocedure), r, 'the result of ' || f)
  FROM (VALUES
    ('cmdsched.register_handler(text,regprocedure,text,integer,interval,interval,interval,text,boolean,boolean)', 'void'),
    ('cmdsched.unregister_handler(text,text)', 'boolean'),
    ('cmdsched.schedule(text,jsonb,timestamptz,jsonb,text,text,text,text,text,jsonb)', 'text'),
    ('cmdsched.schedule_in(text,jsonb,interval,jsonb,text,text,text,text,text,jsonb)', 'text'),
    ('cmdsched.register_hook(text,regprocedure,integer)', 'void'),
    ('cmdsched.unregister_hook(text,text)', 'boolean'),
    ('cmdsched.enable_hook(text,text)', 'boolean'),
    ('cmdsched.disable_hook(text,text,text)', 'boolean'),
    ('cmdsched.check_hooks()', 'SETOF record'),
    ('cmdsched.get(text)', 'cmdsched.scheduled_commands'),
    ('cmdsched.cancel(text)', 'boolean'),
    ('cmdsched.reschedule(text,timestamptz)', 'boolean'),
    ('cmdsched.retry(text)', 'boolean'),
    ('cmdsched.schedule_on_change()', 'trigger'),
    ('cmdsched.get_due_commands(integer)', 'SETOF cmdsched.scheduled_commands'),
    ('cmdsched.delete_executed(text)', 'void'),
    ('cmdsched.process_due_commands(integer)', 'integer'),
    ('cmdsched.claim_due_commands(integer,text[],interval)', 'SETOF record'),
    ('cmdsched.complete(text,uuid,jsonb)', 'boolean'),
    ('cmdsched.fail(text,uuid,text,interval)', 'boolean'),
    ('cmdsched.extend_lease(text,uuid,interval)', 'boolean'),
    ('cmdsched.register_policy(text,regprocedure)', 'void'),
    ('cmdsched.unregister_policy(text)', 'boolean'),
    ('cmdsched.explain_schedule(text,jsonb,timestamp with time zone,jsonb,text,text,text,text,text,jsonb)', 'TABLE(step integer, rule text, moved_to timestamp with time zone, detail text)'),
    ('cmdsched.upcoming(interval,integer)', 'SETOF record'),
    ('cmdsched.explain_command(text)', 'TABLE(fact text, explanation text)'),
    ('cmdsched.schedule_cron(text,text,text,jsonb,text,jsonb,text,text,text,text,integer,text,interval,timestamp with time zone,timestamp with time zone,bigint,text)', 'text'),
    ('cmdsched.schedule_every(text,interval,text,jsonb,text,jsonb,text,text,text,text,integer,text,interval,timestamp with time zone,timestamp with time zone,bigint,text)', 'text'),
    ('cmdsched.alter_recurring(text,text,interval,text,jsonb,text,jsonb,text,text,text,text,integer,text,interval,timestamp with time zone,timestamp with time zone,bigint,text)', 'boolean'),
    ('cmdsched.pause_recurring(text)', 'boolean'),
    ('cmdsched.resume_recurring(text)', 'boolean'),
    ('cmdsched.unschedule(text)', 'boolean'),
    ('cmdsched.start()', 'boolean'),
    ('cmdsched.stop(interval)', 'boolean'),
    ('cmdsched.trigger()', 'void'),
    ('cmdsched.run_once()', 'integer'),
    ('cmdsched.adopt()', 'bigint'),
    ('cmdsched.now()', 'timestamp with time zone'),
    ('cmdsched.set_clock(timestamptz)', 'void'),
    ('cmdsched.advance_clock(interval)', 'integer'),
    ('cmdsched.next_runs(text,text,timestamp with time zone,integer,text,text)', 'SETOF timestamp with time zone'),
    ('cmdsched.reset_clock()', 'void'),
    ('cmdsched.current_command()', 'cmdsched.scheduled_commands'),
    ('cmdsched.snooze(interval)', 'void'),
    ('cmdsched.abandon(text)', 'void')) AS v (f, r);

SELECT col_type_is('cmdsched', 'scheduled_commands', c, t, 'scheduled_commands.' || c || ' is ' || t)
  FROM (VALUES ('schedule_id', 'text'), ('command_type', 'text'), ('command_module', 'text'), ('command_data', 'jsonb'),
               ('execute_at', 'timestamp with time zone'), ('status', 'text'), ('created_at', 'timestamp with time zone'),
               ('metadata', 'jsonb'), ('scheduled_by', 'oid'), ('attempts', 'smallint'), ('last_error', 'jsonb'),
               ('scheduled_by_name', 'name'), ('claimable_at', 'timestamp with time zone'), ('claim_token', 'uuid'), ('recurring', 'text'), ('occurrence_at', 'timestamp with time zone')) AS v (c, t);
SELECT col_is_null('cmdsched', 'scheduled_commands', c, c || ' may be null') FROM unnest('{metadata,last_error,claimable_at,claim_token,recurring,occurrence_at}'::name[]) AS c;
SELECT col_not_null('cmdsched', 'scheduled_commands', attname, attname || ' may not be null')
  FROM pg_attribute WHERE attrelid = 'cmdsched.scheduled_commands'::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('metadata', 'last_error', 'claimable_at', 'claim_token', 'recurring', 'occurrence_at');
SELECT col_is_pk('cmdsched', 'scheduled_commands', ARRAY['schedule_id', 'scheduled_by']::name[], 'the key of scheduled_commands');
SELECT col_is_pk('cmdsched', 'handlers', ARRAY['command_type', 'command_module']::name[], 'the key of handlers');
SELECT col_default_is('cmdsched', 'scheduled_commands', c, d, 'the default of ' || c)
  FROM (VALUES ('command_module', ''), ('status', 'pending'), ('attempts', '0')) AS v (c, d);
SELECT is(count(*), 0::bigint, 'all names sort by their bytes')
  FROM pg_attribute AS a JOIN relations AS r ON r.oid = a.attrelid
 WHERE r.relkind = 'r' AND a.atttypid = 'text'::regtype AND a.attcollation <> '"C"'::regcollation;
SELECT columns_are('cmdsched', 'workers', ARRAY['pid', 'kind', 'role', 'state', 'since', 'commands_run', 'schedule_id', 'command_type', 'command_since']::name[]);
SELECT throws_ok($$INSERT INTO cmdsched.scheduled_commands (schedule_id, command_type, command_data, execute_at, created_at, scheduled_by, scheduled_by_name, due_at, status)
                   VALUES ('x', 'x', '{}', now(), now(), 10, 'x', now(), 'running')$$, '23514', NULL, 'there is no other status');

-- -------------------------------------------------------------------------
-- Privileges
-- -------------------------------------------------------------------------

SELECT is((SELECT count(*) FROM pg_namespace, aclexplode(nspacl) AS a WHERE nspname = 'cmdsched' AND a.grantee = 0), 0::bigint,
          'PUBLIC has nothing on the schema');
SELECT table_privs_are('cmdsched', relname, 'regress_privileges', ARRAY['SELECT'], 'a role may only read ' || relname)
  FROM relations WHERE relkind IN ('r', 'p', 'v') AND NOT relispartition ORDER BY relname;
SELECT is(count(*), 16::bigint, 'of the parts of the history it may not even read') FROM relations WHERE relispartition AND relrowsecurity
   AND NOT has_table_privilege('regress_privileges', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER');
SELECT is(count(*), 0::bigint, 'and no policy lets anybody see a row there') FROM relations AS r JOIN pg_policy AS p ON p.polrelid = r.oid WHERE r.relispartition;
SELECT is(count(*), 0::bigint, 'nobody has a privilege on a column')
  FROM pg_attribute AS a JOIN relations AS r ON r.oid = a.attrelid WHERE a.attacl IS NOT NULL;
SELECT set_eq(format($$SELECT signature FROM functions WHERE NOT has_function_privilege(%L, oid, 'EXECUTE')$$, 'regress_privileges'),
              ARRAY['cmdsched.register_handler(text,regprocedure,text,integer,interval,interval,interval,text,boolean,boolean)',
                    'cmdsched.unregister_handler(text,text)', 'cmdsched.start()', 'cmdsched.stop(interval)', 'cmdsched.adopt()', 'cmdsched.reset_statistics()',
                    'cmdsched.register_hook(text,regprocedure,integer)', 'cmdsched.unregister_hook(text,text)',
                    'cmdsched.enable_hook(text,text)', 'cmdsched.disable_hook(text,text,text)', 'cmdsched.create_calendar(text,text)', 'cmdsched.run_sql(jsonb)',
                    'cmdsched.register_policy(text,regprocedure)', 'cmdsched.unregister_policy(text)'],
              'only the functions of the administrator are closed');
SELECT is(count(*), 0::bigint, 'no function runs as its owner') FROM functions WHERE prosecdef;
SELECT is(count(*), 0::bigint, 'no function claims not to leak') FROM functions WHERE proleakproof;

-- Reading is filtered by role, writing has no way in.
SELECT ok(relrowsecurity, 'row level security is on for scheduled_commands') FROM pg_class WHERE oid = 'cmdsched.scheduled_commands'::regclass;
SELECT policies_are('cmdsched', 'scheduled_commands', ARRAY['scheduled_by_me']::name[]);
SELECT ok(relrowsecurity, 'row level security is on for command_history') FROM pg_class WHERE oid = 'cmdsched.command_history'::regclass;
SELECT ok(relrowsecurity, 'row level security is on for recurring') FROM pg_class WHERE oid = 'cmdsched.recurring'::regclass;
SELECT policies_are('cmdsched', 'recurring', ARRAY['scheduled_by_me']::name[]);
SELECT policies_are('cmdsched', 'command_history', ARRAY['scheduled_by_me']::name[]);
SELECT policy_cmd_is('cmdsched', 'command_history', 'scheduled_by_me'::name, 'select');
SELECT policy_cmd_is('cmdsched', 'scheduled_commands', 'scheduled_by_me'::name, 'select');
SELECT is(polroles, '{0}'::oid[], 'it holds for everybody') FROM pg_policy WHERE polrelid = 'cmdsched.scheduled_commands'::regclass;
SET LOCAL ROLE regress_privileges;
SELECT throws_ok(s, '42501', NULL, s)
  FROM unnest(ARRAY['INSERT INTO cmdsched.scheduled_commands SELECT * FROM cmdsched.scheduled_commands',
                    'UPDATE cmdsched.scheduled_commands SET execute_at = now()',
                    'DELETE FROM cmdsched.scheduled_commands',
                    'TRUNCATE cmdsched.scheduled_commands',
                    'SELECT * FROM cmdsched.scheduled_commands FOR UPDATE',
                    'LOCK TABLE cmdsched.scheduled_commands',
                    'INSERT INTO cmdsched.handlers (command_type, handler, owner) VALUES (''x'', ''f(jsonb)'', 10)',
                    'UPDATE cmdsched.handlers SET paused = true',
                    'DELETE FROM cmdsched.handlers',
                    'UPDATE cmdsched.hooks SET enabled = false',
                    'TRUNCATE cmdsched.handlers',
                    'DELETE FROM cmdsched.command_history',
                    'TRUNCATE cmdsched.command_history',
                    'SELECT FROM cmdsched.command_history_0',
                    'TRUNCATE cmdsched.command_history_0',
                    'UPDATE cmdsched.history_position SET slot = 0',
                    'CREATE FUNCTION cmdsched.f() RETURNS void LANGUAGE sql AS ''''',
                    'ALTER TABLE cmdsched.scheduled_commands DISABLE ROW LEVEL SECURITY',
                    'SELECT cmdsched.register_handler(''x'', ''jsonb_typeof(jsonb)'')',
                    'SELECT cmdsched.unregister_handler(''x'')',
                    'SELECT cmdsched.start()',
                    'SELECT cmdsched.adopt()',
                    'SELECT cmdsched.stop()']) AS s;
SELECT lives_ok(s, s)
  FROM unnest(ARRAY['SELECT * FROM cmdsched.scheduled_commands', 'SELECT * FROM cmdsched.handlers', 'SELECT * FROM cmdsched.command_history', 'SELECT * FROM cmdsched.workers', 'SELECT * FROM cmdsched.doctor()', 'SELECT * FROM cmdsched.stat_handlers', 'SELECT * FROM cmdsched.stat_roles', 'SELECT * FROM cmdsched.stat_database',
                    'SELECT * FROM cmdsched.get_due_commands()', 'SELECT cmdsched.get(''x'')', 'SELECT cmdsched.cancel(''x'')',
                    'SELECT cmdsched.reschedule(''x'', now())', 'SELECT cmdsched.retry(''x'')', 'SELECT cmdsched.delete_executed(''x'')',
                    'SELECT cmdsched.process_due_commands()', 'SELECT cmdsched.run_once()', 'SELECT cmdsched.trigger()',
                    'SELECT cmdsched.current_command()', 'SELECT cmdsched.now()', 'SELECT cmdsched.advance_clock(''1 hour'')',
                    'SELECT cmdsched.reset_clock()', 'SELECT cmdsched.set_clock(now() + ''1 day'')', 'SELECT cmdsched.reset_clock()']) AS s;
RESET ROLE;
-- Settings are the administrator's: not one session's, nor one role's.
SELECT is(count(*), 0::bigint, 'no setting can be changed in a session') FROM pg_settings WHERE name LIKE 'cmdsched.%' AND context IN ('user', 'backend');
SELECT cmp_ok(count(*), '>=', 10::bigint, 'the settings are there') FROM pg_settings WHERE name LIKE 'cmdsched.%';
SELECT is(string_agg(name, ', '), NULL, 'every setting says what it sets') FROM pg_settings WHERE name LIKE 'cmdsched.%' AND short_desc NOT LIKE 'Sets %';

-- -------------------------------------------------------------------------
-- The catalog
-- -------------------------------------------------------------------------

SELECT is(string_agg(pg_describe_object(classid, objid, objsubid), ', '), NULL, 'everything has a comment')
  FROM members
 WHERE classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_namespace'::regclass)
   AND obj_description(objid, classid::regclass::text) IS NULL;
SELECT isnt(obj_description(oid, 'pg_extension'), NULL, 'the extension has a comment') FROM pg_extension WHERE extname = 'cmdsched';
SELECT is(string_agg(a.attrelid::regclass || '.' || a.attname, ', '), NULL, 'every column of a table has a comment')
  FROM pg_attribute AS a JOIN relations AS r ON r.oid = a.attrelid
 WHERE r.relkind IN ('r', 'p') AND NOT r.relispartition AND a.attnum > 0 AND NOT a.attisdropped AND col_description(a.attrelid, a.attnum) IS NULL;
SELECT is(string_agg(signature, ', '), NULL, 'every function is C, or has its search_path pinned')
  FROM functions AS f
 WHERE prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')
   AND NOT coalesce(proconfig && ARRAY['search_path=pg_catalog, pg_temp', 'search_path=""'], false);
SELECT is(string_agg(signature, ', '), NULL, 'SQL functions are parsed at creation')
  FROM functions WHERE prolang = (SELECT oid FROM pg_language WHERE lanname = 'sql') AND prosqlbody IS NULL;
SELECT set_eq($$SELECT proname::text FROM functions WHERE provolatile <> 'v'$$, ARRAY['get', 'next_runs', 'next_open', 'add_working_time'], 'only what reads is not volatile');
SELECT set_eq($$SELECT proname::text FROM functions WHERE proparallel = 's'$$, ARRAY['get', 'next_runs'], 'only plain reads are parallel safe');
SELECT set_eq($$SELECT proname::text FROM functions WHERE proisstrict$$, ARRAY['get'], 'only get() is strict: the others say what may not be null');
SELECT is(string_agg(a.attrelid::regclass || '.' || a.attname, ', '), NULL, 'no column has a type that pg_upgrade or pg_restore stumbles over')
  FROM pg_attribute AS a JOIN relations AS r ON r.oid = a.attrelid JOIN pg_type AS t ON t.oid = a.atttypid
 WHERE r.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
   AND (t.typname LIKE 'reg%' OR t.oid >= 16384 OR t.typname IN ('aclitem', 'unknown', 'name') AND a.attname <> 'scheduled_by_name');
SELECT set_eq($$SELECT c::regclass::text FROM pg_extension, unnest(extconfig) AS c WHERE extname = 'cmdsched'$$,
              ARRAY(SELECT 'cmdsched.command_history_' || i FROM generate_series(0, 15) AS i) || ARRAY['cmdsched.history_position', 'cmdsched.scheduled_commands', 'cmdsched.handlers', 'cmdsched.hooks', 'cmdsched.recurring', 'cmdsched.calendars', 'cmdsched.calendar_exceptions', 'cmdsched.policies'], 'pg_dump keeps the rows of the tables');
SELECT is(array_to_string(extcondition, ''), '', 'and all of them') FROM pg_extension WHERE extname = 'cmdsched';
SELECT is(count(*), 0::bigint, 'no rule and no trigger of ours is in the way')
  FROM relations AS r WHERE r.relkind = 'r' AND (r.relhasrules OR r.relhastriggers);
SELECT ok(NOT extrelocatable, 'the extension stays in its schema') FROM pg_extension WHERE extname = 'cmdsched';

SELECT * FROM finish();
ROLLBACK;
