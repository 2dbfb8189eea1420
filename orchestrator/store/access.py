"""SQL of the access tokens and of the log of changes; it decides nothing about who may do what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_TOKEN = "id, name, hash, role, workflows, created_at, expires_at, revoked_at, used_at"
_CREATE = Statement("""
    INSERT INTO @tokens (id, name, hash, role, workflows, created_at, expires_at)
    VALUES (:id, :name, :hash, :role, :workflows, :now, :expires_at)
""")
_FIND = Statement(f"SELECT {_TOKEN} FROM @tokens WHERE id = :id")
_LIST = Statement(f"SELECT {_TOKEN} FROM @tokens ORDER BY created_at, id")
_REVOKE = Statement("UPDATE @tokens SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL")
_USED = Statement("UPDATE @tokens SET used_at = :now WHERE id = :id")
_RECORD = Statement("""
    INSERT INTO @audit (at, actor, action, target, result, request_id)
    VALUES (:at, :actor, :action, :target, :result, :request_id)
""")
_AUDIT = Statement("""
    SELECT id, at, actor, action, target, result, request_id FROM @audit WHERE id < :before ORDER BY id DESC LIMIT :limit
""")
_FORGET = Statement("""
    DELETE FROM @audit WHERE id IN (SELECT id FROM @audit WHERE at < :before ORDER BY id LIMIT :limit)
""")


def create_token(connection: Connection, **row: Any) -> None:
    _CREATE(connection, row)


def find_token(connection: Connection, id: str) -> Row | None:
    return _FIND(connection, id=id).one_or_none()


def tokens(connection: Connection) -> Sequence[Row]:
    return _LIST(connection).all()


def revoke_token(connection: Connection, id: str, now: int) -> None:
    _REVOKE(connection, id=id, now=now)


def token_used(connection: Connection, id: str, now: int) -> None:
    _USED(connection, id=id, now=now)


def record(connection: Connection, **row: Any) -> None:
    _RECORD(connection, row)


def audit(connection: Connection, *, before: int, limit: int) -> Sequence[Row]:
    """Newest first."""
    return _AUDIT(connection, before=before, limit=limit).all()


def forget_audit(connection: Connection, before: int, limit: int) -> int:
    """How many of the oldest entries went."""
    return _FORGET(connection, before=before, limit=limit).rowcount
