"""SQL of the schedules: who starts what when; which moments those are is not its business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_COLUMNS = "id, workflow, cron, timezone, params, source, created_at, paused_at, next_at, last_at"
_INSERT = Statement(f"""
    INSERT INTO @schedules (workflow, source, cron, timezone, params, created_at, next_at)
    VALUES (:workflow, :source, :cron, :timezone, :params, :now, :next_at)
    ON CONFLICT (workflow, source, cron, timezone) DO NOTHING RETURNING {_COLUMNS}
""")
_SET_PARAMS = Statement("UPDATE @schedules SET params = :params WHERE id = :id")
_ALL = Statement(f"SELECT {_COLUMNS} FROM @schedules ORDER BY workflow, id")
_OF_WORKFLOW = Statement(f"SELECT {_COLUMNS} FROM @schedules WHERE workflow = :workflow ORDER BY id")
_LOCK = Statement(f"SELECT {_COLUMNS} FROM @schedules WHERE id = :id AND workflow = :workflow {{lock}}")
_PAUSE = Statement("UPDATE @schedules SET paused_at = :now, next_at = NULL WHERE id = :id AND paused_at IS NULL")
_RESUME = Statement("UPDATE @schedules SET paused_at = NULL, next_at = :next_at WHERE id = :id")
_REMOVE = Statement("DELETE FROM @schedules WHERE id = :id")
_REMOVE_ALL = Statement("DELETE FROM @schedules WHERE workflow = :workflow")
_DUE = Statement(f"""
    SELECT {_COLUMNS}, coalesce((SELECT w.queue FROM @workflows w WHERE w.name = s.workflow), 'default') AS queue
    FROM @schedules s WHERE next_at <= :now ORDER BY next_at LIMIT :limit {{skip_locked}}
""")
_FIRED = Statement("""
    UPDATE @schedules SET next_at = :next_at, last_at = coalesce(:fired_at, last_at) WHERE id = :id
""")


def insert(connection: Connection, **row: Any) -> Row | None:
    """None if the workflow has this one from this source."""
    return _INSERT(connection, row).one_or_none()


def set_params(connection: Connection, id: int, params: str) -> None:
    _SET_PARAMS(connection, id=id, params=params)


def all_(connection: Connection) -> Sequence[Row]:
    return _ALL(connection).all()


def of_workflow(connection: Connection, workflow: str) -> Sequence[Row]:
    return _OF_WORKFLOW(connection, workflow=workflow).all()


def lock(connection: Connection, workflow: str, id: int) -> Row | None:
    return _LOCK(connection, workflow=workflow, id=id).one_or_none()


def pause(connection: Connection, id: int, *, now: int) -> None:
    _PAUSE(connection, id=id, now=now)


def resume(connection: Connection, id: int, *, next_at: int | None) -> None:
    _RESUME(connection, id=id, next_at=next_at)


def remove(connection: Connection, id: int) -> None:
    _REMOVE(connection, id=id)


def remove_all(connection: Connection, workflow: str) -> None:
    _REMOVE_ALL(connection, workflow=workflow)


def due(connection: Connection, *, now: int, limit: int) -> Sequence[Row]:
    """Schedules whose moment has come, with the queue of their workflow; other pumps pass over them meanwhile."""
    return _DUE(connection, now=now, limit=limit).all()


def fired(connection: Connection, id: int, *, fired_at: int | None, next_at: int | None) -> None:
    _FIRED(connection, id=id, fired_at=fired_at, next_at=next_at)
