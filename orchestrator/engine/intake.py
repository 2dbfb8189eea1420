"""Carries out what a message asks for, once: the note that it was dealt with is part of the same transaction."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from orchestrator.doorbell import Ring
from orchestrator.engine import admission, events, publishing
from orchestrator.engine.admission import Desk, New
from orchestrator.errors import InstanceAlreadyExists, InstanceNotFound
from orchestrator.statuses import TRIGGER_EVENT
from orchestrator.store import inbox, instances

Claim = Callable[[Connection], bool]
"""Makes a message this transaction's; False if it was dealt with before."""


def new(desk: Desk, message_id: str) -> Claim:
    """For a message that comes from a queue."""
    now = desk.clock.now_ms()
    return lambda connection: inbox.note(connection, message_id, now)


def kept_aside(id: int) -> Claim:
    """For one that was rejected before."""
    return lambda connection: inbox.drop_rejected(connection, id)


def create(desk: Desk, claim: Claim, workflow: str, queue: str, new: New) -> bool:
    """Start an instance. False if the message was dealt with before. Raises InstanceAlreadyExists."""
    row = admission.row_of(desk, workflow, queue, new, TRIGGER_EVENT)

    def work(connection: Connection) -> int | None:
        if not claim(connection):
            return None
        pk = instances.insert(connection, **row)
        if pk is None:
            raise InstanceAlreadyExists(admission.already_exists(workflow, new.id))
        publishing.note(desk.settings, connection, pk, publishing.QUEUED, row["now"])
        return pk

    pk = desk.database.transaction(work)
    if pk is not None:
        desk.doorbell.ring([Ring(pk, queue)])
    return pk is not None


def send_event(desk: Desk, claim: Claim, workflow: str, instance_id: str, event_type: str, payload: str) -> bool:
    """Send an event. False if the message was dealt with before. Raises InstanceNotFound."""
    now = desk.clock.now_ms()

    def work(connection: Connection) -> events.Delivered | None:
        if not claim(connection):
            return None
        found = instances.find(connection, workflow, instance_id)
        delivered = None if found is None else events.deliver(desk, connection, found.id, event_type, payload, now)
        if delivered is None:
            raise InstanceNotFound(f"Workflow {workflow!r} has no instance with id {instance_id!r}.")
        return delivered

    delivered = desk.database.transaction(work)
    if delivered is not None:
        events.announce(desk, delivered, event_type)
    return delivered is not None


def drop(desk: Desk, id: int) -> bool:
    """Forget a message that was kept aside. False if it is gone already."""
    return desk.database.statement(lambda connection: inbox.drop_rejected(connection, id))


def reject(desk: Desk, message_id: str | None, *, queue: str, body: str, code: str, reason: str) -> bool:
    """Keep a message aside that can't be carried out. False if it was dealt with before."""
    now = desk.clock.now_ms()

    def work(connection: Connection) -> bool:
        if message_id is not None and not inbox.note(connection, message_id, now):
            return False
        inbox.reject(
            connection, message_id=message_id, queue=queue, body=body, code=code, reason=reason, at=now
        )  # fmt: skip
        return True

    return desk.database.transaction(work)
