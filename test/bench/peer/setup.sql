-- test/bench/peer/setup.sql: the handlers that everybody calls, where the
-- figures are collected, and the systems that are SQL.

CREATE EXTENSION cmdsched;
CREATE SCHEMA bench;

CREATE TABLE bench.figures (
    system text NOT NULL,
    config text NOT NULL,
    version text NOT NULL,
    measure text NOT NULL,
    unit text NOT NULL,
    value double precision NOT NULL
);

CREATE TABLE bench.effects (data jsonb);
CREATE TABLE bench.commits (n integer, at timestamptz);
CREATE TABLE bench.starts (n integer, at timestamptz);
CREATE TABLE bench.runs (began timestamptz, ended timestamptz, ran bigint);

CREATE FUNCTION bench.do_nothing(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
END $$;

CREATE FUNCTION bench.insert_row(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.effects VALUES ($1);
END $$;

CREATE FUNCTION bench.note_start(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.starts VALUES (($1->>'n')::integer, clock_timestamp());
END $$;

SELECT cmdsched.register_handler('do_nothing', 'bench.do_nothing(jsonb)');
SELECT cmdsched.register_handler('insert_row', 'bench.insert_row(jsonb)');
SELECT cmdsched.register_handler('note_start', 'bench.note_start(jsonb)');

-- The same payload for everybody, about 115 bytes.
CREATE FUNCTION bench.payload(n bigint) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('n', n, 'reason', 'payment window elapsed', 'note', repeat('x', 48))
$$;

-- ---------------------------------------------------------------------------
-- Measures.  "enqueue" is a statement that reads the commands to enqueue, as
-- columns handler, data and at, from "commands".
-- ---------------------------------------------------------------------------

CREATE PROCEDURE bench.note(system text, config text, version text, measure text, unit text, value double precision)
LANGUAGE sql AS $$
    INSERT INTO bench.figures VALUES (system, config, version, measure, unit, value)
$$;

CREATE PROCEDURE bench.note_percentiles(system text, config text, version text, measure text) LANGUAGE sql AS $$
    INSERT INTO bench.figures
    SELECT system, config, version, measure || ', ' || name, 'ms',
           (SELECT percentile_cont(share) WITHIN GROUP (ORDER BY extract(epoch FROM s.at - c.at) * 1000)
              FROM bench.starts s JOIN bench.commits c USING (n))
      FROM (VALUES ('p50', 0.5), ('p99', 0.99)) AS p(name, share)
$$;

-- Commands that are due now, 1000 a transaction.
CREATE PROCEDURE bench.enqueue(
    system text, config text, version text, enqueue text, handler text, ncommands integer
) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    FOR n IN 1..ncommands BY 1000 LOOP
        EXECUTE 'WITH commands AS (
            SELECT $1 AS handler, bench.payload(n) AS data, now() AS at FROM generate_series($2, $3) n) ' || enqueue
        USING handler, n, least(n + 999, ncommands);
        COMMIT;
    END LOOP;
    CALL bench.note(system, config, version, 'enqueue, 1000 a transaction', 'commands/s',
                    ncommands / extract(epoch FROM clock_timestamp() - began));
END $$;

-- Of what the sessions of a consumer have noted in bench.runs.
CREATE PROCEDURE bench.note_drain(system text, config text, version text, handler text, ncommands integer)
LANGUAGE plpgsql AS $$
DECLARE
    ran bigint := (SELECT sum(r.ran) FROM bench.runs r);
    effects bigint := (SELECT count(*) FROM bench.effects);
BEGIN
    IF ran <> ncommands OR effects <> (CASE handler WHEN 'insert_row' THEN ncommands ELSE 0 END) THEN
        RAISE EXCEPTION '%: % of % commands ran, with % effects', system, ran, ncommands, effects;
    END IF;
    INSERT INTO bench.figures
    SELECT system, config, version, 'drain, ' || handler, 'commands/s',
           ncommands / extract(epoch FROM max(ended) - min(began)) FROM bench.runs;
END $$;

-- From the return of COMMIT to the start of the handler, at rest.
CREATE PROCEDURE bench.measure_latency(system text, config text, version text, enqueue text, ncommands integer)
LANGUAGE plpgsql AS $$
DECLARE
    commits timestamptz[];
BEGIN
    TRUNCATE bench.starts, bench.commits;
    COMMIT;
    FOR n IN 1..ncommands LOOP
        EXECUTE 'WITH commands AS (
            SELECT ''note_start'' AS handler, jsonb_build_object(''n'', $1) AS data, now() AS at) ' || enqueue
        USING n;
        COMMIT;
        commits[n] := clock_timestamp();
        PERFORM pg_sleep(0.02);
    END LOOP;
    INSERT INTO bench.commits SELECT n, at FROM unnest(commits) WITH ORDINALITY AS c(at, n);
    COMMIT;
    CALL bench.wait_for_starts(ncommands);
    CALL bench.note_percentiles(system, config, version, 'commit to start');
END $$;

-- From the time a command is due to the start of the handler.
CREATE PROCEDURE bench.measure_lateness(system text, config text, version text, enqueue text, ncommands integer)
LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE bench.starts, bench.commits;
    INSERT INTO bench.commits
    SELECT n, clock_timestamp() + interval '1 s' + random() * interval '4 s' FROM generate_series(1, ncommands) n;
    EXECUTE 'WITH commands AS (
        SELECT ''note_start'' AS handler, jsonb_build_object(''n'', n) AS data, at FROM bench.commits) ' || enqueue;
    COMMIT;
    CALL bench.wait_for_starts(ncommands);
    CALL bench.note_percentiles(system, config, version, 'timer lateness');
END $$;

CREATE PROCEDURE bench.wait_for_starts(ncommands integer) LANGUAGE plpgsql AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + interval '1 minute';
BEGIN
    LOOP
        COMMIT;
        PERFORM pg_sleep(0.1);
        EXIT WHEN (SELECT count(*) FROM bench.starts) = ncommands;
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'only % of % commands ran', (SELECT count(*) FROM bench.starts), ncommands;
        END IF;
    END LOOP;
END $$;

-- ---------------------------------------------------------------------------
-- cmdsched: its workers run by themselves; this is the watch.  It gives up its
-- snapshot at every look, so that it does not hold up what it measures.
-- ---------------------------------------------------------------------------

CREATE PROCEDURE bench.watch_cmdsched(ncommands integer) LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := (SELECT jsonb_object_agg(pid, commands_run) FROM cmdsched.workers WHERE kind = 'executor');
    began timestamptz := clock_timestamp();
    ended timestamptz;
    ran bigint;
BEGIN
    PERFORM pg_reload_conf();
    LOOP
        COMMIT;
        PERFORM pg_sleep(0.002);
        ended := clock_timestamp();
        EXIT WHEN NOT EXISTS (SELECT FROM cmdsched.scheduled_commands WHERE status = 'pending');
        IF ended > began + interval '5 minutes' THEN
            RAISE EXCEPTION 'commands are left after 5 minutes';
        END IF;
    END LOOP;
    PERFORM pg_sleep(0.2);
    SELECT sum(commands_run - coalesce((before->>pid::text)::bigint, 0))
      INTO ran FROM cmdsched.workers WHERE kind = 'executor';
    IF EXISTS (SELECT FROM cmdsched.scheduled_commands) THEN
        RAISE EXCEPTION 'a command has failed: %', (SELECT last_error FROM cmdsched.scheduled_commands LIMIT 1);
    END IF;
    INSERT INTO bench.runs VALUES (began, ended, ran);
END $$;

-- ---------------------------------------------------------------------------
-- What one writes by hand: a table and a loop around SKIP LOCKED.
-- ---------------------------------------------------------------------------

CREATE TABLE bench.queue (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    handler text NOT NULL,
    data jsonb NOT NULL,
    execute_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON bench.queue (execute_at);

-- Until nothing is left and at least so many commands have run.  plpgsql
-- cannot wait for a notification, so it looks every 10 ms, and sooner where
-- it knows that something falls due.
CREATE PROCEDURE bench.consume(batch_size integer, at_least integer) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
    ran integer := 0;
    command record;
    next_at timestamptz;
BEGIN
    LOOP
        FOR command IN
            DELETE FROM bench.queue
             WHERE id = ANY (ARRAY(SELECT id FROM bench.queue
                                    WHERE execute_at <= now() ORDER BY execute_at
                                    LIMIT batch_size FOR UPDATE SKIP LOCKED))
            RETURNING handler, data
        LOOP
            EXECUTE format('SELECT bench.%I($1)', command.handler) USING command.data;
            ran := ran + 1;
        END LOOP;
        COMMIT;
        CONTINUE WHEN FOUND;
        next_at := (SELECT min(execute_at) FROM bench.queue);
        EXIT WHEN next_at IS NULL AND ran >= at_least;
        PERFORM pg_sleep(coalesce(least(0.01, extract(epoch FROM next_at - clock_timestamp())), 0.01));
    END LOOP;
    INSERT INTO bench.runs VALUES (began, clock_timestamp(), ran);
END $$;
