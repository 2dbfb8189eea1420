"""How often and how fast workflows and their steps ran, by hour, from what was counted in the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection

from orchestrator.errors import InvalidAggregates
from orchestrator.names import is_text
from orchestrator.numbers import moment
from orchestrator.store import rollups
from orchestrator.store.rollups import DIMENSIONS, HOUR_MS, STARTED
from orchestrator.store.schema import BUCKET_BOUNDS_MS, BUCKETS

DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationStats:
    """In milliseconds. Percentiles are upper bounds, from a histogram with about three steps for each factor of ten."""

    count: int = 0
    sum_ms: int = 0
    min_ms: int | None = None
    max_ms: int | None = None
    mean_ms: float | None = None
    p50_ms: int | None = None
    p95_ms: int | None = None
    p99_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateRow:
    """What was counted in one group; what it was not grouped by is None."""

    at: int | None = None
    """When the hour or day begins, epoch milliseconds."""
    workflow: str | None = None
    step: str | None = None
    kind: str
    """`workflow`, or the kind of the steps."""
    started: int = 0
    """Runs that began in that time; for steps, how many ended."""
    finished: dict[str, int] = field(default_factory=dict)
    """How many ended in that time, by outcome."""
    attempts: int = 0
    wall_ms: DurationStats = field(default_factory=DurationStats)
    """From start to end: of the run, or of the step's last attempt."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class _Group:
    started: int = 0
    finished: dict[str, int] = field(default_factory=dict)
    attempts: int = 0
    count: int = 0
    sum_ms: int = 0
    min_ms: int | None = None
    max_ms: int | None = None
    buckets: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))


def aggregates(
    connection: Connection, *, workflow: str | None, since: int | None, until: int | None, group_by: Sequence[str],
    step: str | None, now: int, among: Sequence[str] | None = None,
) -> list[AggregateRow]:  # fmt: skip
    """Whole hours only: from the one in which `since` lies to the one in which `until` does. Raises InvalidAggregates."""
    workflows = among if workflow is None else [workflow]
    chosen = check_aggregates(group_by, since, until)
    until = now + 1 if until is None else until
    since = until - DAY_MS if since is None else since
    since -= since % HOUR_MS
    of_steps = step is not None or "step" in chosen
    groups: dict[tuple[Any, ...], _Group] = {}
    if step is not None and not is_text(step):
        return []  # no step can have such a name, and PostgreSQL would not even be asked for it
    for row in rollups.read(
        connection, workflows=workflows, steps=of_steps, step=step, since=since, until=until, group_by=chosen
    ):
        named = [getattr(row, f"{name}_") for name in chosen]
        _add(groups.setdefault((*named, row.kind), _Group()), row)
    if not of_steps:
        for row in rollups.started(connection, workflows=workflows, since=since, until=until):
            at = {"hour": row.hour, "day": row.hour - row.hour % DAY_MS, "workflow": row.workflow}
            groups.setdefault((*(at[name] for name in chosen), "workflow"), _Group()).started += row.times
    return [_row(chosen, key, groups[key], step) for key in sorted(groups)]


def check_aggregates(group_by: Sequence[str], since: int | None, until: int | None) -> tuple[str, ...]:
    """What to group by. Raises InvalidAggregates, and UsageError for times that are none."""
    moment(since, "since")
    moment(until, "until")
    chosen = (group_by,) if isinstance(group_by, str) else tuple(group_by)
    unknown = [name for name in chosen if name not in DIMENSIONS]
    if unknown or len(set(chosen)) != len(chosen) or {"hour", "day"} <= set(chosen):
        raise InvalidAggregates(
            f"group_by is {list(chosen)!r}; give any of {', '.join(DIMENSIONS)}, each once, and hour or day, not both."
        )
    if since is not None and until is not None and since >= until:
        raise InvalidAggregates(f"since ({since}) must be before until ({until}); both are epoch milliseconds.")
    return chosen


def _add(group: _Group, row: Any) -> None:
    if row.outcome == STARTED:
        group.started += row.times
        return
    group.finished[row.outcome] = group.finished.get(row.outcome, 0) + row.times
    group.attempts += row.attempts
    group.count += row.times
    group.sum_ms += row.sum_ms
    group.min_ms = row.min_ms if group.min_ms is None else min(group.min_ms, row.min_ms)
    group.max_ms = row.max_ms if group.max_ms is None else max(group.max_ms, row.max_ms)
    for number, name in enumerate(BUCKETS):
        group.buckets[number] += getattr(row, name)


def _row(chosen: tuple[str, ...], key: tuple[Any, ...], group: _Group, step: str | None) -> AggregateRow:
    named = dict(zip(chosen, key, strict=False))
    kind = key[-1]
    return AggregateRow(
        at=named.get("hour", named.get("day")),
        workflow=named.get("workflow"),
        step=named.get("step", step),
        kind=kind,
        started=group.started if kind == "workflow" else group.count,
        finished=group.finished,
        attempts=group.attempts,
        wall_ms=_stats(group),
    )


def _stats(group: _Group) -> DurationStats:
    if not group.count:
        return DurationStats()
    return DurationStats(
        count=group.count,
        sum_ms=group.sum_ms,
        min_ms=group.min_ms,
        max_ms=group.max_ms,
        mean_ms=round(group.sum_ms / group.count, 1),
        p50_ms=_percentile(group, 0.50),
        p95_ms=_percentile(group, 0.95),
        p99_ms=_percentile(group, 0.99),
    )


def _percentile(group: _Group, share: float) -> int:
    wanted, seen = share * group.count, 0
    bounds = [*BUCKET_BOUNDS_MS, group.max_ms or 0]
    for bound, count in zip(bounds, group.buckets, strict=True):
        seen += count
        if seen >= wanted:
            return min(bound, group.max_ms or 0)
    return group.max_ms or 0
