-- test/bench/peer/pgq.sql: a queue of PgQ and its consumer.

CREATE PROCEDURE bench.create_pgq_queue() LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pgq.queue) THEN
        PERFORM pgq.drop_queue('bench', true);
    END IF;
    PERFORM pgq.create_queue('bench');
    PERFORM pgq.set_queue_config('bench', 'ticker_max_count', '1000');
    PERFORM pgq.register_consumer('bench', 'consumer');
END $$;

CREATE PROCEDURE bench.consume_pgq() LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
    ran integer := 0;
    batch bigint;
    event record;
BEGIN
    LOOP
        batch := pgq.next_batch('bench', 'consumer');
        EXIT WHEN batch IS NULL;
        FOR event IN SELECT ev_type, ev_data FROM pgq.get_batch_events(batch) LOOP
            EXECUTE format('SELECT bench.%I($1)', event.ev_type) USING event.ev_data::jsonb;
            ran := ran + 1;
        END LOOP;
        PERFORM pgq.finish_batch(batch);
        COMMIT;
    END LOOP;
    INSERT INTO bench.runs VALUES (began, clock_timestamp(), ran);
END $$;
