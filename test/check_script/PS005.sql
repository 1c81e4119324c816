-- Other functions without a path.
CREATE SCHEMA ours;
CREATE FUNCTION ours.f() RETURNS void LANGUAGE sql AS ''; -- bad
CREATE FUNCTION ours.g() RETURNS void LANGUAGE plpgsql SET work_mem = '1MB' AS 'BEGIN END'; -- bad
CREATE PROCEDURE ours.h() BEGIN ATOMIC END; -- bad
CREATE FUNCTION ours.i() RETURNS void LANGUAGE c AS 'library';
CREATE FUNCTION ours.j() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN END';
