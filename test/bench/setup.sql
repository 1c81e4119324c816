-- test/bench/setup.sql: the handlers that are called, and where the figures
-- are collected.

CREATE EXTENSION cmdsched;
CREATE SCHEMA bench;

CREATE TABLE bench.figures (
    workload text NOT NULL,
    unit text NOT NULL,
    value double precision NOT NULL
);

CREATE TABLE bench.effects (data jsonb);
CREATE TABLE bench.starts (n integer, at timestamptz);
CREATE TABLE bench.commits (n integer, at timestamptz);

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
    SELECT jsonb_build_object('order_id', n, 'reason', 'payment window elapsed', 'note', repeat('x', 40))
$$;

-- Commands a second from now on until none is left.  Gives up its snapshot
-- at every look, so that it does not hold up what it measures.
CREATE PROCEDURE bench.measure_drain(workload text, ncommands integer) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
    deadline timestamptz := clock_timestamp() + interval '5 minutes';
BEGIN
    PERFORM pg_reload_conf();
    LOOP
        COMMIT;
        PERFORM pg_sleep(0.002);
        EXIT WHEN NOT EXISTS (SELECT FROM cmdsched.scheduled_commands WHERE execute_at <= clock_timestamp());
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'commands are left after 5 minutes';
        END IF;
    END LOOP;
    INSERT INTO bench.figures
    VALUES (workload, 'commands/s', ncommands / extract(epoch FROM clock_timestamp() - began));
END $$;

-- From the return of COMMIT to the start of the handler, in milliseconds.
CREATE PROCEDURE bench.measure_latency(ncommands integer) LANGUAGE plpgsql AS $$
DECLARE
    commits timestamptz[];
BEGIN
    TRUNCATE bench.starts, bench.commits;
    FOR n IN 1..ncommands LOOP
        PERFORM cmdsched.schedule('note_start', jsonb_build_object('n', n));
        COMMIT;
        commits[n] := clock_timestamp();
        PERFORM pg_sleep(0.005);
    END LOOP;
    INSERT INTO bench.commits SELECT n, at FROM unnest(commits) WITH ORDINALITY AS c(at, n);
    COMMIT;
    CALL bench.wait_for_starts(ncommands);
    INSERT INTO bench.figures
    SELECT 'latency ' || name, 'ms',
           (SELECT percentile_cont(share) WITHIN GROUP (ORDER BY extract(epoch FROM s.at - c.at) * 1000)
              FROM bench.starts s JOIN bench.commits c USING (n))
      FROM (VALUES ('p50', 0.5), ('p99', 0.99)) AS p(name, share);
END $$;

-- From execute_at to the start of the handler, in milliseconds.
CREATE PROCEDURE bench.measure_lateness(ncommands integer) LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE bench.starts, bench.commits;
    INSERT INTO bench.commits
    SELECT n, clock_timestamp() + interval '1 s' + random() * interval '4 s' FROM generate_series(1, ncommands) n;
    PERFORM cmdsched.schedule('note_start', jsonb_build_object('n', n), at) FROM bench.commits;
    COMMIT;
    CALL bench.wait_for_starts(ncommands);
    INSERT INTO bench.figures
    SELECT 'lateness ' || name, 'ms',
           (SELECT percentile_cont(share) WITHIN GROUP (ORDER BY extract(epoch FROM s.at - c.at) * 1000)
              FROM bench.starts s JOIN bench.commits c USING (n))
      FROM (VALUES ('p50', 0.5), ('p99', 0.99)) AS p(name, share);
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
