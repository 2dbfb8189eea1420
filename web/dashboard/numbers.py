"""How often and how fast a workflow ran of late, as bars and a row of a table; it counts nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.inspection import AggregateRow

if TYPE_CHECKING:
    from orchestrator.client import WorkflowClient

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HEIGHT = 40
"""Of the tallest bar, in the units of the drawing; a bar's place is ten units wide."""
STRIDE = 10
_OUTCOMES = (("complete", "good"), ("errored", "bad"))


@dataclass(frozen=True, slots=True)
class Part:
    tone: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    x: int
    title: str
    parts: list[Part]


@dataclass(frozen=True, slots=True)
class Period:
    """One stretch of time up to now; `bars` divide it."""

    label: str
    unit: str
    total: AggregateRow
    bars: list[Bar]

    @property
    def width(self) -> int:
        return len(self.bars) * STRIDE

    @property
    def ended(self) -> int:
        return sum(self.total.finished.values())


def periods(workflow: WorkflowClient[Any], now_ms: int) -> list[Period]:
    """The last 24 hours, and the last 7 days."""
    return [
        _period(workflow, "24 hours", "hour", HOUR_MS, 24, now_ms),
        _period(workflow, "7 days", "day", DAY_MS, 7, now_ms),
    ]


def _period(workflow: WorkflowClient[Any], label: str, unit: str, unit_ms: int, units: int, now_ms: int) -> Period:
    last = now_ms - now_ms % unit_ms
    since = last - (units - 1) * unit_ms
    rows = workflow.aggregates(since, None, (unit,))
    whole = workflow.aggregates(since, None, ())
    starts = [since + number * unit_ms for number in range(units)]
    return Period(label, unit, whole[0] if whole else AggregateRow(kind="workflow"), bars(starts, rows, unit))


def bars(starts: Sequence[int], rows: Sequence[AggregateRow], unit: str) -> list[Bar]:
    """A bar for each start, as high as its share of the highest; what failed stands on top."""
    by_start = {row.at: row for row in rows}
    highest = max([1, *(sum(row.finished.values()) for row in rows)])
    return [
        _bar(number * STRIDE, start, by_start.get(start), HEIGHT / highest, unit) for number, start in enumerate(starts)
    ]


def _bar(x: int, start: int, row: AggregateRow | None, unit_height: float, unit: str) -> Bar:
    finished = {} if row is None else row.finished
    at = datetime.fromtimestamp(start / 1000, UTC)
    when = f"{at:%Y-%m-%d %H:%M} UTC" if unit == "hour" else f"{at:%Y-%m-%d}"
    said = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(finished.items()) if number)
    counted = [(tone, finished.get(outcome, 0)) for outcome, tone in _OUTCOMES]
    others = sum(finished.values()) - sum(number for _, number in counted)
    parts, y = [], float(HEIGHT)
    for tone, number in [*counted, ("idle", others)]:
        if number:
            height = round(number * unit_height, 2)
            y = round(y - height, 2)
            parts.append(Part(tone, y, height))
    return Bar(x, f"{when}: {said or 'none ended'}", parts)
