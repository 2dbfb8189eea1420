"""A step that a worker has taken is its own from the claim to the commit, and for no longer than it can begin it soon."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import completions, held_rows
from orchestrator.engine.activation import advance
from orchestrator.engine.held_rows import HeldRows
from orchestrator.engine.step_runs import run_steps
from orchestrator.engine.supervisor import Supervisor
from tests.engine.bench import Bench, Bodies
from tests.engine.test_sharing import fan, key_of, results


class Stopwatch:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_s = 0.0
        real = held_rows.monotonic
        monkeypatch.setattr(held_rows, "monotonic", lambda: real() + self.ahead_s)


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    return Stopwatch(monkeypatch)


# --- the book of them


def test_a_row_is_in_hand_for_as_long_as_somebody_refers_to_it() -> None:
    rows = HeldRows()
    first, second = rows.hold(1, 7), rows.hold(2, 7)

    assert rows.ids() == {first.id, second.id} == {1, 2}
    del first
    gc.collect()
    assert rows.ids() == {2}


def test_a_row_that_waited_too_long_is_taken_back_once_and_does_not_begin(stopwatch: Stopwatch) -> None:
    rows = HeldRows()
    row, working = rows.hold(1, 7), rows.hold(2, 7)
    row.waits_since = held_rows.monotonic()

    assert rows.take_back(1.0) == []
    stopwatch.ahead_s = 2.0
    assert rows.take_back(1.0) == [row], "and not the one that waits for nothing"
    assert rows.take_back(1.0) == []
    assert not rows.begin(row)
    assert rows.begin(working)


def test_a_row_whose_body_has_begun_is_not_taken_back(stopwatch: Stopwatch) -> None:
    rows = HeldRows()
    row = rows.hold(1, 7)
    row.waits_since = held_rows.monotonic()

    assert rows.begin(row)
    stopwatch.ahead_s = 3600
    assert rows.take_back(1.0) == []


# --- at work


class Elsewhere(WorkflowEntrypoint[Any]):
    """An `async def` step for another fleet, so that it has a row and reports on a thread of its own."""

    bodies: Bodies

    async def run(self, event: Any, step: Any) -> Any:
        async def body() -> str:
            return str(Elsewhere.bodies("there")())

        return await step.do("there", body, queue="other")


def test_a_report_that_waits_to_be_stored_is_not_handed_back(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, goes_on = threading.Event(), threading.Event()
    real = completions.commit_alone

    def slow_database(*args: Any) -> bool:
        waits.set()
        goes_on.wait(30)
        return real(*args)

    monkeypatch.setattr(completions, "commit_alone", slow_database)
    Elsewhere.bodies = bodies
    instance = bench.run(Elsewhere)
    worker, other = (bench.worker(registry=bench.registry, queues=("other",)) for _ in range(2))
    supervisor = Supervisor(worker)
    bench.work(worker)
    assert waits.wait(30), "the body has ended and what it came to is on its way"

    for _ in range(4):
        supervisor.beat()
        supervisor.look_after_bodies()
        bench.clock.advance(bench.settings.grace_ms + 1)
        bench.work(other)
    (row,) = bench.rows("SELECT state, worker FROM @attempts")
    assert tuple(row) == ("running", worker.worker_id)
    goes_on.set()
    bench.settle(worker)
    bench.work()

    assert instance.result(timeout=0) == "there"
    assert bodies.ran == ["there"]


def test_an_attempt_that_was_forgotten_on_the_way_is_handed_back(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its report could not be stored for a reason of our own, so nothing in memory refers to it any more."""
    monkeypatch.setattr(completions, "commit_alone", lambda *args: 1 / 0)
    monkeypatch.setattr(completions.log, "exception", lambda *args: None)  # pytest would keep the traceback's frames
    Elsewhere.bodies = bodies
    instance = bench.run(Elsewhere)
    worker = bench.worker(registry=bench.registry, queues=("other",))
    supervisor = Supervisor(worker)
    bench.work(worker)
    while worker.completions.busy or worker.bodies.busy:
        threading.Event().wait(0.005)
    monkeypatch.undo()
    gc.collect()

    supervisor.beat()
    assert bench.rows("SELECT state FROM @attempts") == [("running",)], "once may be a coincidence"
    supervisor.beat()
    bench.clock.advance(bench.settings.grace_ms + 1)
    bench.settle(worker)
    bench.work()

    assert instance.result(timeout=0) == "there"
    assert bodies.ran == ["there", "there"]


def test_steps_claimed_behind_a_long_body_are_for_others_after_a_moment(
    bench: Bench, bodies: Bodies, stopwatch: Stopwatch
) -> None:
    seen: list[list[str]] = []

    def long() -> str:
        """Of those that were taken together, this one comes first."""
        bodies.ran.append("long")
        stopwatch.ahead_s += 2.0
        supervisor.look_after_bodies()
        run_steps(helper, pk)
        seen.append(list(bodies.ran))
        return "long"

    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            made = [step.do("first", bodies("first")), step.do("long", long)]
            return await asyncio.gather(*made, *(step.do(f"behind {n}", bodies(f"behind {n}")) for n in range(3)))

    instance = bench.create(Fan)
    pk = key_of(bench)
    advance(bench.worker(registry=bench.registry, queues=("coordinators",)), pk)
    helper = bench.worker(registry=bench.registry)
    supervisor = Supervisor(bench.runtime)
    run_steps(bench.runtime, pk)
    bench.settle()

    behind = [f"behind {n}" for n in range(3)]
    assert seen == [["first", "long", *behind]]
    assert bodies.ran == ["first", "long", *behind], "and none of them begins here, too"
    assert instance.result(timeout=0) == ["first", "long", *behind]
    assert [step.attempts for step in instance.describe().steps] == [1] * 5


def test_steps_that_are_begun_soon_stay_where_they_were_claimed(bench: Bench, bodies: Bodies) -> None:
    instance = bench.create(fan(20, bodies))
    supervisor = Supervisor(bench.runtime)
    real = bench.runtime.rows.begin

    def begin(row: Any) -> bool:
        supervisor.look_after_bodies()
        return real(row)

    bench.runtime.rows.begin = begin  # type: ignore[method-assign]
    bench.work()

    assert instance.result(timeout=0) == results(20)
    assert sorted(bodies.ran) == sorted(results(20))
