"""SQL of what requests with a key were answered: one row for each key; who may take which is the caller's to say."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_CLAIM = Statement("""
    INSERT INTO @answers (owner, key, request, claim, at, state)
    VALUES (:owner, :key, :request, :claim, :now, 'working')
    ON CONFLICT (owner, key) DO UPDATE SET request = excluded.request, claim = excluded.claim, at = excluded.at,
        state = 'working', status = NULL, headers = NULL, body = NULL
    WHERE @answers.at < :expired
        OR (@answers.state = 'working' AND @answers.at < :lapsed AND @answers.request = excluded.request)
    RETURNING claim
""")
_FIND = Statement("SELECT request, at, state, status, headers, body FROM @answers WHERE owner = :owner AND key = :key")
_DONE = Statement("""
    UPDATE @answers SET state = 'done' WHERE owner = :owner AND key = :key AND claim = :claim AND state = 'working'
""")
_ANSWER = Statement("""
    UPDATE @answers SET state = 'answered', status = :status, headers = :headers, body = :body
    WHERE owner = :owner AND key = :key AND claim = :claim
""")
_DROP = Statement("""
    DELETE FROM @answers WHERE owner = :owner AND key = :key AND claim = :claim AND state = 'working'
""")
_FORGET = Statement("DELETE FROM @answers WHERE {row} IN (SELECT {row} FROM @answers WHERE at < :before LIMIT :limit)")


def claim(connection: Connection, **row: Any) -> bool:
    """Take a key that is free, was taken before `expired`, or by this request before `lapsed` and not carried out."""
    return _CLAIM(connection, row).one_or_none() is not None


def find(connection: Connection, owner: str, key: str) -> Row | None:
    return _FIND(connection, owner=owner, key=key).one_or_none()


def done(connection: Connection, owner: str, key: str, claim: str) -> bool:
    """Part of the transaction of the request's changes. False if another has taken the key meanwhile."""
    return _DONE(connection, owner=owner, key=key, claim=claim).rowcount == 1


def answer(connection: Connection, **row: Any) -> None:
    _ANSWER(connection, row)


def drop(connection: Connection, owner: str, key: str, claim: str) -> None:
    """Free the key, unless the request was carried out."""
    _DROP(connection, owner=owner, key=key, claim=claim)


def forget(connection: Connection, before: int, limit: int) -> int:
    return _FORGET(connection, before=before, limit=limit).rowcount
