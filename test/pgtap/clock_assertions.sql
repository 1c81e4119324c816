-- The assertions of cmdsched_pgtap: when they hold, and what they say when they do not.

\set QUIET on
BEGIN;
SELECT no_plan();
SET LOCAL search_path = public, cmdsched;
SET LOCAL timezone = 'UTC';

CREATE SCHEMA assertions;
CREATE FUNCTION assertions.do(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE coalesce($1->>'do', 'SELECT'); END $$;
SELECT register_handler('Do', 'assertions.do(jsonb)', max_attempts => 3, backoff => '1 hour');
SELECT register_handler('Other', 'assertions.do(jsonb)', paused => true);
SELECT set_clock('2040-01-01');

-- -------------------------------------------------------------------------
-- is_scheduled(), isnt_scheduled(), scheduled_count_is()
-- -------------------------------------------------------------------------

SELECT * FROM check_test(is_scheduled('Do'), false, 'is_scheduled() of nothing', 'Do is scheduled', E'    wanted:\n        Do\n    found:\n        nothing');
SELECT * FROM check_test(isnt_scheduled('Do'), true, 'isnt_scheduled() of nothing', 'Do is not scheduled');
SELECT * FROM check_test(scheduled_count_is('Do', 0), true, 'scheduled_count_is() of nothing', 'Do is scheduled 0 times');

SELECT schedule('Other', '{"n": 1}', '2040-01-02', schedule_id => 'other');
SELECT * FROM check_test(is_scheduled('Do', '{"n": 2}', '2040-01-02', 'my words'), false, 'is_scheduled() of another type', 'my words',
                         E'    wanted:\n        Do {"n": 2} at 2040-01-02 00:00:00+00\n    found:\n        no Do, but 1 Other');

SELECT schedule('Do', '{"n": 1, "m": 2}', '2040-01-02', schedule_id => 'do 1');
SELECT schedule('Do', '{"n": 2}', '2040-01-03', schedule_id => 'do 2');
SELECT * FROM check_test(is_scheduled('Do'), true, 'is_scheduled()', 'Do is scheduled');
SELECT * FROM check_test(is_scheduled('Do', '{"m": 2}', '2040-01-02', 'my words'), true, 'is_scheduled() with all', 'my words');
SELECT * FROM check_test(is_scheduled('Do', NULL, '2040-01-03'), true, 'is_scheduled() with a time');
SELECT * FROM check_test(is_scheduled('Do', '{"n": 2}', '2040-01-02'), false, 'is_scheduled() at another time', 'Do is scheduled',
                         E'    wanted:\n        Do {"n": 2} at 2040-01-02 00:00:00+00\n    found:\n        Do {"m": 2, "n": 1} at 2040-01-02 00:00:00+00\n        Do {"n": 2} at 2040-01-03 00:00:00+00');
SELECT * FROM check_test(isnt_scheduled('Do', '{"n": 3}'), true, 'isnt_scheduled() of other data');
SELECT * FROM check_test(isnt_scheduled('Do', '{"n": 2}', NULL, 'my words'), false, 'isnt_scheduled() of what is', 'my words',
                         E'    wanted none:\n        Do {"n": 2}\n    found:\n        Do {"m": 2, "n": 1} at 2040-01-02 00:00:00+00\n        Do {"n": 2} at 2040-01-03 00:00:00+00');
SELECT * FROM check_test(scheduled_count_is('Do', 2, 'my words'), true, 'scheduled_count_is()', 'my words');
SELECT * FROM check_test(scheduled_count_is('Do', 1, command_data_contains => '{"n": 2}'), true, 'scheduled_count_is() with data');
SELECT * FROM check_test(scheduled_count_is('Do', 3), false, 'scheduled_count_is() of another number', 'Do is scheduled 3 times',
                         E'    wanted: 3\n    found: 2\n        Do {"m": 2, "n": 1} at 2040-01-02 00:00:00+00\n        Do {"n": 2} at 2040-01-03 00:00:00+00');

-- -------------------------------------------------------------------------
-- runs_ok(), fails_with()
-- -------------------------------------------------------------------------

SELECT * FROM check_test(runs_ok('nowhere'), false, 'runs_ok() of nothing', 'nowhere succeeds', E'    wanted: success of nowhere\n    found: there is no such command');
SELECT * FROM check_test(runs_ok('do 2', 'my words'), true, 'runs_ok()', 'my words');
SELECT is(cmdsched.now(), '2040-01-03', 'it has moved the clock');
SELECT isnt_scheduled('Do', NULL, NULL, 'it has run, and what was due before');
SELECT * FROM check_test(fails_with('other', '00000'), false, 'a paused one is not run', 'other fails with 00000',
                         E'    wanted: 00000 of other\n    found: it was not run: it is that of postgres, or its handler is paused or external');

SELECT schedule_in('Do', '{"do": "SELECT 1 / 0"}', '1 day', schedule_id => 'bad');
SELECT * FROM check_test(runs_ok('bad'), false, 'runs_ok() of one that fails', 'bad succeeds', E'    wanted: success of bad\n    found: 22012: division by zero');
SELECT is(attempts::integer, 1, 'one attempt was made') FROM get('bad');
SELECT * FROM check_test(fails_with('bad', '22012'), true, 'fails_with() of a retry', 'bad fails with 22012');
SELECT is(attempts::integer, 2, 'the second attempt was made') FROM get('bad');
SELECT cmp_ok(cmdsched.now(), '>', '2040-01-04 00:30'::timestamptz, 'after its backoff');
SELECT fails_with('bad', '22012', 'the last attempt');
SELECT * FROM check_test(fails_with('bad', '22012'), false, 'no attempt is left', 'bad fails with 22012', E'    wanted: 22012 of bad\n    found: it is failed: division by zero');
SELECT schedule_in('Do', '{"do": "SELECT 1 / 0"}', '1 day', schedule_id => 'worse');
SELECT * FROM check_test(fails_with('worse', '42P01', 'my words'), false, 'fails_with() another error', 'my words', E'    wanted: 42P01 of worse\n    found: 22012: division by zero');
SELECT schedule('Do', schedule_id => 'good');
SELECT * FROM check_test(fails_with('good', '22012'), false, 'fails_with() of one that succeeds', 'good fails with 22012', E'    wanted: 22012 of good\n    found: it succeeded');
SELECT * FROM check_test(runs_ok('good'), false, 'it has run', 'good succeeds', E'    wanted: success of good\n    found: there is no such command');

-- What happens before its time.
SELECT schedule_in('Do', '{"do": "SELECT cmdsched.cancel(''taken''), cmdsched.reschedule(''moved'', ''2041-01-01'')"}', '1 hour');
SELECT schedule_in('Do', '{}', '2 hours', schedule_id => id) FROM unnest('{taken,moved}'::text[]) AS id;
SELECT * FROM check_test(runs_ok('taken'), false, 'runs_ok() of one that is cancelled', 'taken succeeds', E'    wanted: success of taken\n    found: it was cancelled before its time');
SELECT schedule_in('Do', '{"do": "SELECT cmdsched.reschedule(''moved'', ''2042-01-01'')"}', '1 hour');
SELECT * FROM check_test(runs_ok('moved'), false, 'runs_ok() of one that is moved', 'moved succeeds', E'    wanted: success of moved\n    found: it was rescheduled to 2042-01-01 00:00:00+00 before its time');
SELECT schedule_in('Do', '{"do": "SELECT cmdsched.snooze(''1 day'')"}', '1 hour', schedule_id => 'tired');
SELECT * FROM check_test(runs_ok('tired'), false, 'runs_ok() of one that snoozes', 'tired succeeds', pg_catalog.format(E'    wanted: success of tired\n    found: it was put off to %s', cmdsched.now() + interval '1 day'));
-- One that schedules itself anew.
SELECT schedule_in('Do', '{"do": "SELECT cmdsched.schedule_in(''Other'', ''{}'', ''1 day'', schedule_id => ''anew'')"}', '1 hour', schedule_id => 'anew');
SELECT * FROM check_test(runs_ok('anew'), true, 'runs_ok() of one that schedules itself anew');

-- -------------------------------------------------------------------------
-- The catalog
-- -------------------------------------------------------------------------

CREATE TEMP VIEW functions AS
    SELECT p.*, p.oid::regprocedure::text AS signature
      FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
     WHERE e.extname = 'cmdsched_pgtap';
SELECT set_eq('SELECT proname::text FROM functions',
              '{is_scheduled,isnt_scheduled,scheduled_count_is,runs_ok,fails_with,pgtap_list_commands,pgtap_count_commands,pgtap_run_command}'::text[], 'the functions');
SELECT is(string_agg(signature, ', '), NULL, 'everything has a comment') FROM functions WHERE obj_description(oid, 'pg_proc') IS NULL;
SELECT is(string_agg(signature, ', '), NULL, 'privileges are written out') FROM functions WHERE proacl IS NULL;
SELECT is(string_agg(signature, ', '), NULL, 'everything is in the schema cmdsched') FROM functions WHERE pronamespace <> 'cmdsched'::regnamespace;
SELECT is(string_agg(signature, ', '), NULL, 'what calls no pgTAP function has its search_path pinned')
  FROM functions WHERE (proname LIKE 'pgtap%') <> (proconfig IS NOT NULL);
SELECT is(count(*), 0::bigint, 'no function runs as its owner') FROM functions WHERE prosecdef;

SELECT * FROM finish();
ROLLBACK;
