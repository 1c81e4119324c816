-- Prints the calls of one role, for psql: every function, every value at every
-- place, then others at random, :calls in all.  The same :seed gives the same
-- calls.

CREATE FUNCTION pg_temp.one_of(choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT choices[1 + floor(random() * cardinality(choices))::integer]
$$;

-- What can be put in each argument of each function.
CREATE TEMPORARY TABLE arguments AS
SELECT p.proname AS function, a.n, p.proargnames[a.n] AS name, a.n > p.pronargs - p.pronargdefaults AS optional,
	   (SELECT array_agg(b.value ORDER BY b.value) FROM fuzz.boundaries AS b WHERE b.type = a.type) AS boundaries,
	   (SELECT array_agg(u.value ORDER BY u.value) FROM fuzz.usual AS u WHERE u.argument = p.proargnames[a.n]) AS usual
  FROM pg_proc AS p
 CROSS JOIN LATERAL unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, n)
 WHERE p.pronamespace = 'cmdsched'::regnamespace
UNION ALL
SELECT 'schedule_on_change', n, NULL, n = 3, (SELECT array_agg(b.value ORDER BY b.value) FROM fuzz.boundaries AS b WHERE b.type = 'text'::regtype), usual
  FROM (VALUES (1, ARRAY[$$'Fuzz'$$]), (2, ARRAY[$$'0'$$, $$'1 hour'$$]), (3, ARRAY[$$'due'$$, $$'x'$$])) AS v (n, usual);

-- A new type or argument has to be thought about.
DO $$
DECLARE
	a record;
BEGIN
	FOR a IN SELECT * FROM arguments WHERE boundaries IS NULL OR usual IS NULL LOOP
		RAISE 'there are no values for argument % of %()', a.name, a.function;
	END LOOP;
END
$$;

-- A call, with the value in the n-th argument.  Without them at random.
CREATE FUNCTION pg_temp.make_call(function name, place integer, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	a record;
	chosen text;
	list text[] = '{}';
BEGIN
	FOR a IN SELECT * FROM arguments WHERE arguments.function = make_call.function ORDER BY n LOOP
		CONTINUE WHEN a.n IS DISTINCT FROM place AND a.optional AND random() < 0.3;
		IF a.n = place THEN
			chosen = value;
		ELSIF place IS NULL AND random() < 0.3 THEN
			chosen = pg_temp.one_of(a.boundaries);
		ELSE
			chosen = pg_temp.one_of(a.usual);
		END IF;
		list = list || concat(a.name || ' => ', chosen);
	END LOOP;
	RETURN format('%s(%s)', CASE function WHEN 'schedule_on_change' THEN 'fuzz.change' ELSE 'cmdsched.' || quote_ident(function) END,
		array_to_string(list, ', '));
END
$$;

-- As it comes, in a transaction that ends otherwise, or by a handler.
CREATE FUNCTION pg_temp.make_statement(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	statement text = format(CASE WHEN call LIKE 'cmdsched.run\_sql(%' THEN 'CALL %s;' ELSE 'SELECT * FROM %s;' END, call);
	in_handler text = format('SELECT cmdsched.schedule(''FuzzCall'', jsonb_build_object(''call'', %L));', statement);
BEGIN
	CASE floor(random() * 10)::integer
		WHEN 0 THEN
			RETURN format('BEGIN; %s ROLLBACK;', statement);
		WHEN 1 THEN
			RETURN format(E'BEGIN; %s\n\\if :ERROR\nROLLBACK;\n\\else\nPREPARE TRANSACTION ''fuzz'';\n%s PREPARED ''fuzz'';\n\\endif',
				statement, pg_temp.one_of('{COMMIT,ROLLBACK}'));
		WHEN 2 THEN
			RETURN in_handler;
		WHEN 3 THEN
			RETURN format('BEGIN; %s SELECT cmdsched.run_once(); COMMIT;', in_handler);
		ELSE
			RETURN statement;
	END CASE;
END
$$;

SELECT setseed(hashint4(:seed) / 2147483648.0) AS seeded \gset
CREATE TEMPORARY TABLE calls (n serial, call text);
CREATE TEMPORARY TABLE functions AS
SELECT array_agg(proname::text ORDER BY proname) AS names FROM pg_proc WHERE pronamespace = 'cmdsched'::regnamespace;
INSERT INTO calls (call)
SELECT pg_temp.make_call(name::name, NULL, NULL) FROM functions, unnest(names) AS name;
INSERT INTO calls (call)
SELECT pg_temp.make_call(a.function, a.n::integer, b.value)
  FROM arguments AS a, unnest(a.boundaries) AS b (value)
 ORDER BY a.function, a.n, b.value;
INSERT INTO calls (call)
SELECT pg_temp.make_call(pg_temp.one_of(names)::name, NULL, NULL) FROM functions, generate_series((SELECT count(*) + 1 FROM calls), :calls);

\echo SET ROLE :role;
SELECT pg_temp.make_statement(call) FROM calls ORDER BY n;
