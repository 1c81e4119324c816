/* test/demo/story3.sql: played as shop_app */
\echo 'Story 3: a refused card is tried again, three times at most'
\echo '==========================================================='
\echo '  The handler charges the card. Refused, it schedules RetryPayment for 1 s later with'
\echo '  retry_count + 1, or CancelOrder after the third retry, in the transaction that notes the'
\echo '  refusal. The card of Dora is fine, that of Emil is accepted at the second retry, that'
\echo '  of Fay never.'
\echo

\o /dev/null
BEGIN;
INSERT INTO shop.stories (story) VALUES (3);
INSERT INTO shop.orders (order_id, customer_id, amount, terms) VALUES
    (301, 4, 12.00, 'card'),
    (302, 5, 49.00, 'card'),
    (303, 6, 999.00, 'card');
COMMIT;
