-- The rules of the shop in test/demo, in no time.
\set QUIET on
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = public, cmdsched;
\i test/demo/shop.sql
SELECT no_plan();

SET LOCAL ROLE shop_app;
SELECT set_clock('2040-01-01 12:00');

-- Story 1: who ordered on invoice is reminded after 2 seconds.
INSERT INTO shop.orders (order_id, customer_id, amount, terms) VALUES (101, 1, 59.90, 'invoice'), (102, 2, 120, 'invoice');
SELECT is_scheduled('SendPaymentReminder', '{"order_id": 101}', '2040-01-01 12:00:02', 'Ada is to be reminded');
SELECT scheduled_count_is('SendPaymentReminder', 2, 'and so is Ben');
SELECT advance_clock('1 second');
INSERT INTO shop.payments (order_id) VALUES (101);
SELECT is(advance_clock('1 second'), 2, 'both reminders fall due');
SELECT set_eq('SELECT order_id FROM shop.messages', '{102}'::integer[], 'only Ben gets one, as Ada has paid');
SELECT isnt_scheduled('SendPaymentReminder', description => 'nobody is reminded twice');

-- Story 2: a reservation is cancelled after 3 seconds, unless it is paid.
INSERT INTO shop.orders (order_id, customer_id, amount, terms) VALUES (201, 1, 75, 'reservation'), (202, 4, 33, 'reservation');
SELECT is_scheduled('CancelUnpaidOrder', '{"order_id": 201}', now() + interval '3 seconds', 'the window of Ada closes in 3 seconds');
SELECT advance_clock('2.999 seconds');
INSERT INTO shop.payments (order_id) VALUES (201);
SELECT isnt_scheduled('CancelUnpaidOrder', '{"order_id": 201}', description => 'her payment withdraws the cancellation');
SELECT runs_ok((SELECT cancel_schedule_id FROM shop.orders WHERE order_id = 202), 'Dora has not paid: her window closes');
INSERT INTO shop.payments (order_id) VALUES (202);
SELECT results_eq('SELECT order_id, status FROM shop.orders WHERE order_id > 200 ORDER BY order_id',
                  $$VALUES (201, 'paid'), (202, 'cancelled')$$, 'Ada has her reservation, Dora is too late');
SELECT is(accepted, false, 'and gets her money back') FROM shop.payments WHERE order_id = 202;

-- Story 3: a card is charged at once, and up to three times more.
INSERT INTO shop.orders (order_id, customer_id, amount, terms) VALUES (302, 5, 49, 'card'), (303, 6, 999, 'card');
SELECT is(advance_clock('0'), 2, 'both cards are charged at once');
SELECT is_scheduled('RetryPayment', '{"order_id": 303, "retry_count": 1}', now() + interval '1 second', 'Fay''s is refused, and tried again');
SELECT is(advance_clock('1 minute'), 6, 'two retries for Emil, three and a cancellation for Fay');
SELECT results_eq('SELECT order_id, status FROM shop.orders WHERE order_id > 300 ORDER BY order_id',
                  $$VALUES (302, 'paid'), (303, 'cancelled')$$, 'Emil''s card is accepted in the end, Fay''s never');
SELECT results_eq($$SELECT execute_at - '2040-01-01 12:00' FROM shop.runs WHERE order_id = 303 ORDER BY run_id$$,
                  $$SELECT n * interval '1 second' + interval '5 seconds' FROM unnest('{0,1,2,3,3}'::integer[]) AS n$$, 'one second after another');
SELECT set_eq($$SELECT metadata->>'correlation_id' FROM shop.runs WHERE order_id = 303$$, '{order 303}'::text[], 'all of them belong to the order');
SELECT is((SELECT count(*) FROM scheduled_commands), 0::bigint, 'nothing is left to be done');

SELECT * FROM finish();
ROLLBACK;
