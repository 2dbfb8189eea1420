"""SQL of the workflows that workers have registered."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_REGISTER = Statement("""
    INSERT INTO @workflows (name, class_name, module, queue, created_at, seen_at)
    VALUES (:name, :class_name, :module, :queue, :now, :now)
    ON CONFLICT (name) DO UPDATE SET class_name = excluded.class_name, module = excluded.module,
        queue = excluded.queue, seen_at = excluded.seen_at
""")
_SETTINGS = Statement("SELECT declared, configured FROM @workflows WHERE name = :name {lock}")
_SET_SETTINGS = Statement("""
    UPDATE @workflows SET declared = :declared, configured = :configured, step_limit = :step_limit,
        concurrency_limit = :concurrency_limit, success_retention_ms = :success_retention_ms,
        error_retention_ms = :error_retention_ms
    WHERE name = :name
""")
_STEP_LIMITS = Statement("SELECT name, step_limit FROM @workflows WHERE step_limit IS NOT NULL")
_REMOVE = Statement("DELETE FROM @workflows WHERE name = :name")
_QUEUES = Statement("SELECT name, queue FROM @workflows")


def register(connection: Connection, *, name: str, class_name: str, module: str, queue: str, now: int) -> None:
    _REGISTER(connection, name=name, class_name=class_name, module=module, queue=queue, now=now)


def settings(connection: Connection, name: str) -> Row | None:
    """(declared, configured), both JSON, locked until the transaction ends; None if nobody has registered it."""
    return _SETTINGS(connection, name=name).one_or_none()


def set_settings(connection: Connection, **values: Any) -> None:
    _SET_SETTINGS(connection, values)


def step_limits(connection: Connection) -> dict[str, int]:
    """Of the workflows that have one of their own."""
    return {row.name: row.step_limit for row in _STEP_LIMITS(connection)}


def remove(connection: Connection, name: str) -> None:
    _REMOVE(connection, name=name)


def queues(connection: Connection) -> dict[str, str]:
    """Every registered workflow's queue, by name."""
    return {row.name: row.queue for row in _QUEUES(connection)}
