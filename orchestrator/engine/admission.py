"""What a client needs at hand, and how an instance comes into being; it runs no workflow code."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.clock import Clock
from orchestrator.doorbell import Doorbell, LocalNotifier, Notifier, Ring
from orchestrator.errors import InstanceAlreadyExists
from orchestrator.names import check_instance_id, new_instance_id
from orchestrator.settings import Settings
from orchestrator.store import instances
from orchestrator.store.database import Database


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


def create(
    desk: Desk, workflow: str, queue: str, params: str, *, instance_id: str | None, trigger: str
) -> tuple[int, str]:
    """Start an instance with params as JSON text; (key, id). Raises InvalidInstanceId, InstanceAlreadyExists."""
    chosen = new_instance_id() if instance_id is None else check_instance_id(instance_id)
    now = desk.clock.now_ms()
    pk = desk.database.statement(
        lambda connection: instances.insert(
            connection,
            workflow=workflow,
            instance_id=chosen,
            queue=queue,
            params=params,
            trigger=trigger,
            ring_at=now + desk.grace_ms,
            now=now,
        )
    )
    if pk is None:
        raise InstanceAlreadyExists(
            f"Workflow instance with id {chosen!r} already exists in workflow {workflow!r}. "
            "Use another id, or get that instance."
        )
    desk.doorbell.ring([Ring(pk, queue)])
    return pk, chosen
