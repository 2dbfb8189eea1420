"""What a client needs at hand, and how instances come into being; it runs no workflow code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection

from orchestrator.clock import Clock
from orchestrator.doorbell import Doorbell, LocalNotifier, Notifier, Ring, together
from orchestrator.engine import publishing, rates
from orchestrator.errors import InstanceAlreadyExists
from orchestrator.names import check_instance_id, new_instance_id
from orchestrator.retention import Retention
from orchestrator.settings import Settings
from orchestrator.store import instances
from orchestrator.store.database import Database

T = TypeVar("T")


@dataclass
class Desk:
    """Where requests come in: a database, and whom to tell."""

    database: Database
    settings: Settings
    doorbell: Doorbell
    notifier: Notifier = field(default_factory=LocalNotifier)

    @property
    def clock(self) -> Clock:
        return self.database.clock

    @property
    def grace_ms(self) -> int:
        return self.doorbell.grace_ms


@dataclass(frozen=True, slots=True)
class New:
    """An instance to be: its params as JSON text, and an id that has been checked."""

    params: str
    id: str
    retention: Retention

    @classmethod
    def of(cls, params: str, id: str | None, retention: Retention) -> New:
        """Raises InvalidInstanceId."""
        return cls(params, new_instance_id() if id is None else check_instance_id(id), retention)


def create(desk: Desk, workflow: str, queue: str, new: New, *, trigger: str) -> int:
    """Start an instance; its key. Raises InstanceAlreadyExists."""
    row = row_of(desk, workflow, queue, new, trigger)

    def work(connection: Connection) -> int | None:
        rates.check(connection, desk.settings, workflow, 1, row["now"])
        pk = instances.insert(connection, **row)
        if pk is not None:
            publishing.note(desk.settings, connection, pk, publishing.QUEUED, row["now"])
        return pk

    pk = _writes(desk)(work)
    if pk is None:
        raise InstanceAlreadyExists(already_exists(workflow, new.id))
    desk.doorbell.ring([Ring(pk, queue)])
    return pk


def create_many(desk: Desk, workflow: str, queue: str, batch: Sequence[New], *, trigger: str) -> dict[str, int]:
    """Start instances of different ids in one transaction, and announce them together.

    The keys of those that were created, by id: the ids that are missing belong to instances that were there already.
    """
    rows = [row_of(desk, workflow, queue, new, trigger) for new in batch]

    def work(connection: Connection) -> dict[str, int]:
        rates.check(connection, desk.settings, workflow, len(rows), rows[0]["now"])
        created = instances.insert_many(connection, rows)
        publishing.note(desk.settings, connection, list(created.values()), publishing.QUEUED, rows[0]["now"])
        return created

    created = _writes(desk)(work) if rows else {}
    if created:
        desk.doorbell.ring(together([Ring(pk, queue) for pk in created.values()]))
    return created


def delete_many(desk: Desk, workflow: str, ids: Sequence[str]) -> set[str]:
    """Remove the instances of these ids in one transaction; the ids there were. What they stored goes in the background."""
    gone = desk.database.transaction(lambda connection: instances.delete_ids(connection, workflow, ids))
    if gone:
        desk.doorbell.ring([Ring(row.id, row.queue) for row in gone])
    for row in gone:
        desk.notifier.changed(row.id)
    return {row.instance_id for row in gone}


def _writes(desk: Desk) -> Callable[[Callable[[Connection], T]], T]:
    """Creating takes one statement, but for those who want to hear of it or to limit it."""
    alone = desk.settings.events_url is None and not rates.limited(desk.settings)
    return desk.database.statement if alone else desk.database.transaction


def already_exists(workflow: str, id: str) -> str:
    return (
        f"Workflow instance with id {id!r} already exists in workflow {workflow!r}. "
        "Use another id, or get that instance."
    )


def row_of(desk: Desk, workflow: str, queue: str, new: New, trigger: str) -> dict[str, Any]:
    """What `instances.insert` takes."""
    now = desk.clock.now_ms()
    return {
        "workflow": workflow,
        "instance_id": new.id,
        "queue": queue,
        "params": new.params,
        "trigger": trigger,
        "success_retention_ms": new.retention.success_ms,
        "error_retention_ms": new.retention.error_ms,
        "ring_at": now + desk.grace_ms,
        "now": now,
    }
