/*
 * test/torture/oracle.sql
 *
 * The ledger (standard input: what, tab, id) against what the handlers wrote,
 * of rounds from :first on.  Prints what is wrong, one line each: what, id.
 *
 *	tried      about to be scheduled; nothing more is known if nothing follows
 *	acked      its COMMIT was acknowledged
 *	undone     rolled back, or refused
 *	cancelling about to be cancelled
 *	cancelled  cancel() answered true
 *	too late   cancel() answered false
 *
 * The comparison is one statement, with one snapshot: a command that was
 * acknowledged before must have left its effect or still be waiting,
 * whatever goes on meanwhile.
 */
\set QUIET on
CREATE TEMP TABLE ledger (what text, id text COLLATE "C");
\copy ledger FROM pstdin

WITH effects AS (
    SELECT e.id, count(*) AS times, bool_or(greatest(e.at, e.began) < e.due) AS early
      FROM torture.effects AS e
     WHERE e.round >= :first
     GROUP BY e.id),
waiting AS (
    SELECT c.command_data->>'id' COLLATE "C" AS id, count(*) AS times
      FROM cmdsched.scheduled_commands AS c
     GROUP BY 1),
known AS (
    SELECT l.id,
           bool_or(l.what = 'acked') AS acked,
           bool_or(l.what = 'undone') AS undone,
           bool_or(l.what = 'cancelling') AS cancelling,
           bool_or(l.what = 'cancelled') AS cancelled,
           bool_or(l.what = 'too late') AS too_late
      FROM (SELECT * FROM ledger
             UNION ALL
            SELECT 'acked', e.follow_up FROM torture.effects AS e WHERE e.follow_up IS NOT NULL AND e.round >= :first) AS l
     GROUP BY l.id),
verdict AS (
    SELECT k.id IS NULL AS unknown, k.*,
           coalesce(k.id, e.id, w.id) AS name,
           coalesce(e.times, 0) AS ran,
           coalesce(w.times, 0) AS waits,
           e.early
      FROM known AS k
      FULL JOIN effects AS e ON e.id = k.id
      FULL JOIN waiting AS w ON w.id = coalesce(k.id, e.id)
     WHERE k.id IS NOT NULL OR e.id IS NOT NULL OR split_part(w.id, '.', 1)::integer >= :first)
SELECT 'lost', name FROM verdict
 WHERE acked AND (NOT cancelling AND ran + waits = 0 OR too_late AND ran = 0)
 UNION ALL
SELECT 'duplicated', name FROM verdict WHERE ran + waits > 1
 UNION ALL
SELECT 'phantom', name FROM verdict WHERE (unknown OR undone OR cancelled) AND ran + waits > 0
 UNION ALL
SELECT 'early', name FROM verdict WHERE early
 ORDER BY 1, 2;
