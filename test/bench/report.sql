-- test/bench/report.sql: from figures to the table.  :cores, :repeats and
-- :quick are told.

-- What design and README promise: of cmdsched itself where subject is
-- cmdsched, otherwise of its ratio to the subject.
CREATE TABLE bench.goals (workload text, subject text, relation text, bound double precision);
INSERT INTO bench.goals VALUES
    ('drain, handler inserts a row', 'cmdsched', '>=', 250000),
    ('drain, handler inserts a row', 'handler calls', '>=', 0.6),
    ('drain, handler inserts a row', 'own queue, a statement for 100', '>=', 2),
    ('drain, handler inserts a row', 'own queue, plpgsql loop over 100', '>=', 2),
    ('drain, empty handler', 'cmdsched', '>=', 400000),
    ('drain of % under an old snapshot, its last tenth', 'its first tenth', '>=', 0.9),
    ('drain beside % future commands', 'none beside', '>=', 0.9),
    ('schedule(), one a transaction, 8 clients', 'bare INSERT', '>=', 0.9),
    ('SELECT schedule() FROM a table', 'INSERT ... SELECT', '>=', 0.6),
    ('claim and complete, two applications', 'cmdsched', '>=', 30000),
    ('claim and complete under an old snapshot, the last tenth', 'the first tenth', '>=', 0.9),
    ('lateness of a claim, idle, p99', 'cmdsched', '<=', 20),
    ('start after commit, idle, p50', 'cmdsched', '<=', 0.15),
    ('start after commit, idle, p99', 'cmdsched', '<=', 0.5),
    ('lateness of a timer, idle, p50', 'cmdsched', '<=', 0.3),
    ('lateness of a timer, idle, p99', 'cmdsched', '<=', 1),
    ('drain, empty handler, WAL a command', 'cmdsched', '<=', 60),
    ('idle, CPU of all workers', 'cmdsched', '<=', 0.1);

-- The ratio is that of each round, since rounds differ more than the two
-- halves of one do.
CREATE VIEW bench.summary AS
    WITH compared AS (
        SELECT f.*, c.value / nullif(f.value, 0) AS ratio
          FROM bench.figures AS f
          LEFT JOIN bench.figures AS c
            ON c.workload = f.workload AND c.round = f.round AND c.subject = 'cmdsched' AND f.subject <> 'cmdsched'
    ), summed AS (
        SELECT workload, subject, unit, min(n) AS n,
               array_agg(value ORDER BY n) AS runs,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS median,
               min(value) AS least, max(value) AS most,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY ratio) AS ratio
          FROM compared
         GROUP BY workload, subject, unit
    )
    SELECT s.*, min(s.n) OVER (PARTITION BY s.workload) AS workload_n, g.relation, g.bound,
           CASE g.relation
               WHEN '>=' THEN coalesce(s.ratio, s.median) >= g.bound
               WHEN '<=' THEN coalesce(s.ratio, s.median) <= g.bound
           END AS is_met
      FROM summed AS s
      LEFT JOIN bench.goals AS g ON s.workload LIKE g.workload AND s.subject = g.subject;

-- Two or three digits that mean something, and thousands apart.
CREATE FUNCTION bench.show(value double precision) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN abs(value) >= 1000 THEN trim(to_char(value, '999,999,999,999'))
        WHEN abs(value) >= 100 THEN round(value::numeric)::text
        WHEN abs(value) >= 10 THEN round(value::numeric, 1)::text
        WHEN abs(value) >= 1 THEN round(value::numeric, 2)::text
        ELSE round(value::numeric, 3)::text END
$$;

CREATE FUNCTION bench.show_run() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('PostgreSQL %s on %s cores%s; %s', current_setting('server_version'),
                  current_setting('bench.cores'),
                  coalesce(' of ' || (regexp_match(pg_read_file('/proc/cpuinfo'), 'model name\s*: ([^\n]+)'))[1], ''),
                  (SELECT string_agg(format('%s = %s', s.name, current_setting(s.name)), ', ' ORDER BY s.name)
                     FROM pg_settings AS s
                    WHERE s.name IN ('autovacuum', 'fsync', 'full_page_writes', 'max_wal_size', 'max_worker_processes',
                                     'shared_buffers', 'synchronous_commit', 'wal_level', 'jit')
                       OR (s.name LIKE 'cmdsched.%' AND s.name <> 'cmdsched.databases')))
$$;

SET bench.cores = :'cores';

CREATE TABLE bench.markdown (n integer GENERATED ALWAYS AS IDENTITY, line text);
INSERT INTO bench.markdown (line) VALUES
    ('| workload | of | unit | median | least | most | cmdsched to this | goal |'),
    ('|---|---|---|---:|---:|---:|---:|---|');
INSERT INTO bench.markdown (line)
SELECT format('| %s | %s | %s | %s | %s | %s | %s | %s |', s.workload, s.subject, s.unit, bench.show(s.median),
              bench.show(s.least), bench.show(s.most), round(s.ratio::numeric, 2),
              CASE s.relation WHEN '>=' THEN 'at least ' WHEN '<=' THEN 'at most ' END || bench.show(s.bound) ||
              CASE WHEN s.is_met THEN ': ok' ELSE ': **below**' END)
  FROM bench.summary AS s
 ORDER BY s.workload_n, s.subject <> 'cmdsched', s.n;
INSERT INTO bench.markdown (line) VALUES ('');
INSERT INTO bench.markdown (line)
SELECT format('- %s, %s, at %s: %s', c.workload, c.unit, string_agg(c.x::text, ' ' ORDER BY c.x),
              string_agg(bench.show(c.median), ' ' ORDER BY c.x))
  FROM (SELECT workload, unit, x, percentile_cont(0.5) WITHIN GROUP (ORDER BY value) AS median
          FROM bench.curves GROUP BY workload, unit, x) AS c
 GROUP BY c.workload, c.unit
 ORDER BY c.workload;
INSERT INTO bench.markdown (line)
SELECT format(E'\n%s%s rounds. %s.', CASE :'quick' WHEN '0' THEN '' ELSE 'A quick run: the figures mean nothing. ' END,
              :'repeats', bench.show_run());

CREATE TABLE bench.json AS
    SELECT jsonb_build_object(
        'run', bench.show_run(),
        'rounds', :'repeats'::integer,
        'quick', :'quick' <> '0',
        'figures', (SELECT jsonb_agg(to_jsonb(s) - 'n' - 'workload_n' ORDER BY s.workload_n, s.n)
                      FROM bench.summary AS s),
        'curves', (SELECT jsonb_agg(to_jsonb(c) ORDER BY c.workload, c.round, c.x) FROM bench.curves AS c)
    ) AS document;
