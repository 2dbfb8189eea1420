"""SQL of the messages that came in through a queue: which were dealt with, and which could not be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_NOTE = Statement("INSERT INTO @messages (id, at) VALUES (:id, :at) ON CONFLICT (id) DO NOTHING RETURNING id")
_FORGET = Statement("DELETE FROM @messages WHERE at < :before")
_REJECT = Statement("""
    INSERT INTO @rejected (message_id, queue, body, code, reason, at)
    VALUES (:message_id, :queue, :body, :code, :reason, :at)
""")
_REJECTED = Statement("""
    SELECT id, message_id, queue, body, code, reason, at FROM @rejected WHERE id < :before ORDER BY id DESC LIMIT :limit
""")
_ONE = Statement("SELECT id, message_id, queue, body, code, reason, at FROM @rejected WHERE id = :id")
_DROP = Statement("DELETE FROM @rejected WHERE id = :id RETURNING id")


def note(connection: Connection, id: str, at: int) -> bool:
    """Write down that a message is dealt with in this transaction. False if it was dealt with before."""
    return _NOTE(connection, id=id, at=at).one_or_none() is not None


def forget(connection: Connection, before: int) -> int:
    """Forget messages that were dealt with before then; how many."""
    return _FORGET(connection, before=before).rowcount


def reject(connection: Connection, **row: Any) -> None:
    _REJECT(connection, row)


def rejected(connection: Connection, *, before: int, limit: int) -> Sequence[Row]:
    """Newest first."""
    return _REJECTED(connection, before=before, limit=limit).all()


def one_rejected(connection: Connection, id: int) -> Row | None:
    return _ONE(connection, id=id).one_or_none()


def drop_rejected(connection: Connection, id: int) -> bool:
    """False if it is gone already."""
    return _DROP(connection, id=id).one_or_none() is not None
