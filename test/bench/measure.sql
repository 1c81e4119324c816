-- test/bench/measure.sql: what is measured, and how.  Whoever waits gives up
-- its snapshot at every look, so that it does not hold up what it measures.

-- ---------------------------------------------------------------------------
-- Figures
-- ---------------------------------------------------------------------------

CREATE PROCEDURE bench.record_rate(workload text, subject text, ncommands integer, began timestamptz,
                                   ended timestamptz DEFAULT clock_timestamp()) LANGUAGE sql AS $$
    INSERT INTO bench.figures
    VALUES (workload, subject, 'commands/s', ncommands / extract(epoch FROM ended - began))
$$;

-- From bench.commits to bench.starts, in milliseconds.
CREATE PROCEDURE bench.record_delays(workload text, subject text) LANGUAGE sql AS $$
    INSERT INTO bench.figures
    SELECT workload || ', ' || p.name, subject, 'ms',
           (SELECT percentile_cont(p.share) WITHIN GROUP (ORDER BY 1000 * extract(epoch FROM s.at - c.at))
              FROM bench.starts AS s JOIN bench.commits AS c USING (n))
      FROM (VALUES ('p50', 0.5), ('p99', 0.99)) AS p(name, share)
$$;

-- ---------------------------------------------------------------------------
-- Draining
-- ---------------------------------------------------------------------------

-- Is nothing left that is due?  The table is looked at only when no executor
-- is at work: the dead rows of a drain take long to step over.
CREATE FUNCTION bench.is_drained() RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (SELECT FROM cmdsched.workers AS w WHERE w.kind = 'executor' AND w.state <> 'idle') THEN
        RETURN false;
    END IF;
    RETURN NOT EXISTS (
        SELECT FROM pg_roles AS r, LATERAL (
            SELECT FROM cmdsched.scheduled_commands AS c
             WHERE c.scheduled_by = r.oid AND c.due_at <= (SELECT clock_timestamp())
             ORDER BY c.due_at LIMIT 1) AS due);
END $$;

-- The end is noted before a look at the table, which takes its time.
CREATE PROCEDURE bench.wait_until_drained(INOUT ended timestamptz DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + interval '5 minutes';
BEGIN
    LOOP
        COMMIT;
        PERFORM pg_sleep(0.001);
        ended := clock_timestamp();
        EXIT WHEN bench.is_drained();
        IF ended > deadline THEN
            RAISE EXCEPTION 'commands are left after 5 minutes';
        END IF;
    END LOOP;
END $$;

CREATE PROCEDURE bench.drain(workload text, subject text, ncommands integer) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
    ended timestamptz;
BEGIN
    PERFORM pg_reload_conf();
    CALL bench.wait_until_drained(ended);
    CALL bench.record_rate(workload, subject, ncommands, began, ended);
END $$;

-- As drain(), but the last tenth beside the first.
CREATE PROCEDURE bench.drain_in_tenths(workload text, ncommands integer) LANGUAGE plpgsql AS $$
DECLARE
    before bigint := bench.commands_run();
    done bigint;
    tenth integer := 0;
    reached timestamptz[];
    deadline timestamptz := clock_timestamp() + interval '5 minutes';
BEGIN
    PERFORM pg_reload_conf();
    WHILE tenth < 10 LOOP
        COMMIT;
        PERFORM pg_sleep(0.001);
        done := bench.commands_run() - before;
        IF done = 0 THEN
            reached[0] := clock_timestamp();
        END IF;
        WHILE tenth < 10 AND done >= (tenth + 1) * (ncommands / 10) LOOP
            tenth := tenth + 1;
            reached[tenth] := clock_timestamp();
        END LOOP;
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'only % of % commands ran', done, ncommands;
        END IF;
    END LOOP;
    CALL bench.record_rate(workload, 'cmdsched', ncommands / 10, reached[9], reached[10]);
    CALL bench.record_rate(workload, 'its first tenth', ncommands / 10, reached[0], reached[1]);
    INSERT INTO bench.curves
    SELECT workload || ', by tenths', 'commands/s', i, ncommands / 10 / extract(epoch FROM reached[i] - reached[i - 1])
      FROM generate_series(1, 10) AS i;
END $$;

CREATE FUNCTION bench.commands_run() RETURNS bigint LANGUAGE sql AS $$
    SELECT coalesce(sum(w.commands_run), 0) FROM cmdsched.workers AS w
$$;

-- ---------------------------------------------------------------------------
-- Latency and lateness
-- ---------------------------------------------------------------------------

-- From the return of COMMIT to the start of the handler.
CREATE PROCEDURE bench.measure_latency(workload text, ncommands integer) LANGUAGE plpgsql AS $$
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
    INSERT INTO bench.commits SELECT c.n, c.at FROM unnest(commits) WITH ORDINALITY AS c(at, n);
    COMMIT;
    CALL bench.wait_for_starts(ncommands);
    CALL bench.record_delays(workload, 'cmdsched');
END $$;

-- From execute_at to the start of the handler.
CREATE PROCEDURE bench.measure_lateness(workload text, ntimers integer) LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE bench.starts, bench.commits;
    CALL bench.choose_timers(ntimers);
    PERFORM cmdsched.schedule('note_start', jsonb_build_object('n', c.n), c.at) FROM bench.commits AS c;
    COMMIT;
    CALL bench.wait_for_starts(ntimers);
    CALL bench.record_delays(workload, 'cmdsched');
END $$;

-- At random, a hundred a second, from half a second from now on.
CREATE PROCEDURE bench.choose_timers(ntimers integer) LANGUAGE sql AS $$
    INSERT INTO bench.commits
    SELECT i, clock_timestamp() + interval '0.5 s' + random() * ntimers * interval '10 ms'
      FROM generate_series(1, ntimers) AS i
$$;

CREATE PROCEDURE bench.wait_for_starts(nstarts integer) LANGUAGE plpgsql AS $$
DECLARE
    deadline timestamptz := clock_timestamp() + interval '1 minute';
BEGIN
    LOOP
        COMMIT;
        PERFORM pg_sleep(0.05);
        EXIT WHEN nstarts = (SELECT count(*) FROM bench.starts);
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'only % of % commands ran', (SELECT count(*) FROM bench.starts), nstarts;
        END IF;
    END LOOP;
END $$;

-- From now on until the last of so many commands has started.
CREATE PROCEDURE bench.measure_starts(workload text, nstarts integer) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
BEGIN
    TRUNCATE bench.starts;
    COMMIT;
    began := clock_timestamp();
    PERFORM pg_reload_conf();
    CALL bench.wait_for_starts(nstarts);
    INSERT INTO bench.figures
    SELECT workload, 'cmdsched', 'ms', 1000 * extract(epoch FROM max(s.at) - began) FROM bench.starts AS s;
END $$;

-- How often a second bench.burn() may be called to need half of a core.
CREATE FUNCTION bench.calls_for_half_a_core() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    began double precision := bench.cpu_seconds(pg_backend_pid());
BEGIN
    FOR i IN 1..200 LOOP
        PERFORM bench.burn();
    END LOOP;
    RETURN 0.5 * 200 / (bench.cpu_seconds(pg_backend_pid()) - began);
END $$;

CREATE FUNCTION bench.burn() RETURNS bigint LANGUAGE sql AS $$
    SELECT sum(i) FROM generate_series(1, 5000) AS i
$$;

-- ---------------------------------------------------------------------------
-- What processes use; read as the server's own user, from /proc.  NULL of a
-- process that has ended.
-- ---------------------------------------------------------------------------

CREATE FUNCTION bench.cpu_seconds(pid integer) RETURNS double precision LANGUAGE sql VOLATILE AS $$
    SELECT split_part(pg_read_file(format('/proc/%s/schedstat', pid), 0, 10000, true), ' ', 1)::double precision / 1e9
$$;

CREATE FUNCTION bench.wake_ups(pid integer) RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT (regexp_match(pg_read_file(format('/proc/%s/status', pid), 0, 10000, true), '\mvoluntary_ctxt_switches:\s+(\d+)'))[1]::bigint
$$;

-- What is its own.  Pages of the shared buffers are not, though the kernel calls
-- those private that only one process has touched.
CREATE FUNCTION bench.own_mb(pid integer) RETURNS double precision LANGUAGE sql VOLATILE AS $$
    SELECT (regexp_match(pg_read_file(format('/proc/%s/smaps_rollup', pid), 0, 10000, true),
                         'Pss_Anon:\s+(\d+) kB'))[1]::double precision / 1024
$$;

CREATE FUNCTION bench.workers_cpu_seconds() RETURNS double precision LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(sum(bench.cpu_seconds(w.pid)), 0) FROM cmdsched.workers AS w
$$;

-- WAL a command, and CPU seconds per 100,000.
CREATE PROCEDURE bench.record_use(workload text, subject text, ncommands integer, wal_bytes numeric,
                                  cpu_seconds double precision) LANGUAGE sql AS $$
    INSERT INTO bench.figures VALUES
        (workload || ', WAL a command', subject, 'bytes', wal_bytes / ncommands),
        (workload || ', CPU per 100,000', subject, 's', cpu_seconds * 100000 / ncommands)
$$;

-- By the workers' count: a look at the table would prune its pages, and that
-- is WAL.
CREATE PROCEDURE bench.measure_use(workload text, ncommands integer) LANGUAGE plpgsql AS $$
DECLARE
    wal_began pg_lsn := pg_current_wal_insert_lsn();
    cpu_began double precision := bench.workers_cpu_seconds();
    before bigint := bench.commands_run();
    deadline timestamptz := clock_timestamp() + interval '5 minutes';
BEGIN
    PERFORM pg_reload_conf();
    WHILE bench.commands_run() < before + ncommands LOOP
        COMMIT;
        PERFORM pg_sleep(0.01);
        IF clock_timestamp() > deadline THEN
            RAISE EXCEPTION 'only % of % commands ran', bench.commands_run() - before, ncommands;
        END IF;
    END LOOP;
    CALL bench.record_use(workload, 'cmdsched', ncommands, pg_current_wal_insert_lsn() - wal_began,
                          bench.workers_cpu_seconds() - cpu_began);
END $$;

-- The floor: one statement that does the same.
CREATE PROCEDURE bench.measure_use_of_delete(workload text, handler text, ncommands integer) LANGUAGE plpgsql AS $$
DECLARE
    wal_began pg_lsn := pg_current_wal_insert_lsn();
    cpu_began double precision := bench.cpu_seconds(pg_backend_pid());
BEGIN
    EXECUTE format('WITH d AS (DELETE FROM bench.plain RETURNING command_data) SELECT count(%s(command_data)) FROM d',
                   bench.handler_name(handler));
    COMMIT;
    CALL bench.record_use(workload, 'one DELETE that calls', ncommands, pg_current_wal_insert_lsn() - wal_began,
                          bench.cpu_seconds(pg_backend_pid()) - cpu_began);
END $$;

-- Nothing to do for so long.
CREATE PROCEDURE bench.measure_idle(seconds double precision) LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMP TABLE idle AS
    SELECT w.kind, w.pid, bench.wake_ups(w.pid) AS wake_ups, bench.cpu_seconds(w.pid) AS cpu
      FROM cmdsched.workers AS w;
    COMMIT;
    PERFORM pg_sleep(seconds);
    INSERT INTO bench.figures
    SELECT 'idle, wake-ups of the ' || i.kind, 'cmdsched', 'a minute',
           (bench.wake_ups(i.pid) - i.wake_ups) * 60 / seconds
      FROM idle AS i;
    INSERT INTO bench.figures
    SELECT 'idle, CPU of all workers', 'cmdsched', '% of a core',
           100 * sum(bench.cpu_seconds(i.pid) - i.cpu) / seconds
      FROM idle AS i;
END $$;
