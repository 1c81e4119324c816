"""A shop: who has not paid is reminded, later the order is cancelled; a payment withdraws the cancellation.

    psql -f shop.sql
    SHOP_DATABASE='dbname=shop user=shop_app' uvicorn shop:app
    curl -H 'Content-Type: application/json' -d '{"order_id": "7"}' http://localhost:8000/orders
"""
from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
from fastapi import Depends, FastAPI, HTTPException
from psycopg.rows import dict_row
from pydantic import BaseModel

from cmdsched import CommandRegistry, CommandScheduler, CommandSchedulerService, CommandSchedulerWorker

DATABASE = os.environ.get("SHOP_DATABASE", "dbname=shop user=shop_app")
REMIND_AFTER = timedelta(seconds=float(os.environ.get("SHOP_REMIND_AFTER", "86400")))
CANCEL_AFTER = timedelta(seconds=float(os.environ.get("SHOP_CANCEL_AFTER", "172800")))

# ----------------------------------------------------------------------------
# The commands and their handlers
# ----------------------------------------------------------------------------

registry = CommandRegistry()


@registry.register
@dataclass
class SendReminder:
    """Remind the customer of an order."""

    order_id: str


@registry.register
@dataclass
class CancelUnpaidOrder:
    """Cancel an order, unless it has been paid."""

    order_id: str


class Mediator:
    """Gives each command to the handler of its class."""

    def __init__(self) -> None:
        self._handlers: dict[type, Callable[[Any], Awaitable[None]]] = {}

    def handles(self, command_class: type) -> Callable[[Callable[[Any], Awaitable[None]]], None]:
        """Make the decorated function the handler of a class."""

        def remember(handler: Callable[[Any], Awaitable[None]]) -> None:
            self._handlers[command_class] = handler

        return remember

    async def send(self, command: object) -> None:
        """Call the handler."""
        await self._handlers[type(command)](command)


mediator = Mediator()
scheduler = CommandScheduler(DATABASE, registry)


@mediator.handles(SendReminder)
async def send_reminder(command: SendReminder) -> None:
    """Here a mail would be sent.  This may happen twice: what is outside the database cannot be rolled back."""
    async with await psycopg.AsyncConnection.connect(DATABASE) as connection:
        await connection.execute(
            "UPDATE shop.orders SET reminders = reminders + 1 WHERE order_id = %s AND status = 'unpaid'",
            [command.order_id],
        )


@mediator.handles(CancelUnpaidOrder)
async def cancel_unpaid_order(command: CancelUnpaidOrder) -> None:
    """Exactly once: the command is completed in the same transaction."""
    async with await psycopg.AsyncConnection.connect(DATABASE) as connection:
        await scheduler.within(connection).complete()
        await connection.execute(
            "UPDATE shop.orders SET status = 'cancelled' WHERE order_id = %s AND status = 'unpaid'",
            [command.order_id],
        )


# ----------------------------------------------------------------------------
# The application
# ----------------------------------------------------------------------------


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Carry out commands for as long as the application runs."""
    service = CommandSchedulerService(scheduler, mediator.send)
    worker = CommandSchedulerWorker(service, poll_interval=60.0)
    app.state.scheduler_worker = worker
    await worker.start()
    yield
    await worker.stop()
    await scheduler.close()


app = FastAPI(lifespan=lifespan)
app.router.lifespan_context = lifespan  # for FastAPI before 0.93, as in Debian 12


async def get_scheduler_worker() -> CommandSchedulerWorker:
    """Return the worker of this process."""
    worker: CommandSchedulerWorker = app.state.scheduler_worker
    return worker


class CreateOrder(BaseModel):
    """What POST /orders takes."""

    order_id: str


@app.post("/orders")
async def create_order(
    command: CreateOrder, worker: CommandSchedulerWorker = Depends(get_scheduler_worker)
) -> dict[str, str]:
    """Create an order, and schedule in the same transaction what is to follow."""
    now = datetime.now(timezone.utc)
    async with await psycopg.AsyncConnection.connect(DATABASE) as connection:
        transaction = scheduler.within(connection)
        reminder_id = await transaction.schedule(
            SendReminder(command.order_id), now + REMIND_AFTER, description="payment reminder"
        )
        cancellation_id = await transaction.schedule(
            CancelUnpaidOrder(command.order_id), now + CANCEL_AFTER, metadata={"reason": "auto_cancel_unpaid"}
        )
        await connection.execute(
            "INSERT INTO shop.orders (order_id, cancellation_id) VALUES (%s, %s)", [command.order_id, cancellation_id]
        )
    # The server tells the worker when something is due; this is for what is due already.
    worker.trigger()
    return {"schedule_id": reminder_id, "cancellation_id": cancellation_id}


@app.post("/orders/{order_id}/payment")
async def pay_order(order_id: str) -> dict[str, bool]:
    """Note that an order was paid, and withdraw its cancellation."""
    async with await psycopg.AsyncConnection.connect(DATABASE) as connection:
        cursor = await connection.execute(
            "UPDATE shop.orders SET status = 'paid' WHERE order_id = %s AND status = 'unpaid' "
            "RETURNING cancellation_id",
            [order_id],
        )
        order = await cursor.fetchone()
        if order is None:
            raise HTTPException(409, "There is no such order that is unpaid.")
        return {"withdrawn": await scheduler.within(connection).cancel(order[0])}


@app.get("/orders/{order_id}")
async def get_order(order_id: str) -> dict[str, Any]:
    """Return an order."""
    async with await psycopg.AsyncConnection.connect(DATABASE, row_factory=dict_row) as connection:
        cursor = await connection.execute("SELECT * FROM shop.orders WHERE order_id = %s", [order_id])
        order = await cursor.fetchone()
    if order is None:
        raise HTTPException(404, "There is no such order.")
    return order
