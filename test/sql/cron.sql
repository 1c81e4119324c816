-- Cron expressions: which local times they name.  In UTC, where no clock is
-- ever changed.
SET timezone = 'UTC';
SET datestyle = 'ISO';

CREATE FUNCTION runs(expression text, after timestamptz, count integer DEFAULT 4) RETURNS text
LANGUAGE sql BEGIN ATOMIC
    SELECT coalesce(string_agg(to_char(r, 'Dy YYYY-MM-DD HH24:MI:SS'), ', ' ORDER BY r), 'never')
      FROM cmdsched.next_runs(expression, 'UTC', after, count) AS r;
END;

SELECT expression, after, runs(expression, after::timestamptz) FROM (VALUES
    -- strictly after
    ('* * * * *', '2026-01-31 23:58:00'),
    ('* * * * *', '2026-01-31 23:57:59.999999'),
    ('0 9 * * *', '2026-01-31 09:00'),
    -- lists, ranges, steps, names
    ('1,2,58-59 * * * *', '2026-01-31 10:00'),
    ('*/25 * * * *', '2026-01-31 10:00'),
    ('10-40/15 8 * * *', '2026-01-31 10:00'),
    ('5/20 8 * * *', '2026-01-31 10:00'),
    ('0 0 1 jan,Jul *', '2026-01-31 10:00'),
    ('0 0 * * MON-wed', '2026-01-31 10:00'),
    ('0 0 * * fri-sun', '2026-01-28 10:00'),
    ('0 0 * * 0', '2026-01-28 10:00'),
    ('0 0 * * 7', '2026-01-28 10:00'),
    ('0 0 * * 5-7', '2026-01-28 10:00'),
    -- day of month and day of week: either, unless one begins with a star
    ('0 0 13 * fri', '2026-01-31 10:00'),
    ('0 0 */13 * fri', '2026-01-31 10:00'),
    ('0 0 13 * */5', '2026-01-31 10:00'),
    -- the ends of months
    ('0 0 L * *', '2028-01-31 10:00'),
    ('0 0 $ 2 *', '2026-01-31 10:00'),
    ('0 0 15,L * *', '2026-02-01'),
    ('0 0 31 * *', '2026-01-31 10:00'),
    ('0 0 29 2 *', '2026-01-31 10:00'),
    ('0 0 29 2 *', '2096-03-01'),
    ('0 0 29 2 */7', '2026-01-31 10:00'),
    -- the n-th and the last weekday of a month
    ('0 0 * * fri#2', '2026-01-31 10:00'),
    ('0 0 * * 5#5', '2026-01-31 10:00'),
    ('0 0 * * monL', '2026-01-31 10:00'),
    ('0 0 * * 0L,3#1', '2026-01-31 10:00'),
    ('0 0 * * 7#1', '2026-01-31 10:00'),
    -- with seconds
    ('*/20 * * * * *', '2026-01-31 10:00:25'),
    ('30 59 23 31 12 *', '2026-01-31 10:00'),
    -- names of expressions
    ('@yearly', '2026-01-31 10:00'),
    ('@annually', '2026-01-31 10:00'),
    ('@monthly', '2026-01-31 10:00'),
    ('@weekly', '2026-01-31 10:00'),
    ('@daily', '2026-01-31 10:00'),
    ('@midnight', '2026-01-31 10:00'),
    ('@Hourly', '2026-01-31 10:00'),
    -- white space
    ('  0	9  * * *
', '2026-01-31 10:00'),
    -- no such date
    ('0 0 31 2 *', '2026-01-31 10:00'),
    ('0 0 30,31 2 *', '2026-01-31 10:00'),
    ('0 0 31 4,6,9,11 *', '2026-01-31 10:00'),
    -- the ends of time
    ('0 0 1 1 *', '4713-01-02 00:00 BC'),
    ('0 0 1 1 *', '294274-06-01'),
    ('0 0 1 1 *', '-infinity'),
    ('0 0 1 1 *', 'infinity')
) AS cases (expression, after);

-- What is wrong is named.
CREATE FUNCTION problem(expression text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    state text;
    message text;
    detail text;
    hint text;
BEGIN
    PERFORM cmdsched.next_runs(expression);
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', state, message, nullif(detail, ''), hint);
END
$$;

SELECT problem(expression) FROM (VALUES
    (''), ('*'), ('* * * *'), ('* * * * * * *'), ('hello'),
    ('60 * * * *'), ('* 24 * * *'), ('* * 0 * *'), ('* * 32 * *'), ('* * * 13 *'), ('* * * * 8'), ('60 * * * * *'),
    ('-1 * * * *'), ('1- * * * *'), ('5-1 * * * *'), ('1,,2 * * * *'), ('1, * * * *'), (', * * * *'),
    ('*/0 * * * *'), ('*/x * * * *'), ('*/ * * * *'), ('1/2/3 * * * *'), ('**  * * * *'), ('1.5 * * * *'),
    ('99999999999999999999 * * * *'), ('* * * foo *'), ('* * * janu *'), ('* * * * mond'), ('* jan * * *'),
    ('* * * * 5#6'), ('* * * * 5#'), ('* * * * #1'), ('L * * * *'), ('* * 5L * *'), ('* * * $ *'), ('? * * * *'),
    ('@reboot'), ('@never'), ('@'), ('0 9 * * * Europe/Berlin')
) AS cases (expression);

-- Hostile ones do not take long, and do not loop.
SET statement_timeout = '10s';
SELECT problem(repeat('1,', 10000) || '1 * * * *');
SELECT problem(repeat('*', 100));
SELECT problem(repeat('* ', 100));
SELECT count(*) FROM generate_series(1, 300) AS i, cmdsched.next_runs('0 0 31 2 *');
RESET statement_timeout;

-- Arguments
SELECT cmdsched.next_runs(NULL);
SELECT cmdsched.next_runs('* * * * *', count => -1);
SELECT cmdsched.next_runs('* * * * *', count => 100001);
SELECT cmdsched.next_runs('* * * * *', count => NULL);
SELECT cmdsched.next_runs('* * * * *', after => NULL);
SELECT cmdsched.next_runs('* * * * *', timezone => 'Europe/Atlantis');
SELECT cmdsched.next_runs('* * * * *', dst_gap => 'jump');
SELECT cmdsched.next_runs('* * * * *', dst_gap => NULL);
SELECT cmdsched.next_runs('* * * * *', dst_overlap => 'second');
SELECT cmdsched.next_runs('* * * * *', dst_overlap => NULL);
SELECT count(*) FROM cmdsched.next_runs('* * * * *', count => 0);
SELECT count(*) FROM cmdsched.next_runs('* * * * *');

DROP FUNCTION runs, problem;
