"""The database is the truth and the broker a doorbell: rings may be lost or doubled, and everything still comes right."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.doorbell import Ring
from orchestrator.engine import pump
from orchestrator.engine.local import answer
from tests.engine.bench import Bench, Bodies


def story(bodies: Bodies) -> type[WorkflowEntrypoint[Any]]:
    class Story(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            first = await step.do("first", bodies("first"))
            await step.sleep("nap", "5 seconds")
            received = await step.wait_for_event("wait", "news")
            both = await asyncio.gather(*(step.do(name, bodies(name)) for name in ("left", "right")))
            await step.sleep("long nap", "1 hour")
            return [first, received.payload, *both]

    return Story


def test_with_every_ring_lost_the_pump_gets_everything_done(bench: Bench, bodies: Bodies) -> None:
    instance = bench.create(story(bodies))
    sent = False
    for _ in range(200):
        while bench.doorbell.due() is not None:
            pass  # lost
        bench.clock.advance("1 minute")
        pump.tick(bench.runtime)
        ring = bench.doorbell.due()
        if ring is not None:
            answer(bench.runtime, ring)
        if not sent and instance.status().status == "waiting":
            instance.send_event("news", 1)
            sent = True
    assert instance.result(timeout=0) == ["first", 1, "left", "right"]
    assert sorted(bodies.ran) == ["first", "left", "right"]


def test_with_every_ring_doubled_and_late_ones_repeated_nothing_runs_twice(bench: Bench, bodies: Bodies) -> None:
    instance = bench.create(story(bodies))
    heard: list[Ring] = []
    for minute in range(80):
        while (ring := bench.doorbell.due()) is not None:
            for _ in range(2):
                answer(bench.runtime, ring)
            heard.append(ring)
        for ring in heard[-5:]:
            answer(bench.worker(registry=bench.registry), ring)
        if minute == 2:
            instance.send_event("news", 1)
        bench.clock.advance("1 minute")
        pump.tick(bench.runtime)
    assert instance.result(timeout=0) == ["first", 1, "left", "right"]
    assert sorted(bodies.ran) == ["first", "left", "right"]


@pytest.mark.parametrize("ring", [Ring(10**9, "default"), Ring(10**9, "default", "run_step")])
def test_a_ring_for_an_instance_that_is_gone_is_answered_by_doing_nothing(bench: Bench, ring: Ring) -> None:
    answer(bench.runtime, ring)
    assert bench.rows("SELECT * FROM @instances") == []


def test_an_unanswered_ring_is_repeated_after_the_grace_and_then_ever_more_rarely(bench: Bench, bodies: Bodies) -> None:
    bench.create(story(bodies))
    assert bench.doorbell.due() is not None
    rung_at_s = []
    for second in range(1, 200):
        bench.clock.advance("1 second")
        pump.tick(bench.runtime)
        while bench.doorbell.due() is not None:
            rung_at_s.append(second)
    assert rung_at_s == [5, 10, 20, 35, 55, 115, 175]


def test_a_sleeper_is_handed_to_the_broker_shortly_before_and_asked_for_again_after_its_moment(
    bench: Bench, bodies: Bodies
) -> None:
    class Nap(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.sleep("nap", "1 hour")

    bench.run(Nap)
    bench.clock.advance(3_590_000 - 1)
    pump.tick(bench.runtime)
    assert bench.doorbell.pending() == []
    bench.clock.advance(1)
    pump.tick(bench.runtime)
    assert bench.doorbell.pending() == [10_000], "a countdown to the millisecond"
    bench.clock.advance("10 seconds")
    assert bench.doorbell.due() is not None  # lost
    bench.clock.advance(4_999)
    pump.tick(bench.runtime)
    assert bench.doorbell.pending() == []
    bench.clock.advance(1)
    pump.tick(bench.runtime)
    assert bench.doorbell.pending() == [0]


def test_several_pumps_ring_once_for_one_thing(bench: Bench, bodies: Bodies) -> None:
    workflow = story(bodies)
    for _ in range(3):
        bench.create(workflow)
    while bench.doorbell.due() is not None:
        pass
    bench.clock.advance("1 minute")
    for _ in range(4):
        pump.tick(bench.worker(registry=bench.registry))
    assert len(bench.doorbell.pending()) == 3


def test_more_than_one_batch_of_due_sleepers_is_rung_at_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nap(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.sleep("nap", "1 hour")

    monkeypatch.setattr(pump, "BATCH", 3)
    naps = [bench.create(Nap) for _ in range(10)]
    bench.work()
    bench.after("1 hour")
    assert {nap.status().status for nap in naps} == {"complete"}
