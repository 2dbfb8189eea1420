"""Others are called to a batch of `def` steps only once it is known to take more than a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import sharing, turns
from orchestrator.engine.activation import advance
from orchestrator.store import instances
from tests.engine.bench import Bench
from tests.engine.test_sharing import key_of

WIDTH = 30


class Later:
    """What was put off, and for how long: a supervisor that does it when it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
        self.calls.append((delay_s, call))
        return lambda: None

    def pass_(self, delay_s: float) -> None:
        """The time for what was put off for so long has come."""
        due = [call for delay, call in self.calls if delay == delay_s]
        self.calls = [(delay, call) for delay, call in self.calls if delay != delay_s]
        assert due, self.calls
        for call in due:
            call()


class Batch:
    """An instance with a batch of steps; each body may do something at a given place in their order."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.later = bench.runtime.later = Later()
        self.now_s = 0.0
        self.called: list[int] = []
        """After how many bodies had begun others were called, once for each."""
        self._bench = bench
        self._begun = 0
        self._during: dict[int, Callable[[], None]] = {}
        monkeypatch.setattr(sharing, "monotonic", lambda: self.now_s)
        ring = bench.doorbell.ring

        def note_and_ring(rings: Any) -> None:
            self.called += [self._begun for each in rings if each.task == "run_step"]
            ring(rings)

        monkeypatch.setattr(bench.doorbell, "ring", note_and_ring)

    def during(self, number: int, do: Callable[[], None]) -> None:
        self._during[number] = do

    def takes(self, seconds: float) -> None:
        self.now_s += seconds

    def _body(self, number: int) -> int:
        self._begun += 1
        self._during.get(self._begun, lambda: None)()
        return number

    def advance(self) -> list[int]:
        body = self._body

        class Fan(WorkflowEntrypoint):
            async def run(self, event: Any, step: Any) -> list[int]:
                return list(await asyncio.gather(*(step.do(f"part {n}", body, n) for n in range(WIDTH))))

        instance = self._bench.create(Fan)
        advance(self._bench.runtime, key_of(self._bench))
        called = list(self.called)
        self._bench.work()
        result: list[int] = instance.result(timeout=0)
        assert result == list(range(WIDTH))
        return called


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    bench = make_bench(concurrency=4)
    bench.beat(bench.runtime)
    for _ in range(2):
        bench.beat(bench.worker())
    return bench


@pytest.fixture
def batch(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Batch:
    return Batch(bench, monkeypatch)


def test_nobody_is_called_to_bodies_that_are_quick(batch: Batch) -> None:
    batch.during(2, lambda: batch.later.pass_(sharing.ALONE_S))
    assert batch.advance() == []
    batch.later.pass_(sharing.QUICK_ALONE_S)
    batch.later.pass_(sharing.IDLE_S)
    assert batch.called == [], "it is done by then"


def test_all_are_called_while_the_first_body_still_runs(batch: Batch) -> None:
    batch.during(1, lambda: batch.later.pass_(sharing.ALONE_S))
    assert batch.advance() == [1] * 11


def test_all_are_called_once_bodies_turn_out_not_to_be_quick(batch: Batch) -> None:
    batch.during(2, lambda: batch.later.pass_(sharing.ALONE_S))
    batch.during(4, lambda: batch.takes(sharing.FAST_S))
    batch.during(7, lambda: batch.takes(sharing.FAST_S))
    assert batch.advance() == [5] * 11, "after the chunk of four in which it was seen, and once"


def test_other_processes_are_called_to_many_bodies_that_are_quick(batch: Batch) -> None:
    batch.during(2, lambda: batch.later.pass_(sharing.ALONE_S))
    batch.during(8, lambda: batch.later.pass_(sharing.IDLE_S))
    batch.during(9, lambda: batch.later.pass_(sharing.QUICK_ALONE_S))
    assert batch.advance() == [9] * 2


def test_nobody_is_called_to_many_quick_bodies_where_this_is_the_only_process(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(concurrency=4)
    bench.beat(bench.runtime)
    batch = Batch(bench, monkeypatch)
    batch.during(2, lambda: batch.later.pass_(sharing.ALONE_S))
    batch.during(9, lambda: batch.later.pass_(sharing.QUICK_ALONE_S))
    assert batch.advance() == []


def test_all_are_called_to_what_the_holder_does_not_come_to(
    batch: Batch, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:

    def slow_claim(*args: Any) -> Any:
        monkeypatch.setattr(sharing, "claim", turns.claim)
        assert [delay for delay, _ in batch.later.calls] == [sharing.IDLE_S], (
            "the time alone begins with the first body"
        )
        batch.later.pass_(sharing.IDLE_S)
        return turns.claim(*args)

    monkeypatch.setattr(sharing, "claim", slow_claim)
    assert batch.advance() == [0] * 11


def test_the_first_chunk_of_each_batch_is_one_step(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []

    def claim(runtime: Any, pk: int, limit: int) -> Any:
        limits.append(limit)
        return turns.claim(runtime, pk, limit)

    monkeypatch.setattr(sharing, "claim", claim)

    class Twice(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            for batch in "ab":
                await asyncio.gather(*(step.do(f"{batch} {n}", lambda: None) for n in range(6)))

    monkeypatch.setattr(sharing, "monotonic", lambda: 0.0)
    bench.create(Twice)
    advance(bench.runtime, key_of(bench))
    assert [limit for limit in limits if limit < 16] == [1, 4] * 2


def test_all_are_called_when_the_holder_leaves_for_others_that_wait(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(concurrency=4, budget_ms=0)
    monkeypatch.setattr(instances, "someone_waits", lambda *args, **values: True)
    batch = Batch(bench, monkeypatch)
    bench.beat(bench.runtime)
    assert batch.advance() == [1] * 3, "once, by the claim that has put them up"
