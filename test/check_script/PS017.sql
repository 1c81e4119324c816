-- Tables and types that are looked for on the path.
CREATE SCHEMA ours;
CREATE TABLE t (a text); -- bad
CREATE TABLE ours.t (a text REFERENCES u (a)); -- bad
CREATE FUNCTION f() RETURNS void LANGUAGE c AS 'library'; -- bad
CREATE INDEX i ON t (a); -- bad
CREATE POLICY p ON t USING (true); -- bad
CREATE VIEW v AS SELECT 1; -- bad
SELECT a FROM t; -- bad
SELECT a FROM ours.t, u; -- bad
SELECT a FROM ours.t JOIN u USING (a); -- bad
WITH w AS (SELECT a FROM ours.t) SELECT a FROM w;
INSERT INTO t (a) VALUES ('x'); -- bad
UPDATE t SET a = 'x'; -- bad
DELETE FROM t; -- bad
SELECT EXTRACT(year FROM t.a), t.a IS DISTINCT FROM t.b FROM ours.t FOR UPDATE;
ALTER TABLE t ENABLE ROW LEVEL SECURITY; -- bad
DROP FUNCTION f(); -- bad
COMMENT ON TABLE t IS 'x'; -- bad
COMMENT ON FUNCTION ours.f(text, text) IS 'x';
COMMENT ON POLICY p ON t IS 'x'; -- bad
COMMENT ON SCHEMA ours IS 'x';
COMMENT ON COLUMN t.a IS 'x'; -- bad
COMMENT ON COLUMN ours.t.a IS 'x';
GRANT SELECT ON TABLE ours.t, t TO PUBLIC; -- bad
GRANT SELECT ON t TO PUBLIC; -- bad
GRANT USAGE ON SCHEMA ours TO PUBLIC;
SELECT 'x'::text; -- bad
SELECT 'x'::pg_catalog.text;
