-- CASE with a value compares by an operator that cannot be qualified.
SELECT CASE ours.a WHEN true THEN 1 ELSE 2 END; -- bad
SELECT CASE WHEN ours.a THEN 1 ELSE 2 END;
SET search_path = pg_catalog, pg_temp;
SELECT CASE ours.a WHEN true THEN 1 ELSE 2 END;
