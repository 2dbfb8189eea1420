"""SQL of the runs of an instance: ending one with a restart, what the next one takes over of it, reading old ones."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_RESTART = Statement("""
    UPDATE @instances SET status = 'queued', run = run + 1, fence = fence + 1, holder = NULL, lost = 0, output = NULL,
        error = NULL, rollback = NULL, started_at = NULL, ended_at = NULL, paused_at = NULL, place = NULL,
        expires_at = NULL, ring_at = :ring_at, rings = 0,
        modified_at = :now
    WHERE id = :id
""")
_KEEP_RUN = Statement("""
    INSERT INTO @runs (instance_id, run, status, output, error, rollback, started_at, ended_at, next_key, next_position)
    SELECT id, run, status, output, error, rollback, started_at, coalesce(ended_at, :now), :next_key, :next_position
    FROM @instances WHERE id = :id
""")
# What a restart can begin from: whatever the run has asked for and written down in one way or another.
_POSITION = Statement("""
    SELECT position FROM @steps WHERE instance_id = :id AND run = :run AND key = :key
    UNION SELECT position FROM @attempts WHERE instance_id = :id AND run = :run AND key = :key
    UNION SELECT position FROM @timers WHERE instance_id = :id AND key = :key
""")
# In the order of the journal, because that is the order in which a replay is answered.
_TAKE_STEPS = Statement("""
    INSERT INTO @steps (instance_id, run, key, position, result, error, config, attempts, started_at, ended_at, worker)
    SELECT instance_id, run + 1, key, position, result, error, config, attempts, started_at, ended_at, worker
    FROM @steps WHERE instance_id = :id AND run = :run AND position < :position AND key NOT LIKE 'rollback:%'
    ORDER BY seq
""")
_TAKE_ATTEMPTS = Statement("""
    INSERT INTO @attempts (instance_id, run, key, position, attempt, state, queue, worker, config, started_at,
        deadline_at, ended_at, ring_at, error)
    SELECT instance_id, run + 1, key, position, attempt, state, queue, worker, config, started_at,
        deadline_at, ended_at, ring_at, error
    FROM @attempts
    WHERE instance_id = :id AND run = :run AND position < :position AND state = 'failed'
        AND key NOT LIKE 'rollback:%'
    ORDER BY id
""")
_ALL = Statement("""
    SELECT run, status, output, error, rollback, started_at, ended_at, next_key, next_position FROM @runs
    WHERE instance_id = :id ORDER BY run
""")
_BEFORE = Statement("""
    SELECT run, started_at, next_position FROM @runs WHERE instance_id = :id AND run < :run ORDER BY run DESC
""")
_STEP_KEYS = Statement("""
    SELECT key FROM @steps WHERE instance_id = :id AND run = :run AND key LIKE :prefix ORDER BY position LIMIT 20
""")


def restart(
    connection: Connection,
    id: int,
    *,
    now: int,
    ring_at: int,
    next_key: str | None = None,
    next_position: int | None = None,
) -> None:
    """Start a new run and keep the outcome of the one before it. The caller holds the lock on the instance's row."""
    _KEEP_RUN(connection, id=id, now=now, next_key=next_key, next_position=next_position)
    _RESTART(connection, id=id, now=now, ring_at=ring_at)


def position_of(connection: Connection, id: int, run: int, key: str) -> int | None:
    """The place in the order of calls of something the run has asked for; None if there is no trace of it."""
    position: int | None = _POSITION(connection, id=id, run=run, key=key).scalar_one_or_none()
    return position


def keys_like(connection: Connection, id: int, run: int, kind: str) -> Sequence[str]:
    """Some finished steps of a kind, for whoever has asked for one that there is not."""
    return _STEP_KEYS(connection, id=id, run=run, prefix=f"{kind}:%").scalars()


def take_over(connection: Connection, id: int, run: int, *, before: int) -> None:
    """Give the next run what this one had asked for before a position: results, errors and failed attempts."""
    _TAKE_STEPS(connection, id=id, run=run, position=before)
    _TAKE_ATTEMPTS(connection, id=id, run=run, position=before)


def ended(connection: Connection, id: int) -> Sequence[Row]:
    """The runs that restarts have ended, oldest first; `next_key` is what the run after it was begun from."""
    return _ALL(connection, id=id).all()


def before(connection: Connection, id: int, run: int) -> Sequence[Row]:
    """(run, started_at, next_position) of the runs before one, newest first."""
    return _BEFORE(connection, id=id, run=run).all()
