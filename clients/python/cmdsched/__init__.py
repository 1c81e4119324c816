"""Schedule commands in PostgreSQL and carry them out in your application.

The classes here are for asyncio; cmdsched.sync has the same ones for threads.
"""
from .claims import Claim, current_claim
from .errors import LeaseLostError, NaiveDatetimeError, UnknownCommandError
from .registry import CommandRegistry
from .scheduler import CommandScheduler
from .service import CommandSchedulerService
from .statements import OnConflict, ScheduledCommand
from .worker import CommandSchedulerWorker

__all__ = [
    "Claim",
    "CommandRegistry",
    "CommandScheduler",
    "CommandSchedulerService",
    "CommandSchedulerWorker",
    "LeaseLostError",
    "NaiveDatetimeError",
    "OnConflict",
    "ScheduledCommand",
    "UnknownCommandError",
    "current_claim",
]
