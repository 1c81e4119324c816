-- What all parts of the fuzz test find: roles, handlers, and the values that
-- arguments are given.

CREATE EXTENSION cmdsched;
CREATE SCHEMA fuzz;

-- Neither is a superuser.  The admin has every privilege there is to be had,
-- and those of the user.
CREATE ROLE fuzz_user LOGIN;
CREATE ROLE fuzz_admin LOGIN;
GRANT fuzz_user TO fuzz_admin;
GRANT USAGE ON SCHEMA cmdsched, fuzz TO fuzz_user;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA cmdsched TO fuzz_admin;

-- ---------------------------------------------------------------------------
-- Handlers
-- ---------------------------------------------------------------------------

CREATE FUNCTION fuzz.nothing(jsonb) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION fuzz.fail(jsonb, jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'this handler fails'; END $$;
CREATE FUNCTION fuzz.same_time(timestamptz, jsonb) RETURNS timestamptz LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION fuzz.note(text, jsonb) RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
CREATE PROCEDURE fuzz.commit(cmdsched.scheduled_commands) LANGUAGE plpgsql AS 'BEGIN COMMIT; END';

-- Not its own: the admin must not be able to change that.
CREATE FUNCTION fuzz.call(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE $1->>'call'; END $$;

CREATE TABLE fuzz.changed (x integer, due timestamptz);
GRANT INSERT, TRIGGER ON fuzz.changed TO fuzz_user;

-- schedule_on_change() is reached by a trigger only.
CREATE FUNCTION fuzz.change(VARIADIC arguments text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE OR REPLACE TRIGGER changed AFTER INSERT ON fuzz.changed FOR EACH ROW EXECUTE FUNCTION cmdsched.schedule_on_change(%s)',
		(SELECT string_agg(quote_literal(a), ', ' ORDER BY n) FROM unnest(arguments) WITH ORDINALITY AS u (a, n) WHERE a IS NOT NULL));
	INSERT INTO fuzz.changed VALUES (1, now());
END
$$;

ALTER FUNCTION fuzz.nothing(jsonb) OWNER TO fuzz_admin;
ALTER FUNCTION fuzz.note(text, jsonb) OWNER TO fuzz_admin;
ALTER FUNCTION fuzz.same_time(timestamptz, jsonb) OWNER TO fuzz_admin;
SELECT cmdsched.register_policy('fuzz', 'fuzz.same_time(timestamptz, jsonb)');
ALTER FUNCTION fuzz.fail(jsonb, jsonb) OWNER TO fuzz_admin;
ALTER PROCEDURE fuzz.commit(cmdsched.scheduled_commands) OWNER TO fuzz_admin;
SET ROLE fuzz_admin;
SELECT cmdsched.register_handler('Fuzz', 'fuzz.nothing(jsonb)');
SELECT cmdsched.register_handler('FuzzFail', 'fuzz.fail(jsonb, jsonb)', max_attempts => 1);
SELECT cmdsched.register_handler('FuzzCommit', 'fuzz.commit(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('FuzzMail', NULL, external => true);
RESET ROLE;
SELECT cmdsched.register_handler('FuzzCall', 'fuzz.call(jsonb)', max_attempts => 1);
SELECT cmdsched.register_handler('FuzzSql', 'cmdsched.run_sql(jsonb)', max_attempts => 1);

-- ---------------------------------------------------------------------------
-- Values
-- ---------------------------------------------------------------------------

-- What is at the edge of a type, or of what we make of it.
CREATE TABLE fuzz.boundaries (type regtype, value text);
INSERT INTO fuzz.boundaries
SELECT t::regtype, unnest(v) FROM (VALUES
	('boolean', ARRAY['NULL', 'true', 'false']),
	('integer', ARRAY['NULL', '0', '1', '-1', '32767', '32768', '2147483647', '-2147483648']),
	('bigint', ARRAY['NULL', '0', '1', '-1', '9223372036854775807', '-9223372036854775808']),
	('text', ARRAY['NULL', $$''$$, $$' '$$, $$'x'$$, $$'-1'$$, $$'1 day'$$, $$'no such thing'$$, $$'%s%n%m$1'$$, $$E'\x01\x7f\n"\\'$$,
		$$E'\'; DROP SCHEMA fuzz CASCADE; --'$$, $$repeat('x', 255)$$, $$repeat('x', 256)$$, $$repeat('x', 10000)$$, $$repeat('x', 3000000)$$,
		$$repeat('ü', 127)$$, $$repeat('ü', 128)$$, $$U&'\+01F600\202E\0301\FEFF'$$, $$repeat(U&'\+01F600', 64)$$]),
	('jsonb', ARRAY['NULL', $$'null'$$, $$'true'$$, $$'0'$$, $$'-1e1000'$$, $$'""'$$, $$'[]'$$, $$'{}'$$, $$'{"": {"": [null]}}'$$,
		$$'{"correlation_id": null}'$$, $$'{"correlation_id": {"a": 1}, "causation_id": []}'$$, $$'{"correlation_id": 1e1000}'$$,
		$$jsonb_build_object('correlation_id', repeat('x', 10000))$$, $$(repeat('[', 1000) || repeat(']', 1000))::jsonb$$,
		$$(repeat('{"a":', 5000) || '0' || repeat('}', 5000))::jsonb$$, $$(SELECT jsonb_object_agg(i, i) FROM generate_series(1, 10000) AS i)$$,
		$$to_jsonb(repeat('x', 1048568))$$, $$to_jsonb(repeat('x', 1048569))$$, $$to_jsonb(repeat('x', 5000000))$$]),
	('uuid', ARRAY['NULL', 'gen_random_uuid()', $$'00000000-0000-0000-0000-000000000000'$$]),
	('text[]', ARRAY['NULL', $$'{}'$$, $$'{NULL}'$$, $$'{""}'$$, $$'{{FuzzMail},{Fuzz}}'$$, $$'[-1:0]={a,b}'$$, $$array_fill('FuzzMail'::text, '{10000}')$$,
		$$ARRAY[repeat('x', 1000000)]$$]),
	('timestamptz', ARRAY['NULL', $$'infinity'$$, $$'-infinity'$$, 'now()', $$now() + '1 microsecond'$$, $$clock_timestamp() + '20 milliseconds'$$,
		$$'epoch'$$, $$'4714-11-24 00:00+00 BC'$$, $$'294276-12-31 23:59:59.999999+00'$$, $$'2000-01-01 00:00+00'$$, $$'2038-01-19 03:14:08+00'$$]),
	('interval', ARRAY['NULL', $$'0'$$, $$'1 microsecond'$$, $$'-1 microsecond'$$, $$'20 milliseconds'$$, $$'-1 day'$$, $$'1 day -24 hours'$$,
		$$'1 month -30 days'$$, $$'-1 month 31 days'$$, $$'1 year -365 days'$$, $$'178000000 years'$$, $$'-178000000 years'$$,
		$$make_interval(days => 2147483647)$$, $$make_interval(days => -2147483648)$$, $$'2562047788 hours'$$, $$'-2562047788 hours'$$,
		$$'2147483647 months 2147483647 days 2562047788 hours'$$]),
	('date', ARRAY['NULL', $$'infinity'$$, $$'-infinity'$$, $$'4714-11-24 BC'$$, $$'5874897-12-31'$$, $$'2000-01-01'$$, 'current_date']),
	('regprocedure', ARRAY['NULL', '0', '1', '4294967295', $$'fuzz.nothing(jsonb)'$$, $$'fuzz.call(jsonb)'$$, $$'jsonb_typeof(jsonb)'$$, $$'int4in(cstring)'$$,
		$$'count(*)'$$, $$'row_number()'$$, $$'jsonb_agg(anyelement)'$$, $$'jsonb_each(jsonb)'$$, $$'jsonb_build_array("any")'$$,
		$$'cmdsched.schedule_on_change()'$$, $$'cmdsched.cancel(text)'$$])) AS b (t, v);
-- From 17 on.
INSERT INTO fuzz.boundaries
SELECT 'interval', unnest(ARRAY[$$'infinity'$$, $$'-infinity'$$]) WHERE current_setting('server_version_num')::integer >= 170000;

-- What such an argument usually is, so that the others are looked at.
CREATE TABLE fuzz.usual (argument name, value text);
INSERT INTO fuzz.usual
SELECT a, unnest(v) FROM (VALUES
	('command_type', ARRAY[$$'Fuzz'$$, $$'Fuzz'$$, $$'Fuzz'$$, $$'FuzzFail'$$, $$'FuzzCommit'$$, $$'FuzzMail'$$, $$'FuzzSql'$$]),
	('command_module', ARRAY[$$''$$]),
	('command_data', ARRAY[$$'{"a": 1}'$$, $$'{"sql": "SELECT 1; ANALYZE pg_class"}'$$, $$'{"sql": "VACUUM"}'$$]),
	('metadata', ARRAY['NULL', $$'{"correlation_id": "c"}'$$]),
	('schedule_id', ARRAY['NULL', $$'a'$$, $$'b'$$, $$'c'$$]),
	('on_conflict', ARRAY[$$'keep'$$, $$'replace'$$, $$'error'$$]),
	('execute_at', ARRAY['now()', $$now() + '1 second'$$, $$now() + '1 hour'$$]),
	('at', ARRAY[$$cmdsched.now() + '1 hour'$$]),
	('by', ARRAY[$$'1 hour'$$]),
	('delay', ARRAY[$$'0'$$, $$'1 second'$$, $$'1 hour'$$]),
	('handler', ARRAY[$$'fuzz.nothing(jsonb)'$$, $$'fuzz.commit(cmdsched.scheduled_commands)'$$]),
	('max_attempts', ARRAY['1', '10']),
	('backoff', ARRAY[$$'1 second'$$]),
	('max_backoff', ARRAY[$$'1 hour'$$]),
	('timeout', ARRAY[$$'5 seconds'$$]),
	('history', ARRAY[$$'none'$$, $$'failures'$$, $$'all'$$]),
	('external', ARRAY['false']),
	('paused', ARRAY['false']),
	('within', ARRAY[$$'1 hour'$$]),
	('buckets', ARRAY['1', '12']),
	('max_commands', ARRAY['NULL', '1', '100']),
	('command_types', ARRAY['NULL', $$'{FuzzMail}'$$]),
	('lease', ARRAY[$$'20 milliseconds'$$, $$'1 minute'$$]),
	('claim_token', ARRAY['gen_random_uuid()', $$(cmdsched.get('a')).claim_token$$, $$(cmdsched.get('b')).claim_token$$]),
	('result', ARRAY['NULL', $$'{"a": 1}'$$]),
	('error', ARRAY[$$'no'$$]),
	('retry_in', ARRAY['NULL', $$'0'$$, $$'1 second'$$]),
	('name', ARRAY[$$'r'$$, $$'s'$$]),
	('cron', ARRAY[$$'* * * * *'$$, $$'30 seconds'$$, $$'0 0 29 2 *'$$, $$'30 2 * * sun'$$]),
	('every', ARRAY[$$'1 second'$$, $$'1 day'$$]),
	('timezone', ARRAY['NULL', $$'Europe/Berlin'$$]),
	('dst_gap', ARRAY[$$'shift'$$, $$'skip'$$]),
	('dst_overlap', ARRAY[$$'first'$$, $$'last'$$, $$'both'$$]),
	('catch_up', ARRAY[$$'none'$$, $$'last'$$, $$'all'$$]),
	('catch_up_limit', ARRAY['1', '100']),
	('overlap', ARRAY[$$'skip'$$, $$'queue'$$, $$'allow'$$]),
	('spread', ARRAY[$$'0'$$, $$'1 second'$$]),
	('starts_at', ARRAY['NULL', 'now()']),
	('ends_at', ARRAY['NULL', $$now() + '1 hour'$$]),
	('max_runs', ARRAY['NULL', '1', '100']),
	('operation_pattern', ARRAY[$$'*'$$, $$'scheduler.dispatch.Fuzz*'$$]),
	('hook', ARRAY[$$'fuzz.note(text, jsonb)'$$]),
	('priority', ARRAY['0', '1']),
	('cron_or_interval', ARRAY[$$'*/5 9-17 * * 1-5'$$, $$'0 0 L * fri#2'$$, $$'1 month'$$]),
	('after', ARRAY['now()']),
	('count', ARRAY['1', '100']),
	('calendar', ARRAY['NULL', $$'r'$$, $$'s'$$]),
	('policy', ARRAY['NULL', $$'fuzz'$$]),
	('policy_options', ARRAY['NULL', 'NULL', 'NULL', $$'{}'$$]),
	('function', ARRAY[$$'fuzz.same_time(timestamptz, jsonb)'$$]),
	('weekdays', ARRAY[$$'mon-fri'$$, $$'sat, sun'$$]),
	('hours', ARRAY[$$'9:00-17:00'$$, $$'22:00-6:00'$$, $$'closed'$$]),
	('first_day', ARRAY['current_date', $$'2026-12-24'$$]),
	('last_day', ARRAY['NULL', $$'2999-12-31'$$]),
	('amount', ARRAY[$$'0'$$, $$'8 hours'$$, $$'1000000 hours'$$]),
	('reason', ARRAY[$$'because'$$])) AS u (a, v);

-- ---------------------------------------------------------------------------
-- For the end: can all executors be had at the same time?
-- ---------------------------------------------------------------------------

CREATE TABLE fuzz.gate (open boolean);
CREATE FUNCTION fuzz.wait(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM fuzz.gate) LOOP
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;
SELECT cmdsched.register_handler('FuzzWait', 'fuzz.wait(jsonb)');

CREATE FUNCTION fuzz.occupy_all_executors() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..current_setting('cmdsched.max_executors')::integer LOOP
		EXECUTE format('CREATE ROLE fuzz_%s LOGIN; GRANT USAGE ON SCHEMA cmdsched, fuzz TO fuzz_%1$s; GRANT SELECT ON fuzz.gate TO fuzz_%1$s; SET ROLE fuzz_%1$s', i);
		PERFORM cmdsched.schedule('FuzzWait');
		RESET ROLE;
	END LOOP;
END
$$;
