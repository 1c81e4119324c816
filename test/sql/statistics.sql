-- What is counted of attempts, and who sees it.
\i test/sql/include/shared.sql
SELECT cmdsched.stop() IS NOT NULL AS stopped;

CREATE SCHEMA statistics;
CREATE ROLE regress_statistics LOGIN;
CREATE ROLE regress_statistics_admin LOGIN;
GRANT USAGE ON SCHEMA cmdsched, statistics TO PUBLIC;
CREATE TABLE statistics.filled (filler text);
CREATE TABLE statistics.checked (n integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
GRANT ALL ON ALL TABLES IN SCHEMA statistics TO PUBLIC;
CREATE FUNCTION statistics.do(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE $1 #>> '{}'; END $$;
SELECT cmdsched.register_handler('StatDo', 'statistics.do(jsonb)', max_attempts => 2, backoff => '0', command_module => m) FROM unnest('{a, b}'::text[]) AS m;
SELECT cmdsched.register_handler('StatAbroad', NULL, external => true);
SELECT cmdsched.register_handler('StatOnce', 'statistics.do(jsonb)', max_attempts => 1);
CREATE VIEW pg_temp.counts AS
    SELECT command_type, command_module AS module, runs, succeeded, failures, failures_by_class AS by_class, failed_for_good AS for_good, retries, conflicts, snoozed, held
      FROM cmdsched.stat_handlers WHERE command_type LIKE 'Stat%' ORDER BY 1, 2;
SELECT cmdsched.reset_statistics();
SELECT * FROM pg_temp.counts;

-- Each type and module on its own.  Groups in which one fails are run again; a second attempt, at once, is the last.
SELECT count(cmdsched.schedule('StatDo', '"SELECT"', command_module => 'a')) FROM generate_series(1, 100);
SELECT count(cmdsched.schedule('StatDo', to_jsonb(s), command_module => 'b')) FROM unnest(ARRAY['SELECT 1 / 0', 'SELECT', 'SELECT 1 / 0']) AS s;
SELECT cmdsched.run_once();
SELECT * FROM pg_temp.counts;
-- What is rolled back has not been, be it to a savepoint.
BEGIN;
SELECT cmdsched.schedule('StatDo', '"SELECT"', command_module => 'a', schedule_id => 'rolled back');
SELECT cmdsched.run_once();
ROLLBACK;
BEGIN;
SELECT cmdsched.schedule('StatDo', '"SELECT"', command_module => 'a', schedule_id => 'kept');
SAVEPOINT one;
SELECT cmdsched.run_once();
ROLLBACK TO one;
SAVEPOINT two;
SELECT cmdsched.run_once();
SAVEPOINT three;
SELECT cmdsched.schedule('StatDo', '"SELECT"', command_module => 'b', schedule_id => 'inside');
SELECT cmdsched.run_once();
RELEASE three;
SELECT cmdsched.schedule('StatDo', '"SELECT"', command_module => 'b', schedule_id => 'outside');
SELECT cmdsched.run_once();
RELEASE two;
SELECT command_type, module, runs FROM pg_temp.counts;
COMMIT;
SELECT command_type, module, runs, succeeded FROM pg_temp.counts;

-- How else an attempt ends.  More classes than are told apart.
SELECT cmdsched.reset_statistics();
SELECT cmdsched.schedule('StatDo', '"SELECT cmdsched.snooze(''1 day'')"', schedule_id => 'snoozed', command_module => 'a');
SELECT cmdsched.schedule('StatDo', '"SELECT cmdsched.abandon(''why'')"', schedule_id => 'abandoned', command_module => 'a');
SELECT cmdsched.schedule('StatDo', '"DO $$ BEGIN RAISE SQLSTATE ''40001''; END $$"', schedule_id => 'conflict', command_module => 'a');
SELECT cmdsched.run_once();
-- The one in conflict is due again some milliseconds later, which may be at once.
SELECT command_type, runs - conflicts AS others, succeeded, failures, by_class, for_good, retries, conflicts > 0 AS conflicts, snoozed, held FROM pg_temp.counts;
SELECT count(cmdsched.schedule('StatOnce', to_jsonb(format('DO $$ BEGIN RAISE SQLSTATE ''X%s000''; END $$', chr(64 + n))))) FROM generate_series(1, 20) AS n;
SELECT cmdsched.run_once();
SELECT failures, failures_by_class FROM cmdsched.stat_handlers WHERE command_type = 'StatOnce';
-- A type that is not registered any more.
SELECT cmdsched.schedule('StatOnce', '"SELECT"', schedule_id => 'nobody');
SELECT cmdsched.unregister_handler('StatOnce');
SELECT cmdsched.run_once();
SELECT runs, held, run_time_total_ms > 0 AS took_time FROM cmdsched.stat_handlers WHERE command_type = 'StatOnce';
SELECT count(cmdsched.cancel(schedule_id)) > 20 AS cancelled FROM cmdsched.scheduled_commands;

-- Times, blocks and WAL.
SELECT cmdsched.reset_statistics();
SELECT runs FROM pg_temp.counts;
SELECT count(cmdsched.schedule('StatDo', '"SELECT pg_sleep(0.02)"', command_module => 'b')) FROM generate_series(1, 3);
SELECT cmdsched.schedule('StatDo', '"INSERT INTO statistics.filled SELECT repeat(''x'', 1000) FROM generate_series(1, 100)"', command_module => 'a', schedule_id => 'fill');
SELECT cmdsched.run_once();
SELECT command_module, lateness_mean_ms > 0 AND lateness_p50_ms > 0 AND lateness_p50_ms <= lateness_p95_ms AND lateness_p95_ms <= lateness_p99_ms
       AND lateness_p99_ms <= lateness_max_ms AND lateness_max_ms <= lateness_total_ms AS lateness,
       run_time_mean_ms > 0 AND run_time_p50_ms > 0 AND run_time_p50_ms <= run_time_p95_ms AND run_time_p95_ms <= run_time_p99_ms
       AND run_time_p99_ms <= run_time_max_ms AND run_time_max_ms <= run_time_total_ms AS run_time,
       since BETWEEN now() - interval '1 minute' AND now() AS since
  FROM cmdsched.stat_handlers WHERE command_type = 'StatDo' ORDER BY 1;
SELECT shared_blocks_hit + shared_blocks_read > 90 AS blocks, wal_bytes > 100000 AS wal
  FROM cmdsched.stat_handlers WHERE command_type = 'StatDo' AND command_module = 'a';
SELECT run_time_mean_ms >= 20 AND run_time_p50_ms >= 16 AND run_time_total_ms >= 60 AS slept, wal_bytes
  FROM cmdsched.stat_handlers WHERE command_type = 'StatDo' AND command_module = 'b';

-- By workers, who leave.  A commit that fails counts for the one that is to blame.
SELECT cmdsched.reset_statistics();
SET ROLE regress_statistics;
SELECT count(cmdsched.schedule('StatDo', to_jsonb(format('INSERT INTO statistics.checked VALUES (%s)', n % 20)), command_module => 'a')) FROM generate_series(1, 21) AS n;
RESET ROLE;
SELECT cmdsched.start();
SELECT pg_temp.wait_for($$count(*) = 1 FROM cmdsched.scheduled_commands WHERE status = 'failed'$$);
SELECT cmdsched.stop();
SELECT * FROM pg_temp.counts;

-- What waits, by role.
SET ROLE regress_statistics;
SELECT count(cmdsched.schedule('StatDo', '"SELECT"', now() + n * interval '1 hour', command_module => 'a')) FROM generate_series(0, 9) AS n;
SELECT cmdsched.schedule('StatDo', '"SELECT 1 / 0"', command_module => 'b', schedule_id => 'fails');
SELECT cmdsched.schedule('StatAbroad', '{}', schedule_id => 'abroad');
RESET ROLE;
SET ROLE regress_statistics_admin;
SELECT cmdsched.schedule('StatDo', '"SELECT"', '2040-01-01', command_module => 'a', schedule_id => 'admin');
RESET ROLE;
CREATE VIEW statistics.roles AS
    SELECT role, pending, due, now() - oldest_due_at < interval '1 minute' AS late, lag_ms >= 0 AND lag_ms < 60000 AS lag, claimable, oldest_claimable_at <= cmdsched.now() AS since, running, held, failed
      FROM cmdsched.stat_roles WHERE role LIKE 'regress_stat%';
GRANT SELECT ON statistics.roles TO PUBLIC;
SELECT * FROM statistics.roles ORDER BY role;
-- A role sees itself, and whose privileges it has; a monitor sees all.
CREATE ROLE regress_statistics_monitor LOGIN;
SET ROLE regress_statistics;
SELECT role, pending FROM cmdsched.stat_roles;
SET ROLE regress_statistics_monitor;
SELECT role, pending FROM cmdsched.stat_roles;
RESET ROLE;
GRANT regress_statistics_admin TO regress_statistics_monitor;
SET ROLE regress_statistics_monitor;
SELECT role, pending FROM cmdsched.stat_roles;
RESET ROLE;
GRANT pg_read_all_stats TO regress_statistics_monitor;
SET ROLE regress_statistics_monitor;
SELECT role, pending FROM cmdsched.stat_roles WHERE role LIKE 'regress_stat%' ORDER BY role;
SELECT count(*) FROM cmdsched.scheduled_commands WHERE scheduled_by_name = 'regress_statistics';
-- A function of the reader's own is told no more.
RESET ROLE;
REVOKE pg_read_all_stats FROM regress_statistics_monitor;
CREATE FUNCTION statistics.leak(role name) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'there is %', role; RETURN true; END $$;
SET ROLE regress_statistics_monitor;
SELECT role FROM cmdsched.stat_roles WHERE statistics.leak(role);
RESET ROLE;
-- What is held, failed, running.
SELECT cmdsched.unregister_handler('StatDo', 'a');
SELECT cmdsched.start();
SELECT pg_temp.wait_for($$held = 1 AND failed = 2 FROM cmdsched.stat_roles WHERE role = 'regress_statistics'$$);
SELECT pg_advisory_lock(4343);
SET ROLE regress_statistics;
SELECT cmdsched.schedule('StatDo', '"SELECT pg_advisory_xact_lock(4343)"', command_module => 'b', schedule_id => 'waits');
RESET ROLE;
SELECT pg_temp.wait_for($$running = 1 FROM cmdsched.stat_roles WHERE role = 'regress_statistics'$$);
SELECT * FROM statistics.roles ORDER BY role;
SELECT pg_advisory_unlock(4343);
SELECT pg_temp.wait_until_gone('waits');
SELECT cmdsched.stop();

-- All may see the counters; an administrator begins them anew.
SET ROLE regress_statistics;
SELECT count(*) FROM cmdsched.stat_handlers WHERE command_type LIKE 'Stat%';
SELECT cmdsched.reset_statistics();
RESET ROLE;
GRANT EXECUTE ON FUNCTION cmdsched.reset_statistics() TO regress_statistics_admin;
SET ROLE regress_statistics_admin;
SELECT cmdsched.reset_statistics();
SELECT count(*) FROM cmdsched.stat_handlers WHERE command_type LIKE 'Stat%';
RESET ROLE;

SELECT count(cmdsched.cancel(schedule_id)) FROM cmdsched.scheduled_commands;
SELECT cmdsched.unregister_handler('StatDo', 'b'), cmdsched.unregister_handler('StatAbroad');
SET client_min_messages = warning;
DROP SCHEMA statistics CASCADE;
REVOKE USAGE ON SCHEMA cmdsched FROM PUBLIC;
DROP OWNED BY regress_statistics_admin;
DROP ROLE regress_statistics, regress_statistics_admin, regress_statistics_monitor;
