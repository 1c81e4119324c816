"""The same as in cmdsched, for threads instead of asyncio."""
from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

from . import scheduler as asynchronous
from . import worker as asynchronous_worker
from .claims import Claim
from .connections import CallersConnection, Executor, OwnConnection, OwnExecutor, finish
from .registry import CommandRegistry
from .service import BATCH_SIZE, LEASE, Dispatcher
from .statements import OnConflict, ScheduledCommand

S = TypeVar("S", bound="CommandScheduler")


class _Scheduler(asynchronous.CommandScheduler):
    """The asynchronous one on connections that never suspend."""

    def _connect(self, conninfo: str) -> OwnExecutor:
        return OwnConnection(conninfo)

    def _borrow(self, connection: Any) -> Executor:
        return CallersConnection(connection)


class CommandScheduler:
    """As cmdsched.CommandScheduler; threads may share one.

    Args:
        conninfo: How to connect, as for psycopg.
        registry: The commands that it knows.
    """

    def __init__(self, conninfo: str, registry: CommandRegistry) -> None:
        self.scheduler = _Scheduler(conninfo, registry)

    def within(self: S, connection: Any) -> S:
        """Return a scheduler of the same registry that works in the caller's transaction.

        It never begins, commits or rolls back.

        Args:
            connection: A psycopg Connection, or a SQLAlchemy Session or Connection.
        """
        borrowed = object.__new__(type(self))
        borrowed.scheduler = self.scheduler.within(connection)
        return borrowed

    def schedule(
        self,
        command: object,
        execute_at: datetime,
        *,
        metadata: Mapping[str, Any] | None = None,
        description: str | None = None,
        schedule_id: str | None = None,
        on_conflict: OnConflict = "keep",
    ) -> str:
        """Schedule a command: arguments, result and errors as in cmdsched."""
        return finish(
            self.scheduler.schedule(
                command,
                execute_at,
                metadata=metadata,
                description=description,
                schedule_id=schedule_id,
                on_conflict=on_conflict,
            )
        )

    def get(self, schedule_id: str) -> ScheduledCommand | None:
        """Return a command that is waiting, held or failed; None where there is none."""
        return finish(self.scheduler.get(schedule_id))

    def get_due_commands(self) -> list[tuple[str, Any]]:
        """Return schedule_id and command of all that is due and known, oldest first."""
        return finish(self.scheduler.get_due_commands())

    def delete_executed(self, schedule_id: str) -> None:
        """Remove a command that was carried out after get_due_commands(); no error if it is gone."""
        finish(self.scheduler.delete_executed(schedule_id))

    def cancel(self, schedule_id: str) -> bool:
        """Cancel a command: True if it was waiting and will never run."""
        return finish(self.scheduler.cancel(schedule_id))

    def complete(self, claim: Claim | None = None) -> None:
        """Complete the command that is being carried out, in this scheduler's transaction.

        Args:
            claim: Which one; by default the current one.

        Raises:
            LeaseLostError: It is no longer ours.  Let this roll the transaction back.
        """
        finish(self.scheduler.complete(claim))

    def close(self) -> None:
        """Close the connection of its own; it is made again when it is needed."""
        finish(self.scheduler.close())


class CommandSchedulerService:
    """As cmdsched.CommandSchedulerService, with an ordinary function to send commands.

    Args:
        scheduler: One with a connection of its own.
        send: Called with each command.
        lease: As in cmdsched.CommandSchedulerService.
        batch_size: How many are claimed at once.

    Raises:
        ValueError: The scheduler works in a transaction of the caller's, or a number is too small.
    """

    def __init__(
        self,
        scheduler: CommandScheduler,
        send: Callable[[Any], Any],
        *,
        lease: timedelta = LEASE,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        inner = scheduler.scheduler
        self.dispatcher = Dispatcher(inner.own, inner.registry, send, lease, batch_size)

    def process_due_commands(self) -> int:
        """Carry out all that is due, oldest first; return how many succeeded.

        Raises:
            psycopg.Error: The server is not there, or does not know cmdsched.
        """
        total, more = 0, True
        while more:
            succeeded, more = self.process_batch()
            total += succeeded
        return total

    def process_batch(self) -> tuple[int, bool]:
        """Carry out a few; return how many succeeded, and whether there may be more."""
        return finish(self.dispatcher.process_batch())


class _ServiceInThread:
    """A service for threads as the asynchronous worker sees it; commands run in a thread beside its loop."""

    def __init__(self, service: CommandSchedulerService) -> None:
        self.dispatcher = service.dispatcher
        self._service = service

    async def process_due_commands(self) -> int:
        return await asyncio.to_thread(self._service.process_due_commands)

    async def process_batch(self) -> tuple[int, bool]:
        return await asyncio.to_thread(self._service.process_batch)


class CommandSchedulerWorker:
    """As cmdsched.CommandSchedulerWorker, in a thread of its own.

    Args:
        service: What carries the commands out.
        poll_interval: How often to look without being told, in seconds.

    Raises:
        ValueError: poll_interval is not more than 0.
    """

    def __init__(self, service: CommandSchedulerService, poll_interval: float = 60.0) -> None:
        self._service = service
        self._worker = asynchronous_worker.CommandSchedulerWorker(_ServiceInThread(service), poll_interval)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._stop: asyncio.Event | None = None

    def start(self) -> None:
        """Begin to work in the background; nothing if it does already."""
        if self._thread is None:
            self._started.clear()
            self._thread = threading.Thread(target=asyncio.run, args=[self._run()], name="cmdsched", daemon=True)
            self._thread.start()
            self._started.wait()

    def stop(self) -> None:
        """End, after the commands that are claimed have been carried out."""
        if self._thread is not None and self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._thread = self._loop = self._stop = None

    def trigger(self) -> None:
        """Look now."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._worker.trigger)

    def run_once(self) -> int:
        """Carry out all that is due, here and now; return how many succeeded."""
        return self._service.process_due_commands()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await self._worker.start()
        self._started.set()
        await self._stop.wait()
        await self._worker.stop()
