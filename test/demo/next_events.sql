/*
 * test/demo/next_events.sql
 *
 * What has happened since the last time, one line each, and "over" as the
 * last line when nothing is left to happen.  Both are of one snapshot: once
 * no command waits, no event is missing.
 */
WITH news AS (
    UPDATE shop.events AS e SET told = true WHERE NOT e.told
    RETURNING e.event_id, e.order_id, e.what, e.happened_at
), lines AS (
    SELECT n.happened_at, n.event_id,
           pg_catalog.format('  %s s   %s   %s',
                             pg_catalog.to_char(extract(epoch FROM n.happened_at - s.begun_at), '90.000'), n.order_id, n.what) AS line
      FROM news AS n JOIN shop.stories AS s ON s.story = n.order_id / 100
    UNION ALL
    SELECT 'infinity', 0, 'over'
     WHERE NOT EXISTS (SELECT FROM cmdsched.scheduled_commands AS c WHERE c.status = 'pending')
)
SELECT l.line FROM lines AS l ORDER BY l.happened_at, l.event_id;
