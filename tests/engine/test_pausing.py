"""A pause lets what runs finish, starts nothing new, and costs no instance any of its time when it goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator import EventTimeoutError, WorkflowEntrypoint
from orchestrator.engine import pump
from tests.engine.bench import Bench, Bodies, Failing, Own, steps_of


@pytest.mark.parametrize("colour", ["def", "async def"])
@pytest.mark.cloudflare(41)
def test_a_pause_during_a_step_keeps_its_result_and_starts_no_other(
    bench: Bench, bodies: Bodies, own: Own, colour: str
) -> None:
    seen = []

    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[str]:
            def first() -> str:
                seen.append(own(event).pause().status)
                return bodies("first")()

            async def first_later() -> str:
                return first()

            one = await step.do("first", first if colour == "def" else first_later)
            return [one, await step.do("second", bodies("second"))]

    instance = bench.run(Two)
    assert seen == ["waitingForPause"]
    assert instance.status().status == "paused"
    assert bodies.ran == ["first"]
    bench.after("1 hour")
    assert instance.status().status == "paused"
    assert steps_of(instance)["first-1"].status == "complete"
    assert instance.resume().status == "queued"
    bench.work()
    assert instance.result(timeout=0) == ["first", "second"]
    assert bodies.ran == ["first", "second"]


@pytest.mark.cloudflare(42)
def test_a_pause_during_parallel_steps_lets_those_that_run_finish(bench: Bench, bodies: Bodies, own: Own) -> None:
    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[str]:
            async def body(name: str) -> str:
                bodies.ran.append(name)
                if name == "a":
                    own(event).pause()
                await asyncio.sleep(0.01)
                return name

            await asyncio.gather(*(step.do(name, body, name) for name in "abc"))
            return [await step.do("after", bodies("after"))]

    instance = bench.run(Fan)
    assert instance.status().status == "paused"
    assert sorted(bodies.ran) == ["a", "b", "c"]
    assert {step.status for step in instance.describe().steps} == {"complete"}
    instance.resume()
    bench.work()
    assert instance.result(timeout=0) == ["after"]


@pytest.mark.cloudflare(43, 52)
def test_resuming_before_the_step_has_ended_takes_the_pause_back(bench: Bench, bodies: Bodies, own: Own) -> None:
    seen = []

    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[str]:
            def first() -> str:
                seen.extend([own(event).pause().status, own(event).resume().status])
                return bodies("first")()

            return [await step.do("first", first), await step.do("second", bodies("second"))]

    instance = bench.run(Two)
    assert seen == ["waitingForPause", "running"]
    assert instance.result(timeout=0) == ["first", "second"]


def test_shared_steps_that_nobody_took_yet_wait_for_the_resume(bench: Bench, bodies: Bodies, own: Own) -> None:
    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[str]:
            def body(name: str) -> str:
                if not bodies.ran:
                    own(event).pause()
                bodies.ran.append(name)
                return name

            return list(await asyncio.gather(*(step.do(name, body, name) for name in "abc")))

    instance = bench.run(Fan)
    bench.after("1 minute")
    assert instance.status().status == "paused"
    assert bodies.ran == ["a"]
    assert [step.status for step in instance.describe().steps] == ["complete", "queued", "queued"]
    bench.restart_process()
    instance.resume()
    bench.after("10 seconds")
    assert instance.result(timeout=0) == ["a", "b", "c"]


def test_nothing_rings_for_an_instance_while_it_is_paused(bench: Bench, own: Own) -> None:
    class Both(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            async def work() -> None:
                own(event).pause()

            await asyncio.gather(step.sleep("nap", "1 hour"), step.do("work", work))

    instance = bench.run(Both)
    assert instance.status().status == "paused"
    bench.clock.advance("30 days")
    pump.tick(bench.runtime)
    assert bench.doorbell.pending() == []
    assert bench.rows("SELECT ring_at FROM @timers") == [(None,)]


def test_a_pause_in_the_last_step_holds_the_end_back_too(bench: Bench, own: Own) -> None:
    """What comes after the step may fail, and whoever pauses to mend that must find the instance paused."""
    mended = False

    class Last(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            await step.do("last", lambda: own(event).pause() and None)
            if not mended:
                raise ValueError("not mended yet")
            return "mended"

    instance = bench.run(Last)
    assert instance.status().status == "paused"
    assert steps_of(instance)["last-1"].status == "complete"
    mended = True
    bench.restart_process()
    instance.resume()
    bench.work()
    assert instance.result(timeout=0) == "mended"


@pytest.mark.parametrize("lasts", ["1 minute", "10 days"])
@pytest.mark.cloudflare(44)
def test_every_deadline_is_put_off_by_the_length_of_the_pause(bench: Bench, lasts: str) -> None:
    class Sleeper(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            await step.sleep("nap", "1 hour")
            return "awake"

    class Waiter(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            try:
                await step.wait_for_event("wait", "news", timeout="1 hour")
            except EventTimeoutError:
                return "timeout"
            return "news"

    class Retrier(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do("try", {"retries": {"limit": 1, "delay": "1 hour"}}, Failing(times=1))

    instances = [bench.run(workflow) for workflow in (Sleeper, Waiter, Retrier)]
    bench.after("20 minutes")
    assert [instance.pause().status for instance in instances] == ["paused"] * 3
    bench.after(lasts)
    assert [instance.status().status for instance in instances] == ["paused"] * 3
    assert [instance.resume().status for instance in instances] == ["queued"] * 3
    bench.after(40 * 60_000 - 1)
    assert [instance.status().status for instance in instances] == ["waiting"] * 3
    bench.after(1)
    assert [instance.result(timeout=0) for instance in instances] == ["awake", "timeout", "done"]


def test_a_retry_that_another_worker_owes_is_put_off_too(bench: Bench, bodies: Bodies, own: Own) -> None:
    body = Failing(times=1)

    class Fan(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            def failing() -> str:
                if body.attempts == 0:
                    own(event).pause()
                return body()

            return await step.do("try", {"retries": {"limit": 1, "delay": "1 hour"}, "queue": "gpu"}, failing)

    instance = bench.run(Fan)
    gpu = bench.worker(registry=bench.registry, queues=("gpu",))
    bench.clock.advance("10 seconds")
    bench.work(gpu)
    bench.work()
    assert instance.status().status == "paused"
    bench.after("5 hours")
    instance.resume()
    bench.after(3_600_000 - 1)
    bench.work(gpu)
    assert body.attempts == 1
    bench.after(1)
    bench.work(gpu)
    bench.work()
    assert (instance.result(timeout=0), body.attempts) == ("done", 2)


@pytest.mark.cloudflare(44)
def test_events_that_come_during_a_pause_are_delivered_after_it_in_order(bench: Bench) -> None:
    class Collector(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            waits = [step.wait_for_event(f"wait {n}", "news") for n in range(2)]
            return [received.payload for received in await asyncio.gather(*waits)] + [
                (await step.wait_for_event("last", "news")).payload
            ]

    instance = bench.run(Collector)
    instance.pause()
    for number in range(3):
        instance.send_event("news", number)
    bench.after("1 day")
    assert instance.status().status == "paused"
    assert [step.status for step in instance.describe().steps] == ["waiting", "waiting"]
    bench.restart_process()
    instance.resume()
    bench.work()
    assert instance.result(timeout=0) == [0, 1, 2]


def test_an_event_before_the_pause_and_a_timeout_after_it_do_not_meet(bench: Bench) -> None:
    class Waiter(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            try:
                return str((await step.wait_for_event("wait", "news", timeout="1 hour")).payload)
            except EventTimeoutError:
                return "timeout"

    instance = bench.run(Waiter)
    instance.send_event("news", "in time")
    instance.pause()
    bench.after("2 hours")
    instance.resume()
    bench.work()
    assert instance.result(timeout=0) == "in time"


def test_a_new_instance_can_be_held_back_before_it_has_begun(bench: Bench, bodies: Bodies) -> None:
    class One(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do("one", bodies("one"))

    instance = bench.create(One)
    assert instance.pause().status == "paused"
    bench.after("1 day")
    assert bodies.ran == []
    instance.resume()
    bench.work()
    assert instance.result(timeout=0) == "one"


@pytest.mark.cloudflare(45)
def test_a_worker_that_dies_while_a_pause_is_asked_leaves_a_paused_instance(bench: Bench, bodies: Bodies) -> None:
    class One(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            return await step.do("one", bodies("one"))

    instance = bench.create(One)
    dead = bench.worker(registry=bench.registry)
    bench.beat(dead)
    bench.database.transaction(
        lambda connection: connection.exec_driver_sql(
            f"UPDATE orchestrator_instances SET status = 'running', holder = '{dead.worker_id}', fence = 1, started_at = 1"
        )
    )
    assert instance.pause().status == "waitingForPause"
    bench.after("13 seconds")
    assert instance.status().status == "paused"
    instance.resume()
    bench.after("10 seconds")
    assert instance.result(timeout=0) == "one"
