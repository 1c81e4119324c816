"""A command that is being carried out, and which one it is."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Claim:
    """A command that this process has until the lease ends.

    Attributes:
        schedule_id: Which command.
        command_type: Its type.
        command_module: Name space of the type.
        command_data: What it was scheduled with, in JSON.
        metadata: Context it was scheduled with.
        attempts: Which attempt this is, from 1.
        claim_token: Proves the claim.
        completed: complete() has been called for it.
    """

    schedule_id: str
    command_type: str
    command_module: str
    command_data: str = field(repr=False)
    metadata: dict[str, Any] | None
    attempts: int
    claim_token: str = field(repr=False)
    completed: bool = False


_current: ContextVar[Claim | None] = ContextVar("cmdsched_current_claim", default=None)


def current_claim() -> Claim:
    """Return the claim of the command that is being sent.

    Raises:
        LookupError: No service is sending a command in this context.
    """
    claim = _current.get()
    if claim is None:
        raise LookupError("no command is being carried out here: only what a service sends has a claim")
    return claim


@contextmanager
def carrying_out(claim: Claim) -> Iterator[None]:
    """Make the claim the current one."""
    token = _current.set(claim)
    try:
        yield
    finally:
        _current.reset(token)
