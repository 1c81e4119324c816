"""What is the Python client's own: classes, drivers, workers, leases."""
import asyncio
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import psycopg
import pydantic
import pytest
import sqlalchemy
import sqlalchemy.ext.asyncio

import cmdsched
import cmdsched.sync
from cmdsched import codec
from cmdsched.sync import CommandScheduler, CommandSchedulerService, CommandSchedulerWorker

CONNINFO = "user=client"
NOW = datetime.now(timezone.utc)
LATER = NOW + timedelta(hours=1)

registry = cmdsched.CommandRegistry()


class Colour(Enum):
    RED = "red"


@dataclass
class Item:
    name: str
    price: Decimal


@registry.register(command_module="client")
@dataclass
class Rich:
    order_id: UUID
    at: datetime
    day: date
    wait: timedelta
    colour: Colour
    items: list[Item]
    pair: tuple[int, str]
    tags: frozenset[str]
    prices: dict[str, Decimal]
    ratio: float
    maybe: Item | None = None
    until: datetime | None = None
    text: str | UUID | None = None
    kept: list = field(default_factory=list)


@registry.register(command_module="client")
class Model(pydantic.BaseModel):
    order_id: UUID
    at: datetime
    colour: Colour


@registry.register(command_module="client")
@dataclass
class Ping:
    n: int


@pytest.fixture(scope="module", autouse=True)
def database():
    with psycopg.connect(user="postgres", autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS cmdsched")
        connection.execute("CREATE ROLE client LOGIN")
        connection.execute("CREATE SCHEMA client AUTHORIZATION client CREATE TABLE effects (n integer)")
        connection.execute("ALTER TABLE client.effects OWNER TO client")
        connection.execute("GRANT USAGE ON SCHEMA cmdsched TO client")
        for name in ("Rich", "Model", "Ping", "Stranger"):
            connection.execute(
                "SELECT cmdsched.register_handler(%s, NULL, 'client', external => true, backoff => '0.1 seconds')",
                [name],
            )


@pytest.fixture
def scheduler():
    scheduler = CommandScheduler(CONNINFO, registry)
    yield scheduler
    scheduler.close()
    sql("SELECT cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands")
    sql("DELETE FROM client.effects")


def sql(statement, *parameters):
    with psycopg.connect(CONNINFO, autocommit=True) as connection:
        cursor = connection.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else None


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "not within 20 s"
        time.sleep(0.02)


# Classes

RICH = Rich(
    order_id=UUID(int=7),
    at=datetime(2040, 1, 1, 12, 30, tzinfo=timezone.utc),
    day=date(2040, 2, 29),
    wait=timedelta(minutes=1, milliseconds=5),
    colour=Colour.RED,
    items=[Item("ü", Decimal("1.10"))],
    pair=(1, "2"),
    tags=frozenset({"a"}),
    prices={"a": Decimal("0.1")},
    ratio=1e300,
    maybe=Item("x", Decimal(2)),
    until=datetime(2041, 1, 1, tzinfo=timezone.utc),
    text="plain",
    kept=[None, {"a": 1}],
)


@pytest.mark.parametrize("command", [
    RICH,
    Rich(**{**vars(RICH), "maybe": None, "until": None, "text": None}),
    Model(order_id=UUID(int=8), at=RICH.at, colour=Colour.RED),
])
def test_commands_come_back_as_they_were(scheduler, command):
    schedule_id = scheduler.schedule(command, LATER)
    assert scheduler.get(schedule_id).command == command
    assert [type(value) for value in vars(scheduler.get(schedule_id).command).values()] == [
        type(value) for value in vars(command).values()]


def test_a_command_is_named_after_its_class():
    @dataclass
    class SendMail:
        to: str

    other = cmdsched.CommandRegistry()
    assert other.register(SendMail) is SendMail
    assert other.register(SendMail) is SendMail
    assert other.name_of(SendMail("a")) == ("SendMail", __name__)
    assert other.load("SendMail", __name__, '{"to": "a"}') == SendMail("a")
    with pytest.raises(ValueError):
        other.register(SendMail, command_type="Mail")
    with pytest.raises(TypeError):
        other.register(str)
    with pytest.raises(cmdsched.UnknownCommandError):
        other.load("Other", __name__, "{}")


def test_what_cannot_be_written_is_refused(scheduler):
    with pytest.raises(cmdsched.UnknownCommandError):
        scheduler.schedule(Item("a", Decimal(1)), LATER)
    with pytest.raises(TypeError):
        scheduler.schedule(Ping(object()), LATER)
    with pytest.raises(ValueError):
        scheduler.schedule(Ping(float("nan")), LATER)
    with pytest.raises(cmdsched.NaiveDatetimeError, match="time zone"):
        scheduler.schedule(Ping(1), datetime(2040, 1, 1))
    assert sql("SELECT count(*) FROM cmdsched.scheduled_commands") == [(0,)]


def test_metadata_may_have_what_json_has_not(scheduler):
    schedule_id = scheduler.schedule(Ping(1), LATER, metadata={"correlation_id": UUID(int=1)})
    assert scheduler.get(schedule_id).metadata == {"correlation_id": str(UUID(int=1))}


def test_data_that_do_not_fit_hide_nothing(scheduler):
    def schedule(data, n):
        sql("SELECT cmdsched.schedule('Ping', %s::jsonb, now() - make_interval(secs => %s), schedule_id => %s, "
            "command_module => 'client')", data, n, str(n))

    deep = 3000
    schedule('{"n": ' + "[" * deep + "]" * deep + "}", 4)
    schedule('{"m": 1}', 3)
    schedule("[]", 2)
    schedule('{"n": 1}', 1)
    assert scheduler.get_due_commands()[-1] == ("1", Ping(1))
    assert scheduler.get("3").command is None
    sent = []
    assert CommandSchedulerService(scheduler, sent.append).process_due_commands() >= 1
    assert Ping(1) in sent
    assert "TypeError" in scheduler.get("3").last_error["message"]


def test_an_error_that_cannot_be_stored_is_noted_nevertheless(scheduler):
    def send(command):
        raise RuntimeError("a\0b\ud800")

    schedule_id = scheduler.schedule(Ping(1), NOW)
    assert CommandSchedulerService(scheduler, send).process_due_commands() == 0
    assert scheduler.get(schedule_id).last_error["message"].startswith("RuntimeError: a\N{REPLACEMENT CHARACTER}b")


# The caller's transaction


def url(driver):
    with psycopg.connect(CONNINFO) as connection:
        info = connection.info
        where = {"host": info.host, "port": str(info.port)}
        return sqlalchemy.engine.URL.create(f"postgresql+{driver}", "client", database=info.dbname, query=where)


@pytest.mark.parametrize("end, count", [("commit", 1), ("rollback", 0)])
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_within_a_sqlalchemy_session(scheduler, driver, end, count):
    if driver == "psycopg" and sqlalchemy.__version__ < "2":
        pytest.skip("SQLAlchemy before 2.0 does not know psycopg 3")
    engine = sqlalchemy.create_engine(url(driver))
    with sqlalchemy.orm.Session(engine) as session:
        session.execute(sqlalchemy.text("INSERT INTO client.effects VALUES (1)"))
        check_session(scheduler.within(session))
        getattr(session, end)()
    engine.dispose()
    assert sql("SELECT count(*) FROM client.effects") == [(count,)]
    assert sql("SELECT count(*) FROM cmdsched.scheduled_commands") == [(count,)]


def check_session(transaction):
    assert transaction.schedule(RICH, LATER, metadata={"a": ":b %s"}, schedule_id=":x %(y)s") == ":x %(y)s"
    assert transaction.get(":x %(y)s").command == RICH
    assert transaction.get_due_commands() == []
    assert transaction.cancel("none") is False
    transaction.delete_executed("none")


@pytest.mark.parametrize("end, count", [("commit", 1), ("rollback", 0)])
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_within_an_asynchronous_sqlalchemy_session(scheduler, driver, end, count):
    if driver == "psycopg" and sqlalchemy.__version__ < "2":
        pytest.skip("SQLAlchemy before 2.0 does not know psycopg 3")

    async def use():
        engine = sqlalchemy.ext.asyncio.create_async_engine(url(driver))
        async with sqlalchemy.ext.asyncio.AsyncSession(engine) as session:
            transaction = cmdsched.CommandScheduler(CONNINFO, registry).within(session)
            await transaction.schedule(RICH, LATER, metadata={"a": ":b %s"}, schedule_id=":x %(y)s")
            assert (await transaction.get(":x %(y)s")).command == RICH
            assert await transaction.get_due_commands() == []
            assert await transaction.cancel("none") is False
            await getattr(session, end)()
        await engine.dispose()

    asyncio.run(use())
    assert sql("SELECT count(*) FROM cmdsched.scheduled_commands") == [(count,)]


def test_a_connection_s_own_settings_do_not_matter(scheduler):
    with psycopg.connect(CONNINFO, row_factory=psycopg.rows.dict_row) as connection:
        connection.execute("SET TimeZone = 'Pacific/Kiritimati'; SET DateStyle = 'German'; SET search_path = client")
        schedule_id = scheduler.within(connection).schedule(Ping(1), LATER)
        assert scheduler.within(connection).get(schedule_id).command == Ping(1)
    assert scheduler.get(schedule_id).execute_at == LATER


def test_a_service_needs_a_connection_of_its_own(scheduler):
    with psycopg.connect(CONNINFO) as connection:
        with pytest.raises(ValueError, match="within"):
            CommandSchedulerService(scheduler.within(connection), print)


# Leases


def test_who_has_lost_the_lease_has_no_effects(scheduler):
    def send(command):
        claim = cmdsched.current_claim()
        assert (claim.attempts, claim.metadata) == (1, {"reason": "test"})
        sql("SELECT cmdsched.fail(%s, %s::uuid, 'taken away', '1 hour')", claim.schedule_id, claim.claim_token)
        with psycopg.connect(CONNINFO) as connection:
            connection.execute("INSERT INTO client.effects VALUES (1)")
            scheduler.within(connection).complete()

    schedule_id = scheduler.schedule(Ping(1), NOW, metadata={"reason": "test"})
    assert CommandSchedulerService(scheduler, send).process_due_commands() == 0
    assert sql("SELECT * FROM client.effects") == []
    assert scheduler.get(schedule_id).last_error["message"] == "taken away"
    with pytest.raises(LookupError):
        cmdsched.current_claim()


def test_a_process_that_lives_keeps_its_leases(scheduler):
    """The first takes longer than a lease, and the others have to wait for it."""
    sent = []

    def send(command):
        sent.append(command.n)
        if command.n == 0:
            time.sleep(1.5)
            assert sql("SELECT count(*) FROM cmdsched.claim_due_commands(10)") == [(0,)]

    for n in range(4):
        scheduler.schedule(Ping(n), NOW - timedelta(seconds=60 - n))
    service = CommandSchedulerService(scheduler, send, lease=timedelta(seconds=0.9))
    assert service.process_due_commands() == 4
    assert sent == list(range(4))


def test_an_asynchronous_process_keeps_its_leases_too(scheduler):
    async def use():
        async def send(command):
            await asyncio.sleep(1.5)
            assert sql("SELECT count(*) FROM cmdsched.claim_due_commands(10)") == [(0,)]

        own = cmdsched.CommandScheduler(CONNINFO, registry)
        service = cmdsched.CommandSchedulerService(own, send, lease=timedelta(seconds=0.9))
        await own.schedule(Ping(1), NOW)
        assert await service.process_due_commands() == 1
        await own.close()

    asyncio.run(use())


def test_what_was_taken_away_meanwhile_is_not_sent(scheduler):
    sent = []

    def send(command):
        sent.append(command.n)
        scheduler.cancel("1")
        time.sleep(0.7)

    for n in range(2):
        scheduler.schedule(Ping(n), NOW - timedelta(seconds=60 - n), schedule_id=str(n))
    assert CommandSchedulerService(scheduler, send, lease=timedelta(seconds=0.9)).process_due_commands() == 1
    assert sent == [0]


def test_a_connection_that_was_lost_meanwhile_loses_nothing(scheduler):
    def send(command):
        with psycopg.connect(user="postgres", autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'client'")

    scheduler.schedule(Ping(1), NOW)
    assert CommandSchedulerService(scheduler, send).process_due_commands() == 1
    send(None)
    assert scheduler.get_due_commands() == []


# Workers


@contextmanager
def running(worker):
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def test_a_worker_can_be_started_again(scheduler):
    sent = []
    worker = CommandSchedulerWorker(CommandSchedulerService(scheduler, sent.append))
    for n in range(2):
        with running(worker):
            worker.start()
            scheduler.schedule(Ping(n), NOW)
            wait_until(lambda: sent == [Ping(i) for i in range(n + 1)])
    worker.stop()
    scheduler.schedule(Ping(2), NOW)
    assert worker.run_once() == 1


def test_a_worker_that_stops_finishes_what_it_has(scheduler):
    begun, go_on, ended = threading.Event(), threading.Event(), []

    def send(command):
        begun.set()
        go_on.wait(20)
        ended.append(command)

    worker = CommandSchedulerWorker(CommandSchedulerService(scheduler, send))
    with running(worker):
        scheduler.schedule(Ping(1), NOW)
        assert begun.wait(20)
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        go_on.set()
        stopping.join(20)
        assert ended == [Ping(1)]
    assert sql("SELECT count(*) FROM cmdsched.scheduled_commands") == [(0,)]


def test_without_notifications_a_worker_polls_and_can_be_triggered(scheduler, monkeypatch):
    """Nobody hears the server here."""

    async def hear_nothing(self):
        await asyncio.sleep(3600)

    monkeypatch.setattr(cmdsched.CommandSchedulerWorker, "_listen", hear_nothing)
    sent = []
    service = CommandSchedulerService(scheduler, sent.append)
    with running(CommandSchedulerWorker(service, poll_interval=0.1)):
        time.sleep(0.15)
        scheduler.schedule(Ping(1), NOW)
        wait_until(lambda: sent == [Ping(1)])
    looked = threading.Event()
    look = service.process_batch
    monkeypatch.setattr(service, "process_batch", lambda: (look(), looked.set())[0])
    with running(CommandSchedulerWorker(service, poll_interval=3600)) as worker:
        assert looked.wait(20)
        looked.clear()
        scheduler.schedule(Ping(2), NOW)
        worker.trigger()
        wait_until(lambda: sent == [Ping(1), Ping(2)])


def test_a_handler_whose_own_task_is_cancelled_has_failed(scheduler):
    """And does not end the worker."""

    async def use():
        sent = []

        async def send(command):
            if command.n == 1:
                task = asyncio.create_task(asyncio.sleep(3600))
                task.cancel()
                await task
            sent.append(command)

        own = cmdsched.CommandScheduler(CONNINFO, registry)
        worker = cmdsched.CommandSchedulerWorker(cmdsched.CommandSchedulerService(own, send))
        await own.schedule(Ping(1), NOW - timedelta(seconds=1), schedule_id="1")
        await own.schedule(Ping(2), NOW, schedule_id="2")
        assert await worker.run_once() == 1
        assert sent == [Ping(2)]
        assert "CancelledError" in (await own.get("1")).last_error["message"]
        await own.close()

    asyncio.run(use())


def test_only_positive_numbers(scheduler):
    with pytest.raises(ValueError):
        CommandSchedulerService(scheduler, print, lease=timedelta(0))
    with pytest.raises(ValueError):
        CommandSchedulerService(scheduler, print, batch_size=0)
    with pytest.raises(ValueError):
        CommandSchedulerWorker(CommandSchedulerService(scheduler, print), poll_interval=0)


def test_what_is_asynchronous_is_refused_by_what_is_not(scheduler):
    async def send(command):
        await asyncio.sleep(0)

    scheduler.schedule(Ping(1), NOW)
    with pytest.raises(RuntimeError, match="asynchronous"):
        CommandSchedulerService(scheduler, send).process_due_commands()


def test_unions_of_what_json_has():
    @dataclass
    class Any_:
        value: int | str | None
        other: str | int = 1

    for value in (1, "1", None):
        assert codec.load(Any_, codec.dump(Any_(value))) == Any_(value)
