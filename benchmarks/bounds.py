"""What the numbers must be, each as a value computed from the medians; it prints nothing and forgives nothing."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.scale import Scale

Median = Callable[[str, str], float]
"""(contender, program) -> the median over all rounds. Raises NotMeasured."""

_SIGNS: dict[str, Callable[[float, float], bool]] = {"≥": operator.ge, "≤": operator.le}
NAP_IDEAL_MS = 100 * 50 / 16


class NotMeasured(Exception):
    """A bound needs a number that this run does not have."""


@dataclass(frozen=True, slots=True)
class Bound:
    what: str
    sign: str
    limit: float
    unit: str
    """Behind the value: x of a ratio, % of a share, or what it is measured in."""
    value: Callable[[Median], float]
    from_: tuple[tuple[str, str], ...]
    """The (contender, program) behind it, to show."""

    def judge(self, median: Median) -> dict[str, Any]:
        must = f"{self.sign} {self.limit:g}{_spaced(self.unit)}"
        try:
            value = self.value(median)
            shown = "; ".join(f"{name}: {median(name, program):.4g}" for name, program in self.from_)
        except NotMeasured:
            return {"what": self.what, "must": must, "measured": None, "holds": None, "from": "not measured"}
        measured = f"{value:.3g}{_spaced(self.unit)}"
        holds = _SIGNS[self.sign](value, self.limit)
        return {"what": self.what, "must": must, "measured": measured, "holds": holds, "from": shown}


def _spaced(unit: str) -> str:
    return unit if unit in "x%" else f" {unit}"


def _ratio(what: str, sign: str, limit: float, over: tuple[str, str], under: tuple[str, str], unit: str = "x") -> Bound:
    scale = 100 if unit == "%" else 1
    return Bound(what, sign, limit, unit, lambda m: scale * m(*over) / m(*under), (over, under))


def _plain(what: str, limit: float, unit: str, of: tuple[str, str]) -> Bound:
    return Bound(what, "≤", limit, unit, lambda m: m(*of), (of,))


def bounds(scale: Scale) -> Iterator[Bound]:
    many, many_1, many_2 = f"many {scale.many}", "ours postgres", "ours postgres x2"
    for ours, times_restate in (("ours postgres", 2.5), ("ours sqlite", 4.0)):
        database = ours.removeprefix("ours ")
        seq = (ours, "seq 1000")
        yield _ratio(f"`seq 1000`, {database}: speed of Restate", "≥", times_restate, ("restate", "seq 1000"), seq)
        yield _ratio(f"`seq 1000`, {database}: speed of DBOS", "≥", 7, (f"dbos {database}", "seq 1000"), seq)
        limit = (ours, "limit autocommit")
        yield _ratio(f"`seq 1000`, {database}: share of the limit", "≥", 60, limit, seq, "%")
        yield _ratio(f"cost per step at 10,000 to 100, {database}", "≤", 1.2, (ours, "seq 10000"), (ours, "seq 100"))
    yield _ratio("`many`, two processes: rate of Restate", "≥", 1, (many_2, many), ("restate", many))
    yield _ratio("`many`, two processes: rate of DBOS", "≥", 8, (many_2, many), ("dbos postgres", many))
    yield _ratio("`many`, two processes: rate of Celery", "≥", 6, (many_2, many), ("celery x2", many))
    yield _ratio("`many`, SQLite: rate of DBOS", "≥", 6, ("ours sqlite", many), ("dbos sqlite", many))
    yield _ratio("`many`, two processes to one", "≥", 1.5, (many_2, many), (many_1, many))
    for ours in ("ours postgres", "ours sqlite"):
        database = ours.removeprefix("ours ")
        yield _ratio(f"`fan 100`, {database}: time of Restate", "≤", 1, (ours, "fan 100"), ("restate", "fan 100"))
        yield Bound(
            f"`fan 1000` to `fan 100`, {database}: cost per step",
            *("≤", 1, "x", lambda m, ours=ours: m(ours, "fan 1000") / m(ours, "fan 100") / 10),
            ((ours, "fan 1000"), (ours, "fan 100")),
        )
    nap = ("ours postgres x2", "fan_def 100 x 50 ms")
    yield Bound(
        "100 `def` steps of 50 ms on 16 slots: the ideal", "≤", 1.3, "x", lambda m: m(*nap) / NAP_IDEAL_MS, (nap,)
    )
    for ours in ("ours postgres", "ours sqlite"):
        database = ours.removeprefix("ours ")
        yield _ratio(f"`start`, {database}: time of Restate", "≤", 1, (ours, "start"), ("restate", "start"))
        yield _ratio(f"`start`, {database}: time of a Celery task", "≤", 1.5, (ours, "start"), ("celery", "start"))
        yield _ratio(f"`event`, {database}: time of Restate", "≤", 1, (ours, "event"), ("restate", "event"))
    for ours in ("ours postgres x2", "ours postgres", "ours sqlite"):
        where = ours.removeprefix("ours ").replace(" x2", ", two processes")
        for share, most in (("p50", 50), ("p99", 250)):
            late = (ours, f"timers {scale.timers} {share}")
            yield _plain(f"lateness of {scale.timers:,} timers, {where}: {share}", most, "ms", late)
    for database in ("postgres", "sqlite"):
        of = ("replay", f"replay {scale.replays[-1]} {database}")
        yield _plain(f"replay of {scale.replays[-1]:,} steps, {database}", 20, "µs a step", of)
    asleep = f"idle {scale.sleeping}"
    for name in ("idle", asleep):
        among = "" if name == "idle" else f" among {scale.sleeping:,} sleepers"
        yield _plain(f"idle worker{among}: queries", 5, "a second", ("idle postgres", f"{name} queries"))
        for database in ("postgres", "sqlite"):
            yield _plain(f"idle worker{among}, {database}: CPU", 1, "%", (f"idle {database}", f"{name} cpu"))
    memory = (("idle postgres", f"{asleep} memory"), ("idle postgres", "idle memory"))
    yield _ratio(f"memory with {scale.sleeping:,} sleepers to none", "≤", 1.02, *memory)
