-- What the example needs, as a superuser: psql -f shop.sql
CREATE EXTENSION IF NOT EXISTS cmdsched;
CREATE ROLE shop_app LOGIN;
CREATE SCHEMA shop AUTHORIZATION shop_app;
GRANT USAGE ON SCHEMA cmdsched TO shop_app;

CREATE TABLE shop.orders (
    order_id text PRIMARY KEY,
    status text NOT NULL DEFAULT 'unpaid',
    reminders integer NOT NULL DEFAULT 0,
    cancellation_id text NOT NULL
);
ALTER TABLE shop.orders OWNER TO shop_app;

-- The module is that of the registry in shop.ts.
SELECT cmdsched.register_handler('SendReminder', NULL, 'shop', external => true);
SELECT cmdsched.register_handler('CancelUnpaidOrder', NULL, 'shop', external => true);
