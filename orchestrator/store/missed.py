"""SQL of what a holder has missed of its instance; it decides nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from orchestrator.store import attempts, steps, timers
from orchestrator.store.driver import Row
from orchestrator.store.sql import together


def read(
    connection: Connection, *, fence: int, id: int, run: int, after: int
) -> tuple[Sequence[Row], Sequence[Row], Sequence[Row]] | None:
    """Its attempts, its timers and its journal after a number, looked at in this order; None: the fence has moved on."""
    instance = {"id": id}
    tried, waiting, written = together(
        connection,
        (attempts.OF_RUN, {**instance, "run": run}),
        (timers.OF_INSTANCE, instance),
        (steps.JOURNAL_FENCED, {**instance, "run": run, "after": after, "fence": fence}),
    )
    if not written.rows:
        return None
    return tried.rows, waiting.rows, [row for row in written.rows if row.seq is not None]
