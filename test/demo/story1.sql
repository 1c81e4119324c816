/* test/demo/story1.sql: played as shop_app */
\echo 'Story 1: the payment reminder'
\echo '============================='
\echo '  A trigger of one line on shop.orders, cmdsched.schedule_on_change(), schedules'
\echo '  SendPaymentReminder for 2 s after the order. Ada will have paid by then. Ben pays'
\echo '  when he is reminded, Cleo does not.'
\echo

\o /dev/null
BEGIN;
INSERT INTO shop.stories (story) VALUES (1);
INSERT INTO shop.orders (order_id, customer_id, amount, terms) VALUES
    (101, 1, 59.90, 'invoice'),
    (102, 2, 120.00, 'invoice'),
    (103, 3, 8.50, 'invoice');
SELECT cmdsched.schedule_in('CustomerPays', '{"order_id": 101}', '1 second');
SELECT cmdsched.schedule_in('CustomerPays', '{"order_id": 102}', '2.5 seconds');
COMMIT;
