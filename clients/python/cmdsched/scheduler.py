"""Scheduling, and what else can be done with one command."""
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from . import statements
from .claims import Claim, current_claim
from .connections import AsyncCallersConnection, AsyncOwnConnection, Executor, OwnExecutor
from .errors import LeaseLostError
from .registry import CommandRegistry
from .statements import OnConflict, ScheduledCommand

S = TypeVar("S", bound="CommandScheduler")


class CommandScheduler:
    """Schedules commands of a registry.

    With a connection string it has a connection of its own, on which each call is a transaction::

        scheduler = CommandScheduler("dbname=shop", registry)

    within() gives one that works in a transaction of the caller's::

        async with connection.transaction():
            await connection.execute("INSERT INTO orders ...")
            await scheduler.within(connection).schedule(SendReminder("order 7"), execute_at)

    Args:
        conninfo: How to connect, as for psycopg.
        registry: The commands that it knows.
    """

    def __init__(self, conninfo: str, registry: CommandRegistry) -> None:
        self.registry = registry
        self.own: OwnExecutor | None = self._connect(conninfo)
        self.executor: Executor = self.own

    def _connect(self, conninfo: str) -> OwnExecutor:
        return AsyncOwnConnection(conninfo)

    def _borrow(self, connection: Any) -> Executor:
        return AsyncCallersConnection(connection)

    def within(self: S, connection: Any) -> S:
        """Return a scheduler of the same registry that works in the caller's transaction.

        It never begins, commits or rolls back.

        Args:
            connection: A psycopg AsyncConnection, or a SQLAlchemy AsyncSession or AsyncConnection.
        """
        scheduler = object.__new__(type(self))
        scheduler.registry = self.registry
        scheduler.own = None
        scheduler.executor = self._borrow(connection)
        return scheduler

    async def schedule(
        self,
        command: object,
        execute_at: datetime,
        *,
        metadata: Mapping[str, Any] | None = None,
        description: str | None = None,
        schedule_id: str | None = None,
        on_conflict: OnConflict = "keep",
    ) -> str:
        """Schedule a command.

        Args:
            command: An object of a registered class.
            execute_at: When; the past means now.
            metadata: Context, such as correlation_id or reason.
            description: A text for people, kept in the metadata.
            schedule_id: An id of one's own, which makes scheduling idempotent.
            on_conflict: What to do if this schedule_id is waiting: keep leaves it as it is,
                replace takes the new command and time, error raises SQLSTATE 23505.

        Returns:
            The schedule_id.

        Raises:
            NaiveDatetimeError: execute_at has no time zone.
            UnknownCommandError: The class is not registered.
            TypeError, ValueError: The command or metadata cannot be written as JSON.
        """
        return await self.executor.run(
            statements.schedule(
                self.registry,
                command,
                execute_at,
                metadata=metadata,
                description=description,
                schedule_id=schedule_id,
                on_conflict=on_conflict,
            )
        )

    async def get(self, schedule_id: str) -> ScheduledCommand | None:
        """Return a command that is waiting, held or failed; None where there is none."""
        return await self.executor.run(statements.get(self.registry, schedule_id))

    async def get_due_commands(self) -> list[tuple[str, Any]]:
        """Return schedule_id and command of all that is due and known, oldest first.

        A plain read: nobody is kept from carrying them out.  A service claims instead.
        """
        return await self.executor.run(statements.get_due_commands(self.registry))

    async def delete_executed(self, schedule_id: str) -> None:
        """Remove a command that was carried out after get_due_commands(); no error if it is gone."""
        await self.executor.run(statements.delete_executed(schedule_id))

    async def cancel(self, schedule_id: str) -> bool:
        """Cancel a command.

        Returns:
            True if it was waiting and will never run, False if it was not found or has run.
        """
        return await self.executor.run(statements.cancel(schedule_id))

    async def complete(self, claim: Claim | None = None) -> None:
        """Complete the command that is being carried out, in this scheduler's transaction.

        In a transaction of the handler's own, its effects are made exactly once::

            async with connection.transaction():
                await connection.execute("INSERT INTO payments ...")
                await scheduler.within(connection).complete()

        Args:
            claim: Which one; by default the current one.

        Raises:
            LeaseLostError: It is no longer ours.  Let this roll the transaction back.
        """
        claim = current_claim() if claim is None else claim
        # From before, since renewing the lease would wait for the end of this transaction.
        claim.completed = True
        try:
            if not await self.executor.run(statements.complete(claim)):
                raise LeaseLostError(f"the lease of {claim.schedule_id!r} has ended, or it was cancelled")
        except BaseException:
            claim.completed = False
            raise

    async def close(self) -> None:
        """Close the connection of its own; it is made again when it is needed."""
        if self.own is not None:
            await self.own.close()
