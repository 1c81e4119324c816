"""Carrying out commands when they become due, in the background."""
from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

import psycopg

from .service import Dispatcher

log = logging.getLogger("cmdsched")

# After an error, such as a server that is away.
RETRY_DELAY = 0.5


class Service(Protocol):
    """What a worker needs of a service."""

    dispatcher: Dispatcher

    async def process_due_commands(self) -> int:
        """Carry out all that is due."""

    async def process_batch(self) -> tuple[int, bool]:
        """Carry out a few, and tell whether there may be more."""


class CommandSchedulerWorker:
    """Calls a service when something is due.

    The server tells it by NOTIFY cmdsched_due.  Should that not be heard, it looks for itself now and then.
    Errors are logged and end nothing: when the server is back, it goes on.

    Args:
        service: What carries the commands out.
        poll_interval: How often to look without being told, in seconds.

    Raises:
        ValueError: poll_interval is not more than 0.
    """

    def __init__(self, service: Service, poll_interval: float = 60.0) -> None:
        if poll_interval <= 0:
            raise ValueError("poll_interval must be more than 0 seconds")
        self._service = service
        self._poll_interval = poll_interval
        self._wake = asyncio.Event()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to work in the background; nothing if it does already."""
        if self._tasks:
            return
        self._stopping = False
        # An event belongs to the loop that it was first waited for in.
        self._wake = asyncio.Event()
        self._wake.set()
        self._tasks = [asyncio.create_task(self._work()), asyncio.create_task(self._listen())]

    async def stop(self) -> None:
        """End, after the commands that are claimed have been carried out."""
        if not self._tasks:
            return
        working, listening = self._tasks
        self._stopping = True
        self._wake.set()
        try:
            await working
        finally:
            working.cancel()
            listening.cancel()
            await asyncio.gather(working, listening, return_exceptions=True)
            self._tasks = []

    def trigger(self) -> None:
        """Look now."""
        self._wake.set()

    async def run_once(self) -> int:
        """Carry out all that is due, here and now; return how many succeeded."""
        return await self._service.process_due_commands()

    async def _work(self) -> None:
        while not self._stopping:
            try:
                await asyncio.wait_for(self._wake.wait(), self._poll_interval)
            except TimeoutError:
                pass
            self._wake.clear()
            await self._process()

    async def _process(self) -> None:
        more = True
        try:
            while more and not self._stopping:
                _, more = await self._service.process_batch()
        except Exception:
            log.warning("due commands could not be processed", exc_info=True)
            await self._pause()
            self._wake.set()

    async def _pause(self) -> None:
        """Wait a little, unless it is to stop."""
        if not self._stopping:
            await asyncio.sleep(RETRY_DELAY)

    async def _listen(self) -> None:
        conninfo = self._service.dispatcher.conninfo
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
                    await self._wake_when_told(connection)
            except Exception:
                log.info("cannot listen for due commands, will try again", exc_info=True)
            await asyncio.sleep(RETRY_DELAY)

    async def _wake_when_told(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute("LISTEN cmdsched_due")
        # What became due before was told to nobody.
        self._wake.set()
        async for notification in connection.notifies():
            if notification.payload in self._service.dispatcher.command_types:
                self._wake.set()
