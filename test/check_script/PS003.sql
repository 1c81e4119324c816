-- Security definer functions without a path.
CREATE SCHEMA ours;
CREATE FUNCTION ours.f() RETURNS void LANGUAGE sql
SECURITY DEFINER -- bad
AS '';
CREATE FUNCTION ours.g() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS '';
CREATE FUNCTION ours.h() RETURNS void LANGUAGE sql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS '';
CREATE FUNCTION ours.i() RETURNS void LANGUAGE c SECURITY DEFINER AS 'library';
