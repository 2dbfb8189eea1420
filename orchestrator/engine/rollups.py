"""Counts ended runs and their steps into numbers by hour, in the background; a run is counted once, whatever crashes.

Whoever ends a run puts it on a list in the same transaction. Whoever counts it takes it off that list in the transaction
that adds its numbers, so both happen or neither. What such a run has streamed for nothing is dropped on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from orchestrator.names import split_key
from orchestrator.statuses import StepKind
from orchestrator.store import outbox, rollups, streams
from orchestrator.store.database import Database
from orchestrator.store.rollups import HOUR_MS
from orchestrator.store.schema import BUCKET_BOUNDS_MS, BUCKETS

RUNS = 100
AT_ONCE = 10
"""So many journals are read at once: those of short runs cost less to read than to ask for, long ones take memory."""
STEPS = 5000
"""As much as is counted in one transaction, about."""
LEASE, LEASE_MS = "rollups", 30_000
WORKFLOW, STARTED = "workflow", "started"
MAX_NAMES = 500
OTHERS = "(others)"
"""Step names beyond so many in an hour of one workflow: names that are made at run time must not fill the table."""

Key = tuple[int, str, str, str, str]


@dataclass(slots=True)
class Cell:
    count: int = 0
    sum_ms: int = 0
    min_ms: int | None = None
    max_ms: int | None = None
    attempts: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))

    def add(self, ms: int, attempts: int = 0) -> None:
        self.count += 1
        self.sum_ms += ms
        self.min_ms = ms if self.min_ms is None else min(self.min_ms, ms)
        self.max_ms = ms if self.max_ms is None else max(self.max_ms, ms)
        self.attempts += attempts
        self.buckets[bucket_of(ms)] += 1


def bucket_of(ms: int) -> int:
    return next((n for n, bound in enumerate(BUCKET_BOUNDS_MS) if ms <= bound), len(BUCKET_BOUNDS_MS))


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
    runs: list[Any] = []
    cells: dict[Key, Cell] = {}
    names: dict[tuple[int, str], set[str]] = {}
    seen = 0
    for run, steps in _with_steps(connection):
        runs.append(run)
        _add_run(cells, run)
        for key, row in _own(steps, run):
            hour = _hour(row.ended_at)
            known = names.get((hour, run.workflow))
            if known is None:
                known = names[hour, run.workflow] = rollups.step_names(connection, hour, run.workflow)
            kind, name, _ = split_key(key)
            name = name if name in known or len(known) < MAX_NAMES else OTHERS
            known.add(name)
            outcome = "complete" if row.succeeded else "errored"
            cell = cells.setdefault((hour, run.workflow, kind, name, outcome), Cell())
            cell.add(max(row.ended_at - row.started_at, 0), row.attempts)
        seen += len(steps)
        if seen >= STEPS:
            break
    return runs, cells


def _with_steps(connection: Connection) -> Iterator[tuple[Any, list[Any]]]:
    pending = rollups.pending(connection, RUNS)
    for start in range(0, len(pending), AT_ONCE):
        some = pending[start : start + AT_ONCE]
        found: dict[tuple[int, int], list[Any]] = {(run.instance, run.run): [] for run in some}
        for row in rollups.steps(connection, list(found)):
            found[row.instance_id, row.run].append(row)
        for run in some:
            yield run, found[run.instance, run.run]


def _own(steps: Iterable[Any], run: Any) -> Iterable[tuple[str, Any]]:
    """Without asyncio's own timers, and without what a restart has taken over: that was counted with its own run."""
    return (
        (row.key, row)
        for row in steps
        if not row.key.startswith(f"{StepKind.TIMER}:")
        and run.started_at is not None
        and row.ended_at >= run.started_at
    )


def _add_run(cells: dict[Key, Cell], run: Any) -> None:
    started = run.ended_at if run.started_at is None else run.started_at
    if run.started_at is not None:
        cells.setdefault((_hour(started), run.workflow, WORKFLOW, "", STARTED), Cell()).count += 1
    ended = cells.setdefault((_hour(run.ended_at), run.workflow, WORKFLOW, "", run.status), Cell())
    ended.add(max(run.ended_at - started, 0))


def _row(key: Key, cell: Cell) -> dict[str, Any]:
    named = dict(zip(("hour", "workflow", "kind", "step", "outcome"), key, strict=True))
    counters = {"count": cell.count, "sum_ms": cell.sum_ms, "attempts": cell.attempts}
    extremes = {"min_ms": cell.min_ms or 0, "max_ms": cell.max_ms or 0}
    return {**named, **counters, **extremes, **dict(zip(BUCKETS, cell.buckets, strict=True))}


def _hour(at_ms: int) -> int:
    return at_ms - at_ms % HOUR_MS
