-- What cmdsched answers to the cases of cases.py, and whether it answers the
-- same when it is asked at some moment between two runs.
SET timezone = 'UTC';
CREATE TEMPORARY TABLE cases (number integer, expression text, zone text, after timestamptz, dst_gap text, dst_overlap text);
\copy cases FROM cases.csv (FORMAT csv)
CREATE TEMPORARY TABLE answers AS
SELECT number,
       -- An interval is counted from where one asks.
       CASE WHEN expression !~ 'mons' THEN NOT EXISTS (
           SELECT FROM unnest(ARRAY[after] || runs[:1], runs) AS pair (before, run),
                       LATERAL cmdsched.next_runs(expression, zone, before + (run - before) * ((number % 97) / 97.0), 1, dst_gap, dst_overlap) AS again
            WHERE run IS NOT NULL AND again IS DISTINCT FROM run) END AS is_same,
       runs
  FROM cases, LATERAL (SELECT array_agg(run ORDER BY run) AS runs FROM cmdsched.next_runs(expression, zone, after, 2, dst_gap, dst_overlap) AS run) AS answer;
\copy (SELECT number, is_same, (extract(epoch FROM runs[1]) * 1000000)::bigint, (extract(epoch FROM runs[2]) * 1000000)::bigint FROM answers ORDER BY number) TO answers.csv (FORMAT csv)
