"""Instances that are rung for while others are worked on go on in step with those; none waits for another's `def` body."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.client import Instance
from orchestrator.doorbell import Ring
from orchestrator.engine import convoy, parked
from orchestrator.engine.convoy import advance_among, advance_together
from tests.engine.bench import Bench, Bodies

MANY = 12
WAIT_S = 30
RUN_BY: set[int] = set()
"""The threads that have driven instances that count."""


@pytest.fixture(autouse=True)
def _nobody_yet() -> None:
    RUN_BY.clear()


class Held:
    """An `async def` body that waits until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()

    async def __call__(self) -> str:
        self.begun.set()
        await asyncio.to_thread(self.let_go.wait, WAIT_S)
        return "held"


def counting(bodies: Bodies, colour: str = "async") -> type[WorkflowEntrypoint[Any]]:
    """Three steps, one after another, of an instance's own number."""

    class Counting(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> int:
            n = event.payload
            RUN_BY.add(threading.get_ident())

            async def body() -> int:
                bodies.ran.append(f"{n}")
                return int(n)

            def body_def() -> int:
                bodies.ran.append(f"{n}")
                return int(n)

            return sum([await step.do("x", body if colour == "async" else body_def) for _ in range(3)])

    return Counting


def holding(held: Held) -> type[WorkflowEntrypoint[Any]]:
    class Holding(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            return str(await step.do("held", held))

    return Holding


def several(bench: Bench, workflow: type[WorkflowEntrypoint[Any]], count: int) -> list[Instance]:
    return [bench.create(workflow, n) for n in range(count)]


def rung(bench: Bench) -> list[Ring]:
    found = []
    while (ring := bench.doorbell.due()) is not None:
        found.append(ring)
    return found


def in_thread(*args: Any) -> threading.Thread:
    thread = threading.Thread(target=advance_among, args=args)
    thread.start()
    return thread


def test_those_that_come_while_one_is_worked_on_join_a_convoy_and_their_threads_are_free(
    bench: Bench, bodies: Bodies
) -> None:
    held = Held()
    counted = several(bench, counting(bodies), MANY)
    first = bench.create(holding(held))
    drivers = [in_thread(bench.runtime, first._pk)]
    assert held.begun.wait(WAIT_S)
    second = Held()

    class Another(holding(second)):  # type: ignore[misc]
        name = "another"

    drivers.append(in_thread(bench.runtime, bench.create(Another)._pk))
    assert second.begun.wait(WAIT_S)
    for instance in counted:
        advance_among(bench.runtime, instance._pk)  # on this thread, which none of them keeps
    assert [instance.result(timeout=WAIT_S) for instance in counted] == [3 * n for n in range(MANY)]
    assert len(bodies.ran) == 3 * MANY
    assert len(RUN_BY) == 1
    assert RUN_BY < {driver.ident for driver in drivers}
    second.let_go.set()
    held.let_go.set()
    for driver in drivers:
        driver.join(WAIT_S)
    assert first.result(timeout=0) == "held"
    assert (bench.runtime.crowd.threads, bench.runtime.crowd.open) == (int(bench.in_company), None)
    assert bench.runtime.holding == {}


def test_a_workflow_with_def_bodies_is_handed_back_once_and_then_goes_alone(bench: Bench, bodies: Bodies) -> None:
    held, blocking = Held(), several(bench, counting(bodies, "def"), 3)
    with bench.runtime.crowd.at_work():
        driver = in_thread(bench.runtime, bench.create(holding(held))._pk)
        assert held.begun.wait(WAIT_S)
        rung(bench)
        first, *others = [instance._pk for instance in blocking]
        advance_among(bench.runtime, first)
        while not (back := rung(bench)):
            threading.Event().wait(0.005)
        assert [ring.instance_pk for ring in back] == [first]
        for pk in (first, *others):
            advance_among(bench.runtime, pk)
        assert [instance.result(timeout=0) for instance in blocking] == [0, 3, 6]
        assert rung(bench) == []
        held.let_go.set()
        driver.join(WAIT_S)


def test_one_that_is_alone_in_its_convoy_runs_def_bodies_and_nobody_joins_it_meanwhile(bench: Bench) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def block() -> str:
        begun.set()
        assert let_go.wait(WAIT_S)
        return "blocked"

    class Blocks(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            return str(await step.do("block", block))

    bodies = Bodies()
    blocking, quick = bench.create(Blocks), bench.create(counting(bodies), 1)
    with bench.runtime.crowd.at_work():
        thread = in_thread(bench.runtime, blocking._pk)
        assert begun.wait(WAIT_S)
        advance_among(bench.runtime, quick._pk)
        assert quick.result(timeout=WAIT_S) == 3
        let_go.set()
        thread.join(WAIT_S)
    assert blocking.result(timeout=WAIT_S) == "blocked"


def test_nobody_waits_again_and_again_for_the_long_body_of_another(
    make_bench: Callable[..., Bench], bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parked, "GATHER_S", 3.0)
    bench = make_bench(budget_ms=600_000)
    held, quick = Held(), several(bench, counting(bodies), 4)
    with bench.runtime.crowd.at_work():
        driver = in_thread(bench.runtime, bench.create(holding(held))._pk)
        assert held.begun.wait(WAIT_S)
        for n, instance in enumerate(quick):
            advance_among(bench.runtime, instance._pk)
            assert instance.result(timeout=WAIT_S if n == 0 else 8) == 3 * n  # a moment for each step would be 9 s
        assert bench.runtime.crowd.open is not None  # it was the same convoy all the time
        held.let_go.set()
        driver.join(WAIT_S)


@pytest.mark.parametrize(("long_s", "backlog"), [(0.0, 500), (WAIT_S, 0)])
def test_nobody_joins_one_that_is_held_up_by_the_code_of_a_member_or_has_a_full_backlog(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch, long_s: float, backlog: int
) -> None:
    monkeypatch.setattr(convoy, "LONG_S", long_s)
    monkeypatch.setattr(convoy, "BACKLOG", backlog)
    begun, let_go = threading.Event(), threading.Event()

    class Stalls(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            begun.set()
            assert let_go.wait(WAIT_S)
            return "stalled"

    stalls, quick = bench.create(Stalls), bench.create(counting(bodies), 2)
    with bench.runtime.crowd.at_work():
        thread = in_thread(bench.runtime, stalls._pk)
        assert begun.wait(WAIT_S)
        advance_among(bench.runtime, quick._pk)
        assert quick.result(timeout=0) == 6
        let_go.set()
        thread.join(WAIT_S)
    assert stalls.result(timeout=0) == "stalled"


def test_those_that_were_never_begun_are_rung_for_in_their_queues_when_the_worker_stops(bench: Bench) -> None:
    bodies = Bodies()

    class Elsewhere(counting(bodies)):  # type: ignore[misc]
        name = "elsewhere"
        queue = "gpu"

    here, there = bench.create(counting(bodies), 1), bench.create(Elsewhere, 2)
    rung(bench)
    bench.runtime.stopping.set()
    with bench.runtime.crowd.at_work():
        advance_together(bench.runtime, [here._pk, there._pk])
    assert {(ring.instance_pk, ring.queue) for ring in rung(bench)} == {(here._pk, "default"), (there._pk, "gpu")}
    assert bodies.ran == []


def test_those_that_were_never_begun_are_rung_for_when_a_convoy_breaks(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convoy, "AT_ONCE", 1)
    instances = several(bench, counting(bodies), 3)
    rung(bench)

    def broken(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patched:
        patched.setattr(convoy, "answer", broken)
        with pytest.raises(RuntimeError, match="of ours"):
            advance_together(bench.runtime, [instance._pk for instance in instances])
    assert {ring.instance_pk for ring in rung(bench)} == {instances[1]._pk, instances[2]._pk}
    assert bench.runtime.crowd.open is None
    bench.after(bench.settings.grace_ms)
    assert [instance.result(timeout=0) for instance in instances] == [0, 3, 6]


def test_an_instance_that_is_rung_for_twice_is_worked_on_once(bench: Bench, bodies: Bodies) -> None:
    instances = several(bench, counting(bodies), 3)
    with bench.runtime.crowd.at_work():
        bench.runtime.crowd.blocking.add("another")  # so that each is claimed by whoever hears of it
        threads = [in_thread(bench.runtime, instance._pk) for instance in instances * 3]
        for thread in threads:
            thread.join(WAIT_S)
    bench.settle()
    assert [instance.result(timeout=0) for instance in instances] == [0, 3, 6]
    assert len(bodies.ran) == 9
