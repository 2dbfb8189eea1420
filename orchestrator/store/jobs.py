"""SQL of the jobs that go over all instances of a workflow in the background; what they do to each is not its business."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_ADD = Statement("""
    INSERT INTO @jobs (kind, workflow, statuses, last, up_to, created_at, run_at)
    VALUES (:kind, CAST(:workflow AS text), :statuses, 0,
        coalesce((SELECT max(id) FROM @instances WHERE workflow = CAST(:workflow AS text)), 0), :now, :now)
    ON CONFLICT (kind, workflow) DO NOTHING RETURNING id
""")
_TAKE = Statement("""
    UPDATE @jobs SET run_at = :again_at WHERE id = (
        SELECT id FROM @jobs WHERE run_at <= :now ORDER BY run_at, id LIMIT 1 {skip_locked})
    RETURNING id, kind, workflow, statuses, last, up_to
""")
_GO_ON = Statement("UPDATE @jobs SET last = :last, run_at = :now WHERE id = :id")
_DONE = Statement("DELETE FROM @jobs WHERE id = :id")
_TERMINATED = Statement("SELECT workflow FROM @jobs WHERE kind = 'terminate'")
_NEXT = Statement(
    "SELECT id FROM @instances WHERE workflow = :workflow AND id > :last AND id <= :up_to "
    "AND (:any_status = 1 OR status IN :statuses) ORDER BY id LIMIT :limit",
    "statuses",
)


def add(connection: Connection, *, kind: str, workflow: str, statuses: str, now: int) -> bool:
    """For the instances there are now. False if the workflow has such a job already."""
    return _ADD(connection, kind=kind, workflow=workflow, statuses=statuses, now=now).one_or_none() is not None


def take(connection: Connection, *, now: int, again_at: int) -> Row | None:
    """A job to go on with; if whoever takes it dies, it can be taken again later."""
    return _TAKE(connection, now=now, again_at=again_at).one_or_none()


def go_on(connection: Connection, id: int, *, last: int, now: int) -> None:
    _GO_ON(connection, id=id, last=last, now=now)


def done(connection: Connection, id: int) -> None:
    _DONE(connection, id=id)


def terminated(connection: Connection) -> set[str]:
    """The workflows whose instances are being terminated."""
    return set(_TERMINATED(connection).scalars())


def next_instances(
    connection: Connection, *, workflow: str, last: int, up_to: int, statuses: Sequence[str], limit: int
) -> list[int]:
    """The keys that follow, of instances in one of the statuses, or of all if there are none."""
    values = {"statuses": list(statuses) or [""], "any_status": int(not statuses)}
    return _NEXT(connection, workflow=workflow, last=last, up_to=up_to, limit=limit, **values).scalars()
