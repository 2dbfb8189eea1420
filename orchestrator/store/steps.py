"""SQL of the journal: reading one run of an instance, and adding to it under a fence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.store import hot, schema
from orchestrator.store.driver import Row
from orchestrator.store.sql import Insert, Statement

_INSERT = Insert(schema.steps, *hot.COLUMNS)
_JOURNAL = Statement("""
    SELECT seq, key, position, result, error, ended_at FROM @steps
    WHERE instance_id = :id AND run = :run AND seq > :after ORDER BY seq
""")
# As the journal, for a holder: no row at all if its fence has moved on, and one without a number if there is nothing.
JOURNAL_FENCED = Statement("""
    SELECT s.seq, s.key, s.position, s.result, s.error, s.ended_at
    FROM @instances i LEFT JOIN @steps s ON s.instance_id = i.id AND s.run = :run AND s.seq > :after
    WHERE i.id = :id AND i.fence = :fence AND i.holder IS NOT NULL ORDER BY s.seq
""")
_WHOLE = Statement("""
    SELECT seq, key, position, result, error, config, attempts, ended_at FROM @steps
    WHERE instance_id = :id AND run = :run ORDER BY seq
""")
_RESULT = Statement("SELECT result, error FROM @steps WHERE instance_id = :id AND run = :run AND key = :key")


def insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Add to the journal. The caller holds the lock on the instance's row."""
    _INSERT(connection, _INSERT.values(rows))


def insert_fenced(
    connection: Connection,
    fence: int,
    rows: list[dict[str, Any]],
    *,
    meanwhile: Callable[[], object] | None = None,
) -> tuple[int, str, int] | None:
    """Add to the journal if the fence still stands: (wanted, status, last seq); None: it has moved, nothing was added.

    `meanwhile` is called while a server is at it, and not at all where there is none.
    """
    return hot.insert_fenced(connection, rows[0]["instance_id"], fence, _tuples(rows), meanwhile)


def fire(
    connection: Connection, fence: int, wanted: int | None, keys: Sequence[str], rows: list[dict[str, Any]]
) -> tuple[int, str, int | None] | None:
    """As insert_fenced, and delete these timers; but only if there is no news: then the first differs from `wanted`."""
    return hot.fire(connection, rows[0]["instance_id"], fence, wanted, keys, _tuples(rows))


def _tuples(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple([row[column] for column in hot.COLUMNS]) for row in rows]


def journal(connection: Connection, id: int, run: int, after: int = 0) -> Sequence[Row]:
    """(seq, key, position, result, error, ended_at) in the order of their commits, those after `after` only."""
    return _JOURNAL(connection, id=id, run=run, after=after).all()


def whole(connection: Connection, id: int, run: int) -> Sequence[Row]:
    """The journal with what was configured and how often it was tried, for a rollback."""
    return _WHOLE(connection, id=id, run=run).all()


def result(connection: Connection, id: int, run: int, key: str) -> Row | None:
    return _RESULT(connection, id=id, run=run, key=key).one_or_none()
