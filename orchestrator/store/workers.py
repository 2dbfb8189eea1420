"""SQL of the worker processes: one heartbeat row each."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_BEAT = Statement("""
    INSERT INTO @workers (id, started_at, heartbeat_at, info) VALUES (:id, :now, :now, :info)
    ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at
""")
_DEAD = Statement("SELECT id FROM @workers WHERE heartbeat_at < :before ORDER BY heartbeat_at LIMIT 20")
_REMOVE = Statement("DELETE FROM @workers WHERE id = :id")
_ALL = Statement("SELECT id, started_at, heartbeat_at, info FROM @workers ORDER BY started_at")

_UNLISTED = Statement("""
    SELECT holder AS worker FROM @instances
    WHERE status IN ('running', 'waitingForPause', 'rollingBack') AND holder IS NOT NULL
        AND holder NOT IN (SELECT id FROM @workers)
    UNION SELECT worker FROM @attempts WHERE state = 'running' AND worker NOT IN (SELECT id FROM @workers)
""")


def beat(connection: Connection, *, id: str, now: int, info: str) -> None:
    _BEAT(connection, id=id, now=now, info=info)


def dead(connection: Connection, *, before: int) -> list[str]:
    """Workers whose last heartbeat is older than `before`."""
    return [row.id for row in _DEAD(connection, before=before)]


def remove(connection: Connection, id: str) -> None:
    _REMOVE(connection, id=id)


def unlisted(connection: Connection) -> list[str]:
    """Workers that hold something and have no row."""
    return [row.worker for row in _UNLISTED(connection)]


def all_(connection: Connection) -> Sequence[Row]:
    return _ALL(connection).all()
