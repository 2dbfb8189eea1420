"""SQL that takes down what removed instances have left in other tables, in small pieces; it removes no instance."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from orchestrator.store.schema import tables_of_instances
from orchestrator.store.sql import Statement

_ADD = Statement("INSERT INTO @removals (id) VALUES (:id) ON CONFLICT (id) DO NOTHING")
# What a run consisted of is kept until it has been counted.
_NEXT = Statement(
    "SELECT id FROM @removals WHERE NOT EXISTS (SELECT 1 FROM @ended WHERE instance = @removals.id) "
    "ORDER BY id LIMIT :limit {skip_locked}"
)
_DONE = Statement("DELETE FROM @removals WHERE id IN :keys", "keys")
_TAKE_DOWN = [
    Statement(
        f"DELETE FROM {table} WHERE {{row}} IN (SELECT {{row}} FROM {table} WHERE instance_id IN :keys LIMIT :limit)",
        "keys",
    )
    for table in tables_of_instances()
]


def add(connection: Connection, keys: Sequence[int]) -> None:
    if keys:
        _ADD(connection, [{"id": key} for key in keys])


def take_down(connection: Connection, *, instances: int, rows: int) -> int:
    """Remove at most so many rows of at most so many gone instances; how many rows went.

    Other pumps pass over the instances that this transaction works on.
    """
    keys = _NEXT(connection, limit=instances).scalars()
    if not keys:
        return 0
    left = rows
    for statement in _TAKE_DOWN:
        left -= statement(connection, keys=keys, limit=left).rowcount
        if left <= 0:
            return rows
    _DONE(connection, keys=keys)
    return rows - left + len(keys)
