"""SQL of how fast instances may be created: one row for each limit, with the moment at which all that it let in is paid."""

from __future__ import annotations

from sqlalchemy import Connection

from orchestrator.store.sql import Statement

_TAKE = Statement("""
    INSERT INTO @rates (scope, paid_at_us) VALUES (:scope, :first_us)
    ON CONFLICT (scope) DO UPDATE
    SET paid_at_us = {greatest}(@rates.paid_at_us, CAST(:now_us AS bigint)) + CAST(:cost_us AS bigint)
    WHERE @rates.paid_at_us <= CAST(:latest_us AS bigint)
    RETURNING paid_at_us
""")
_PAID_AT = Statement("SELECT paid_at_us FROM @rates WHERE scope = :scope")


def take(connection: Connection, *, scope: str, now_us: int, cost_us: int, room_us: int) -> int:
    """Pay for what is to be created if there is room for it; else in how many microseconds there will be."""
    latest = now_us + room_us
    values = {"scope": scope, "now_us": now_us, "cost_us": cost_us, "latest_us": latest, "first_us": now_us + cost_us}
    if _TAKE(connection, values).one_or_none() is not None:
        return 0
    return max(int(_PAID_AT(connection, scope=scope).scalar_one()) - latest, 1)
