"""The SQL functions that the client calls, and what their rows become.

A statement says what to execute and how to read the answer; connections.py
executes it, asynchronously or not.  JSON, uuids and times are text here, so
that no setting of a driver or connection matters.
"""
from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Generic, Literal, TypeVar

from . import codec
from .claims import Claim
from .errors import NaiveDatetimeError
from .registry import CommandRegistry

T = TypeVar("T")
Row = Sequence[Any]
OnConflict = Literal["keep", "replace", "error"]

log = logging.getLogger("cmdsched")


@dataclass(frozen=True)
class Statement(Generic[T]):
    """SQL with parameters as psycopg writes them, and what makes a T of its rows."""

    sql: str
    parameters: Mapping[str, Any]
    read: Callable[[Sequence[Row]], T]


@dataclass(frozen=True)
class ScheduledCommand:
    """A command that is still to be done, or needs attention.

    Attributes:
        schedule_id: Which command.
        command_type: Its type.
        command_module: Name space of the type.
        command: The command itself; None where its type is not registered or its data do not fit the class.
        command_data: Its fields, as they are in the database.
        execute_at: When the next attempt is due; while it is claimed, the end of the lease.
        status: pending, held or failed.
        created_at: When it was scheduled.
        metadata: Context it was scheduled with.
        attempts: Attempts so far, with the one that is being made.
        last_error: Why the last attempt failed: sqlstate, message and others.
    """

    schedule_id: str
    command_type: str
    command_module: str
    command: Any
    command_data: Any = field(repr=False)
    execute_at: datetime
    status: str
    created_at: datetime
    metadata: dict[str, Any] | None
    attempts: int
    last_error: dict[str, Any] | None

    @property
    def description(self) -> str | None:
        """What schedule() was given as description."""
        return None if self.metadata is None else self.metadata.get("description")


def schedule(
    registry: CommandRegistry,
    command: object,
    execute_at: datetime,
    *,
    metadata: Mapping[str, Any] | None,
    description: str | None,
    schedule_id: str | None,
    on_conflict: OnConflict,
) -> Statement[str]:
    """schedule() of the extension; arguments and errors as CommandScheduler.schedule()."""
    if execute_at.utcoffset() is None:
        raise NaiveDatetimeError(
            f"execute_at has no time zone: {execute_at.isoformat()}; "
            "write datetime.now(timezone.utc) + ..., or add a tzinfo"
        )
    if description is not None:
        metadata = {**(metadata or {}), "description": description}
    command_type, command_module = registry.name_of(command)
    return Statement(
        """
        SELECT cmdsched.schedule(
            CAST(%(command_type)s AS text), CAST(%(command_data)s AS jsonb), CAST(%(execute_at)s AS timestamptz),
            metadata => CAST(%(metadata)s AS jsonb), schedule_id => CAST(%(schedule_id)s AS text),
            command_module => CAST(%(command_module)s AS text), on_conflict => CAST(%(on_conflict)s AS text))
        """,
        {
            "command_type": command_type,
            "command_module": command_module,
            "command_data": codec.dump(command),
            "execute_at": execute_at,
            "metadata": None if metadata is None else codec.dump(metadata),
            "schedule_id": schedule_id,
            "on_conflict": on_conflict,
        },
        _first,
    )


def get(registry: CommandRegistry, schedule_id: str) -> Statement[ScheduledCommand | None]:
    """get() of the extension."""

    def read(rows: Sequence[Row]) -> ScheduledCommand | None:
        return _scheduled_command(registry, rows[0]) if rows else None

    return Statement(
        """
        SELECT schedule_id, command_type, command_module, CAST(command_data AS text),
               pg_catalog.to_json(execute_at) #>> '{}', status, pg_catalog.to_json(created_at) #>> '{}',
               CAST(metadata AS text), attempts, CAST(last_error AS text)
          FROM cmdsched.get(CAST(%(schedule_id)s AS text))
         WHERE schedule_id IS NOT NULL
        """,
        {"schedule_id": schedule_id},
        read,
    )


def _scheduled_command(registry: CommandRegistry, row: Row) -> ScheduledCommand:
    schedule_id, command_type, command_module, data, execute_at, status, created_at, metadata, attempts, error = row
    return ScheduledCommand(
        schedule_id=schedule_id,
        command_type=command_type,
        command_module=command_module,
        command=_command_or_none(registry, schedule_id, command_type, command_module, data),
        command_data=json.loads(data),
        execute_at=_moment(execute_at),
        status=status,
        created_at=_moment(created_at),
        metadata=_json(metadata),
        attempts=attempts,
        last_error=_json(error),
    )


def get_due_commands(registry: CommandRegistry) -> Statement[list[tuple[str, Any]]]:
    """get_due_commands() of the extension, without what the registry does not know."""

    def read(rows: Sequence[Row]) -> list[tuple[str, Any]]:
        commands = ((row[0], _command_or_none(registry, *row)) for row in rows)
        return [(schedule_id, command) for schedule_id, command in commands if command is not None]

    return Statement(
        """
        SELECT schedule_id, command_type, command_module, CAST(command_data AS text)
          FROM cmdsched.get_due_commands()
         WHERE command_type = ANY (CAST(%(command_types)s AS text[]))
         ORDER BY execute_at, schedule_id
        """,
        {"command_types": registry.command_types},
        read,
    )


def delete_executed(schedule_id: str) -> Statement[None]:
    """delete_executed() of the extension."""
    return Statement(
        "SELECT cmdsched.delete_executed(CAST(%(schedule_id)s AS text))", {"schedule_id": schedule_id}, _nothing
    )


def cancel(schedule_id: str) -> Statement[bool]:
    """cancel() of the extension."""
    return Statement("SELECT cmdsched.cancel(CAST(%(schedule_id)s AS text))", {"schedule_id": schedule_id}, _first)


def claim_due_commands(registry: CommandRegistry, max_commands: int, lease: timedelta) -> Statement[list[Claim]]:
    """claim_due_commands() of the extension, for the types that the registry knows."""

    def read(rows: Sequence[Row]) -> list[Claim]:
        return [
            Claim(schedule_id, command_type, command_module, data, _json(metadata), attempts, token)
            for schedule_id, command_type, command_module, data, metadata, attempts, token in rows
        ]

    return Statement(
        """
        SELECT schedule_id, command_type, command_module, CAST(command_data AS text), CAST(metadata AS text), attempts,
               CAST(claim_token AS text)
          FROM cmdsched.claim_due_commands(
               CAST(%(max_commands)s AS integer), CAST(%(command_types)s AS text[]), CAST(%(lease)s AS interval))
        """,
        {"max_commands": max_commands, "command_types": registry.command_types, "lease": lease},
        read,
    )


def complete(claim: Claim) -> Statement[bool]:
    """complete() of the extension: false where the claim is no longer valid."""
    return Statement(
        "SELECT cmdsched.complete(CAST(%(schedule_id)s AS text), CAST(%(claim_token)s AS uuid))",
        {"schedule_id": claim.schedule_id, "claim_token": claim.claim_token},
        _first,
    )


def fail(claim: Claim, error: BaseException) -> Statement[bool]:
    """fail() of the extension: false where the claim is no longer valid."""
    text = f"{type(error).__name__}: {error}"
    return Statement(
        "SELECT cmdsched.fail(CAST(%(schedule_id)s AS text), CAST(%(claim_token)s AS uuid), CAST(%(error)s AS text))",
        {
            "schedule_id": claim.schedule_id,
            "claim_token": claim.claim_token,
            # Not everything that an error says can be stored.
            "error": text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}"),
        },
        _first,
    )


def extend_lease(claim: Claim, lease: timedelta) -> Statement[bool]:
    """extend_lease() of the extension: false where the claim is no longer valid."""
    return Statement(
        """
        SELECT cmdsched.extend_lease(
            CAST(%(schedule_id)s AS text), CAST(%(claim_token)s AS uuid), CAST(%(lease)s AS interval))
        """,
        {"schedule_id": claim.schedule_id, "claim_token": claim.claim_token, "lease": lease},
        _first,
    )


def _first(rows: Sequence[Row]) -> Any:
    return rows[0][0]


def _nothing(rows: Sequence[Row]) -> None:
    return None


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(timezone.utc)


def _command_or_none(
    registry: CommandRegistry, schedule_id: str, command_type: str, command_module: str, command_data: str
) -> Any:
    """Make the command again; None where that cannot be done, so that one does not hide the others."""
    if not registry.knows(command_type, command_module):
        return None
    try:
        return registry.load(command_type, command_module, command_data)
    except Exception as error:
        log.warning("command %r does not fit the class of %s: %s", schedule_id, command_type, type(error).__name__)
        return None
