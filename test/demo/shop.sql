/*
 * test/demo/shop.sql
 *
 * A small shop, and what it needs of cmdsched.
 *
 * A superuser is needed for the extension and the roles only.  Everything
 * else belongs to shop_admin, who may register handlers; shop_app is the
 * application: it places orders, schedules commands, and its commands run
 * as shop_app, too.
 */
CREATE EXTENSION IF NOT EXISTS cmdsched;

CREATE ROLE shop_admin NOLOGIN;
CREATE ROLE shop_app LOGIN;
GRANT USAGE ON SCHEMA cmdsched TO shop_admin, shop_app;
GRANT EXECUTE ON FUNCTION cmdsched.register_handler TO shop_admin;

CREATE SCHEMA shop AUTHORIZATION shop_admin;
COMMENT ON SCHEMA shop IS 'A small shop that reminds, cancels and charges by scheduled commands';
GRANT USAGE ON SCHEMA shop TO shop_app;

SET ROLE shop_admin;

-- ---------------------------------------------------------------------------
-- What a shop has
-- ---------------------------------------------------------------------------

CREATE TABLE shop.customers (
    customer_id integer PRIMARY KEY,
    name text NOT NULL,
    card_refusals integer NOT NULL DEFAULT 0
);
COMMENT ON COLUMN shop.customers.card_refusals IS 'How many more times the bank refuses the card';
INSERT INTO shop.customers (customer_id, name, card_refusals) VALUES
    (1, 'Ada', 0), (2, 'Ben', 0), (3, 'Cleo', 0),
    (4, 'Dora', 0), (5, 'Emil', 2), (6, 'Fay', 1000);

CREATE TABLE shop.orders (
    order_id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES shop.customers,
    amount numeric(8, 2) NOT NULL,
    terms text NOT NULL CHECK (terms IN ('invoice', 'reservation', 'card')),
    status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'paid', 'cancelled')),
    cancel_schedule_id text
);
COMMENT ON TABLE shop.orders IS 'The orders of story 1 are 101, 102, ...; those of story 2 are 201, ...';
COMMENT ON COLUMN shop.orders.terms IS 'invoice: the customer is reminded; reservation: to be paid within a window; card: charged at once';
COMMENT ON COLUMN shop.orders.cancel_schedule_id IS 'The command that cancels a reservation when its window closes';

CREATE TABLE shop.payments (
    payment_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id integer NOT NULL REFERENCES shop.orders,
    accepted boolean NOT NULL
);
COMMENT ON COLUMN shop.payments.accepted IS 'False: the order was no longer open, the money goes back';

CREATE TABLE shop.messages (
    message_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id integer NOT NULL REFERENCES shop.orders,
    body text NOT NULL
);
COMMENT ON TABLE shop.messages IS 'Mail to customers';

-- ---------------------------------------------------------------------------
-- What the audience sees
-- ---------------------------------------------------------------------------

CREATE TABLE shop.stories (
    story integer PRIMARY KEY,
    begun_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

CREATE TABLE shop.events (
    event_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id integer NOT NULL REFERENCES shop.orders,
    what text NOT NULL,
    happened_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    told boolean NOT NULL DEFAULT false
);
COMMENT ON COLUMN shop.events.told IS 'Whether the demo has printed it';

CREATE TABLE shop.runs (
    run_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schedule_id text NOT NULL,
    command_type text NOT NULL,
    order_id integer NOT NULL REFERENCES shop.orders,
    execute_at timestamptz NOT NULL,
    started_at timestamptz,
    outcome text NOT NULL,
    metadata jsonb,
    run_by name NOT NULL DEFAULT current_user,
    run_in text
);
COMMENT ON TABLE shop.runs IS 'Every run of a command, and every command that was withdrawn. Nothing here is unique, so that a second run would be seen.';
COMMENT ON COLUMN shop.runs.started_at IS 'NULL: withdrawn, never started';
COMMENT ON COLUMN shop.runs.run_in IS 'Kind of process that ran it, as in pg_stat_activity';

CREATE FUNCTION shop.tell(order_id integer, what text) RETURNS void
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO shop.events (order_id, what) VALUES (tell.order_id, tell.what);
END
$$;
COMMENT ON FUNCTION shop.tell(integer, text) IS 'Notes something for the audience';

CREATE FUNCTION shop.note_run(started_at timestamptz, order_id integer, outcome text) RETURNS void
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO shop.runs (schedule_id, command_type, order_id, execute_at, started_at, outcome, metadata, run_in)
    SELECT c.schedule_id, c.command_type, note_run.order_id, c.execute_at, note_run.started_at, note_run.outcome, c.metadata,
           (SELECT a.backend_type FROM pg_stat_activity AS a WHERE a.pid = pg_backend_pid())
      FROM cmdsched.current_command() AS c;
END
$$;
COMMENT ON FUNCTION shop.note_run(timestamptz, integer, text) IS 'Called by every handler: notes the command being run';

-- ---------------------------------------------------------------------------
-- Story 1: who ordered on invoice is reminded
-- ---------------------------------------------------------------------------

CREATE TRIGGER schedule_reminder AFTER INSERT ON shop.orders
    FOR EACH ROW WHEN (NEW.terms = 'invoice')
    EXECUTE FUNCTION cmdsched.schedule_on_change('SendPaymentReminder', '2 seconds');

CREATE FUNCTION shop.send_payment_reminder(command_data jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    started_at CONSTANT timestamptz := clock_timestamp();
    placed record;
BEGIN
    SELECT o.order_id, o.status, o.amount, c.name INTO STRICT placed
      FROM shop.orders AS o JOIN shop.customers AS c USING (customer_id)
     WHERE o.order_id = (command_data->>'order_id')::integer;
    IF placed.status = 'open' THEN
        INSERT INTO shop.messages (order_id, body)
        VALUES (placed.order_id, format('Dear %s, please pay %s for your order %s.', placed.name, placed.amount, placed.order_id));
        PERFORM shop.tell(placed.order_id, format('still unpaid: %s is reminded', placed.name));
        PERFORM shop.note_run(started_at, placed.order_id, 'reminded');
    ELSE
        PERFORM shop.tell(placed.order_id, format('already %s: no reminder', placed.status));
        PERFORM shop.note_run(started_at, placed.order_id, 'not needed');
    END IF;
END
$$;
COMMENT ON FUNCTION shop.send_payment_reminder(jsonb) IS 'Handler of SendPaymentReminder; command_data is the row of shop.orders';
SELECT cmdsched.register_handler('SendPaymentReminder', 'shop.send_payment_reminder(jsonb)');

-- ---------------------------------------------------------------------------
-- Story 2: a reservation is cancelled, unless it is paid within its window
-- ---------------------------------------------------------------------------

CREATE FUNCTION shop.open_window() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    NEW.cancel_schedule_id := cmdsched.schedule_in('CancelUnpaidOrder',
                                                   jsonb_build_object('order_id', NEW.order_id),
                                                   '3 seconds',
                                                   metadata => '{"reason": "payment window closed"}');
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION shop.open_window() IS 'Schedules the cancellation and keeps its schedule_id with the order';
CREATE TRIGGER open_window BEFORE INSERT ON shop.orders
    FOR EACH ROW WHEN (NEW.terms = 'reservation')
    EXECUTE FUNCTION shop.open_window();

CREATE FUNCTION shop.cancel_unpaid_order(command_data jsonb, metadata jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    started_at CONSTANT timestamptz := clock_timestamp();
    unpaid_id CONSTANT integer := command_data->>'order_id';
BEGIN
    UPDATE shop.orders AS o SET status = 'cancelled', cancel_schedule_id = NULL
     WHERE o.order_id = unpaid_id AND o.status = 'open';
    IF FOUND THEN
        PERFORM shop.tell(unpaid_id, format('not paid: order is cancelled (%s)', metadata->>'reason'));
        PERFORM shop.note_run(started_at, unpaid_id, 'cancelled');
    ELSE
        PERFORM shop.note_run(started_at, unpaid_id, 'not needed');
    END IF;
END
$$;
COMMENT ON FUNCTION shop.cancel_unpaid_order(jsonb, jsonb) IS 'Handler of CancelUnpaidOrder';
SELECT cmdsched.register_handler('CancelUnpaidOrder', 'shop.cancel_unpaid_order(jsonb, jsonb)');

CREATE FUNCTION shop.settle() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    cancel_schedule_id CONSTANT text := (SELECT o.cancel_schedule_id FROM shop.orders AS o WHERE o.order_id = NEW.order_id);
    cancellation cmdsched.scheduled_commands;
    withdrawn boolean := false;
BEGIN
    /*
     * Withdraw the cancellation before the order is locked: if it is running
     * at this very moment, cancel() waits for its outcome, while it may wait
     * for the order.
     */
    IF cancel_schedule_id IS NOT NULL THEN
        cancellation := cmdsched.get(cancel_schedule_id);
        withdrawn := cmdsched.cancel(cancel_schedule_id);
    END IF;
    IF withdrawn THEN
        INSERT INTO shop.runs (schedule_id, command_type, order_id, execute_at, outcome)
        VALUES (cancellation.schedule_id, cancellation.command_type, NEW.order_id, cancellation.execute_at, 'withdrawn');
    END IF;

    UPDATE shop.orders AS o SET status = 'paid', cancel_schedule_id = NULL
     WHERE o.order_id = NEW.order_id AND o.status = 'open';
    NEW.accepted := FOUND;
    PERFORM shop.tell(NEW.order_id, CASE WHEN withdrawn AND NEW.accepted THEN 'paid: its cancellation is withdrawn'
                                         WHEN NEW.accepted THEN 'paid'
                                         ELSE 'payment comes too late: the money goes back' END);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION shop.settle() IS 'Withdraws the cancellation of the order by its schedule_id and marks the order paid';
CREATE TRIGGER settle BEFORE INSERT ON shop.payments
    FOR EACH ROW EXECUTE FUNCTION shop.settle();

-- The customers of stories 1 and 2 are commands as well, so that they pay in
-- time.
CREATE FUNCTION shop.customer_pays(command_data jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    started_at CONSTANT timestamptz := clock_timestamp();
    paid_id CONSTANT integer := command_data->>'order_id';
    is_accepted boolean;
BEGIN
    INSERT INTO shop.payments (order_id) VALUES (paid_id) RETURNING accepted INTO is_accepted;
    PERFORM shop.note_run(started_at, paid_id, CASE WHEN is_accepted THEN 'paid' ELSE 'too late' END);
END
$$;
COMMENT ON FUNCTION shop.customer_pays(jsonb) IS 'Handler of CustomerPays';
SELECT cmdsched.register_handler('CustomerPays', 'shop.customer_pays(jsonb)');

-- ---------------------------------------------------------------------------
-- Story 3: a card is charged at once, and up to three times more
-- ---------------------------------------------------------------------------

CREATE FUNCTION shop.charge_at_once() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM cmdsched.schedule('ChargeCard',
                              jsonb_build_object('order_id', NEW.order_id),
                              metadata => jsonb_build_object('correlation_id', format('order %s', NEW.order_id)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION shop.charge_at_once() IS 'Schedules the first charge, due at once';
CREATE TRIGGER charge_at_once AFTER INSERT ON shop.orders
    FOR EACH ROW WHEN (NEW.terms = 'card')
    EXECUTE FUNCTION shop.charge_at_once();

CREATE FUNCTION shop.charge_card(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    started_at CONSTANT timestamptz := clock_timestamp();
    charged_id CONSTANT integer := command.command_data->>'order_id';
    retry_count CONSTANT integer := coalesce((command.command_data->>'retry_count')::integer, 0);
    attempt CONSTANT text := CASE retry_count WHEN 0 THEN 'first charge' ELSE format('retry %s of 3', retry_count) END;
BEGIN
    UPDATE shop.customers AS c SET card_refusals = c.card_refusals - 1
      FROM shop.orders AS o
     WHERE o.order_id = charged_id AND c.customer_id = o.customer_id AND c.card_refusals > 0;
    IF NOT FOUND THEN
        PERFORM shop.tell(charged_id, format('%s: the bank accepts the card', attempt));
        INSERT INTO shop.payments (order_id) VALUES (charged_id);
        PERFORM shop.note_run(started_at, charged_id, format('%s: accepted', attempt));
        RETURN;
    END IF;

    PERFORM shop.note_run(started_at, charged_id, format('%s: refused', attempt));
    IF retry_count < 3 THEN
        PERFORM shop.tell(charged_id, format('%s: the bank refuses the card, try again later', attempt));
        PERFORM cmdsched.schedule_in('RetryPayment',
                                     jsonb_build_object('order_id', charged_id, 'retry_count', retry_count + 1),
                                     '1 second');
    ELSE
        PERFORM shop.tell(charged_id, format('%s: the bank refuses the card, give up', attempt));
        PERFORM cmdsched.schedule('CancelOrder', jsonb_build_object('order_id', charged_id));
    END IF;
END
$$;
COMMENT ON FUNCTION shop.charge_card(cmdsched.scheduled_commands) IS 'Handler of ChargeCard and RetryPayment: after a refusal it schedules the next retry, after the third retry the cancellation';
SELECT cmdsched.register_handler('ChargeCard', 'shop.charge_card(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('RetryPayment', 'shop.charge_card(cmdsched.scheduled_commands)');

CREATE FUNCTION shop.cancel_order(command_data jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    started_at CONSTANT timestamptz := clock_timestamp();
    cancelled_id CONSTANT integer := command_data->>'order_id';
BEGIN
    UPDATE shop.orders AS o SET status = 'cancelled' WHERE o.order_id = cancelled_id AND o.status = 'open';
    PERFORM shop.tell(cancelled_id, 'order is cancelled');
    PERFORM shop.note_run(started_at, cancelled_id, 'cancelled');
END
$$;
COMMENT ON FUNCTION shop.cancel_order(jsonb) IS 'Handler of CancelOrder';
SELECT cmdsched.register_handler('CancelOrder', 'shop.cancel_order(jsonb)');

-- ---------------------------------------------------------------------------
-- What the application may do
-- ---------------------------------------------------------------------------

CREATE FUNCTION shop.announce() RETURNS trigger
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM shop.tell(NEW.order_id, format('%s orders for %s, terms: %s', c.name, NEW.amount, NEW.terms))
       FROM shop.customers AS c WHERE c.customer_id = NEW.customer_id;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION shop.announce() IS 'Tells the audience of a new order';
CREATE TRIGGER announce AFTER INSERT ON shop.orders
    FOR EACH ROW EXECUTE FUNCTION shop.announce();

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA shop FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA shop TO shop_app;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA shop TO shop_app;

RESET ROLE;
