"""Carrying out what is due."""
from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import psycopg

from . import statements
from .claims import Claim, carrying_out
from .connections import Executor, OwnExecutor
from .registry import CommandRegistry
from .scheduler import CommandScheduler
from .statements import Statement

log = logging.getLogger("cmdsched")

Send = Callable[[Any], Awaitable[Any] | Any]

LEASE = timedelta(seconds=30)
BATCH_SIZE = 10


class Dispatcher:
    """What services for asyncio and for threads have in common: claim, send, complete or fail."""

    def __init__(
        self, own: OwnExecutor | None, registry: CommandRegistry, send: Send, lease: timedelta, batch_size: int
    ) -> None:
        if own is None:
            raise ValueError("a service needs a scheduler with a connection of its own, not one of within()")
        if lease <= timedelta(0):
            raise ValueError("lease must be longer than nothing")
        if batch_size < 1:
            raise ValueError("batch_size must be at least 1")
        self.conninfo = own.conninfo
        self.command_types = registry.command_types
        self._own = own
        self._registry = registry
        self._send = send
        self._lease = lease
        self._batch_size = batch_size

    async def process_batch(self) -> tuple[int, bool]:
        """Carry out a batch; return how many succeeded, and whether there may be more."""
        claims = await self._own.run(statements.claim_due_commands(self._registry, self._batch_size, self._lease))
        if not claims:
            return 0, False
        in_hand = {claim.claim_token: claim for claim in claims}

        async def renew(executor: Executor) -> None:
            await self._renew(in_hand, executor)

        succeeded = 0
        async with self._own.repeating(renew, self._lease.total_seconds() / 3):
            for claim in claims:
                if claim.claim_token in in_hand:
                    succeeded += await self._carry_out(claim)
                    in_hand.pop(claim.claim_token, None)
        return succeeded, len(claims) == self._batch_size

    async def _renew(self, in_hand: dict[str, Claim], executor: Executor) -> None:
        """Renew the leases of those in hand; let go of those that are no longer ours."""
        for claim in list(in_hand.values()):
            try:
                if not claim.completed and not await executor.run(statements.extend_lease(claim, self._lease)):
                    in_hand.pop(claim.claim_token, None)
            except psycopg.Error:
                log.warning("the lease of %r could not be renewed", claim.schedule_id, exc_info=True)

    async def _carry_out(self, claim: Claim) -> bool:
        try:
            command = self._registry.load(claim.command_type, claim.command_module, claim.command_data)
            with carrying_out(claim):
                result = self._send(command)
                if inspect.isawaitable(result):
                    await result
        except asyncio.CancelledError as error:
            if _is_being_cancelled():
                raise
            await self._note_failure(claim, error)
            return False
        except Exception as error:
            await self._note_failure(claim, error)
            return False
        return claim.completed or await self._note_success(claim)

    async def _note_success(self, claim: Claim) -> bool:
        if await self._settle(claim, statements.complete(claim)):
            return True
        log.warning("%s %r took longer than its lease, or was cancelled", claim.command_type, claim.schedule_id)
        return False

    async def _note_failure(self, claim: Claim, error: BaseException) -> None:
        log.warning("%s %r failed in attempt %d", claim.command_type, claim.schedule_id, claim.attempts, exc_info=error)
        await self._settle(claim, statements.fail(claim, error))

    async def _settle(self, claim: Claim, statement: Statement[bool]) -> bool:
        """Tell the server, once more while the lease lasts if the connection is lost."""
        deadline = time.monotonic() + self._lease.total_seconds()
        while True:
            try:
                return await self._own.run(statement)
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                await self._own.sleep(0.1)


def _is_being_cancelled() -> bool:
    """Tell whether our own task is to end, not only something that a handler waited for."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0


class CommandSchedulerService:
    """Carries out due commands by giving them to a mediator.

    Several may work on the same commands, in any number of processes: each command is claimed by one.
    A command whose send raises an error is tried again after the backoff of its handler,
    and does not keep the others from being carried out.

    Args:
        scheduler: One with a connection of its own.
        send: Called with each command; a coroutine function, or an ordinary one.
        lease: How long commands wait for somebody else when this process has died.  While it lives,
            it renews the leases of what it has in hand, however long that takes.
        batch_size: How many are claimed at once.

    Raises:
        ValueError: The scheduler works in a transaction of the caller's, or a number is too small.
    """

    def __init__(
        self, scheduler: CommandScheduler, send: Send, *, lease: timedelta = LEASE, batch_size: int = BATCH_SIZE
    ) -> None:
        self.dispatcher = Dispatcher(scheduler.own, scheduler.registry, send, lease, batch_size)

    async def process_due_commands(self) -> int:
        """Carry out all that is due, oldest first.

        Returns:
            How many succeeded.

        Raises:
            psycopg.Error: The server is not there, or does not know cmdsched.
        """
        total, more = 0, True
        while more:
            succeeded, more = await self.process_batch()
            total += succeeded
        return total

    async def process_batch(self) -> tuple[int, bool]:
        """Carry out a few; return how many succeeded, and whether there may be more."""
        return await self.dispatcher.process_batch()
