"""SQL of the workflows that workers have registered."""

from __future__ import annotations

from sqlalchemy import Connection

from orchestrator.store.sql import Statement

_REGISTER = Statement("""
    INSERT INTO @workflows (name, class_name, module, queue, created_at, seen_at)
    VALUES (:name, :class_name, :module, :queue, :now, :now)
    ON CONFLICT (name) DO UPDATE SET class_name = excluded.class_name, module = excluded.module,
        queue = excluded.queue, seen_at = excluded.seen_at
""")
_QUEUES = Statement("SELECT name, queue FROM @workflows")


def register(connection: Connection, *, name: str, class_name: str, module: str, queue: str, now: int) -> None:
    _REGISTER(connection, name=name, class_name=class_name, module=module, queue=queue, now=now)


def queues(connection: Connection) -> dict[str, str]:
    """Every registered workflow's queue, by name."""
    return {row.name: row.queue for row in _QUEUES(connection)}
