"""How much of each program is run: all of it, or so little that one sees in a few minutes whether everything works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import programs
from benchmarks.programs import Program


@dataclass(frozen=True, slots=True)
class Scale:
    name: str
    rows: int
    """Of the limit."""
    seqs: tuple[tuple[int, int], ...]
    """(steps, how often)"""
    fans: tuple[tuple[int, int], ...]
    instances: int
    latencies: int
    """How often start, event and retry are timed."""
    timers: int
    replays: tuple[int, ...]
    sleeping: int
    idle_s: float
    tries: int
    """How often a number is taken, at most, if others disturb it."""

    @property
    def many(self) -> str:
        return f"{self.instances} x 10"


FULL = Scale(
    name="full",
    rows=2000,
    seqs=((10, 10), (100, 5), (1000, 2), (10_000, 1)),
    fans=((100, 10), (1000, 3)),
    instances=200,
    latencies=50,
    timers=2000,
    replays=(1000, 10_000),
    sleeping=100_000,
    idle_s=30.0,
    tries=3,
)
QUICK = Scale(
    name="quick",
    rows=500,
    seqs=((10, 5), (100, 3), (1000, 1)),
    fans=((100, 5), (1000, 1)),
    instances=200,
    latencies=15,
    timers=300,
    replays=(1000,),
    sleeping=10_000,
    idle_s=6.0,
    tries=1,
)

FAMILIES = ("seq", "seq_def", "fan", "fan_def", "many", "many_def", "nap", "start", "event", "timers", "retry")


def programs_of(scale: Scale, families: Sequence[str]) -> list[tuple[str, Program]]:
    """The programs of these families, in the order they are run."""
    found: list[tuple[str, Program]] = [("start", programs.start(scale.latencies))]
    for body in ("", "_def"):
        found += [(f"seq{body}", programs.seq(n, body=body, samples=samples)) for n, samples in scale.seqs]
        found += [(f"fan{body}", programs.fan(n, body=body, samples=samples)) for n, samples in scale.fans]
        found.append((f"many{body}", programs.many(scale.instances, 10, body=body)))
    found += [("event", programs.event(scale.latencies)), ("retry", programs.retry(scale.latencies))]
    found += [("nap", programs.nap()), ("timers", programs.timers(scale.timers))]
    return [(family, program) for family, program in found if family in families]
