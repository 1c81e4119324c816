-- Security definer functions with a path on which others are.
CREATE SCHEMA ours;
CREATE FUNCTION ours.f() RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = public, pg_catalog -- bad
AS '';
CREATE FUNCTION ours.g() RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path = pg_catalog -- bad
AS '';
CREATE FUNCTION ours.h() RETURNS void LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT -- bad
AS '';
CREATE FUNCTION ours.i() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path TO 'pg_catalog', "ours", pg_temp AS '';
