"""SQL of the events an instance was sent: kept in order of arrival per type until a wait takes them."""

from __future__ import annotations

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_INSERT = Statement("""
    INSERT INTO @events (instance_id, run, type, payload, created_at, consumed_by)
    VALUES (:id, :run, :type, :payload, :now, :consumed_by)
""")
_OLDEST = Statement("""
    SELECT id, payload, created_at FROM @events
    WHERE instance_id = :id AND type = :type AND consumed_by IS NULL ORDER BY id LIMIT 1
""")
_CONSUME = Statement("UPDATE @events SET consumed_by = :key WHERE id = :event_id")
_DROP_UNREAD = Statement("DELETE FROM @events WHERE instance_id = :id AND consumed_by IS NULL")


def insert(
    connection: Connection, *, id: int, run: int, type: str, payload: str, now: int, consumed_by: str | None
) -> None:
    _INSERT(connection, id=id, run=run, type=type, payload=payload, now=now, consumed_by=consumed_by)


def oldest(connection: Connection, id: int, event_type: str) -> Row | None:
    """(id, payload, created_at) of the oldest event of the type that nobody has taken."""
    return _OLDEST(connection, id=id, type=event_type).one_or_none()


def consume(connection: Connection, event_id: int, key: str) -> None:
    _CONSUME(connection, event_id=event_id, key=key)


def drop_unread(connection: Connection, id: int) -> None:
    _DROP_UNREAD(connection, id=id)
