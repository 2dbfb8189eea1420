"""SQL of what an instance's shared steps have come to, in two round trips; what becomes of a failed one is not decided here.

Every process that works at the steps of an instance holds the lock of its row for that long, one after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.store import attempts, instances, steps
from orchestrator.store.driver import Row
from orchestrator.store.instances import InstanceRow
from orchestrator.store.sql import Statement, together

_TAKE_DONE = Statement(
    """
    DELETE FROM @attempts AS a WHERE id IN :ids AND state = 'running' AND worker = :worker AND EXISTS (
        SELECT 1 FROM @instances i WHERE i.id = a.instance_id AND i.run = a.run
            AND i.status NOT IN ('complete', 'errored', 'terminated'))
    RETURNING id
    """,
    "ids",
)


def begin(
    connection: Connection, id: int, done: Sequence[int], worker: str, *, claim: dict[str, Any] | None
) -> tuple[InstanceRow | None, set[int], Sequence[Row]]:
    """Lock an instance, remove its attempts that have succeeded, and claim ready ones (see attempts.claiming), if asked.

    Its row, those that were still this worker's and of a run that goes on, and what was claimed.
    """
    asked: list[tuple[Statement, dict[str, Any]]] = [
        (instances.LOCK, {"id": id}),
        (_TAKE_DONE, {"ids": list(done), "worker": worker}),
    ]
    if claim is not None:
        asked.append((attempts.CLAIM_READY, claim))
    row, taken, *claimed = together(connection, *asked)
    return row.one_or_none(), set(taken.scalars()), attempts.in_order(claimed[0]) if claimed else []


def finish(connection: Connection, id: int, rows: list[dict[str, Any]], *, ring_at: int) -> None:
    """Add to the journal, and tell the holder or note that someone must be rung. After `begin`, in its transaction."""
    together(connection, (steps.INSERT, steps.INSERT.values(rows)), (instances.WANT, {"id": id, "ring_at": ring_at}))
