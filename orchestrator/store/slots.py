"""SQL of the slots of workflows whose instances may not all run at once: who has one, and who is in line for one.

Who has one is read from the instances' status each time: nothing is counted up or down, so nothing can leak.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from orchestrator.store.driver import Row
from orchestrator.store.sql import Statement

_LOCK_LIMIT = Statement("SELECT concurrency_limit FROM @workflows WHERE name = :workflow {lock}")
_LIMIT = Statement("SELECT concurrency_limit FROM @workflows WHERE name = :workflow")
_LIMITED = Statement("SELECT name FROM @workflows WHERE concurrency_limit IS NOT NULL")
_PLACE = Statement("SELECT workflow, holder, place FROM @instances WHERE id = :id")
_WITH_LINES = Statement("""
    SELECT name, concurrency_limit FROM @workflows w
    WHERE EXISTS (SELECT 1 FROM @instances i WHERE i.workflow = w.name AND i.place IS NOT NULL)
""")
# Both counts end at the limit: it makes no difference how many more there are.
_OCCUPIED = """
    SELECT count(*) FROM (SELECT 1 FROM @instances WHERE status IN ('running', 'waitingForPause', 'rollingBack')
        AND workflow = :workflow AND id <> :id LIMIT :limit) AS occupied"""
_AHEAD = Statement(f"""
    SELECT ({_OCCUPIED}) + (SELECT count(*) FROM (SELECT 1 FROM @instances WHERE workflow = :workflow
        AND place IS NOT NULL AND (place < :place OR (place = :place AND id < :id)) LIMIT :limit) AS before) AS n
""")
_COUNT = Statement(_OCCUPIED)
_LINE_UP = Statement("""
    UPDATE @instances SET status = 'queued', place = :place, ring_at = NULL, modified_at = :now WHERE id = :id
""")
_NEXT = Statement("""
    UPDATE @instances SET ring_at = :ring_at WHERE ring_at IS NULL AND id IN (
        SELECT id FROM @instances WHERE workflow = :workflow AND place IS NOT NULL ORDER BY place, id LIMIT :free)
    RETURNING id, queue
""")


def limited(connection: Connection) -> frozenset[str]:
    """The names of the workflows that have a limit."""
    return frozenset(_LIMITED(connection).scalars())


def lock_limit(connection: Connection, workflow: str) -> int | None:
    """The limit of a workflow, for which all who want a slot of it stand in line here until the transaction ends."""
    limit: int | None = _LOCK_LIMIT(connection, workflow=workflow).scalar_one_or_none()
    return limit


def limit_of(connection: Connection, workflow: str) -> int | None:
    limit: int | None = _LIMIT(connection, workflow=workflow).scalar_one_or_none()
    return limit


def place_of(connection: Connection, id: int) -> Row | None:
    """(workflow, holder, place)"""
    return _PLACE(connection, id=id).one_or_none()


def with_lines(connection: Connection) -> Sequence[Row]:
    """(name, concurrency_limit) of the workflows in which somebody waits for a slot."""
    return _WITH_LINES(connection).all()


def ahead(connection: Connection, *, workflow: str, id: int, place: int, limit: int) -> int:
    """How many have a slot or come before this one, at most about the limit."""
    return int(_AHEAD(connection, workflow=workflow, id=id, place=place, limit=limit).scalar_one())


def occupied(connection: Connection, *, workflow: str, limit: int) -> int:
    return int(_COUNT(connection, workflow=workflow, id=0, limit=limit).scalar_one())


def line_up(connection: Connection, *, id: int, place: int, now: int) -> None:
    """Nobody rings for it any more until its turn comes."""
    _LINE_UP(connection, id=id, place=place, now=now)


def first_in_line(connection: Connection, *, workflow: str, free: int, ring_at: int) -> Sequence[Row]:
    """(id, queue) of those whose turn it is and who were not told yet."""
    return _NEXT(connection, workflow=workflow, free=free, ring_at=ring_at).all()
