"""The table of behaviour that all clients share: ../../cases.json, explained in ../../README.md.

The runner is written for the asynchronous client; the one for threads is called in threads.
"""
import asyncio
import copy
import json
import re
import subprocess
import time
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta, timezone
from os import environ
from pathlib import Path
from typing import Any

import psycopg
import pytest

import cmdsched
import cmdsched.sync

TABLE = json.loads((Path(__file__).parents[2] / "cases.json").read_text())
CONNINFO = "user=cases"

registry = cmdsched.CommandRegistry()


@registry.register(command_module="cases")
@dataclass
class Echo:
    value: Any


@registry.register(command_module="cases")
@dataclass
class Flaky:
    value: int
    failures: int


@registry.register(command_module="cases")
@dataclass
class Pay:
    value: int
    failures: int


CLASSES = {"Echo": Echo, "Flaky": Flaky, "Pay": Pay}


class Handlers:
    """What was handled, and how often it was tried."""

    def __init__(self):
        self.handled = []
        self.attempts = {}

    def attempt(self, command):
        key = (type(command), command.value)
        self.attempts[key] = self.attempts.get(key, 0) + 1
        if self.attempts[key] <= command.failures:
            raise RuntimeError("this one is flaky")

    def note(self, command):
        self.handled.append([type(command).__name__, copy.deepcopy(vars(command))])


class AsyncClient:
    """The asynchronous client, a scheduler on a connection of its own."""

    def __init__(self, handlers):
        self.handlers = handlers
        self.scheduler = cmdsched.CommandScheduler(CONNINFO, registry)
        self.service = cmdsched.CommandSchedulerService(self.scheduler, self.send)
        self.worker = cmdsched.CommandSchedulerWorker(self.service, poll_interval=60)

    async def send(self, command):
        if isinstance(command, Pay):
            async with await psycopg.AsyncConnection.connect(CONNINFO) as connection:
                await self.scheduler.within(connection).complete()
                await connection.execute("INSERT INTO cases.effects VALUES (%s)", [command.value])
                self.handlers.attempt(command)
                self.handlers.note(command)
            return
        if isinstance(command, Flaky):
            self.handlers.attempt(command)
        self.handlers.note(command)

    def connect(self):
        return psycopg.AsyncConnection.connect(CONNINFO)

    async def call(self, method, *arguments, **options):
        return await method(*arguments, **options)


class SyncClient:
    """The same for threads."""

    def __init__(self, handlers):
        self.handlers = handlers
        self.scheduler = cmdsched.sync.CommandScheduler(CONNINFO, registry)
        self.service = cmdsched.sync.CommandSchedulerService(self.scheduler, self.send)
        self.worker = cmdsched.sync.CommandSchedulerWorker(self.service, poll_interval=60)

    def send(self, command):
        if isinstance(command, Pay):
            with psycopg.connect(CONNINFO) as connection:
                self.scheduler.within(connection).complete()
                connection.execute("INSERT INTO cases.effects VALUES (%s)", [command.value])
                self.handlers.attempt(command)
                self.handlers.note(command)
            return
        if isinstance(command, Flaky):
            self.handlers.attempt(command)
        self.handlers.note(command)

    async def connect(self):
        return await self.call(psycopg.connect, CONNINFO)

    async def call(self, method, *arguments, **options):
        return await asyncio.to_thread(method, *arguments, **options)


class Case:
    """Carries out the steps of one case."""

    def __init__(self, make_client):
        self.handlers = Handlers()
        self.make_client = lambda: make_client(self.handlers)
        self.client = self.make_client()
        self.scheduler = self.client.scheduler
        self.connection = None

    async def do(self, step):
        expected = step.get("expect")
        try:
            result = await getattr(self, "do_" + step["do"])(step)
        except (psycopg.Error, cmdsched.NaiveDatetimeError) as error:
            if not isinstance(expected, dict) or "error" not in expected:
                raise
            assert expected["error"] == getattr(error, "sqlstate", "naive"), step
            return None
        if "expect" in step:
            assert matches(result, expected), f"{step}: {result}"
        return result

    async def call(self, method, *arguments, **options):
        return await self.client.call(method, *arguments, **options)

    async def do_schedule(self, step):
        options = {name: step[name] for name in ("metadata", "description", "on_conflict") if name in step}
        if "id" in step:
            options["schedule_id"] = step["id"]
        return await self.call(self.scheduler.schedule, command_of(step["command"]), moment(step["at"]), **options)

    async def do_schedule_many(self, step):
        connection = await self.client.connect()
        scheduler = self.client.scheduler.within(connection)
        for n in range(1, step["count"] + 1):
            await self.call(scheduler.schedule, command_of(step["command"], n), moment(step["at"]))
        await self.call(connection.commit)
        await self.call(connection.close)

    async def do_get(self, step):
        return as_json(await self.call(self.scheduler.get, step["id"]))

    async def do_due(self, step):
        return [schedule_id for schedule_id, _ in await self.call(self.scheduler.get_due_commands)]

    async def do_process(self, step):
        return await self.call(self.client.service.process_due_commands)

    async def do_cancel(self, step):
        return await self.call(self.scheduler.cancel, step["id"])

    async def do_delete_executed(self, step):
        await self.call(self.scheduler.delete_executed, step["id"])

    async def do_sql(self, step):
        connection = self.connection or await psycopg.AsyncConnection.connect(CONNINFO, autocommit=True)
        cursor = await self.call(connection.execute, step["statement"]) if self.connection else (
            await connection.execute(step["statement"]))
        rows = None
        if cursor.description:
            rows = await self.call(cursor.fetchall) if self.connection else await cursor.fetchall()
        if not self.connection:
            await connection.close()
        return rows and [list(row) for row in rows]

    async def do_transaction(self, step):
        self.connection = await self.client.connect()
        self.scheduler = self.client.scheduler.within(self.connection)
        try:
            for inner in step["steps"]:
                await self.do(inner)
            await self.call(getattr(self.connection, step["end"]))
        finally:
            await self.call(self.connection.close)
            self.connection, self.scheduler = None, self.client.scheduler

    async def do_parallel(self, step):
        cases = [Case(lambda handlers: type(self.client)(self.handlers)) for _ in step["steps"]]
        results = await asyncio.gather(*(case.do(inner) for case, inner in zip(cases, step["steps"])))
        for case in cases:
            await case.close()
        assert results in step["outcomes"], f"{step}: {results}"

    async def do_workers(self, step):
        clients = [self.make_client() for _ in range(step["count"])]
        for client in clients:
            await client.call(client.worker.start)
        try:
            for inner in step.get("meanwhile", []):
                await self.do(inner)
            if "until" in step:
                await self.wait_until(step["until"], step["within"])
        finally:
            await asyncio.gather(*(client.call(client.worker.stop) for client in clients))
            for client in clients:
                await client.call(client.scheduler.close)

    async def wait_until(self, goal, within):
        async def is_reached():
            if "handled" in goal:
                return len(self.handlers.handled) >= goal["handled"]
            return await self.do_sql({"statement": (
                "SELECT count(*)::integer FROM cmdsched.scheduled_commands "
                "WHERE status = 'pending' AND command_type IN ('Echo', 'Flaky', 'Pay')"
            )}) == [[goal["pending"]]]

        await wait_for(is_reached, within, goal)

    async def do_wait(self, step):
        async def is_reached():
            return matches(await self.do_get(step), step["expect"])

        await wait_for(is_reached, step["within"], step)
        return await self.do_get(step)

    async def do_wait_handled(self, step):
        await self.wait_until({"handled": step["count"]}, step["within"])

    async def do_restart(self, step):
        await asyncio.to_thread(subprocess.run, environ["CMDSCHED_TEST_RESTART"], shell=True, check=True)

    async def do_handled(self, step):
        handled = self.handlers.handled
        assert len(handled) == step.get("count", len(handled)), step
        if "distinct" in step:
            assert len({json.dumps(command) for command in handled}) == step["distinct"], step
        return handled

    async def close(self):
        await self.call(self.client.scheduler.close)


async def wait_for(condition, within, what):
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        await asyncio.sleep(0.02)


def moment(at):
    if isinstance(at, str):
        return datetime.fromisoformat(at)
    return datetime.now(timezone.utc) + timedelta(seconds=at)


def command_of(written, n=None):
    command_type, data = written
    return CLASSES[command_type](**{name: n if value == "$n" else unfold(value) for name, value in data.items()})


def unfold(value):
    """Write {"$repeat": [text, times]} out."""
    if isinstance(value, dict):
        if "$repeat" in value:
            return value["$repeat"][0] * value["$repeat"][1]
        return {name: unfold(item) for name, item in value.items()}
    return [unfold(item) for item in value] if isinstance(value, list) else value


def as_json(scheduled):
    if scheduled is None:
        return None
    result = {field.name: getattr(scheduled, field.name) for field in fields(scheduled)}
    result["description"] = scheduled.description
    if is_dataclass(scheduled.command):
        result["command"] = [scheduled.command_type, vars(scheduled.command)]
    return result


def matches(result, expected, whole=False):
    """Compare as ../../README.md says."""
    if isinstance(expected, dict) and "matches" in expected:
        return isinstance(result, str) and re.search(expected["matches"], result) is not None
    if isinstance(expected, dict) and "$repeat" in expected:
        return result == unfold(expected)
    if isinstance(result, datetime):
        return result == moment(expected)
    if isinstance(expected, dict):
        return isinstance(result, dict) and (not whole or result.keys() == expected.keys()) and all(
            name in result and matches(result[name], item, whole or name in ("command", "command_data", "metadata"))
            for name, item in expected.items())
    if isinstance(expected, list):
        return isinstance(result, list) and len(result) == len(expected) and all(
            matches(*pair, whole=True) for pair in zip(result, expected))
    if isinstance(expected, (int, float)) and not isinstance(expected, bool):
        return isinstance(result, (int, float)) and not isinstance(result, bool) and float(result) == float(expected)
    return type(result) is type(expected) and result == expected


@pytest.fixture(scope="module")
def server():
    """A connection of the superuser, in a database that has been set up."""
    with psycopg.connect(user="postgres", autocommit=True) as connection:
        for statement in TABLE["setup"]:
            connection.execute(statement)


CASES = [
    pytest.param(case, id=f"{case['name']} {n}" if n else case["name"])
    for case in TABLE["cases"]
    for n in range(case.get("repeat", 1))
]


@pytest.mark.parametrize("make_client", [AsyncClient, SyncClient])
@pytest.mark.parametrize("case", CASES)
def test_case(case, make_client, server):
    with psycopg.connect(CONNINFO, autocommit=True) as connection:
        connection.execute("SELECT cmdsched.cancel(schedule_id) FROM cmdsched.scheduled_commands")
        connection.execute("DELETE FROM cases.effects")

    async def carry_out():
        running = Case(make_client)
        try:
            for step in case["steps"]:
                await running.do(step)
        finally:
            await running.close()

    asyncio.run(carry_out())
