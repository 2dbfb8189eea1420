"""Events sent to instances: kept, matched to the oldest wait of their type under the row lock, and announced after."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from orchestrator.doorbell import Ring
from orchestrator.serialization import decode, encode
from orchestrator.statuses import FINITE, InstanceStatus, StepKind
from orchestrator.store import events, timers

if TYPE_CHECKING:
    from orchestrator.engine.admission import Desk

log = logging.getLogger(__name__)

_NOT_DELIVERED = frozenset({*FINITE, InstanceStatus.PAUSED, InstanceStatus.ROLLING_BACK})


def received(event_type: str, payload: str, created_at: int) -> str:
    """The JSON text of what `wait_for_event` returns."""
    return encode({"payload": decode(payload), "timestamp": created_at, "type": event_type})


@dataclass(frozen=True, slots=True)
class Delivered:
    """An event that was stored for an instance, and whether somebody waited for it."""

    pk: int
    queue: str
    matched: bool


def send(desk: Desk, pk: int, event_type: str, payload: str) -> bool:
    """Store an event (its payload as JSON text) and wake who waits for it. False if there is no such instance."""
    now = desk.clock.now_ms()
    delivered = desk.database.statement(lambda c: deliver(desk, c, pk, event_type, payload, now))
    if delivered is None:
        return False
    announce(desk, delivered, event_type)
    return True


def deliver(desk: Desk, connection: Connection, pk: int, event_type: str, payload: str, now: int) -> Delivered | None:
    """Store an event as part of a transaction, after which it is to be announced; None: there is no such instance."""
    found = events.deliver(
        connection, pk, type=event_type, payload=payload, result=received(event_type, payload, now),
        config=_config(event_type), now=now, ring_at=now + desk.grace_ms, closed=_NOT_DELIVERED,
    )  # fmt: skip
    return None if found is None else Delivered(pk, *found)


def announce(desk: Desk, delivered: Delivered, event_type: str) -> None:
    if not delivered.matched:
        return
    # The key in Redis names the queue of who waits; without Redis, or after it was flushed, the row says so too.
    queue = desk.notifier.resume(delivered.pk, event_type) or delivered.queue
    desk.doorbell.ring([Ring(delivered.pk, queue)])
    desk.notifier.changed(delivered.pk)


def match_buffered(connection: Connection, row: Any, now: int) -> None:
    """Give what came during a pause to those who waited all along. The caller holds the lock on the instance's row."""
    for waiter in timers.of_instance(connection, row.id):
        if waiter.kind != StepKind.WAIT_FOR_EVENT:
            continue
        event = events.oldest(connection, row.id, waiter.event_type)
        if event is not None:
            events.consume(connection, event.id, waiter.key)
            result = received(waiter.event_type, event.payload, event.created_at)
            config = _config(waiter.event_type)
            events.answer(connection, row, waiter, result=result, config=config, now=now)


def _config(event_type: str) -> str:
    return json.dumps({"type": event_type})
