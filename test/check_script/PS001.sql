-- Operators, while somebody else's could be found.
CREATE SCHEMA ours;
SELECT ours.a + ours.b; -- bad
SELECT ours.a OPERATOR(pg_catalog.+) ours.b, - 1; -- bad
CREATE TABLE ours.t (a text, b text CHECK (b LIKE 'x'), -- bad
	CHECK (a IN ('x', 'y'))) WITH (fillfactor = 90); -- bad
CREATE INDEX i ON ours.t (a) WHERE a = 'infinity'; -- bad
UPDATE ours.t SET a = 'x', b = 'y'
 WHERE a <> 'x' -- bad
;
CREATE FUNCTION ours.f(IN a text) RETURNS boolean LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT f.a = 'x'; -- bad
	SELECT CASE WHEN true THEN f.a ELSE '-- ''=' END;
	/* = /* = */ = */
END;
CREATE FUNCTION ours.g() RETURNS boolean LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
	SELECT 'x' = 'y'
$$;
DO $$ BEGIN
	PERFORM 1 = 2; -- bad
END $$;
SET LOCAL search_path = pg_catalog, ours, pg_temp;
SELECT ours.a + ours.b;
RESET search_path;
SELECT count = 1 FROM ours.t; -- bad
SET search_path TO ours;
SELECT a * b FROM ours.t; -- bad
SELECT *, t.* FROM ours.t;
