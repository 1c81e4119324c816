"""The rules of the shop in test/demo, in no time.

PGHOST, PGDATABASE and so on say where the shop is.
"""
from datetime import datetime, timedelta, timezone

import psycopg
import pytest

NOON = datetime(2040, 1, 1, 12, tzinfo=timezone.utc)


@pytest.fixture
def shop():
    """A connection as the application, at noon; what a test does is rolled back."""
    with psycopg.connect(user="shop_app") as connection:
        connection.execute("SELECT cmdsched.set_clock(%s)", [NOON])
        yield connection
        connection.rollback()


def order(shop, order_id, customer_id, terms):
    shop.execute("INSERT INTO shop.orders (order_id, customer_id, amount, terms) VALUES (%s, %s, 10, %s)",
                 [order_id, customer_id, terms])


def pay(shop, order_id):
    shop.execute("INSERT INTO shop.payments (order_id) VALUES (%s)", [order_id])


def advance(shop, **by):
    """Lets time pass; returns how many attempts were made meanwhile."""
    return shop.execute("SELECT cmdsched.advance_clock(%s)", [timedelta(**by)]).fetchone()[0]


def status(shop, order_id):
    return shop.execute("SELECT status FROM shop.orders WHERE order_id = %s", [order_id]).fetchone()[0]


def scheduled(shop):
    return shop.execute("SELECT command_type, execute_at - %s FROM cmdsched.scheduled_commands ORDER BY execute_at",
                        [NOON]).fetchall()


def reminded(shop):
    return [row[0] for row in shop.execute("SELECT order_id FROM shop.messages ORDER BY order_id")]


def test_who_has_not_paid_is_reminded(shop):
    order(shop, 101, 1, "invoice")
    order(shop, 102, 2, "invoice")
    assert scheduled(shop) == [("SendPaymentReminder", timedelta(seconds=2))] * 2
    advance(shop, seconds=1)
    pay(shop, 101)
    assert advance(shop, seconds=1) == 2
    assert reminded(shop) == [102]


def test_a_payment_withdraws_the_cancellation(shop):
    order(shop, 201, 1, "reservation")
    advance(shop, seconds=2.999)
    pay(shop, 201)
    assert scheduled(shop) == []
    assert advance(shop, days=1) == 0
    assert status(shop, 201) == "paid"


def test_an_unpaid_reservation_is_cancelled(shop):
    order(shop, 202, 4, "reservation")
    assert advance(shop, seconds=3) == 1
    assert status(shop, 202) == "cancelled"


@pytest.mark.parametrize("customer_id, attempts, ending", [(4, 1, "paid"), (5, 3, "paid"), (6, 5, "cancelled")])
def test_a_refused_card_is_tried_again(shop, customer_id, attempts, ending):
    order(shop, 301, customer_id, "card")
    assert advance(shop, minutes=1) == attempts
    assert status(shop, 301) == ending
    assert scheduled(shop) == []
