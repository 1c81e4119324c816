/* sql/cmdsched_pgtap--1.0.sql */
\echo Use "CREATE EXTENSION cmdsched_pgtap" to load this file. \quit

/*
 * The assertions call ok() and diag() by the caller's search_path, and so
 * have none of their own: pgTAP may be in any schema, and its functions call
 * one another in the same way.  A test that can call ok() can call these.
 */

-- ---------------------------------------------------------------------------
-- What the assertions share
-- ---------------------------------------------------------------------------

CREATE FUNCTION cmdsched.pgtap_list_commands(command_type text) RETURNS text
LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT coalesce(
               (SELECT string_agg(format('        %s %s at %s%s', c.command_type, c.command_data, c.execute_at,
                                         CASE WHEN c.status <> 'pending' THEN format(' (%s: %s)', c.status, c.last_error->>'message') END),
                                  E'\n' ORDER BY c.execute_at, c.schedule_id)
                  FROM (SELECT s.* FROM cmdsched.scheduled_commands AS s
                         WHERE s.command_type = pgtap_list_commands.command_type
                         ORDER BY s.execute_at, s.schedule_id LIMIT 20) AS c),
               (SELECT format('        no %s, but %s', pgtap_list_commands.command_type, string_agg(format('%s %s', t.n, t.command_type), ', ' ORDER BY t.command_type))
                  FROM (SELECT s.command_type, count(*) AS n FROM cmdsched.scheduled_commands AS s GROUP BY s.command_type) AS t
                HAVING count(*) > 0),
               '        nothing');
END;
COMMENT ON FUNCTION cmdsched.pgtap_list_commands(text) IS 'What is scheduled of this type, the first 20, for the diagnostics of an assertion that failed.';
GRANT EXECUTE ON FUNCTION cmdsched.pgtap_list_commands(text) TO PUBLIC;

CREATE FUNCTION cmdsched.pgtap_count_commands(command_type text, command_data_contains jsonb, at timestamptz) RETURNS bigint
LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT count(*)
      FROM cmdsched.scheduled_commands AS c
     WHERE c.status = 'pending'
       AND c.command_type = pgtap_count_commands.command_type
       AND (pgtap_count_commands.command_data_contains IS NULL OR c.command_data @> pgtap_count_commands.command_data_contains)
       AND (pgtap_count_commands.at IS NULL OR c.execute_at = pgtap_count_commands.at);
END;
COMMENT ON FUNCTION cmdsched.pgtap_count_commands(text, jsonb, timestamptz) IS 'How many pending commands are as the arguments say; NULL: any.';
GRANT EXECUTE ON FUNCTION cmdsched.pgtap_count_commands(text, jsonb, timestamptz) TO PUBLIC;

/*
 * First to the moment before its time, to see whether what runs until then
 * takes it away.  One that takes it away at the very same instant is not told
 * from a success.
 */
CREATE FUNCTION cmdsched.pgtap_run_command(schedule_id text, OUT code text, OUT what text) RETURNS record
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    waiting cmdsched.scheduled_commands := cmdsched.get(pgtap_run_command.schedule_id);
    due_at CONSTANT timestamptz := waiting.execute_at;
    before CONSTANT interval := due_at - interval '1 microsecond' - cmdsched.now();
    after cmdsched.scheduled_commands;
BEGIN
    IF waiting.schedule_id IS NULL THEN
        what := 'there is no such command';
        RETURN;
    END IF;
    IF before > interval '0' THEN
        -- In seconds, as days may be longer or shorter where the clock stands.
        PERFORM cmdsched.advance_clock(make_interval(secs => extract(epoch FROM before)::double precision));
        waiting := cmdsched.get(pgtap_run_command.schedule_id);
    END IF;
    IF waiting.schedule_id IS NULL THEN
        what := 'it was cancelled before its time';
    ELSIF waiting.status <> 'pending' THEN
        what := format('it is %s: %s', waiting.status, waiting.last_error->>'message');
    ELSIF waiting.execute_at <> due_at THEN
        what := format('it was rescheduled to %s before its time', waiting.execute_at);
    END IF;
    IF what IS NOT NULL THEN
        RETURN;
    END IF;

    PERFORM cmdsched.advance_clock(greatest(due_at - cmdsched.now(), interval '0'));
    after := cmdsched.get(pgtap_run_command.schedule_id);
    IF after.schedule_id IS NULL OR after.created_at <> waiting.created_at THEN
        code := '00000';
        what := 'it succeeded';
    ELSIF after.attempts > waiting.attempts OR after.status <> 'pending' THEN
        code := after.last_error->>'sqlstate';
        what := format('%s: %s', code, after.last_error->>'message');
    ELSIF after.execute_at <> waiting.execute_at THEN
        what := format('it was put off to %s', after.execute_at);
    ELSE
        what := format('it was not run: it is that of %s, or its handler is paused or external', after.scheduled_by_name);
    END IF;
END
$$;
COMMENT ON FUNCTION cmdsched.pgtap_run_command(text) IS 'Moves the clock to the time of a command, which runs it and what falls due before, and says how it went.';
GRANT EXECUTE ON FUNCTION cmdsched.pgtap_run_command(text) TO PUBLIC;

-- ---------------------------------------------------------------------------
-- The assertions
-- ---------------------------------------------------------------------------

CREATE FUNCTION cmdsched.is_scheduled(
    command_type text,
    command_data_contains jsonb DEFAULT NULL,
    at timestamptz DEFAULT NULL,
    description text DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS $$
BEGIN
    IF cmdsched.pgtap_count_commands(command_type, command_data_contains, at) > 0 THEN
        RETURN ok(true, coalesce(description, pg_catalog.format('%s is scheduled', command_type)));
    END IF;
    RETURN pg_catalog.concat_ws(E'\n', ok(false, coalesce(description, pg_catalog.format('%s is scheduled', command_type))),
        diag(pg_catalog.concat_ws(E'\n', '    wanted:',
            pg_catalog.concat('        ', command_type, ' ' || command_data_contains::text, ' at ' || at::text),
            '    found:', cmdsched.pgtap_list_commands(command_type))));
END
$$;
COMMENT ON FUNCTION cmdsched.is_scheduled(text, jsonb, timestamptz, text) IS 'Is there a pending command of this type, whose command_data contains that, for that time? NULL: any.';
GRANT EXECUTE ON FUNCTION cmdsched.is_scheduled(text, jsonb, timestamptz, text) TO PUBLIC;

CREATE FUNCTION cmdsched.isnt_scheduled(
    command_type text,
    command_data_contains jsonb DEFAULT NULL,
    at timestamptz DEFAULT NULL,
    description text DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS $$
BEGIN
    IF cmdsched.pgtap_count_commands(command_type, command_data_contains, at) = 0 THEN
        RETURN ok(true, coalesce(description, pg_catalog.format('%s is not scheduled', command_type)));
    END IF;
    RETURN pg_catalog.concat_ws(E'\n', ok(false, coalesce(description, pg_catalog.format('%s is not scheduled', command_type))),
        diag(pg_catalog.concat_ws(E'\n', '    wanted none:',
            pg_catalog.concat('        ', command_type, ' ' || command_data_contains::text, ' at ' || at::text),
            '    found:', cmdsched.pgtap_list_commands(command_type))));
END
$$;
COMMENT ON FUNCTION cmdsched.isnt_scheduled(text, jsonb, timestamptz, text) IS 'Is there no pending command of this type, whose command_data contains that, for that time? NULL: any.';
GRANT EXECUTE ON FUNCTION cmdsched.isnt_scheduled(text, jsonb, timestamptz, text) TO PUBLIC;

CREATE FUNCTION cmdsched.scheduled_count_is(
    command_type text,
    expected bigint,
    description text DEFAULT NULL,
    command_data_contains jsonb DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS $$
DECLARE
    found_count CONSTANT bigint := cmdsched.pgtap_count_commands(command_type, command_data_contains, NULL);
BEGIN
    IF found_count = expected THEN
        RETURN ok(true, coalesce(description, pg_catalog.format('%s is scheduled %s times', command_type, expected)));
    END IF;
    RETURN pg_catalog.concat_ws(E'\n', ok(false, coalesce(description, pg_catalog.format('%s is scheduled %s times', command_type, expected))),
        diag(pg_catalog.concat_ws(E'\n', pg_catalog.format('    wanted: %s', expected),
            pg_catalog.format('    found: %s', found_count), cmdsched.pgtap_list_commands(command_type))));
END
$$;
COMMENT ON FUNCTION cmdsched.scheduled_count_is(text, bigint, text, jsonb) IS 'Are there so many pending commands of this type, whose command_data contains that? NULL: any.';
GRANT EXECUTE ON FUNCTION cmdsched.scheduled_count_is(text, bigint, text, jsonb) TO PUBLIC;

CREATE FUNCTION cmdsched.runs_ok(schedule_id text, description text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS $$
DECLARE
    result CONSTANT record := cmdsched.pgtap_run_command(schedule_id);
BEGIN
    IF result.code = '00000' THEN
        RETURN ok(true, coalesce(description, pg_catalog.format('%s succeeds', schedule_id)));
    END IF;
    RETURN pg_catalog.concat_ws(E'\n', ok(false, coalesce(description, pg_catalog.format('%s succeeds', schedule_id))),
        diag(pg_catalog.format(E'    wanted: success of %s\n    found: %s', schedule_id, result.what)));
END
$$;
COMMENT ON FUNCTION cmdsched.runs_ok(text, text) IS 'Moves the clock to the time of this command, which runs it and what falls due before: does it succeed at once?';
GRANT EXECUTE ON FUNCTION cmdsched.runs_ok(text, text) TO PUBLIC;

CREATE FUNCTION cmdsched.fails_with(schedule_id text, sqlstate text, description text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS $$
DECLARE
    result CONSTANT record := cmdsched.pgtap_run_command(schedule_id);
    wanted CONSTANT text := $2;
BEGIN
    IF result.code = wanted THEN
        RETURN ok(true, coalesce(description, pg_catalog.format('%s fails with %s', schedule_id, wanted)));
    END IF;
    RETURN pg_catalog.concat_ws(E'\n', ok(false, coalesce(description, pg_catalog.format('%s fails with %s', schedule_id, wanted))),
        diag(pg_catalog.format(E'    wanted: %s of %s\n    found: %s', wanted, schedule_id, result.what)));
END
$$;
COMMENT ON FUNCTION cmdsched.fails_with(text, text, text) IS 'Moves the clock to the time of this command, which runs it and what falls due before: does it fail with this SQLSTATE?';
GRANT EXECUTE ON FUNCTION cmdsched.fails_with(text, text, text) TO PUBLIC;
