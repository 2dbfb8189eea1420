"""Runs instances in the caller's own thread with nothing but a database: for tests, and to show that it can be done."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence

from orchestrator.clock import Clock
from orchestrator.doorbell import Ring
from orchestrator.engine import housekeeping, pump
from orchestrator.engine.convoy import advance_among, advance_together
from orchestrator.engine.runtime import Runtime
from orchestrator.engine.step_runs import run_steps


class LocalDoorbell:
    """Keeps rings until they are due and somebody answers them."""

    grace_ms = 5000
    failures = 0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rings: list[tuple[int, int, Ring]] = []
        self._numbers = itertools.count()

    def ring(self, rings: Sequence[Ring]) -> None:
        now = self._clock.now_ms()
        for ring in rings:
            heapq.heappush(self._rings, (now + ring.delay_ms, next(self._numbers), ring))

    def due(self) -> Ring | None:
        if self._rings and self._rings[0][0] <= self._clock.now_ms():
            return heapq.heappop(self._rings)[2]
        return None


def run_until_idle(runtime: Runtime, doorbell: LocalDoorbell) -> None:
    """Answer every ring and do what is due, until nothing is left to do at this moment."""
    while True:
        pump.tick(runtime)
        while housekeeping.tidy(runtime):
            pass
        ring = doorbell.due()
        if ring is None:
            return
        while ring is not None:
            answer(runtime, ring)
            ring = doorbell.due()


def answer(runtime: Runtime, ring: Ring) -> None:
    """What a message asks for."""
    if ring.task == "run_step":
        run_steps(runtime, ring.instance_pk)
    elif ring.others:
        advance_together(runtime, (ring.instance_pk, *ring.others))
    else:
        advance_among(runtime, ring.instance_pk)
