"""examples/shop.py, as a server that somebody orders from."""
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module", autouse=True)
def database():
    with psycopg.connect(user="postgres", autocommit=True) as connection:
        connection.execute((EXAMPLES / "shop.sql").read_text())


@pytest.fixture
def shop(tmp_path):
    """Start the shop with the delays that a test asks for; a client of it."""
    running = []

    def start(remind_after, cancel_after):
        socket = str(tmp_path / "shop")
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "shop:app", "--uds", socket, "--log-level", "warning"],
            cwd=EXAMPLES,
            env={
                **os.environ,
                "PYTHONPATH": str(EXAMPLES.parent),
                "SHOP_DATABASE": "user=shop_app",
                "SHOP_REMIND_AFTER": str(remind_after),
                "SHOP_CANCEL_AFTER": str(cancel_after),
            },
        )
        client = httpx.Client(transport=httpx.HTTPTransport(uds=socket), base_url="http://shop")
        running.append((server, client))
        wait_until(lambda: answers(client))
        return client

    yield start
    for server, client in running:
        client.close()
        server.terminate()
        assert server.wait(20) in (0, -15)


def answers(client):
    try:
        return client.get("/orders/none").status_code == 404
    except httpx.TransportError:
        return False


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "not within 20 s"
        time.sleep(0.02)


def scheduled():
    with psycopg.connect(user="shop_app") as connection:
        return connection.execute("SELECT command_type FROM cmdsched.scheduled_commands ORDER BY 1").fetchall()


def test_who_does_not_pay_is_reminded_and_who_pays_is_not_cancelled(shop):
    client = shop(remind_after=0.2, cancel_after=3600)
    created = client.post("/orders", json={"order_id": "7"})
    assert created.status_code == 200
    wait_until(lambda: client.get("/orders/7").json()["reminders"] == 1 and scheduled() == [("CancelUnpaidOrder",)])
    assert client.post("/orders/7/payment").json() == {"withdrawn": True}
    assert client.get("/orders/7").json() == {
        "order_id": "7",
        "status": "paid",
        "reminders": 1,
        "cancellation_id": created.json()["cancellation_id"],
    }
    assert scheduled() == []
    assert client.post("/orders/7/payment").status_code == 409


def test_an_order_that_nobody_pays_is_cancelled(shop):
    client = shop(remind_after=3600, cancel_after=0.2)
    reminder_id = client.post("/orders", json={"order_id": "8"}).json()["schedule_id"]
    wait_until(lambda: client.get("/orders/8").json()["status"] == "cancelled")
    assert scheduled() == [("SendReminder",)]
    with psycopg.connect(user="shop_app") as connection:
        assert connection.execute("SELECT cmdsched.cancel(%s)", [reminder_id]).fetchone() == (True,)


def test_an_order_that_is_not_created_is_followed_by_nothing(shop):
    client = shop(remind_after=3600, cancel_after=3600)
    assert client.post("/orders", json={"order_id": "9"}).status_code == 200
    assert len(scheduled()) == 2
    assert client.post("/orders", json={"order_id": "9"}).status_code == 500
    assert len(scheduled()) == 2
    with psycopg.connect(user="shop_app") as connection:
        connection.execute("SELECT cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands")
