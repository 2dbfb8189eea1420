"""Counts ended runs and their steps into numbers by hour, in the background; a run is counted once, whatever crashes.

Whoever ends a run puts it on a list in the same transaction. Whoever counts it takes it off that list in the transaction
that adds its numbers, so both happen or neither. What such a run has streamed for nothing is dropped on the way.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from orchestrator.names import split_key
from orchestrator.store import outbox, rollups, streams
from orchestrator.store.database import Database
from orchestrator.store.schema import BUCKETS

RUNS = 100
AT_ONCE = 10
"""The numbers of so many runs are read at once: those of short ones cost less to read than to ask for."""
STEPS = 5000
"""As much as is counted in one transaction, about."""
LEASE, LEASE_MS = "rollups", 30_000
MAX_NAMES = 500
OTHERS = "(others)"
"""Step names beyond so many in an hour of one workflow: names that are made at run time must not fill the table."""

Key = tuple[int, str, str, str, str]


@dataclass(slots=True)
class Cell:
    count: int = 0
    sum_ms: int = 0
    min_ms: int = sys.maxsize
    max_ms: int = 0
    attempts: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))

    def add(self, row: Any) -> None:
        self.count += row.times
        self.sum_ms += row.sum_ms
        self.min_ms = min(self.min_ms, row.min_ms)
        self.max_ms = max(self.max_ms, row.max_ms)
        self.attempts += row.attempts
        if row.bucket is not None:
            self.buckets[row.bucket] += row.times


class _TakenByAnother(Exception):
    """Somebody else has counted one of the runs meanwhile."""


def count_some(database: Database, holder: str) -> int:
    """Count the runs that wait for it, if no other process is about it; how many were counted."""
    now = database.clock.now_ms()
    with database.read() as connection:
        if not rollups.pending(connection, 1):
            return 0
    # The lease only keeps processes from doing the same work at the same time; the list decides who has counted.
    if not database.statement(
        lambda c: outbox.take_lease(c, name=LEASE, holder=holder, now=now, until_at=now + LEASE_MS)
    ):
        return 0
    with database.read() as connection:
        runs, cells = _read(connection)

    def work(connection: Connection) -> None:
        # A worker may die, or the run end, between the last byte and the result that refers to it.
        streams.drop_unread(connection, [run.instance for run in runs])
        if not rollups.take(connection, [(run.instance, run.run) for run in runs]):
            raise _TakenByAnother
        rollups.add(connection, [_row(key, cell) for key, cell in cells.items()])

    try:
        database.transaction(work)
    except _TakenByAnother:
        return 0
    return len(runs)


def _read(connection: Connection) -> tuple[list[Any], dict[Key, Cell]]:
    """The next runs and what they add. What an ended run consists of does not change any more."""
    pending = rollups.pending(connection, RUNS)
    runs: list[Any] = []
    cells: dict[Key, Cell] = {}
    names: dict[tuple[int, str], set[str]] = {}
    seen = 0
    while len(runs) < len(pending) and seen < STEPS:
        some = pending[len(runs) : len(runs) + AT_ONCE]
        runs += some
        for row in rollups.numbers(connection, [(run.instance, run.run) for run in some]):
            kind, name, _ = split_key(row.key)
            if kind != rollups.WORKFLOW:
                name = _kept(connection, names, row, name)
                seen += row.times
            cells.setdefault((row.hour, row.workflow, kind, name, row.outcome), Cell()).add(row)
    return runs, cells


def _kept(connection: Connection, names: dict[tuple[int, str], set[str]], row: Any, name: str) -> str:
    """The name that a step is counted by. `names`: those that there are, of what was looked at."""
    known = names.get((row.hour, row.workflow))
    if known is None:
        known = names[row.hour, row.workflow] = rollups.step_names(connection, row.hour, row.workflow)
    if name not in known and len(known) >= MAX_NAMES:
        return OTHERS
    known.add(name)
    return name


def _row(key: Key, cell: Cell) -> dict[str, Any]:
    named = dict(zip(("hour", "workflow", "kind", "step", "outcome"), key, strict=True))
    counters = {"count": cell.count, "sum_ms": cell.sum_ms, "attempts": cell.attempts}
    extremes = {"min_ms": cell.min_ms, "max_ms": cell.max_ms}
    return {**named, **counters, **extremes, **dict(zip(BUCKETS, cell.buckets, strict=True))}
