"""Publishes what happens to instances to a queue of the user's choice; whoever carries it there is given, not known here.

The line is written in the transaction that did it and goes when it was published: at least once, and in order for each
instance, as one process at a time publishes. A broker that is away costs nothing but rows, up to a limit.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from orchestrator.settings import Settings
from orchestrator.statuses import InstanceStatus
from orchestrator.store import outbox
from orchestrator.store.database import Database

log = logging.getLogger(__name__)

BATCH = 200
LEASE = "publisher"
LEASE_MS = 30_000
PREFIX = "workflows.workflow.instance."
SCHEMA_VERSION = 1

QUEUED, STARTED, PAUSED = "queued", "started", "paused"
ENDED = {
    InstanceStatus.COMPLETE: "completed",
    InstanceStatus.ERRORED: "errored",
    InstanceStatus.TERMINATED: "terminated",
}


class Publisher(Protocol):
    def publish(self, messages: Sequence[dict[str, Any]]) -> int:
        """Hand messages to the broker in order; how many it has taken for good. Must not raise, nor wait for long."""
        ...


def note(settings: Settings, connection: Connection, pk: int | Sequence[int], type: str, now: int) -> None:
    """Write down that this happened to an instance, or to several, if it is to be published at all."""
    if settings.events_url is not None:
        ids = [pk] if isinstance(pk, int) else list(pk)
        if ids:
            outbox.note(connection, ids, type, now)


def publish_some(database: Database, settings: Settings, publisher: Publisher, holder: str) -> int:
    """Publish the oldest lines, if no other process is about it; how many were published."""
    now = database.clock.now_ms()
    with database.read() as connection:
        if not outbox.oldest(connection, 1):
            return 0
    if not database.statement(
        lambda c: outbox.take_lease(c, name=LEASE, holder=holder, now=now, until_at=now + LEASE_MS)
    ):
        return 0
    if dropped := database.statement(lambda c: outbox.trim(c, settings.events_keep)):
        log.error("%d events were dropped unpublished: more than %d were waiting", dropped, settings.events_keep)
    with database.read() as connection:
        rows = outbox.oldest(connection, BATCH)
    taken = publisher.publish([message(row) for row in rows])
    if taken:
        ids = [row.id for row in rows[:taken]]
        database.statement(lambda c: outbox.remove(c, ids, name=LEASE, holder=holder))
    return taken


def stop(database: Database, holder: str) -> None:
    """Let another process publish at once."""
    database.statement(lambda c: outbox.release_lease(c, name=LEASE, holder=holder))


def message(row: Any) -> dict[str, Any]:
    """The envelope of Cloudflare's event subscriptions; `eventId` is ours: the same when a message comes twice."""
    at = datetime.fromtimestamp(row.at / 1000, UTC)
    return {
        "type": PREFIX + row.type,
        "source": {"type": "workflows.workflow", "workflowName": row.workflow},
        "payload": {"versionId": row.version, "instanceId": row.instance},
        "metadata": {
            "eventId": row.id,
            "eventSchemaVersion": SCHEMA_VERSION,
            "eventTimestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{row.at % 1000:03d}Z",
        },
    }
