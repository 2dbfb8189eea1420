"""SQL of the events an instance was sent: kept in order of arrival per type until a wait takes them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from orchestrator.store import hot, instances, steps, timers
from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement, together

_INSERT = Statement("""
    INSERT INTO @events (instance_id, run, type, payload, created_at, consumed_by)
    VALUES (:id, :run, :type, :payload, :now, :consumed_by)
""")
_OLDEST = Statement("""
    SELECT id, payload, created_at FROM @events
    WHERE instance_id = :id AND type = :type AND consumed_by IS NULL ORDER BY id LIMIT 1
""")
_CONSUME = Statement("UPDATE @events SET consumed_by = :key WHERE id = :event_id")
# Under a lock that the statement before it has taken: only then does this one see a wait that has just begun.
_DELIVER_PG = Statement(
    f"""
    WITH me AS (SELECT id, run, queue, status FROM @instances WHERE id = :id),
    waiter AS {{materialized}} (
        SELECT t.key, t.position, t.started_at FROM me JOIN @timers t ON t.instance_id = me.id
        WHERE NOT (me.status IN :closed) AND t.kind = 'waitForEvent' AND t.event_type = :type
        ORDER BY t.position LIMIT 1),
    kept AS (
        INSERT INTO @events (instance_id, run, type, payload, created_at, consumed_by)
        SELECT id, run, :type, :payload, CAST(:now AS bigint), (SELECT key FROM waiter) FROM me),
    gone AS (DELETE FROM @timers WHERE instance_id = :id AND key IN (SELECT key FROM waiter)),
    answered AS (
        INSERT INTO @steps ({", ".join(hot.COLUMNS)})
        SELECT me.id, me.run, w.key, w.position, :result, NULL, :config, 0, w.started_at, CAST(:now AS bigint), NULL
        FROM me, waiter w),
    wanted AS (
        UPDATE @instances SET {instances.WANTED} WHERE id = :id AND EXISTS (SELECT 1 FROM waiter))
    SELECT queue, EXISTS (SELECT 1 FROM waiter) AS matched FROM me
    """,
    "closed",
)
_DROP_UNREAD = Statement("DELETE FROM @events WHERE instance_id = :id AND consumed_by IS NULL")


def insert(
    connection: Connection, *, id: int, run: int, type: str, payload: str, now: int, consumed_by: str | None
) -> None:
    _INSERT(connection, id=id, run=run, type=type, payload=payload, now=now, consumed_by=consumed_by)


def deliver(
    connection: Connection,
    id: int,
    *,
    type: str,
    payload: str,
    result: str,
    config: str,
    now: int,
    ring_at: int,
    closed: Collection[str],
) -> tuple[str, bool] | None:
    """Keep an event, and settle the oldest wait for its type with `result`, unless the instance's status is among `closed`.

    (its queue, whether there was such a wait); None: there is no such instance. It is locked from here on.
    """
    if connection.dialect.name == "postgresql":
        values = {"id": id, "type": type, "payload": payload, "result": result, "config": config, "now": now}
        values |= {"ring_at": ring_at, "closed": list(closed)}
        found = together(connection, (instances.LOCK, {"id": id}), (_DELIVER_PG, values))[1].one_or_none()
        return None if found is None else (found.queue, found.matched)
    row = instances.lock(connection, id)
    if row is None:
        return None
    waiter = None if row.status in closed else timers.oldest_waiter(connection, id, type)
    key = None if waiter is None else waiter.key
    insert(connection, id=id, run=row.run, type=type, payload=payload, now=now, consumed_by=key)
    if waiter is not None:
        answer(connection, row, waiter, result=result, config=config, now=now)
        instances.want(connection, id, ring_at=ring_at)
    return row.queue, waiter is not None


def answer(connection: Connection, instance: Row, waiter: Row, *, result: str, config: str, now: int) -> None:
    """Settle a wait of an instance whose row the caller has locked."""
    timers.delete(connection, instance.id, [waiter.key])
    settled = {"instance_id": instance.id, "run": instance.run, "key": waiter.key, "position": waiter.position}
    settled |= {"result": result, "error": None, "config": config, "attempts": 0, "started_at": waiter.started_at}
    steps.insert(connection, [{**settled, "ended_at": now, "worker": None}])


def oldest(connection: Connection, id: int, event_type: str) -> Row | None:
    """(id, payload, created_at) of the oldest event of the type that nobody has taken."""
    return _OLDEST(connection, id=id, type=event_type).one_or_none()


def consume(connection: Connection, event_id: int, key: str) -> None:
    _CONSUME(connection, event_id=event_id, key=key)


def drop_unread(connection: Connection, id: int) -> None:
    _DROP_UNREAD(connection, id=id)
