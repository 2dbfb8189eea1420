"""SQL of the outbox: what has happened to instances and is still to be published, in order, by one publisher at a time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_NOTE = Statement("""
    INSERT INTO @outbox (workflow, instance, version, type, at)
    SELECT workflow, instance_id, version, :type, :at FROM @instances WHERE id IN :ids ORDER BY id
""", "ids")  # fmt: skip
_OLDEST = Statement("SELECT id, workflow, instance, version, type, at FROM @outbox ORDER BY id LIMIT :limit")
_REMOVE = Statement("""
    DELETE FROM @outbox WHERE id IN :ids
        AND EXISTS (SELECT 1 FROM @leases WHERE name = :name AND holder = :holder)
""", "ids")  # fmt: skip
_TRIM = Statement("DELETE FROM @outbox WHERE id <= (SELECT max(id) FROM @outbox) - :keep")
_TAKE = Statement("""
    INSERT INTO @leases (name, holder, until_at) VALUES (:name, :holder, :until_at)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_at = excluded.until_at
        WHERE @leases.holder = excluded.holder OR @leases.until_at < :now
    RETURNING holder
""")
_RELEASE = Statement("DELETE FROM @leases WHERE name = :name AND holder = :holder")


def note(connection: Connection, ids: Sequence[int], type: str, at: int) -> None:
    """Add a line for each of these instances, in the transaction that did it."""
    _NOTE(connection, ids=list(ids), type=type, at=at)


def oldest(connection: Connection, limit: int) -> Sequence[Row]:
    return _OLDEST(connection, limit=limit).all()


def remove(connection: Connection, ids: Sequence[int], *, name: str, holder: str) -> int:
    """Remove what was published, if the lease is still the holder's; how many."""
    return _REMOVE(connection, ids=list(ids), name=name, holder=holder).rowcount


def trim(connection: Connection, keep: int) -> int:
    """Drop the oldest lines over the limit; how many."""
    return _TRIM(connection, keep=keep).rowcount


def take_lease(connection: Connection, *, name: str, holder: str, now: int, until_at: int) -> bool:
    """Whether the lease is the holder's until then: it was free, had run out, or was the holder's already."""
    values = {"name": name, "holder": holder, "now": now, "until_at": until_at}
    return _TAKE(connection, values).one_or_none() is not None


def release_lease(connection: Connection, *, name: str, holder: str) -> None:
    _RELEASE(connection, name=name, holder=holder)
