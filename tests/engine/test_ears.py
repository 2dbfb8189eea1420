"""A process that is alive and hears no doorbell any more is noticed; one that has a reason for silence is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import ears as ears_module
from orchestrator.engine import pump
from orchestrator.engine.supervisor import Supervisor
from tests.engine.bench import Bench


class Nothing(WorkflowEntrypoint[Any]):
    async def run(self, event: Any, step: Any) -> None:
        return None


class Watched:
    """A worker whose broker delivers nothing, and the supervisor that looks after it."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = bench
        self.recycled = 0
        self._ahead_s = 0.0
        real = ears_module.monotonic
        monkeypatch.setattr(ears_module, "monotonic", lambda: real() + self._ahead_s)
        self._supervisor = Supervisor(bench.runtime, recycle=self._recycle)

    def _recycle(self) -> None:
        self.recycled += 1

    def silence(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Two minutes in which the pump rings and nobody answers."""
        for _ in range(60):
            meanwhile()
            self.bench.clock.advance("2 seconds")
            self._ahead_s += 2
            pump.tick(self.bench.runtime)
            self._supervisor.look_after_ears()


@pytest.fixture
def watched(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Watched:
    bench.create(Nothing)
    return Watched(bench, monkeypatch)


def test_a_process_that_has_gone_deaf_is_recycled(bench: Bench, watched: Watched) -> None:
    bench.runtime.ears.heard()

    watched.silence()

    assert watched.recycled >= 1


def test_one_that_never_heard_anything_has_no_consumer_and_is_left_alone(watched: Watched) -> None:
    watched.silence()

    assert watched.recycled == 0


def test_one_that_hears_other_messages_is_not_deaf(bench: Bench, watched: Watched) -> None:
    watched.silence(meanwhile=bench.runtime.ears.heard)

    assert watched.recycled == 0


def test_one_that_is_at_work_does_not_listen(bench: Bench, watched: Watched) -> None:
    bench.runtime.ears.heard()
    bench.runtime.holding[0] = object()  # type: ignore[assignment]

    watched.silence()

    assert watched.recycled == 0


def test_where_the_broker_is_away_nobody_hears_anything(bench: Bench, watched: Watched) -> None:
    bench.runtime.ears.heard()

    def refuse() -> None:
        ring = bench.runtime.doorbell.ring
        bench.runtime.doorbell.ring = lambda rings: (  # type: ignore[method-assign]
            ring(rings), setattr(bench.runtime.doorbell, "failures", bench.runtime.doorbell.failures + len(rings))
        )[0]  # fmt: skip

    refuse()
    watched.silence()

    assert watched.recycled == 0


def test_instances_of_a_queue_that_is_not_served_here_say_nothing_of_this_process(
    bench: Bench, watched: Watched
) -> None:
    bench.runtime.ears.heard()
    bench.runtime.queues = ("another",)

    watched.silence()

    assert watched.recycled == 0
