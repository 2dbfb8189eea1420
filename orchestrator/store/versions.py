"""SQL of the versions: each distinct code of a workflow that a worker has registered, with its graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_REGISTER = Statement("""
    INSERT INTO @versions (workflow, id, class_name, module, graph, created_at, seen_at)
    VALUES (:workflow, :id, :class_name, :module, :graph, :now, :now)
    ON CONFLICT (workflow, id) DO UPDATE SET class_name = excluded.class_name, module = excluded.module,
        graph = excluded.graph, seen_at = excluded.seen_at
""")
_ALL = Statement("""
    SELECT id, workflow, class_name, module, created_at, seen_at, graph IS NOT NULL AS has_graph FROM @versions
    WHERE workflow = :workflow ORDER BY seen_at DESC, created_at DESC, id
""")
_GRAPH = Statement("SELECT graph FROM @versions WHERE workflow = :workflow AND id = :id")
_MOVE = Statement("UPDATE @instances SET version = :version WHERE id = :id AND fence = :fence AND holder IS NOT NULL")


def register(connection: Connection, **row: Any) -> None:
    _REGISTER(connection, row)


def of_workflow(connection: Connection, workflow: str) -> Sequence[Row]:
    """The one that was registered last comes first."""
    return _ALL(connection, workflow=workflow).all()


def graph(connection: Connection, workflow: str, id: str) -> str | None:
    row = _GRAPH(connection, workflow=workflow, id=id).one_or_none()
    return None if row is None else row.graph


def move(connection: Connection, *, id: int, fence: int, version: str) -> bool:
    """Note that a holder goes on with other code. False if its fence has moved on."""
    return _MOVE(connection, id=id, fence=fence, version=version).rowcount == 1
