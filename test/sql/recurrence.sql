-- What daylight saving does to a schedule, and intervals.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';

-- In local time, with the abbreviation of the zone left out: the offset tells.
CREATE FUNCTION runs(expression text, zone text, after timestamptz, dst_gap text, dst_overlap text, count integer) RETURNS text
LANGUAGE sql BEGIN ATOMIC
    SELECT coalesce(string_agg(to_char(r AT TIME ZONE zone, 'MM-DD HH24:MI:SS') || ' ' || (r AT TIME ZONE zone - r AT TIME ZONE 'UTC'), ', ' ORDER BY r), 'never')
      FROM cmdsched.next_runs(expression, zone, after, count, dst_gap, dst_overlap) AS r;
END;

-- The clock is put forward: 02:00 becomes 03:00, on 29 March 2026.
SELECT expression, dst_gap, runs(expression, 'Europe/Berlin', '2026-03-28 12:00+00', dst_gap, 'first', 3) FROM (VALUES
    ('30 1 * * *'), ('0 2 * * *'), ('30 2 * * *'), ('0 3 * * *'), ('30 2,3 * * *'), ('*/30 2 * * *'), ('0 0 * * *')
) AS cases (expression), (VALUES ('shift'), ('skip')) AS rules (dst_gap);
-- One that runs all day long knows of no gap.
SELECT runs('*/30 * * * *', 'Europe/Berlin', '2026-03-29 00:00+00', 'shift', 'first', 4);
SELECT runs('15 */2 * * *', 'Europe/Berlin', '2026-03-28 22:00+00', 'shift', 'first', 4);

-- The clock is put back: 03:00 becomes 02:00, on 25 October 2026.
SELECT expression, dst_overlap, runs(expression, 'Europe/Berlin', '2026-10-24 12:00+00', 'shift', dst_overlap, 4) FROM (VALUES
    ('59 1 * * *'), ('0 2 * * *'), ('30 2 * * *'), ('0 3 * * *'), ('*/30 2 * * *')
) AS cases (expression), (VALUES ('first'), ('last'), ('both')) AS rules (dst_overlap);
SELECT runs('*/30 * * * *', 'Europe/Berlin', '2026-10-24 23:45+00', 'shift', 'first', 6);
-- Asked in the middle of it
SELECT dst_overlap, runs('30 2 * * *', 'Europe/Berlin', '2026-10-25 00:45+00', 'shift', dst_overlap, 1) FROM (VALUES ('first'), ('last'), ('both')) AS rules (dst_overlap);

-- Other zones: half an hour, an hour before midnight, a whole day, without
-- daylight saving, history.
SELECT runs('15 2 * * *', 'Australia/Lord_Howe', '2026-10-02 00:00+00', 'shift', 'first', 3);
SELECT runs('45 1 * * *', 'Australia/Lord_Howe', '2026-04-03 00:00+00', 'shift', 'last', 3);
SELECT runs('30 23 * * *', 'America/Scoresbysund', '2026-03-27 00:00+00', 'shift', 'first', 4);
SELECT runs('0 12 * * *', 'Pacific/Apia', '2011-12-28 00:00+00', 'shift', 'first', 4);
SELECT runs('0 12 * * *', 'Pacific/Apia', '2011-12-28 00:00+00', 'skip', 'first', 4);
SELECT runs('0 0 30 12 *', 'Pacific/Apia', '2010-12-31 12:00+00', 'shift', 'first', 2);
SELECT runs('0 0 30 12 *', 'Pacific/Apia', '2010-12-31 12:00+00', 'skip', 'first', 2);
SELECT runs('0 9 * * *', 'Asia/Kolkata', '2026-03-28 12:00+00', 'shift', 'first', 2);
SELECT runs('5 0 1 1 *', 'Asia/Kathmandu', '1985-06-01 00:00+00', 'shift', 'first', 2);
SELECT runs('30 2 * * *', 'Africa/Casablanca', '2022-03-26 12:00+00', 'shift', 'first', 3);
SELECT runs('0 12 1 7 *', 'Europe/Berlin', '2500-01-01 00:00+00', 'shift', 'first', 1);
-- Never: only ever in the gap.
SELECT runs('30 2 * 3 sunL', 'Europe/Berlin', '2026-01-01 00:00+00', 'skip', 'first', 2);
SELECT runs('30 2 * 3 sunL', 'Europe/Berlin', '2026-01-01 00:00+00', 'shift', 'first', 2);

-- Intervals: hours pass, days and months are those of the calendar there.
SELECT expression, after, runs(expression, zone, after::timestamptz, 'shift', 'first', 4) FROM (VALUES
    ('30 seconds', 'UTC', '2026-01-01 00:00:07+00'),
    ('90min', 'UTC', '2026-01-01 00:00+00'),
    ('PT36H', 'Europe/Berlin', '2026-03-28 12:00+00'),
    ('24:00:00', 'Europe/Berlin', '2026-03-28 12:00+00'),
    ('1 day', 'Europe/Berlin', '2026-03-28 12:00+00'),
    ('1 day', 'Europe/Berlin', '2026-03-28 01:30+00'),
    ('1 week', 'Europe/Berlin', '2026-10-18 00:30+00'),
    ('1 month', 'UTC', '2026-01-31 10:00+00'),
    ('1 month', 'UTC', '2027-12-31 10:00+00'),
    ('1 month', 'Europe/Berlin', '2026-01-30 23:30+00'),
    ('1 month', 'America/New_York', '2026-01-30 23:30+00'),
    ('1 year', 'UTC', '2024-02-29 10:00+00'),
    ('@ 1 day 12 hours', 'Europe/Berlin', '2026-03-28 12:00+00')
) AS cases (expression, zone, after);
SELECT dst_gap, runs('1 day', 'Europe/Berlin', '2026-03-28 01:30+00', dst_gap, 'first', 2) FROM (VALUES ('shift'), ('skip')) AS rules (dst_gap);
SELECT dst_overlap, runs('1 day', 'Europe/Berlin', '2026-10-24 00:30+00', 'shift', dst_overlap, 2) FROM (VALUES ('first'), ('last')) AS rules (dst_overlap);
-- Counted from within the hour that comes twice: the beginning is no run.
SELECT dst_overlap, after, runs('1 day', 'Europe/Berlin', after::timestamptz, 'shift', dst_overlap, 2)
  FROM (VALUES ('first'), ('last'), ('both')) AS rules (dst_overlap), (VALUES ('2026-10-25 00:30+00'), ('2026-10-25 01:30+00')) AS anchors (after);
SELECT runs('100 years', 'UTC', '294100-01-01 00:00+00', 'shift', 'first', 4);
SELECT runs('2000000000 months', 'UTC', '2026-01-01 00:00+00', 'shift', 'first', 4);
SELECT runs('2000000000 days', 'UTC', '2026-01-01 00:00+00', 'shift', 'first', 4);
SELECT runs('2500000000 hours', 'UTC', '2026-01-01 00:00+00', 'shift', 'first', 4);

-- Refused
SELECT cmdsched.next_runs('0 seconds');
SELECT cmdsched.next_runs('0.5 seconds');
SELECT cmdsched.next_runs('-1 hour');
SELECT cmdsched.next_runs('1 day -1 hour');
SELECT cmdsched.next_runs('1 mon -30 days');
SELECT cmdsched.next_runs('1 fortnight');

-- The same answer from any earlier moment, and nothing in between.
SELECT count(*) AS wrong
  FROM (VALUES ('*/7 1-3 * * *'), ('30 2 * * *'), ('0 0 L * *'), ('15 2 29-31 * sunL'), ('0 30 2 * 3,10 *')) AS e (expression),
       (VALUES ('Europe/Berlin'), ('Australia/Lord_Howe'), ('America/Sao_Paulo'), ('Pacific/Apia')) AS z (zone),
       (VALUES ('shift', 'first'), ('skip', 'last'), ('shift', 'both')) AS r (dst_gap, dst_overlap),
       LATERAL (SELECT array_agg(run ORDER BY run) AS runs FROM cmdsched.next_runs(expression, zone, '2011-01-01 00:00+00', 400, dst_gap, dst_overlap) AS run) AS all_runs,
       generate_series(1, 399) AS i
 WHERE (SELECT run FROM cmdsched.next_runs(expression, zone, runs[i] + (runs[i + 1] - runs[i]) * (i % 10) / 10, 1, dst_gap, dst_overlap) AS run) IS DISTINCT FROM runs[i + 1];

DROP FUNCTION runs;
