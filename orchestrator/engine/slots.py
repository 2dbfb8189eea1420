"""Lets instances of a limited workflow in, so many at once and in turn; workflows without a limit never come here.

An instance has a slot while it is running. One that finds none free gets a place in line, and whoever frees a slot rings
for those whose turn it is; the pump does too, in case that ring is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from orchestrator.doorbell import Ring
from orchestrator.engine import publishing
from orchestrator.statuses import InstanceStatus
from orchestrator.store import instances, slots, timers
from orchestrator.store.database import Database

if TYPE_CHECKING:
    from orchestrator.engine.runtime import Runtime

_S = InstanceStatus
OCCUPYING = frozenset({_S.RUNNING, _S.WAITING_FOR_PAUSE, _S.ROLLING_BACK})
"""The statuses in which an instance has a slot."""
_WOKEN = 10**15
"""More than any time: who has run before comes before all who have not."""
MANY = 500


def claim(runtime: Runtime, pk: int) -> Any:
    """Claim an instance that may need a slot; None if somebody has it or there is no slot for it yet."""
    now, worker = runtime.clock.now_ms(), runtime.worker_id
    with runtime.database.read() as connection:
        seen = slots.place_of(connection, pk)
    if seen is None or seen.holder is not None or (seen.place is None and seen.workflow not in runtime.limited):
        return None

    def work(connection: Connection) -> tuple[Any, str | None]:
        row = instances.lock(connection, pk)
        if row is None or row.holder is not None or row.status not in (_S.QUEUED, _S.WAITING, *OCCUPYING):
            return None, None
        limit = None if row.status in OCCUPYING else slots.lock_limit(connection, row.workflow)
        if limit is not None:
            place = row.place
            if place is None:
                place = row.created_at if row.started_at is None else now - _WOKEN
            if slots.ahead(connection, workflow=row.workflow, id=pk, place=place, limit=limit) >= limit:
                if row.place is None:
                    timers.freeze(connection, pk)  # its turn comes first, whatever it waits for
                slots.line_up(connection, id=pk, place=place, now=now)
                return None, row.workflow
        if row.place is not None:
            timers.shift(connection, pk, by=0, now=now, horizon=runtime.settings.horizon_ms)
        claimed = instances.claim(connection, id=pk, worker=worker, now=now, in_line=True)
        if claimed is not None and claimed.started_at == now:
            publishing.note(runtime.settings, connection, pk, publishing.STARTED, now)
        return claimed, None

    claimed, in_line = runtime.database.transaction(work)
    if in_line is not None:
        # A slot may have become free between the count and this commit, and who freed it saw nobody in line.
        runtime.ring(*freed(runtime.database, in_line, now=now, grace_ms=runtime.settings.grace_ms))
    return claimed


def freed(database: Database, workflow: str, *, now: int, grace_ms: int) -> list[Ring]:
    """Whose turn it is now, after an instance of the workflow has let a slot go."""
    with database.read() as connection:
        limit = slots.limit_of(connection, workflow)
        free = 0 if limit is None else limit - slots.occupied(connection, workflow=workflow, limit=limit)
    return _first(database, workflow, free, now, grace_ms) if free > 0 else []


def let_in(database: Database, *, now: int, grace_ms: int) -> list[Ring]:
    """Whose turn it is, in all workflows in which somebody is in line."""
    found: list[tuple[str, int]] = []
    with database.read() as connection:
        for row in slots.with_lines(connection):
            limit = row.concurrency_limit
            free = MANY if limit is None else limit - slots.occupied(connection, workflow=row.name, limit=limit)
            if free > 0:
                found.append((row.name, min(free, MANY)))
    return [ring for workflow, free in found for ring in _first(database, workflow, free, now, grace_ms)]


def _first(database: Database, workflow: str, free: int, now: int, grace_ms: int) -> list[Ring]:
    ring_at = now + max(grace_ms, 1)
    rows = database.statement(
        lambda connection: slots.first_in_line(connection, workflow=workflow, free=free, ring_at=ring_at)
    )
    return [Ring(row.id, row.queue) for row in rows]
