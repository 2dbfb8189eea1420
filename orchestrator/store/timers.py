"""SQL of the timers: everything that waits for a moment or an event, one narrow row each, deleted when it has fired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_INSERT = Statement("""
    INSERT INTO @timers (instance_id, key, kind, position, event_type, queue, started_at, due_at, ring_at)
    VALUES (:instance_id, :key, :kind, :position, :event_type, :queue, :started_at, :due_at, :ring_at)
    ON CONFLICT (instance_id, key) DO NOTHING
""")
OF_INSTANCE = Statement("""
    SELECT key, kind, position, event_type, started_at, due_at FROM @timers WHERE instance_id = :id ORDER BY position
""")
_DELETE = Statement("DELETE FROM @timers WHERE instance_id = :id AND key IN :keys", "keys")
_DELETE_ALL = Statement("DELETE FROM @timers WHERE instance_id = :id")
_OLDEST_WAITER = Statement("""
    SELECT key, position, started_at FROM @timers
    WHERE instance_id = :id AND kind = 'waitForEvent' AND event_type = :event_type ORDER BY position LIMIT 1
""")
_FREEZE = Statement("UPDATE @timers SET ring_at = NULL WHERE instance_id = :id")
_SHIFT = Statement("""
    UPDATE @timers SET due_at = due_at + :by, ring_at = {greatest}(due_at + :by - :horizon, :now)
    WHERE instance_id = :id
""")
_DUE = Statement("""
    WITH due AS {materialized} (
        SELECT instance_id, key FROM @timers WHERE ring_at <= :now ORDER BY ring_at LIMIT :limit {skip_locked})
    UPDATE @timers SET ring_at = {greatest}(due_at, CAST(:now AS bigint)) + :grace
    WHERE (instance_id, key) IN (SELECT instance_id, key FROM due)
    RETURNING instance_id, queue, kind, due_at
""")
_WAITING = Statement("""
    SELECT t.instance_id, t.key, t.kind, t.event_type, t.due_at, i.workflow, i.instance_id AS id
    FROM @timers t JOIN @instances i ON i.id = t.instance_id
    WHERE t.ring_at IS NOT NULL AND i.workflow IN :workflows AND i.status NOT IN ('paused', 'waitingForPause')
    ORDER BY t.instance_id, t.due_at, t.position
""", "workflows")  # fmt: skip
_EXPEDITE = Statement("""
    UPDATE @timers SET due_at = :now, ring_at = :now WHERE instance_id = :id AND key = :key AND ring_at IS NOT NULL
""")


def insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Start timers; one that is there already stays as it is, so a target is fixed when it is first asked for."""
    _INSERT(connection, [{"event_type": None, **row} for row in rows])


def of_instance(connection: Connection, id: int) -> Sequence[Row]:
    return OF_INSTANCE(connection, id=id).all()


def delete(connection: Connection, id: int, keys: Sequence[str]) -> None:
    _DELETE(connection, id=id, keys=list(keys))


def delete_all(connection: Connection, id: int) -> None:
    _DELETE_ALL(connection, id=id)


def oldest_waiter(connection: Connection, id: int, event_type: str) -> Row | None:
    return _OLDEST_WAITER(connection, id=id, event_type=event_type).one_or_none()


def freeze(connection: Connection, id: int) -> None:
    """Nothing rings while the instance is paused."""
    _FREEZE(connection, id=id)


def shift(connection: Connection, id: int, *, by: int, now: int, horizon: int) -> None:
    """Move every deadline of an instance by the length of its pause and let them ring again."""
    _SHIFT(connection, id=id, by=by, now=now, horizon=horizon)


def due_to_ring(connection: Connection, *, now: int, grace: int, limit: int) -> Sequence[Row]:
    """(instance_id, queue, kind, due_at) of what comes due within the horizon; asked for again `grace` after it was due."""
    return _DUE(connection, now=now, grace=grace, limit=limit).all()


def waiting(connection: Connection, workflows: Sequence[str]) -> Sequence[Row]:
    """Every timer of these workflows that is not frozen, with its instance (`id` is the name of that): for tests."""
    return _WAITING(connection, workflows=list(workflows)).all()


def expedite(connection: Connection, id: int, key: str, *, now: int) -> None:
    """Let a timer be due at once. The caller holds the lock on the instance's row."""
    _EXPEDITE(connection, id=id, key=key, now=now)
