-- Sequences that are looked for on the path.
ALTER SEQUENCE s RESTART; -- bad
ALTER SEQUENCE IF EXISTS s RESTART; -- bad
ALTER SEQUENCE ours.s RESTART;
