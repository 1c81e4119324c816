-- Indexes.
CREATE INDEX IF NOT EXISTS i ON public.t (a); -- bad
CREATE UNIQUE INDEX IF NOT EXISTS i ON public.t (a); -- bad
CREATE SCHEMA ours;
CREATE INDEX IF NOT EXISTS i ON ours.t (a);
CREATE INDEX i ON public.t (a);
