-- Functions that are looked for on the path.
CREATE SCHEMA ours;
SELECT now(); -- bad
SELECT pg_catalog.now(), greatest(1, 2), coalesce(1, 2), CAST(1 AS numeric(3, 2));
SELECT g.a FROM generate_series(1, 2) AS g (a); -- bad
CREATE TABLE ours.t (at timestamptz DEFAULT now(), -- bad
	name varchar(10), PRIMARY KEY (name));
CREATE FUNCTION ours.f(at timestamptz DEFAULT clock_timestamp(), -- bad
	weight numeric(3, 2) DEFAULT 0) RETURNS TABLE (a text) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM now();
END
$$;
CREATE TRIGGER t AFTER INSERT ON ours.t FOR EACH ROW EXECUTE FUNCTION f(); -- bad
INSERT INTO ours.t (at) VALUES (pg_catalog.now()) ON CONFLICT (name) DO NOTHING;
