"""Where statements are executed: on the caller's connection, or on one of our own.

All are used alike, with "await".  Those of threads never suspend at it, so
that finish() can run to its end what is written for all of them.
"""
from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg.pq import ConnStatus
from psycopg.rows import tuple_row

from .statements import Statement

T = TypeVar("T")


class Executor(Protocol):
    """Executes statements."""

    async def run(self, statement: Statement[T]) -> T:
        """Execute it, in the caller's transaction or in one of its own."""


class OwnExecutor(Executor, Protocol):
    """Executes statements on a connection of its own, each in a transaction."""

    conninfo: str

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""

    def repeating(
        self, work: Callable[[Executor], Coroutine[Any, Any, None]], interval: float
    ) -> AbstractAsyncContextManager[None]:
        """Do something every so many seconds, beside what is done in the context, on another connection."""

    async def close(self) -> None:
        """End the connection; it is made again when it is needed."""


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends to its end.

    Raises:
        RuntimeError: It did suspend: something for asyncio was given to a scheduler for threads.
    """
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("cmdsched.sync was given something asynchronous")


class AsyncCallersConnection:
    """A psycopg connection or SQLAlchemy session whose transaction is the caller's."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def run(self, statement: Statement[T]) -> T:
        if isinstance(self._connection, psycopg.AsyncConnection):
            async with self._connection.cursor(row_factory=tuple_row) as cursor:
                await cursor.execute(statement.sql, statement.parameters)
                return statement.read(await cursor.fetchall())
        result = await self._connection.execute(*_for_sqlalchemy(statement))
        return statement.read(result.fetchall())


class CallersConnection:
    """The same for threads."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def run(self, statement: Statement[T]) -> T:
        if isinstance(self._connection, psycopg.Connection):
            with self._connection.cursor(row_factory=tuple_row) as cursor:
                cursor.execute(statement.sql, statement.parameters)
                return statement.read(cursor.fetchall())
        return statement.read(self._connection.execute(*_for_sqlalchemy(statement)).fetchall())


def _for_sqlalchemy(statement: Statement[Any]) -> tuple[Any, dict[str, Any]]:
    from sqlalchemy import text

    return text(re.sub(r"%\((\w+)\)s", r":\1", statement.sql)), dict(statement.parameters)


class AsyncOwnConnection:
    """One connection, made when it is needed and again when it was lost; each statement commits."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._lock = asyncio.Lock()

    async def run(self, statement: Statement[T]) -> T:
        async with self._lock:
            if self._connection is None or is_lost(self._connection):
                await self._close()
                self._connection = await psycopg.AsyncConnection.connect(self.conninfo, autocommit=True)
            return await AsyncCallersConnection(self._connection).run(statement)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def repeating(
        self, work: Callable[[Executor], Coroutine[Any, Any, None]], interval: float
    ) -> AsyncIterator[None]:
        ended, other = asyncio.Event(), AsyncOwnConnection(self.conninfo)

        async def repeat() -> None:
            while not ended.is_set():
                try:
                    await asyncio.wait_for(ended.wait(), interval)
                except TimeoutError:
                    await work(other)

        task = asyncio.create_task(repeat())
        try:
            yield
        finally:
            ended.set()
            await task
            await other.close()

    async def close(self) -> None:
        async with self._lock:
            await self._close()

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class OwnConnection:
    """The same for threads, which may share it."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = threading.Lock()

    async def run(self, statement: Statement[T]) -> T:
        with self._lock:
            if self._connection is None or is_lost(self._connection):
                self._close()
                self._connection = psycopg.connect(self.conninfo, autocommit=True)
            return await CallersConnection(self._connection).run(statement)

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    @asynccontextmanager
    async def repeating(
        self, work: Callable[[Executor], Coroutine[Any, Any, None]], interval: float
    ) -> AsyncIterator[None]:
        ended, other = threading.Event(), OwnConnection(self.conninfo)

        def repeat() -> None:
            while not ended.wait(interval):
                finish(work(other))

        thread = threading.Thread(target=repeat, name="cmdsched lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            await other.close()

    async def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def is_lost(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """Tell whether an idle connection is known to have ended, by whatever the server said meanwhile."""
    if connection.closed:
        return True
    try:
        # The server's farewell comes first, the end of the stream after it.
        for _ in range(2):
            connection.pgconn.consume_input()
            connection.pgconn.is_busy()
    except psycopg.Error:
        return True
    return connection.pgconn.status != ConnStatus.OK
