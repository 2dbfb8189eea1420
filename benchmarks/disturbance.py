"""How much of the processor others used while something was measured, and once more if it was much; it trusts no quiet.

A program that shared the machine with somebody's build says nothing about the engine it was to measure.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil

from benchmarks.programs import Measured

MUCH_PERCENT = 15.0
QUIET_S = 20.0
"""How long to wait for a quiet moment before another try."""
_SHORT_S = 0.3
"""Processor time is counted in hundredths of a second: of anything shorter nothing can be said."""


def undisturbed(work: Callable[[], Iterator[Measured]], tries: int) -> Iterator[Measured]:
    """Measure; again, a few times, if others used much of the processor meanwhile. The quietest try counts."""
    quietest: list[Measured] = []
    for number in range(tries):
        if number > 0:
            wait_for_quiet()
        found = list(_watched(work))
        if not quietest or (found and found[0].others < quietest[0].others):
            quietest = found
        if not found or found[0].others <= MUCH_PERCENT:
            break
    yield from quietest


def wait_for_quiet() -> None:
    give_up_at = time.monotonic() + QUIET_S
    while psutil.cpu_percent(interval=0.5) > MUCH_PERCENT and time.monotonic() < give_up_at:
        pass


def _watched(work: Callable[[], Iterator[Measured]]) -> Iterator[Measured]:
    run = psutil.Process(os.getppid())
    started, all_before, ours_before = time.perf_counter(), _machine_s(), _tree_s(run)
    found = list(work())
    seconds = time.perf_counter() - started
    ours_s = _tree_s(run) - ours_before
    others_s = _machine_s() - all_before - ours_s
    others = 0.0 if seconds < _SHORT_S else max(others_s / seconds / (os.cpu_count() or 1) * 100, 0.0)
    for measured in found:
        yield replace(measured, others=others, cpu_s=ours_s)


def _machine_s() -> float:
    times = psutil.cpu_times()._asdict()
    idle = times.get("idle", 0.0) + times.get("iowait", 0.0)
    # What guests use is in the time of their hosts already.
    return float(sum(times.values()) - idle - times.get("guest", 0.0) - times.get("guest_nice", 0.0))


def _tree_s(root: psutil.Process) -> float:
    """Of everything this run has started, servers included; of those that have ended too, as their parents count them."""
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total
