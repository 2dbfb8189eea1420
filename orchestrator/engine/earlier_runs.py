"""Which run each command of an instance comes from, after restarts that kept some; it reads and never writes."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.store import runs
from orchestrator.store.database import Database


@dataclass(frozen=True, slots=True)
class Ancestry:
    """Where a run comes from that was begun in the middle of another."""

    first_run: int
    """The run whose beginning this one shares: its random numbers, and its time of starting."""
    started_at: int
    kept: tuple[tuple[int, int], ...]
    """(position, run), newest run first: commands before the position were asked for in that run, or before it."""


def ancestry(database: Database, pk: int, run: int, started_at: int) -> Ancestry:
    """Only a run after the first can have any, so only then is the database asked."""
    if run == 1:
        return Ancestry(1, started_at, ())
    with database.read() as connection:
        rows = runs.before(connection, pk, run)
    kept: list[tuple[int, int]] = []
    first_run = run
    for row in rows:
        if row.next_position is None:
            break
        limit = min(row.next_position, kept[-1][0]) if kept else row.next_position
        kept.append((limit, row.run))
        first_run, started_at = row.run, row.started_at
    return Ancestry(first_run, started_at, tuple(kept))
