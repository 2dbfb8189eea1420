"""SQL of the attempts: failed ones, ready ones that any worker may take, and those that have been running for a while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.store import instances, schema
from orchestrator.store.driver import Answer, Row
from orchestrator.store.sql import Insert, Statement, together

_COLUMNS = (
    "instance_id", "run", "key", "position", "attempt", "state", "queue", "worker", "config", "started_at",
    "deadline_at", "ended_at", "ring_at", "error",
)  # fmt: skip
_INSERT = Insert(schema.attempts, *_COLUMNS)
_INSERT_FENCED = Insert(
    schema.attempts, *_COLUMNS,
    where="EXISTS (SELECT 1 FROM @instances i WHERE i.id = :id AND i.fence = :fence AND i.holder IS NOT NULL)",
)  # fmt: skip
_INSERT_RUNNING = Statement("""
    INSERT INTO @attempts (instance_id, run, key, position, attempt, state, queue, worker, config, started_at,
        deadline_at)
    VALUES (:instance_id, :run, :key, :position, :attempt, 'running', :queue, :worker, :config, :started_at,
        :deadline_at)
    RETURNING id
""")
OF_RUN = Statement("""
    SELECT id, key, position, attempt, state, queue, worker, config, started_at, deadline_at, ended_at, error FROM @attempts
    WHERE instance_id = :id AND run = :run ORDER BY id
""")
# Everybody locks the instance's row first and its attempts after, so that no two can wait for each other. Sharing the
# instance's row also means that a pause either sees the attempt running or keeps it from starting.
CLAIM_READY = Statement(
    """
    WITH me AS {materialized} (
        SELECT id, run, status FROM @instances
        WHERE id = :id AND status IN ('running', 'waiting', 'rollingBack') {share}),
    found AS {materialized} (
        SELECT a.id FROM me JOIN @attempts a ON a.instance_id = me.id AND a.run = me.run
        WHERE a.state = 'ready' AND a.queue IN :queues AND (me.status <> 'rollingBack' OR a.key LIKE 'rollback:%')
        ORDER BY a.id LIMIT :limit {take_attempts})
    UPDATE @attempts SET state = 'running', worker = :worker, started_at = :now, deadline_at = NULL, ring_at = NULL
    WHERE id IN (SELECT id FROM found)
    RETURNING id, run, key, position, attempt, config, started_at
    """,
    "queues",
)
_SET_DEADLINES = Statement("UPDATE @attempts SET deadline_at = :deadline_at WHERE id = :id")
_TAKE = Statement("""
    DELETE FROM @attempts WHERE id = :id AND state = 'running' AND worker = :worker RETURNING id
""")
_FAIL = Statement("""
    UPDATE @attempts SET state = 'failed', error = :error, ended_at = :now, deadline_at = NULL
    WHERE id = :id AND state = 'running' AND worker = :worker RETURNING id
""")
_FAIL_RUNNING = Statement("""
    UPDATE @attempts SET state = 'failed', error = :error, ended_at = :now, deadline_at = NULL
    WHERE id = :id AND state = 'running'
""")
_DROP_KEYS = Statement(
    """
    DELETE FROM @attempts WHERE instance_id = :id AND run = :run AND key IN :keys AND state <> 'failed'
""",
    "keys",
)
_DROP_OPEN = Statement("DELETE FROM @attempts WHERE instance_id = :id AND state <> 'failed'")
_DROP_READY = Statement("DELETE FROM @attempts WHERE instance_id = :id AND run = :run AND state = 'ready'")
_FAIL_READY = Statement("""
    UPDATE @attempts SET state = 'failed', error = :error, started_at = coalesce(started_at, :now), ended_at = :now,
        ring_at = NULL
    WHERE instance_id = :id AND run = :run AND state = 'ready' AND key LIKE 'do:%'
""")
_RUNNING = Statement("SELECT count(*) FROM @attempts WHERE instance_id = :id AND run = :run AND state = 'running'")
_OPEN = Statement("SELECT count(*) FROM @attempts WHERE instance_id = :id AND run = :run AND state <> 'failed'")
_MAKE_READY = Statement("""
    UPDATE @attempts SET state = 'ready', worker = NULL, started_at = NULL, deadline_at = NULL, ring_at = :ring_at
    WHERE id = :id AND state = 'running' AND worker = :worker RETURNING queue
""")
_OVERDUE = Statement("""
    SELECT id, instance_id, run, key, worker, started_at, deadline_at FROM @attempts
    WHERE state = 'running' AND deadline_at <= :now ORDER BY deadline_at LIMIT :limit
""")
_OF_WORKER = Statement("SELECT id, instance_id FROM @attempts WHERE state = 'running' AND worker = :worker")
_DUE = Statement("""
    WITH due AS {materialized} (SELECT id FROM @attempts WHERE ring_at <= :now ORDER BY ring_at LIMIT :limit {skip_locked})
    UPDATE @attempts SET ring_at = :now + :grace WHERE id IN (SELECT id FROM due)
    RETURNING instance_id, queue
""")


def insert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Add attempts; columns that a row does not give are NULL."""
    _INSERT(connection, _INSERT.values(rows))


def insert_fenced(connection: Connection, id: int, fence: int, rows: list[dict[str, Any]]) -> Row | None:
    """Add attempts of an instance in one round trip, if the fence still stands: (wanted, status, rollback) of it; None: it has
    moved, and nothing was added."""
    held = {"id": id, "fence": fence}
    found = together(connection, (instances.FENCED, held), (_INSERT_FENCED, {**held, **_INSERT_FENCED.values(rows)}))
    return found[0].one_or_none()


def insert_running(connection: Connection, row: dict[str, Any]) -> int:
    """Write down an attempt that runs already; its key."""
    return int(_INSERT_RUNNING(connection, row).scalar_one())


def of_run(connection: Connection, id: int, run: int) -> Sequence[Row]:
    return OF_RUN(connection, id=id, run=run).all()


def claim_ready(
    connection: Connection, *, id: int, worker: str, queues: Sequence[str], limit: int, now: int
) -> Sequence[Row]:
    """Take up to `limit` ready attempts of an instance that is not paused; (id, run, key, position, attempt, config)."""
    return in_order(CLAIM_READY(connection, claiming(id=id, worker=worker, queues=queues, limit=limit, now=now)))


def claiming(*, id: int, worker: str, queues: Sequence[str], limit: int, now: int) -> dict[str, Any]:
    """The values of CLAIM_READY."""
    return {"id": id, "worker": worker, "queues": list(queues), "limit": limit, "now": now}


def in_order(claimed: Answer) -> Sequence[Row]:
    """What an UPDATE returns has no order."""
    return sorted(claimed, key=lambda row: row.id)


def set_deadlines(connection: Connection, deadlines: list[dict[str, int]]) -> None:
    _SET_DEADLINES(connection, deadlines)


def take(connection: Connection, id: int, worker: str) -> bool:
    """Remove a running attempt that has succeeded. False if it was taken away from this worker meanwhile."""
    return _TAKE(connection, id=id, worker=worker).one_or_none() is not None


def fail(connection: Connection, id: int, worker: str, *, error: str, now: int) -> bool:
    return _FAIL(connection, id=id, worker=worker, error=error, now=now).one_or_none() is not None


def fail_running(connection: Connection, id: int, *, error: str, now: int) -> bool:
    """Fail an attempt over its worker's head: it is dead or out of time. Its own report will find nothing to change."""
    return _FAIL_RUNNING(connection, id=id, error=error, now=now).rowcount == 1


def drop(connection: Connection, id: int, run: int, keys: Sequence[str]) -> None:
    """Forget the open attempts of steps that were given up; the reports of those that run will find nothing."""
    _DROP_KEYS(connection, id=id, run=run, keys=list(keys))


def drop_open(connection: Connection, id: int) -> None:
    _DROP_OPEN(connection, id=id)


def drop_ready(connection: Connection, id: int, run: int) -> None:
    """Forget what was put up and nobody has taken."""
    _DROP_READY(connection, id=id, run=run)


def fail_ready(connection: Connection, id: int, run: int, *, error: str, now: int) -> None:
    """Steps that were handed back after their instance began to be undone: perhaps they had begun."""
    _FAIL_READY(connection, id=id, run=run, error=error, now=now)


def running(connection: Connection, id: int, run: int) -> int:
    return int(_RUNNING(connection, id=id, run=run).scalar_one())


def make_ready(connection: Connection, id: int, worker: str, *, ring_at: int) -> str | None:
    """Hand a running attempt back unfinished, for any worker to take under the same number; its queue, if it was ours."""
    queue: str | None = _MAKE_READY(connection, id=id, worker=worker, ring_at=ring_at).scalar_one_or_none()
    return queue


def open_(connection: Connection, id: int, run: int) -> int:
    return int(_OPEN(connection, id=id, run=run).scalar_one())


def overdue(connection: Connection, *, now: int, limit: int) -> Sequence[Row]:
    return _OVERDUE(connection, now=now, limit=limit).all()


def of_worker(connection: Connection, worker: str) -> Sequence[Row]:
    """(id, instance_id) of what a worker runs, or is said to run."""
    return _OF_WORKER(connection, worker=worker).all()


def due_to_ring(connection: Connection, *, now: int, grace: int, limit: int) -> Sequence[Row]:
    return _DUE(connection, now=now, grace=grace, limit=limit).all()
