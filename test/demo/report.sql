/* test/demo/report.sql: every command, when it was to run and when it did */
\echo 'Seconds are those of the story. A command that was due at once is late from the start'
\echo 'of the transaction that scheduled it, its commit included.'
\echo

\pset border 1
\pset footer off
\pset null ''
SELECT r.order_id AS "order",
       r.command_type AS command,
       pg_catalog.to_char(extract(epoch FROM r.execute_at - s.begun_at), '990.000') AS "scheduled s",
       pg_catalog.to_char(extract(epoch FROM r.started_at - s.begun_at), '990.000') AS "started s",
       pg_catalog.round(extract(epoch FROM r.started_at - r.execute_at) * 1000, 3) AS "late ms",
       r.outcome
  FROM shop.runs AS r
  JOIN shop.stories AS s ON s.story = r.order_id / 100
 ORDER BY s.story, coalesce(r.started_at, r.execute_at), r.run_id;

\pset tuples_only on
\pset format unaligned
SELECT pg_catalog.format('%s commands run, %s withdrawn; lateness: median %s ms, worst %s ms.',
                         pg_catalog.count(r.started_at),
                         pg_catalog.count(*) FILTER (WHERE r.started_at IS NULL),
                         pg_catalog.round((pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY l.late_ms))::numeric, 3),
                         pg_catalog.round(pg_catalog.max(l.late_ms), 3))
  FROM shop.runs AS r
 CROSS JOIN LATERAL (SELECT extract(epoch FROM r.started_at - r.execute_at) * 1000 AS late_ms) AS l;
