-- Starting, stopping and waking the workers, and the view that shows them.
\i test/sql/include/shared.sql
SELECT cmdsched.start() IS NOT NULL AS started;

CREATE SCHEMA workers;
CREATE TABLE workers.log (n serial, command text, attempts integer, pid integer DEFAULT pg_backend_pid());
CREATE FUNCTION workers.write(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    INSERT INTO workers.log (command, attempts) VALUES (c.schedule_id, c.attempts)
$$;
-- It waits for a lock that this session may hold.
CREATE FUNCTION workers.wait(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock_shared(4242);
    SELECT workers.write(c)
$$;
SELECT cmdsched.register_handler('Write', 'workers.write(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('Wait', 'workers.wait(cmdsched.scheduled_commands)');
CREATE ROLE regress_workers LOGIN;
GRANT USAGE ON SCHEMA cmdsched TO regress_workers;

-- Starting what runs and stopping what does not changes nothing.
SELECT cmdsched.start();
SELECT cmdsched.stop();
SELECT cmdsched.stop();
SELECT kind, state FROM cmdsched.workers;
SELECT cmdsched.start();
SELECT cmdsched.start();

-- The processes, as the view and as pg_stat_activity show them.
SELECT cmdsched.schedule('Write', schedule_id => 'first');
SELECT pg_temp.wait_until_gone('first');
SELECT pg_temp.wait_for($$count(*) = 1 FROM cmdsched.workers WHERE kind = 'executor' AND state = 'idle'$$);
SELECT kind, role = current_user AS is_my_role, state, since <= clock_timestamp() AS since_then, commands_run > 0 AS has_run, schedule_id
  FROM cmdsched.workers ORDER BY kind DESC;
SELECT w.kind, a.backend_type, a.datname = current_database() AS this_database, CASE w.kind WHEN 'executor' THEN a.usename = current_user END AS my_role, a.state, a.query
  FROM cmdsched.workers AS w JOIN pg_stat_activity AS a USING (pid) ORDER BY w.kind DESC;
SELECT l.pid = w.pid AS that_one_ran_it FROM workers.log AS l, cmdsched.workers AS w WHERE w.kind = 'executor';
-- While it runs a command it shows which, but not to everyone.
SELECT pg_advisory_lock(4242);
SELECT cmdsched.schedule('Wait', schedule_id => 'waits');
SELECT pg_temp.wait_for($$count(*) = 1 FROM cmdsched.workers WHERE schedule_id = 'waits'$$);
SELECT kind, state, schedule_id, command_type, command_since BETWEEN now() - interval '1 minute' AND now() AS since_then
  FROM cmdsched.workers WHERE kind = 'executor' AND schedule_id IS NOT NULL;
SET ROLE regress_workers;
SELECT count(*) > 0 AS sees_executors, count(schedule_id) AS ids, count(command_type) + count(command_since) AS others FROM cmdsched.workers WHERE kind = 'executor';
RESET ROLE;
SELECT pg_advisory_unlock(4242);
SELECT pg_temp.wait_until_gone('waits');
SELECT pg_temp.wait_for($$count(schedule_id) = 0 FROM cmdsched.workers$$);

-- stop() lets what runs finish.
SELECT pg_advisory_lock(4242);
SELECT cmdsched.schedule('Wait', schedule_id => 'finishes');
SELECT pg_temp.wait_for($$count(*) = 1 FROM cmdsched.workers WHERE schedule_id = 'finishes'$$);
SELECT pg_advisory_unlock(4242), cmdsched.stop('10 seconds');
SELECT count(*) FROM cmdsched.scheduled_commands;
-- What is scheduled meanwhile waits.
SELECT cmdsched.schedule('Write', schedule_id => 'meanwhile');
SELECT cmdsched.trigger();
NOTIFY cmdsched;
SELECT schedule_id, status FROM cmdsched.get_due_commands();
SELECT cmdsched.start();
SELECT pg_temp.wait_until_gone('meanwhile');
-- After the timeout it is ended: rolled back, not counted, and run again with the next start().
TRUNCATE workers.log;
SELECT pg_advisory_lock(4242);
SELECT cmdsched.schedule('Wait', schedule_id => 'ended');
SELECT pg_temp.wait_for($$count(*) = 1 FROM cmdsched.workers WHERE schedule_id = 'ended'$$);
SELECT cmdsched.stop('0');
SELECT kind FROM cmdsched.workers WHERE kind <> 'launcher';
SELECT schedule_id, status, attempts, last_error FROM cmdsched.get_due_commands();
SELECT pg_advisory_unlock(4242);
SELECT cmdsched.start();
SELECT pg_temp.wait_until_gone('ended');
SELECT command, attempts FROM workers.log;

-- What no schedule() has told of is found with trigger(), with NOTIFY, and at the next start.
SELECT cmdsched.schedule('Write', execute_at => '2040-01-01', schedule_id => 'hidden ' || n) FROM generate_series(1, 4) AS n;
CREATE FUNCTION pg_temp.make_due(id text) RETURNS void LANGUAGE sql AS $$
    UPDATE cmdsched.scheduled_commands SET execute_at = now(), due_at = now() WHERE schedule_id = id
$$;
SELECT pg_temp.make_due('hidden 1');
SELECT cmdsched.trigger();
SELECT pg_temp.wait_until_gone('hidden 1');
SELECT pg_temp.make_due('hidden 2');
NOTIFY cmdsched;
SELECT pg_temp.wait_until_gone('hidden 2');
-- In one transaction: it looks after the commit.
BEGIN;
SELECT pg_temp.make_due('hidden 3');
SELECT cmdsched.trigger();
COMMIT;
SELECT pg_temp.wait_until_gone('hidden 3');
SELECT cmdsched.stop();
SELECT pg_temp.make_due('hidden 4');
SELECT cmdsched.start();
SELECT pg_temp.wait_until_gone('hidden 4');
-- Everybody may wake it.
SELECT cmdsched.schedule('Write', execute_at => '2040-01-01', schedule_id => 'hidden 5');
SELECT pg_temp.make_due('hidden 5');
SET ROLE regress_workers;
SELECT cmdsched.trigger();
RESET ROLE;
SELECT pg_temp.wait_until_gone('hidden 5');

-- At its time and not before it.
CREATE TABLE workers.times (due timestamptz, started timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION workers.note(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS $$
    INSERT INTO workers.times (due) VALUES (c.execute_at)
$$;
SELECT cmdsched.register_handler('Note', 'workers.note(cmdsched.scheduled_commands)');
SELECT count(cmdsched.schedule('Note', execute_at => now() + n * interval '10 milliseconds', schedule_id => 'timer ' || n)) FROM generate_series(1, 50) AS n;
SELECT pg_temp.wait_until_gone('timer %');
SELECT count(*), bool_and(started >= due) AS never_early FROM workers.times;
-- A new one that is sooner than what the worker waits for, and one that is put off, and one that is brought forward.
SELECT cmdsched.schedule('Write', execute_at => now() + interval '1 hour', schedule_id => 'late');
SELECT cmdsched.schedule('Write', execute_at => now() + interval '30 milliseconds', schedule_id => 'soon');
SELECT pg_temp.wait_until_gone('soon');
BEGIN;
SELECT cmdsched.schedule('Write', schedule_id => 'put off');
SELECT cmdsched.reschedule('put off', now() + interval '1 hour');
COMMIT;
SELECT cmdsched.reschedule('late', now());
SELECT pg_temp.wait_until_gone('late');
SELECT schedule_id, status, attempts, cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands;
-- From many transactions, in any order.
DO $$
BEGIN
    FOR n IN 1..200 LOOP
        PERFORM cmdsched.schedule('Write', execute_at => now() + n * 37 % 100 * interval '1 millisecond', schedule_id => 'any ' || n);
        COMMIT;
    END LOOP;
END
$$;
SELECT pg_temp.wait_until_gone('any %');
SELECT count(*), count(DISTINCT command) FROM workers.log WHERE command LIKE 'any %';

-- A slow command holds up nobody.
SELECT pg_advisory_lock(4242);
SELECT cmdsched.schedule('Wait', schedule_id => 'slow');
SELECT pg_temp.wait_for($$count(*) = 1 FROM cmdsched.workers WHERE schedule_id = 'slow'$$);
SELECT cmdsched.schedule('Write', schedule_id => 'quick');
SELECT pg_temp.wait_until_gone('quick');
SELECT schedule_id FROM cmdsched.scheduled_commands;
SELECT pg_advisory_unlock(4242);
SELECT pg_temp.wait_until_gone('slow');

SELECT count(cmdsched.unregister_handler(command_type)) FROM cmdsched.handlers;
DROP OWNED BY regress_workers;
DROP ROLE regress_workers;
\set VERBOSITY terse
DROP SCHEMA workers CASCADE;
