/* test/demo/story2.sql: played as shop_app */
\echo 'Story 2: unpaid orders are cancelled'
\echo '===================================='
\echo '  Each order schedules its own CancelUnpaidOrder for 3 s later and keeps the schedule_id.'
\echo '  A trigger on shop.payments withdraws it by that id. Dora pays too late; Emil pays in'
\echo '  the very moment his window closes, and whichever is first wins: one of the two, never'
\echo '  both.'
\echo

\o /dev/null
BEGIN;
INSERT INTO shop.stories (story) VALUES (2);
INSERT INTO shop.orders (order_id, customer_id, amount, terms) VALUES
    (201, 1, 75.00, 'reservation'),
    (202, 2, 19.99, 'reservation'),
    (203, 3, 240.00, 'reservation'),
    (204, 4, 33.00, 'reservation'),
    (205, 5, 64.00, 'reservation');
SELECT cmdsched.schedule_in('CustomerPays', '{"order_id": 201}', '1 second');
SELECT cmdsched.schedule_in('CustomerPays', '{"order_id": 203}', '2.8 seconds');
SELECT cmdsched.schedule_in('CustomerPays', '{"order_id": 204}', '3.5 seconds');
SELECT cmdsched.schedule_in('CustomerPays', '{"order_id": 205}', '3 seconds');
COMMIT;
