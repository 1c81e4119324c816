-- Handlers that change while their commands are scheduled and run.

CREATE TABLE fuzz.ledger (id bigint PRIMARY KEY);
CREATE TABLE fuzz.effects (id bigint, by_procedure boolean);
CREATE SEQUENCE fuzz.ids;
GRANT ALL ON fuzz.ledger, fuzz.effects TO fuzz_user;
GRANT USAGE ON fuzz.ids TO fuzz_user;

CREATE FUNCTION fuzz.note(jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO fuzz.effects VALUES (($1->>'id')::bigint, $1 ? 'procedure') $$;

-- Makes the handler another one, or none, or makes it good again.
CREATE FUNCTION fuzz.change_handler(how integer) RETURNS void LANGUAGE plpgsql SET check_function_bodies = off AS $$
DECLARE
	changes CONSTANT text[] = ARRAY[
		'CREATE FUNCTION fuzz.victim(jsonb) RETURNS void LANGUAGE plpgsql AS ''BEGIN PERFORM fuzz.note($1); END''',
		'CREATE FUNCTION fuzz.victim(jsonb) RETURNS text LANGUAGE sql AS ''SELECT fuzz.note($1); SELECT ''''x''''::text''',
		'CREATE FUNCTION fuzz.victim(jsonb) RETURNS record LANGUAGE plpgsql AS ''BEGIN PERFORM fuzz.note($1); RETURN ROW(1, 2); END''',
		'CREATE PROCEDURE fuzz.victim(jsonb) LANGUAGE plpgsql AS ''BEGIN PERFORM fuzz.note($1 || ''''{"procedure": true}''''); END''',
		'CREATE FUNCTION fuzz.victim(jsonb) RETURNS SETOF jsonb LANGUAGE sql AS ''SELECT $1''',
		'CREATE FUNCTION fuzz.victim(jsonb) RETURNS SETOF jsonb LANGUAGE plpgsql AS ''BEGIN RETURN NEXT $1; END''',
		'CREATE AGGREGATE fuzz.victim(jsonb) (SFUNC = jsonb_concat, STYPE = jsonb)',
		'CREATE FUNCTION fuzz.victim(jsonb) RETURNS void LANGUAGE plpgsql AS ''no such syntax''',
		'CREATE FUNCTION fuzz.victim(jsonb) RETURNS void LANGUAGE sql AS ''SELECT no_such_function($1)''',
		'CREATE FUNCTION fuzz.victim(jsonb) RETURNS void LANGUAGE plpgsql AS ''BEGIN PERFORM fuzz.note($1); RAISE ''''undone''''; END''',
		'CREATE FUNCTION fuzz.victim(jsonb, jsonb) RETURNS void LANGUAGE plpgsql AS ''BEGIN END''',
		'CREATE FUNCTION fuzz.victim(text) RETURNS void LANGUAGE plpgsql AS ''BEGIN END''',
		'CREATE FUNCTION fuzz.victim() RETURNS void LANGUAGE plpgsql AS ''BEGIN END''',
		'SELECT'];
	old regprocedure;
BEGIN
	-- DDL on the same function at the same time fails by itself, and, where the
	-- news of the last one are not there yet, with an internal error.
	PERFORM pg_advisory_xact_lock(1);
	FOR old IN SELECT oid FROM pg_proc WHERE pronamespace = 'fuzz'::regnamespace AND proname = 'victim' LOOP
		EXECUTE format('DROP ROUTINE %s', old);
	END LOOP;
	EXECUTE changes[how % cardinality(changes) + 1];
	IF to_regprocedure('fuzz.victim(jsonb)') IS NOT NULL AND how % 3 = 0 THEN
		PERFORM cmdsched.register_handler('Victim', to_regprocedure('fuzz.victim(jsonb)'), max_attempts => 1);
	END IF;
EXCEPTION
	WHEN wrong_object_type OR undefined_function OR internal_error THEN NULL;
END
$$;

-- Takes the right to call it away, or gives it back; takes it to another name.
CREATE FUNCTION fuzz.alter_handler(how integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	changes CONSTANT text[] = ARRAY['REVOKE EXECUTE ON FUNCTION fuzz.victim FROM PUBLIC', 'GRANT EXECUTE ON FUNCTION fuzz.victim TO PUBLIC',
		'ALTER FUNCTION fuzz.victim RENAME TO gone', 'ALTER FUNCTION fuzz.gone RENAME TO victim', 'ALTER FUNCTION fuzz.victim OWNER TO fuzz_user',
		'ALTER FUNCTION fuzz.victim SET work_mem = ''1MB''', 'ALTER FUNCTION fuzz.victim STRICT', 'ALTER FUNCTION fuzz.victim SECURITY DEFINER'];
BEGIN
	PERFORM pg_advisory_xact_lock(1);
	EXECUTE changes[how % cardinality(changes) + 1];
EXCEPTION
	WHEN undefined_function OR ambiguous_function OR duplicate_function OR wrong_object_type OR internal_error THEN NULL;
END
$$;

-- Only what was scheduled is in the ledger.
CREATE FUNCTION fuzz.schedule_victims(count integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	id bigint;
BEGIN
	FOR i IN 1..count LOOP
		id = nextval('fuzz.ids');
		PERFORM cmdsched.schedule('Victim', jsonb_build_object('id', id));
		INSERT INTO fuzz.ledger VALUES (id);
	END LOOP;
EXCEPTION
	WHEN undefined_object OR undefined_function OR insufficient_privilege OR wrong_object_type THEN NULL;
END
$$;

SELECT fuzz.change_handler(0);
