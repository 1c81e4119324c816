-- test/bench/floors.sql: what cmdsched is compared with.

-- ---------------------------------------------------------------------------
-- The bare calls of a handler, without any queue
-- ---------------------------------------------------------------------------

-- The function that is registered for a command type.
CREATE FUNCTION bench.handler_name(command_type text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT split_part(h.handler, '(', 1) FROM cmdsched.handlers AS h WHERE h.command_type = $1
$$;

CREATE PROCEDURE bench.call_handlers(workload text, handler text, ncommands integer) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz;
BEGIN
    PERFORM set_config('max_parallel_workers_per_gather', '0', false);
    CREATE TEMP TABLE calls AS SELECT p.data FROM bench.payloads AS p WHERE p.n <= ncommands;
    COMMIT;
    began := clock_timestamp();
    EXECUTE format('SELECT count(%s(c.data)) FROM pg_temp.calls AS c', bench.handler_name(handler));
    COMMIT;
    CALL bench.record_rate(workload, 'handler calls', ncommands, began);
END $$;

-- The same, each in a subtransaction of its own that catches the error.
CREATE PROCEDURE bench.call_failing_handlers(workload text, handler text, ncommands integer) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
    call text := format('SELECT %s($1)', bench.handler_name(handler));
    data jsonb;
    nfailed integer := 0;
BEGIN
    FOR data IN SELECT p.data FROM bench.payloads AS p WHERE p.n <= ncommands LOOP
        BEGIN
            EXECUTE call USING data;
        EXCEPTION WHEN OTHERS THEN
            nfailed := nfailed + 1;
        END;
    END LOOP;
    COMMIT;
    CALL bench.record_rate(workload, 'calls that catch errors', ncommands, began);
END $$;

-- ---------------------------------------------------------------------------
-- A queue of one's own: claim, call, and commit a batch
-- ---------------------------------------------------------------------------

CREATE TABLE bench.queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    execute_at timestamptz NOT NULL,
    data jsonb NOT NULL
);
CREATE INDEX queue_execute_at ON bench.queue (execute_at);

-- One statement for a whole batch: fast, but one error fails all of it.
CREATE PROCEDURE bench.consume_sets(workload text, handler text, ncommands integer, batch_size integer) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
    consume text := format($sql$
        WITH claimed AS (
            DELETE FROM bench.queue
             WHERE ctid = ANY (ARRAY(
                   SELECT q.ctid FROM bench.queue AS q WHERE q.execute_at <= now()
                    ORDER BY q.execute_at LIMIT %s FOR UPDATE SKIP LOCKED))
            RETURNING data
        )
        SELECT count(*), count(%s(c.data)) FROM claimed AS c
        $sql$, batch_size, bench.handler_name(handler));
    nconsumed integer;
    ncalled integer;
BEGIN
    LOOP
        EXECUTE consume INTO nconsumed, ncalled;
        EXIT WHEN nconsumed = 0;
        COMMIT;
    END LOOP;
    CALL bench.record_rate(workload, 'own queue, a statement for ' || batch_size, ncommands, began);
END $$;

-- The usual loop: claim some, call the handler by its name, one after another.
CREATE PROCEDURE bench.consume_one_by_one(workload text, handler text, ncommands integer, batch_size integer) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
    call text := format('SELECT %s($1)', bench.handler_name(handler));
    batch jsonb[];
    data jsonb;
BEGIN
    LOOP
        WITH claimed AS (
            DELETE FROM bench.queue
             WHERE ctid = ANY (ARRAY(
                   SELECT q.ctid FROM bench.queue AS q WHERE q.execute_at <= now()
                    ORDER BY q.execute_at LIMIT batch_size FOR UPDATE SKIP LOCKED))
            RETURNING queue.data
        )
        SELECT array_agg(c.data) INTO batch FROM claimed AS c;
        EXIT WHEN batch IS NULL;
        FOREACH data IN ARRAY batch LOOP
            EXECUTE call USING data;
        END LOOP;
        COMMIT;
    END LOOP;
    CALL bench.record_rate(workload, 'own queue, plpgsql loop over ' || batch_size, ncommands, began);
END $$;

-- ---------------------------------------------------------------------------
-- The same rows, by INSERT
-- ---------------------------------------------------------------------------

CREATE TABLE bench.plain (LIKE cmdsched.scheduled_commands INCLUDING ALL);
CREATE SEQUENCE bench.ids CACHE 100;

CREATE PROCEDURE bench.insert_plain(ncommands integer, due_at timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO bench.plain (schedule_id, command_type, command_data, execute_at, created_at, scheduled_by,
                             scheduled_by_name, due_at)
    SELECT lpad(p.n::text, 26, '0'), 'do_nothing', p.data, insert_plain.due_at, now(), 10,
           'postgres', insert_plain.due_at
      FROM bench.payloads AS p
     WHERE p.n <= ncommands;
    COMMIT;
END $$;

-- ---------------------------------------------------------------------------
-- Waiting
-- ---------------------------------------------------------------------------

-- How soon a session is awake that waits for a lock: one holds locks and lets
-- them go one by one, the other waits for each in turn.
CREATE PROCEDURE bench.release_locks(workload text, nlocks integer) LANGUAGE plpgsql AS $$
DECLARE
    releases timestamptz[];
BEGIN
    TRUNCATE bench.starts, bench.commits;
    FOR i IN 1..nlocks LOOP
        PERFORM pg_advisory_lock(4711, i);
    END LOOP;
    LOOP
        COMMIT;
        PERFORM pg_sleep(0.01);
        EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 4711 AND NOT granted);
    END LOOP;
    FOR i IN 1..nlocks LOOP
        releases[i] := clock_timestamp();
        PERFORM pg_advisory_unlock(4711, i);
        COMMIT;
        PERFORM pg_sleep(0.005);
    END LOOP;
    INSERT INTO bench.commits SELECT r.n, r.at FROM unnest(releases) WITH ORDINALITY AS r(at, n);
    COMMIT;
    CALL bench.wait_for_starts(nlocks);
    CALL bench.record_delays(workload, 'a session that waits for a lock');
END $$;

CREATE PROCEDURE bench.wait_for_locks(nlocks integer) LANGUAGE plpgsql AS $$
DECLARE
    wakes timestamptz[];
BEGIN
    LOOP
        COMMIT;
        PERFORM pg_sleep(0.01);
        EXIT WHEN nlocks = (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 4711 AND granted);
    END LOOP;
    FOR i IN 1..nlocks LOOP
        PERFORM pg_advisory_lock(4711, i);
        wakes[i] := clock_timestamp();
        PERFORM pg_advisory_unlock(4711, i);
    END LOOP;
    INSERT INTO bench.starts SELECT w.n, w.at FROM unnest(wakes) WITH ORDINALITY AS w(at, n);
END $$;

-- How late a session is that sleeps until the next command is due.
CREATE PROCEDURE bench.sleep_until_due(workload text, ntimers integer) LANGUAGE plpgsql AS $$
DECLARE
    timer record;
    wakes timestamptz[];
BEGIN
    TRUNCATE bench.starts, bench.commits;
    CALL bench.choose_timers(ntimers);
    FOR timer IN SELECT c.n, c.at FROM bench.commits AS c ORDER BY c.at LOOP
        PERFORM pg_sleep(extract(epoch FROM timer.at - clock_timestamp()));
        wakes[timer.n] := clock_timestamp();
    END LOOP;
    INSERT INTO bench.starts SELECT w.n, w.at FROM unnest(wakes) WITH ORDINALITY AS w(at, n);
    CALL bench.record_delays(workload, 'a session that sleeps until due');
END $$;
