-- The trigger function schedule_on_change().
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;

CREATE SCHEMA on_change;
CREATE TABLE on_change.log (n serial, what jsonb);
CREATE FUNCTION on_change.remind(jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO on_change.log (what) VALUES ($1)';
SELECT cmdsched.register_handler('Remind', 'on_change.remind(jsonb)');

-- What is waiting, and after how long it is due.
CREATE VIEW on_change.waiting AS
    SELECT command_type, command_module, command_data, metadata, execute_at - now() AS due_in, execute_at
      FROM cmdsched.scheduled_commands ORDER BY command_data;
CREATE FUNCTION pg_temp.clear() RETURNS bigint LANGUAGE sql AS $$
    SELECT count(*) FROM cmdsched.scheduled_commands WHERE cmdsched.cancel(schedule_id)
$$;

CREATE TABLE on_change.orders (id integer PRIMARY KEY, customer text, total numeric(10, 2), pay_until timestamptz, tags text[], dropped integer);
ALTER TABLE on_change.orders DROP COLUMN dropped;

-- Two arguments: the row, that long after the transaction began.
CREATE TRIGGER remind AFTER INSERT OR UPDATE ON on_change.orders
    FOR EACH ROW EXECUTE FUNCTION cmdsched.schedule_on_change('Remind', '24 hours');
BEGIN;
INSERT INTO on_change.orders VALUES (1, 'Ann "x"', 9.90, '2040-01-01 12:00+02', '{a,b}'), (2, NULL, NULL, NULL, NULL);
SELECT command_type, command_module, command_data, metadata, due_in FROM on_change.waiting;
ROLLBACK;
SELECT count(*) FROM on_change.waiting;
INSERT INTO on_change.orders SELECT n FROM generate_series(1, 3) AS n;
BEGIN;
UPDATE on_change.orders SET customer = 'Bob' WHERE id = 2;
SELECT command_data->>'id' AS id, command_data->>'customer' AS customer FROM on_change.waiting ORDER BY 1, 2;
COMMIT;
DELETE FROM on_change.orders;
SELECT pg_temp.clear();
COPY on_change.orders (id, customer) FROM stdin;
4	Cid
5	Dan
\.
MERGE INTO on_change.orders AS o USING (VALUES (5), (6)) AS v (id) ON o.id = v.id
    WHEN MATCHED THEN UPDATE SET customer = 'merged'
    WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id);
INSERT INTO on_change.orders VALUES (4, 'upserted') ON CONFLICT (id) DO UPDATE SET customer = EXCLUDED.customer;
SELECT command_data->>'id' AS id, command_data->>'customer' AS customer FROM on_change.waiting ORDER BY 1, 2;
SELECT pg_temp.clear();
DROP TRIGGER remind ON on_change.orders;

-- With a condition, and no delay: due at once.
CREATE TRIGGER remind AFTER UPDATE OF customer ON on_change.orders
    FOR EACH ROW WHEN (NEW.customer IS DISTINCT FROM OLD.customer) EXECUTE FUNCTION cmdsched.schedule_on_change('Remind', '0');
UPDATE on_change.orders SET total = 1;
UPDATE on_change.orders SET customer = 'merged';
SELECT command_data->>'id' AS id FROM cmdsched.get_due_commands() ORDER BY 1;
SELECT cmdsched.run_once();
SELECT what->>'id' AS id, what->>'customer' AS customer FROM on_change.log ORDER BY 1;
DROP TRIGGER remind ON on_change.orders;

-- Three arguments: from the column, and nothing where it is null.
CREATE TRIGGER remind AFTER INSERT OR UPDATE ON on_change.orders
    FOR EACH ROW EXECUTE FUNCTION cmdsched.schedule_on_change('Remind', '1 day 12 hours', 'pay_until');
INSERT INTO on_change.orders (id, pay_until) VALUES (10, '2040-02-28 12:00'), (11, NULL), (12, '1999-12-31 00:00');
SELECT command_data->>'id' AS id, execute_at FROM on_change.waiting;
UPDATE on_change.orders SET pay_until = '2041-02-28 12:00' WHERE id = 11;
UPDATE on_change.orders SET pay_until = NULL WHERE id = 10;
SELECT command_data->>'id' AS id, execute_at FROM on_change.waiting;
SELECT pg_temp.clear();
-- A name that needs quotes is given as it is.
ALTER TABLE on_change.orders RENAME pay_until TO "Pay ""until""";
DROP TRIGGER remind ON on_change.orders;
CREATE TRIGGER remind AFTER INSERT ON on_change.orders
    FOR EACH ROW EXECUTE FUNCTION cmdsched.schedule_on_change('Remind', '0', 'Pay "until"');
INSERT INTO on_change.orders VALUES (20, NULL, NULL, '2040-01-01');
SELECT command_data, execute_at FROM on_change.waiting;
SELECT pg_temp.clear();
DROP TRIGGER remind ON on_change.orders;
ALTER TABLE on_change.orders RENAME "Pay ""until""" TO pay_until;

-- A partitioned table, a generated column, and a table with a column less than its partition.
CREATE TABLE on_change.parts (id integer, due timestamptz, twice integer GENERATED ALWAYS AS (id * 2) STORED) PARTITION BY RANGE (id);
CREATE TABLE on_change.part1 (gone text, due timestamptz, twice integer GENERATED ALWAYS AS (id * 2) STORED, id integer);
ALTER TABLE on_change.part1 DROP COLUMN gone;
ALTER TABLE on_change.parts ATTACH PARTITION on_change.part1 FOR VALUES FROM (1) TO (10);
CREATE TRIGGER remind AFTER INSERT ON on_change.parts
    FOR EACH ROW EXECUTE FUNCTION cmdsched.schedule_on_change('Remind', '1 hour', 'due');
INSERT INTO on_change.parts VALUES (3, '2040-01-01');
SELECT command_data, execute_at FROM on_change.waiting;
SELECT pg_temp.clear();

-- A deferred one.
CREATE CONSTRAINT TRIGGER remind AFTER INSERT ON on_change.orders DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION cmdsched.schedule_on_change('Remind', '1 hour');
BEGIN;
INSERT INTO on_change.orders VALUES (30);
SELECT count(*) FROM on_change.waiting;
COMMIT;
SELECT count(*) FROM on_change.waiting;
SELECT pg_temp.clear();
DROP TRIGGER remind ON on_change.orders;

-- In a handler: what the trigger schedules has the command as its cause.
CREATE FUNCTION on_change.place_order(jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO on_change.orders (id) VALUES (($1->>''id'')::integer)';
SELECT cmdsched.register_handler('PlaceOrder', 'on_change.place_order(jsonb)');
CREATE TRIGGER remind AFTER INSERT ON on_change.orders
    FOR EACH ROW EXECUTE FUNCTION cmdsched.schedule_on_change('Remind', '1 hour');
SELECT cmdsched.schedule('PlaceOrder', '{"id": 40}', metadata => '{"correlation_id": "c"}', schedule_id => 'place 40');
SELECT cmdsched.run_once();
SELECT command_data->>'id' AS id, metadata FROM on_change.waiting;
SELECT pg_temp.clear();
DROP TRIGGER remind ON on_change.orders;

-- Bad declarations say so as soon as the trigger fires, and the change is not made.
CREATE FUNCTION pg_temp.with_trigger(arguments text, timing text DEFAULT 'AFTER INSERT', each text DEFAULT 'ROW', statement text DEFAULT 'INSERT INTO on_change.orders VALUES (99, NULL, NULL, ''infinity'')')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    e record;
BEGIN
    EXECUTE format('CREATE TRIGGER bad %s ON on_change.orders FOR EACH %s EXECUTE FUNCTION cmdsched.schedule_on_change(%s)', timing, each, arguments);
    SELECT * INTO e FROM pg_temp.error_of(statement);
    DROP TRIGGER bad ON on_change.orders;
    RETURN format(E'%s: %s\n    %s', e.code, e.message, e.hint);
END
$$;
\pset format unaligned
\pset tuples_only on
SELECT pg_temp.with_trigger($$$$);
SELECT pg_temp.with_trigger($$'Remind'$$);
SELECT pg_temp.with_trigger($$'Remind', '1 day', 'pay_until', 'more'$$);
SELECT pg_temp.with_trigger($$'Unheard', '1 day'$$);
SELECT pg_temp.with_trigger($$'', '1 day'$$);
SELECT pg_temp.with_trigger(format('%L, %L', repeat('x', 256), '1 day'));
SELECT pg_temp.with_trigger($$'Remind', 'soon'$$);
SELECT pg_temp.with_trigger($$'Remind', '-1 day'$$);
SELECT pg_temp.with_trigger($$'Remind', '1 day', 'no_such_column'$$);
SELECT pg_temp.with_trigger($$'Remind', '1 day', 'dropped'$$);
SELECT pg_temp.with_trigger($$'Remind', '1 day', 'ctid'$$);
SELECT pg_temp.with_trigger($$'Remind', '1 day', 'total'$$);
SELECT pg_temp.with_trigger($$'Remind', '1 day', 'pay_until'$$);
SELECT pg_temp.with_trigger($$'Remind', '1 day'$$, 'BEFORE INSERT');
SELECT pg_temp.with_trigger($$'Remind', '1 day'$$, 'AFTER INSERT', 'STATEMENT');
SELECT pg_temp.with_trigger($$'Remind', '1 day'$$, 'AFTER DELETE', 'ROW', 'DELETE FROM on_change.orders');
SELECT pg_temp.with_trigger($$'Remind', '1 day'$$, 'AFTER TRUNCATE', 'STATEMENT', 'TRUNCATE on_change.orders');
SELECT pg_temp.with_trigger($$'Remind', '1 day'$$, 'AFTER INSERT', 'ROW', $$INSERT INTO on_change.orders VALUES (98, repeat('x', 1024 * 1024))$$);
SELECT code, message FROM pg_temp.error_of('SELECT cmdsched.schedule_on_change()');
SELECT count(*) FROM on_change.orders WHERE id IN (98, 99);
SELECT count(*) FROM on_change.waiting;

SELECT count(cmdsched.unregister_handler(command_type)) FROM cmdsched.handlers;
SELECT cmdsched.start();
\set VERBOSITY terse
DROP SCHEMA on_change CASCADE;
