"""A worker that can't say that it is alive stops before others take it for dead, and goes on when it can say so again."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import runtime as runtime_module
from orchestrator.engine import supervisor as supervisor_module
from orchestrator.engine.runtime import Runtime
from orchestrator.engine.supervisor import Supervisor
from tests.engine.bench import Bench, Bodies

LEASE_S = 12.0


class Stopwatch:
    """The time that has passed within this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = runtime_module.monotonic
        self._ahead_s = 0.0
        for module in (runtime_module, supervisor_module):
            monkeypatch.setattr(module, "monotonic", lambda: self._real() + self._ahead_s)

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    return Stopwatch(monkeypatch)


@pytest.fixture
def supervised(bench: Bench) -> Supervisor:
    supervisor = Supervisor(bench.runtime)
    supervisor.beat()
    return supervisor


class TwoSteps(WorkflowEntrypoint[Any]):
    between: Any = staticmethod(lambda: None)
    bodies: Bodies

    async def run(self, event: Any, step: Any) -> str:
        await step.do("first", self.bodies("first", type(self).between))
        await step.do("second", self.bodies("second"))
        return "done"


def test_without_a_heartbeat_nothing_is_taken_up(
    bench: Bench, supervised: Supervisor, stopwatch: Stopwatch, bodies: Bodies
) -> None:
    TwoSteps.bodies, TwoSteps.between = bodies, staticmethod(lambda: None)
    instance = bench.create(TwoSteps)

    stopwatch.advance(LEASE_S)
    bench.work()

    assert instance.status().status == "queued"


def test_a_heartbeat_that_was_heard_is_good_for_less_than_the_lease(
    bench: Bench, supervised: Supervisor, stopwatch: Stopwatch
) -> None:
    stopwatch.advance(LEASE_S * 0.8)
    assert bench.runtime.may_start()
    stopwatch.advance(LEASE_S * 0.15)
    assert not bench.runtime.may_start(), "two clocks need not run equally fast"


def test_a_step_does_not_begin_when_the_lease_has_run_out_during_the_one_before(
    bench: Bench, supervised: Supervisor, stopwatch: Stopwatch, bodies: Bodies
) -> None:
    TwoSteps.bodies, TwoSteps.between = bodies, staticmethod(lambda: stopwatch.advance(LEASE_S))

    instance = bench.run(TwoSteps)

    assert bodies.ran == ["first"]
    TwoSteps.between = staticmethod(lambda: None)
    supervised.beat()
    bench.after("5 seconds")
    assert instance.result(timeout=0) == "done"
    assert bodies.ran == ["first", "second"], "what the first has come to was stored"


def test_a_worker_that_was_taken_for_dead_leaves_its_step_to_the_others(
    bench: Bench, supervised: Supervisor, stopwatch: Stopwatch, bodies: Bodies
) -> None:
    other: Runtime = bench.worker(TwoSteps)

    def stand_still() -> None:
        """Others do all there is to do."""
        TwoSteps.between = staticmethod(lambda: None)
        stopwatch.advance(LEASE_S + 1)
        bench.clock.advance("13 seconds")
        Supervisor(other).beat()
        for _ in range(30):
            bench.clock.advance("1 second")
            bench.work(other)

    TwoSteps.bodies, TwoSteps.between = bodies, staticmethod(stand_still)
    instance = bench.run(TwoSteps)

    assert instance.result(timeout=0) == "done"
    assert bodies.ran == ["first", "first", "second"]
    (first, second) = instance.describe().steps
    assert [attempt.status for attempt in first.attempt_log] == ["errored", "complete"]
    assert second.attempts == 1
