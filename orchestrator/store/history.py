"""SQL of what subscribers are told: the changes made from outside, and the numbered history that is kept of an instance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_NOTE = Statement("""
    INSERT INTO @changes (instance_id, run, type, at, data) VALUES (:id, :run, :type, :at, :data)
""")
_CHANGES = Statement("""
    SELECT id, type, at, data FROM @changes WHERE instance_id = :id AND run = :run ORDER BY id
""")
_ALL_OF_TYPE = Statement("SELECT data FROM @changes WHERE instance_id = :id AND type = :type ORDER BY id")
_SUBJECT = Statement("""
    SELECT id, workflow, instance_id, run, status, params, output, error, trigger, created_at, started_at, ended_at,
        modified_at, rollback
    FROM @instances WHERE id = :id
""")
_STEPS = Statement("""
    SELECT seq, key, position, error, config, attempts, started_at, ended_at FROM @steps
    WHERE instance_id = :id AND run = :run AND seq > :after ORDER BY seq
""")
_RESULTS = Statement(
    "SELECT key, result, config FROM @steps WHERE instance_id = :id AND run = :run AND key IN :keys", "keys"
)
_KNOWN = Statement("""
    SELECT event_id, type, key, number FROM @history WHERE instance_id = :id AND run = :run ORDER BY event_id
""")
_LAST = Statement("SELECT coalesce(max(event_id), 0) FROM @history WHERE instance_id = :id")
_APPEND = Statement("""
    INSERT INTO @history (instance_id, event_id, run, type, key, number, at, data)
    VALUES (:instance_id, :event_id, :run, :type, :key, :number, :at, :data)
""")
_PAGE = Statement("""
    SELECT event_id, type, key, number, at, data FROM @history
    WHERE instance_id = :id AND run = :run AND event_id > :after ORDER BY event_id LIMIT :limit
""")


def note(connection: Connection, id: int, run: int, type: str, at: int, data: str | None = None) -> None:
    """Write a change down. The caller holds the lock on the instance's row."""
    _NOTE(connection, id=id, run=run, type=type, at=at, data=data)


def changes(connection: Connection, id: int, run: int) -> Sequence[Row]:
    return _CHANGES(connection, id=id, run=run).all()


def all_of_type(connection: Connection, id: int, type: str) -> list[str]:
    """The data of the changes of one type, in all runs."""
    return [row.data for row in _ALL_OF_TYPE(connection, id=id, type=type)]


def subject(connection: Connection, id: int) -> Row | None:
    return _SUBJECT(connection, id=id).one_or_none()


def steps(connection: Connection, id: int, run: int, after: int) -> Sequence[Row]:
    """The journal without its results, those after `after` only."""
    return _STEPS(connection, id=id, run=run, after=after).all()


def results(connection: Connection, id: int, run: int, keys: Sequence[str]) -> dict[str, Row]:
    """(key, result, config) of steps, by key."""
    return {row.key: row for row in _RESULTS(connection, id=id, run=run, keys=list(keys))} if keys else {}


def known(connection: Connection, id: int, run: int) -> Sequence[Row]:
    return _KNOWN(connection, id=id, run=run).all()


def last(connection: Connection, id: int) -> int:
    """The last number that was given out, in any run; 0 if none was."""
    return int(_LAST(connection, id=id).scalar_one())


def append(connection: Connection, rows: list[dict[str, Any]]) -> None:
    _APPEND(connection, rows)


def page(connection: Connection, id: int, run: int, *, after: int, limit: int) -> Sequence[Row]:
    return _PAGE(connection, id=id, run=run, after=after, limit=limit).all()
