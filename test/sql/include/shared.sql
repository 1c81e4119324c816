\set ECHO none
-- What the regression tests share.  Temporary, so that nothing is left.

SET timezone = 'UTC';

-- Has the condition become true, within ten seconds?
CREATE FUNCTION pg_temp.wait_for(condition text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    give_up_at timestamptz := clock_timestamp() + interval '10 seconds';
    is_true boolean;
BEGIN
    LOOP
        EXECUTE 'SELECT ' || condition INTO is_true;
        IF is_true OR clock_timestamp() > give_up_at THEN
            RETURN coalesce(is_true, false);
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
END
$$;

-- Is there no command left with such an id?
CREATE FUNCTION pg_temp.wait_until_gone(ids text) RETURNS boolean
LANGUAGE sql AS $$
    SELECT pg_temp.wait_for(format('NOT EXISTS (SELECT FROM cmdsched.scheduled_commands WHERE schedule_id LIKE %L)', ids))
$$;

-- What a statement raises; its effects are gone in any case.
CREATE FUNCTION pg_temp.error_of(statement text, OUT code text, OUT message text, OUT hint text) RETURNS record
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RAISE USING ERRCODE = 'XX999', MESSAGE = 'no error', HINT = '';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS
        code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
END
$$;
\set ECHO all
