/*
 * test/torture/setup.sql
 *
 * What the commands of the torture do, and where they leave their trace.
 */
\set QUIET on
CREATE DATABASE beside;
\connect beside
CREATE EXTENSION cmdsched;
\connect postgres
CREATE EXTENSION cmdsched;
CREATE SCHEMA torture;

CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
CREATE ROLE carol LOGIN;
GRANT USAGE ON SCHEMA cmdsched, torture TO PUBLIC;

-- No unique index on id: what runs twice is to be seen, not prevented.
CREATE TABLE torture.effects (
    n bigint GENERATED ALWAYS AS IDENTITY,
    id text COLLATE "C" NOT NULL,
    round integer NOT NULL,
    follow_up text COLLATE "C",
    role name NOT NULL DEFAULT current_user,
    pid integer NOT NULL DEFAULT pg_backend_pid(),
    due timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    began timestamptz NOT NULL DEFAULT now(),
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX effects_n ON torture.effects (n);
COMMENT ON COLUMN torture.effects.id IS 'The client''s name of the command, ROUND.CLIENT.NUMBER';
COMMENT ON COLUMN torture.effects.follow_up IS 'A command that this one scheduled in the same transaction';
COMMENT ON COLUMN torture.effects.due IS 'As the client said it, not as cmdsched remembers it';
COMMENT ON COLUMN torture.effects.began IS 'When the batch began: the clock may be set between that and the handler';
GRANT INSERT ON torture.effects TO PUBLIC;

-- A command that the ledger knows by its id, whether cmdsched is given this
-- as schedule_id or makes one of its own.
CREATE FUNCTION torture.submit(kind text, id text, delay interval, own_id boolean) RETURNS text
LANGUAGE sql VOLATILE AS $$
    SELECT cmdsched.schedule(
        kind,
        jsonb_build_object('id', id, 'due', now() + delay),
        now() + delay,
        schedule_id => CASE WHEN own_id THEN id END)
$$;

-- Big enough for a parallel query to take all worker slots.
CREATE TABLE torture.hog (filler text) WITH (parallel_workers = 64, fillfactor = 10);
INSERT INTO torture.hog SELECT repeat('x', 1000) FROM generate_series(1, 64);

-- ---------------------------------------------------------------------------
-- Handlers
-- ---------------------------------------------------------------------------

CREATE FUNCTION torture.effect(command cmdsched.scheduled_commands, follow_up text DEFAULT NULL) RETURNS void
LANGUAGE sql VOLATILE AS $$
    INSERT INTO torture.effects (id, round, follow_up, due, created_at)
    VALUES (
        command.command_data->>'id',
        split_part(command.command_data->>'id', '.', 1)::integer,
        follow_up,
        (command.command_data->>'due')::timestamptz,
        command.created_at)
$$;

CREATE FUNCTION torture.quick(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT torture.effect(command)
$$;

-- Schedules another one.
CREATE FUNCTION torture.chain(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM torture.submit('Quick', (command.command_data->>'id') || '+', '0.2 seconds', false);
    PERFORM torture.effect(command, (command.command_data->>'id') || '+');
END
$$;

-- Fails once.
CREATE FUNCTION torture.fail(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM torture.effect(command);
    IF command.attempts = 0 THEN
        RAISE 'the first attempt fails';
    END IF;
END
$$;

CREATE FUNCTION torture.nap(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM torture.effect(command);
    PERFORM pg_sleep(0.1 + 0.4 * random());
END
$$;

-- About as long, but counted: the clock may be set meanwhile.
CREATE FUNCTION torture.toil(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    hash text := '';
BEGIN
    PERFORM torture.effect(command);
    FOR i IN 1 .. 100000 + (400000 * random())::integer LOOP
        hash := md5(hash);
    END LOOP;
END
$$;

-- They are to run in the end, however often they are disturbed.
SELECT cmdsched.register_handler(command_type, handler, max_attempts => 1000, backoff => '0.1 seconds', max_backoff => '1 second')
  FROM (VALUES
    ('Quick', 'torture.quick(cmdsched.scheduled_commands)'::regprocedure),
    ('Chain', 'torture.chain(cmdsched.scheduled_commands)'),
    ('Fail', 'torture.fail(cmdsched.scheduled_commands)'),
    ('Nap', 'torture.nap(cmdsched.scheduled_commands)'),
    ('Toil', 'torture.toil(cmdsched.scheduled_commands)')) AS handlers (command_type, handler);

-- ---------------------------------------------------------------------------
-- Watching
-- ---------------------------------------------------------------------------

-- Seconds that due commands (of the role, if one is named) had to wait after
-- an event until one had run, until this probe had, which was scheduled after
-- the event, and until a new worker of that kind (if one is named) was there:
-- the longest of them.  NULL where one is still to come.  Effects up to last_n
-- were there before the event: when the clock was set back they look later
-- than it.
CREATE FUNCTION torture.recovery(event timestamptz, last_n bigint, role text, probe text, worker text) RETURNS numeric
LANGUAGE sql STABLE AS $$
    WITH later AS (
        SELECT e.id, e.at, e.due
          FROM torture.effects AS e
         WHERE e.n > last_n
           AND e.at BETWEEN event AND event + interval '5 minutes'
           AND recovery.role IN ('', e.role)),
    first_effect AS (
        SELECT min(l.at) - greatest(event, min(l.due)) AS after
          FROM later AS l),
    probe_effect AS (
        SELECT l.at - greatest(event, l.due) AS after
          FROM later AS l
         WHERE l.id = probe),
    successor AS (
        SELECT a.backend_start - event AS after
          FROM pg_stat_activity AS a
         WHERE recovery.worker <> ''
           AND a.backend_type = 'cmdsched ' || worker
           AND a.backend_start > event
         UNION ALL
        SELECT interval '0'
         WHERE worker = '')
    SELECT extract(epoch FROM greatest(f.after, p.after, s.after))
      FROM first_effect AS f, probe_effect AS p, successor AS s
$$;
