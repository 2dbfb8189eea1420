"""Steps of a queue of their own run on its workers and nowhere else, and those of the instance where it is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine.host import hurry
from orchestrator.engine.supervisor import Supervisor
from tests.engine.bench import Bench, Bodies, steps_of


def fan(width: int, bodies: Bodies, **options: Any) -> type[WorkflowEntrypoint[Any]]:
    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            before = await step.do("before", bodies("before"))
            made = [step.do(f"part {n}", bodies(f"part {n}"), **options) for n in range(width)]
            return [before, *await asyncio.gather(*made), await step.do("after", bodies("after"))]

    return Fan


def results(width: int) -> list[str]:
    return ["before", *(f"part {n}" for n in range(width)), "after"]


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("colour", ["def", "async def"])
def test_steps_of_another_fleet_run_there_and_the_others_here(bench: Bench, width: int, colour: str) -> None:
    ran: list[tuple[str, str]] = []

    def note(name: str) -> str:
        ran.append((name, working[-1]))
        return name

    async def note_later(name: str) -> str:
        return note(name)

    class Render(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[str]:
            body = note if colour == "def" else note_later
            await step.do("before", body, "before")
            frames = [step.do(f"frame {n}", body, f"frame {n}", queue="gpu") for n in range(width)]
            await asyncio.gather(*frames)
            return [await step.do("after", body, "after")]

    working: list[str] = []
    gpu = bench.worker(registry=bench.registry, queues=("gpu",))
    instance = bench.create(Render)
    for _ in range(3):
        for name, worker in (("default", bench.runtime), ("gpu", gpu)):
            working.append(name)
            bench.settle(worker)
            if not ran.count(("frame 0", "gpu")):
                assert instance.status().status == "running"
    assert instance.result(timeout=0) == ["after"]
    frames = [(f"frame {n}", "gpu") for n in range(width)]
    assert sorted(ran) == sorted([("before", "default"), *frames, ("after", "default")])


def test_a_step_of_another_fleet_waits_for_it_however_long(bench: Bench, bodies: Bodies) -> None:
    instance = bench.run(fan(1, bodies, queue="gpu"))
    for _ in range(10):
        bench.after("1 day")
    assert bodies.ran == ["before"]
    assert steps_of(instance)["part 0-1"].status == "queued"
    bench.work(bench.worker(registry=bench.registry, queues=("gpu",)))
    bench.work()
    assert instance.result(timeout=0) == results(1)


@pytest.mark.parametrize("colour", ["def", "async def"])
def test_a_worker_that_serves_both_fleets_pauses_when_its_parallel_steps_have_ended(
    bench: Bench, bodies: Bodies, colour: str
) -> None:
    own: list[Any] = []

    def pause() -> None:
        own[0].pause()
        while bench.doorbell.due() is not None:
            pass  # lost: the holder has to see it by itself

    class Both(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[str]:
            async def later(name: str) -> str:
                bodies.ran.append(name)
                if name == "a":
                    pause()
                for _ in range(20 if name == "b" else 1):
                    await asyncio.sleep(0.005)
                return name

            def now(name: str) -> str:
                if name == "a":
                    pause()
                return str(bodies(name)())

            body = now if colour == "def" else later
            return list(await asyncio.gather(*(step.do(name, body, name, queue="gpu") for name in "xab")))

    both = bench.worker(registry=bench.registry, queues=("default", "gpu"))
    own.append(bench.create(Both))
    bench.work(both)
    assert own[0].status().status == "paused"
    own[0].resume()
    bench.work(both)
    bench.clock.advance("10 seconds")
    bench.work(both)
    assert own[0].result(timeout=0) == ["x", "a", "b"]
    assert sorted(bodies.ran) == ["a", "b", "x"]


@pytest.mark.parametrize("rest", [True, False])
def test_a_body_that_lost_a_race_in_place_leaves_no_attempt_behind(bench: Bench, bodies: Bodies, rest: bool) -> None:
    class Race(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            async def slow() -> None:
                bodies.ran.append("slow")
                await asyncio.sleep(60)

            async def fast() -> str:
                while not bodies.ran:
                    await asyncio.sleep(0.001)
                return "fast"

            made = [
                asyncio.ensure_future(step.do("slow", slow, queue="gpu")),
                asyncio.ensure_future(step.do("fast", fast)),
            ]
            done, _ = await asyncio.wait(made, return_when=asyncio.FIRST_COMPLETED)
            made[0].cancel()
            if rest:
                await step.sleep("rest", "1 minute")
            return str(done.pop().result())

    both = bench.worker(registry=bench.registry, queues=("default", "gpu"))
    instance = bench.create(Race)
    bench.work(both)
    assert bodies.ran == ["slow"]
    assert bench.rows("SELECT * FROM @attempts") == []
    bench.clock.advance("1 minute")
    bench.work(both)
    assert instance.result(timeout=0) == "fast"


class Newcomer(WorkflowEntrypoint[Any]):
    async def run(self, event: Any, step: Any) -> str:
        return "done"


def test_in_a_rolling_deployment_an_instance_goes_round_until_a_worker_knows_it(bench: Bench) -> None:
    instance = bench.create(Newcomer)
    old, new = bench.worker(), bench.worker(Newcomer)
    Supervisor(new).beat()

    bench.work(old)
    assert instance.status().status == "queued"
    bench.clock.advance(1000)
    bench.work(new)

    assert instance.result(timeout=0) == "done"


def test_what_nobody_knew_is_taken_up_as_soon_as_somebody_does(bench: Bench) -> None:
    instance = bench.create(Newcomer)
    old, new = bench.worker(), bench.worker(Newcomer)
    bench.work(old)
    bench.clock.advance(bench.settings.grace_ms + 1)
    bench.work(new)
    assert instance.status().status == "queued", "it was put off for longer"

    hurry(new)
    bench.work(new)

    assert instance.result(timeout=0) == "done"
