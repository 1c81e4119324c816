-- Whatever else somebody may have made.
CREATE OR REPLACE AGGREGATE public.a (jsonb) (SFUNC = ours.f, STYPE = internal); -- bad
CREATE COLLATION IF NOT EXISTS public.c FROM "C"; -- bad
CREATE TABLE IF NOT EXISTS public.t AS SELECT 1; -- bad
CREATE MATERIALIZED VIEW IF NOT EXISTS public.v AS SELECT 1; -- bad
CREATE OR REPLACE TRIGGER t BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION ours.f(); -- bad
CREATE SCHEMA ours;
CREATE OR REPLACE AGGREGATE ours.a (jsonb) (SFUNC = ours.f, STYPE = internal);
CREATE TABLE IF NOT EXISTS ours.t AS SELECT 1;
CREATE AGGREGATE public.b (jsonb) (SFUNC = ours.f, STYPE = internal);
