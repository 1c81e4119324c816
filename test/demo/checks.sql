/*
 * test/demo/checks.sql
 *
 * One line a check: OK or FAIL, and what was checked.  Run as a superuser,
 * who sees the commands of everybody.
 */
CREATE TEMPORARY TABLE expected (order_id integer, status text, ran text[], reminders integer, payments boolean[], ending text);
-- Order 205 has two right endings.
INSERT INTO pg_temp.expected VALUES
    (101, 'paid', '{CustomerPays: paid, SendPaymentReminder: not needed}', 0, '{t}', 'paid in time, not reminded'),
    (102, 'paid', '{CustomerPays: paid, SendPaymentReminder: reminded}', 1, '{t}', 'reminded once, then paid'),
    (103, 'open', '{SendPaymentReminder: reminded}', 1, '{}', 'reminded once, still open'),
    (201, 'paid', '{CancelUnpaidOrder: withdrawn, CustomerPays: paid}', 0, '{t}', 'paid, cancellation withdrawn'),
    (202, 'cancelled', '{CancelUnpaidOrder: cancelled}', 0, '{}', 'never paid, cancelled'),
    (203, 'paid', '{CancelUnpaidOrder: withdrawn, CustomerPays: paid}', 0, '{t}', 'paid, cancellation withdrawn'),
    (204, 'cancelled', '{CancelUnpaidOrder: cancelled, CustomerPays: too late}', 0, '{f}', 'cancelled, payment given back'),
    (205, 'paid', '{CancelUnpaidOrder: withdrawn, CustomerPays: paid}', 0, '{t}', 'payment first: paid, cancellation withdrawn'),
    (205, 'cancelled', '{CancelUnpaidOrder: cancelled, CustomerPays: too late}', 0, '{f}', 'cancellation first: cancelled, payment given back'),
    (301, 'paid', '{ChargeCard: first charge: accepted}', 0, '{t}', 'charged at once'),
    (302, 'paid', '{ChargeCard: first charge: refused, RetryPayment: retry 1 of 3: refused, RetryPayment: retry 2 of 3: accepted}', 0, '{t}',
     'paid by the second retry'),
    (303, 'cancelled', '{CancelOrder: cancelled, ChargeCard: first charge: refused, RetryPayment: retry 1 of 3: refused, RetryPayment: retry 2 of 3: refused, RetryPayment: retry 3 of 3: refused}', 0, '{}',
     'cancelled after three retries');

WITH ended AS (
    SELECT o.order_id, o.status,
           ARRAY(SELECT r.command_type || ': ' || r.outcome FROM shop.runs AS r
                  WHERE r.order_id = o.order_id ORDER BY (r.command_type || ': ' || r.outcome) COLLATE "C") AS ran,
           (SELECT pg_catalog.count(*) FROM shop.messages AS m WHERE m.order_id = o.order_id) AS reminders,
           ARRAY(SELECT p.accepted FROM shop.payments AS p WHERE p.order_id = o.order_id ORDER BY p.payment_id) AS payments
      FROM shop.orders AS o
), results AS (
    SELECT w.order_id AS rank, m.order_id IS NOT NULL AS ok,
           CASE WHEN m.order_id IS NOT NULL THEN pg_catalog.format('order %s: %s', w.order_id, m.ending)
                ELSE pg_catalog.format('order %s: status %s, commands %s, %s reminders, payments %s',
                                       w.order_id, e.status, e.ran, e.reminders, e.payments) END AS what
      FROM (SELECT DISTINCT x.order_id FROM pg_temp.expected AS x) AS w
      LEFT JOIN ended AS e ON e.order_id = w.order_id
      LEFT JOIN pg_temp.expected AS m ON (m.order_id, m.status, m.ran, m.reminders, m.payments)
                                       = (e.order_id, e.status, e.ran, e.reminders, e.payments)
    UNION ALL
    SELECT 1001, NOT EXISTS (SELECT FROM shop.runs AS r GROUP BY r.schedule_id HAVING pg_catalog.count(*) > 1),
           'no command ran twice'
    UNION ALL
    SELECT 1002, NOT EXISTS (SELECT FROM shop.runs AS r WHERE r.started_at < r.execute_at),
           'no command started before its time'
    UNION ALL
    SELECT 1003, NOT EXISTS (SELECT FROM shop.runs AS r
                              WHERE r.run_by <> 'shop_app' OR r.started_at IS NOT NULL AND coalesce(r.run_in, 'client backend') = 'client backend'),
           'every command ran as shop_app, in a background worker'
    UNION ALL
    SELECT 1004, NOT EXISTS (SELECT FROM shop.runs AS r
                              WHERE r.command_type IN ('RetryPayment', 'CancelOrder')
                                AND NOT EXISTS (SELECT FROM shop.runs AS cause
                                                 WHERE cause.schedule_id = r.metadata->>'causation_id'
                                                   AND cause.metadata->>'correlation_id' = r.metadata->>'correlation_id'
                                                   AND cause.order_id = r.order_id)),
           'every retry names the command that caused it'
    UNION ALL
    SELECT 1005, NOT EXISTS (SELECT FROM cmdsched.scheduled_commands),
           'no command is left over'
)
SELECT pg_catalog.format('  %s   %s', CASE WHEN r.ok THEN 'OK  ' ELSE 'FAIL' END, r.what)
  FROM results AS r ORDER BY r.rank;
