-- test/bench/setup.sql: what is called, what is scheduled, and where the
-- figures are collected.  :payloads is the largest number of commands.

CREATE EXTENSION cmdsched;
CREATE SCHEMA bench;
GRANT USAGE ON SCHEMA cmdsched, bench TO PUBLIC;

-- subject is cmdsched, or what it is compared with in the same workload.
CREATE TABLE bench.figures (
    workload text NOT NULL,
    subject text NOT NULL,
    unit text NOT NULL,
    value double precision NOT NULL,
    round integer NOT NULL DEFAULT current_setting('bench.round')::integer,
    n bigint GENERATED ALWAYS AS IDENTITY
);

-- What changes while one workload runs.
CREATE TABLE bench.curves (
    workload text NOT NULL,
    unit text NOT NULL,
    x integer NOT NULL,
    value double precision NOT NULL,
    round integer NOT NULL DEFAULT current_setting('bench.round')::integer
);

-- What handlers leave behind.
CREATE TABLE bench.effects (data jsonb);
CREATE TABLE bench.starts (n integer, at timestamptz);
CREATE TABLE bench.lateness (execute_at timestamptz, at timestamptz);
GRANT INSERT ON bench.effects, bench.starts, bench.lateness TO PUBLIC;

-- When the measuring session committed the n-th command, or let it be due.
CREATE TABLE bench.commits (n integer, at timestamptz);

-- The same for everybody, about 115 bytes.
CREATE TABLE bench.payloads (n integer PRIMARY KEY, data jsonb NOT NULL);
GRANT SELECT ON bench.payloads TO PUBLIC;
INSERT INTO bench.payloads
SELECT n, jsonb_build_object('order_id', n, 'reason', 'payment window elapsed', 'note', repeat('x', 40))
  FROM generate_series(1, :payloads) AS n;
VACUUM ANALYZE bench.payloads;

-- ---------------------------------------------------------------------------
-- Handlers
-- ---------------------------------------------------------------------------

CREATE FUNCTION bench.do_nothing(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
END $$;

CREATE FUNCTION bench.insert_row(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.effects VALUES ($1);
END $$;

CREATE FUNCTION bench.sql_nothing(jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT
$$;

CREATE FUNCTION bench.sql_insert(jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO bench.effects VALUES ($1)
$$;

CREATE FUNCTION bench.fail_1_percent(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF ($1->>'order_id')::integer % 100 = 0 THEN
        RAISE 'this command fails';
    END IF;
    INSERT INTO bench.effects VALUES ($1);
END $$;

CREATE FUNCTION bench.fail_50_percent(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF ($1->>'order_id')::integer % 2 = 0 THEN
        RAISE 'this command fails';
    END IF;
    INSERT INTO bench.effects VALUES ($1);
END $$;

CREATE FUNCTION bench.note_start(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.starts VALUES (($1->>'n')::integer, clock_timestamp());
END $$;

CREATE FUNCTION bench.note_lateness(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.lateness VALUES (command.execute_at, clock_timestamp());
END $$;

SELECT cmdsched.register_handler(name, format('bench.%I(jsonb)', name)::regprocedure, max_attempts => 1)
  FROM unnest(ARRAY['do_nothing', 'insert_row', 'sql_nothing', 'sql_insert', 'note_start',
                    'fail_1_percent', 'fail_50_percent']) AS name;
SELECT cmdsched.register_handler('note_lateness', 'bench.note_lateness(cmdsched.scheduled_commands)');

-- A C function that the server has, and that does next to nothing.
SELECT cmdsched.register_handler('c_nothing', 'pg_catalog.jsonb_typeof(jsonb)');

-- ---------------------------------------------------------------------------
-- Roles, for the workloads that need several
-- ---------------------------------------------------------------------------

DO $$
BEGIN
    FOR i IN 1..200 LOOP
        IF to_regrole('bench_' || i) IS NULL THEN
            EXECUTE format('CREATE ROLE bench_%s LOGIN', i);
        END IF;
    END LOOP;
END $$;
