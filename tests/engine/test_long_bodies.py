"""A body that runs for long is written down as running and no longer holds its instance; its report is its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import StepTimeoutError, WorkflowEntrypoint
from orchestrator.engine import pump
from orchestrator.engine import supervisor as supervisor_module
from orchestrator.engine.supervisor import Supervisor
from tests.engine.bench import Bench, Bodies, steps_of
from tests.engine.lending import lend

LONG_S = 3.0


@pytest.fixture
def a_moment_later(bench: Bench) -> Callable[[], None]:
    """For a body: pretend that it has run for a while, and let the supervisor have its look."""
    supervisor = Supervisor(bench.runtime)
    bench.runtime.later = lambda delay_s, call: (call(), lambda: None)[1]

    def pass_a_moment() -> None:
        for order in list(bench.runtime.running.values()):
            order.started -= LONG_S
        for _ in range(2000):
            supervisor.look_after_bodies()
            if all(order.row is not None for order in list(bench.runtime.running.values())):
                break
            threading.Event().wait(0.005)  # the claim's own thread has not come to its wait yet

    return pass_a_moment


class Slow(WorkflowEntrypoint):
    """One long step, then a short one; what happens during the long one is up to the test."""

    during: Callable[[], None]
    bodies: Bodies

    async def run(self, event: Any, step: Any) -> list[Any]:
        def slow(ctx: Any) -> str:
            Slow.bodies.ran.append(f"slow {ctx.attempt}")
            Slow.during()
            return "slow"

        async def slow_later(ctx: Any) -> str:
            return await asyncio.to_thread(slow, ctx)

        policy = {"retries": {"limit": 1, "delay": 0}, "timeout": "1 minute"}
        first = await step.do("slow", policy, slow if event.payload == "def" else slow_later)
        return [first, await step.do("after", Slow.bodies("after"))]


COLOURS = pytest.mark.parametrize("colour", ["def", "async def", "async def, driven by its claim's thread"])


@pytest.fixture(autouse=True)
def who_drives(request: pytest.FixtureRequest, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    if "driven by" in request.node.callspec.params.get("colour", ""):
        lend(bench.runtime, monkeypatch)


@COLOURS
def test_it_is_shown_as_running_with_its_instance_free_for_others(
    bench: Bench, bodies: Bodies, a_moment_later: Callable[[], None], colour: str
) -> None:
    seen: list[Any] = []

    def during() -> None:
        a_moment_later()
        shown = steps_of(instance)["slow-1"]
        for _ in range(500):  # the thread that held it for an async body takes one more look on its own
            (row,) = bench.rows("SELECT holder, ring_at FROM @instances")
            if row.holder is None:
                break
            threading.Event().wait(0.01)
        seen.append((instance.status().status, shown.status, shown.attempt_log[0].status, tuple(row)))

    Slow.during, Slow.bodies = staticmethod(during), bodies
    instance = bench.create(Slow, colour)
    bench.work()
    bench.settle()
    assert seen == [("running", "running", "running", (None, None))]
    assert instance.result(timeout=0) == ["slow", "after"]
    assert bodies.ran == ["slow 1", "after"]
    assert bench.rows("SELECT * FROM @attempts") == []


@COLOURS
def test_a_pause_waits_for_it_and_then_stands_still(
    bench: Bench, bodies: Bodies, a_moment_later: Callable[[], None], colour: str
) -> None:
    seen: list[str] = []

    def during() -> None:
        a_moment_later()
        seen.append(instance.pause().status)
        bench.work(bench.worker(registry=bench.registry))
        seen.append(instance.status().status)

    Slow.during, Slow.bodies = staticmethod(during), bodies
    instance = bench.create(Slow, colour)
    bench.work()
    bench.settle()
    assert seen == ["waitingForPause", "waitingForPause"]
    assert instance.status().status == "paused"
    assert bodies.ran == ["slow 1"]
    instance.resume()
    bench.work()
    assert instance.result(timeout=0) == ["slow", "after"]


@COLOURS
def test_what_ends_meanwhile_does_not_hear_its_report(
    bench: Bench, bodies: Bodies, a_moment_later: Callable[[], None], colour: str
) -> None:
    def during() -> None:
        a_moment_later()
        instance.terminate()

    Slow.during, Slow.bodies = staticmethod(during), bodies
    instance = bench.create(Slow, colour)
    bench.work()
    bench.settle()
    assert instance.status().status == "terminated"
    assert bodies.ran == ["slow 1"]
    assert instance.describe().steps == []


def test_an_async_body_whose_instance_was_terminated_meanwhile_is_cancelled(
    bench: Bench, bodies: Bodies, a_moment_later: Callable[[], None]
) -> None:
    began = threading.Event()

    class Endless(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            async def endless() -> None:
                began.set()
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    bodies.ran.append("cancelled")
                    raise

            await step.do("endless", {"timeout": "2 hours"}, endless, queue="other")

    instance = bench.run(Endless)
    worker = bench.worker(registry=bench.registry, queues=("other",))
    supervisor = Supervisor(worker)
    bench.work(worker)
    assert began.wait(30)
    supervisor.beat()
    assert bodies.ran == [], "it is asked for"

    instance.terminate()
    supervisor.beat()
    while worker.bodies.busy:
        threading.Event().wait(0.005)

    assert bodies.ran == ["cancelled"]
    assert instance.status().status == "terminated"


def test_a_process_that_kills_itself_for_one_body_hands_the_others_back_without_a_charge(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As prefork does: what is not to blame begins anew under the same number."""

    class Killed(BaseException):
        pass

    def kill(pid: int, number: int) -> None:
        raise Killed

    monkeypatch.setattr(supervisor_module.os, "kill", kill)
    worker = bench.worker(queues=("other",), registry=bench.registry, killable=True)
    supervisor = Supervisor(worker)
    began = threading.Event()

    class Neighbours(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            async def innocent() -> None:
                began.set()
                await asyncio.sleep(3600)

            def stubborn() -> None:
                assert began.wait(30)
                bench.clock.advance("61 seconds")
                for order in list(worker.running.values()):
                    if order.task is None:
                        order.started -= 61
                        supervisor._write_deadlines([order])
                supervisor.look_after_bodies()

            policy = {"retries": {"limit": 1, "delay": "1 hour"}, "timeout": "1 minute", "queue": "other"}
            patient = {**policy, "timeout": "1 day"}
            await asyncio.gather(
                step.do("innocent", patient, innocent), *(step.do(f"stubborn {n}", policy, stubborn) for n in (1, 2))
            )

    bench.run(Neighbours)
    real = type(worker.runner)._failure
    monkeypatch.setattr(
        type(worker.runner), "_failure", lambda runner, order, error: _let_through(real, runner, order, error)
    )
    with pytest.raises(Killed):
        bench.work(worker)

    found = {row.key: tuple(row)[1:] for row in bench.rows("SELECT key, state, attempt, worker FROM @attempts")}
    assert found["do:innocent:1"] == ("ready", 1, None)
    assert found["do:stubborn 1:1"][:2] == ("failed", 1)


def _let_through(real: Any, runner: Any, order: Any, error: BaseException) -> Any:
    """A runner reports whatever a body raises; here the process ends with it."""
    if type(error).__name__ == "Killed":
        raise error
    return real(runner, order, error)


def test_a_def_body_past_its_timeout_has_failed_and_its_late_result_is_dropped(
    bench: Bench, bodies: Bodies, a_moment_later: Callable[[], None]
) -> None:
    def during() -> None:
        if len(bodies.ran) > 1:
            return
        a_moment_later()
        bench.clock.advance("61 seconds")
        bench.work(bench.worker(registry=bench.registry))

    Slow.during, Slow.bodies = staticmethod(during), bodies
    instance = bench.create(Slow, "def")
    bench.work()
    bench.settle()
    assert instance.result(timeout=0) == ["slow", "after"]
    assert bodies.ran == ["slow 1", "slow 2", "after"]
    first, second = steps_of(instance)["slow-1"].attempt_log
    assert first.error == {"name": "StepTimeoutError", "message": "Execution timed out after 60000ms"}
    assert (second.attempt, second.status) == (2, "complete")


def test_a_body_whose_timeout_is_shorter_than_a_moment_is_looked_after_too(
    bench: Bench, bodies: Bodies, a_moment_later: Callable[[], None]
) -> None:
    class Short(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            def slow() -> None:
                bench.clock.advance(200)
                a_moment_later()
                bodies.ran.append("slow")

            try:
                await step.do("slow", {"retries": {"limit": 0, "delay": 0}, "timeout": 100}, slow)
            except StepTimeoutError as error:
                return str(error)
            return "in time"

    instance = bench.run(Short)
    bench.settle()
    assert instance.result(timeout=0) == "Execution timed out after 100ms"
    assert len(bench.runtime.abandoned) == 0, "it has ended after all"


def test_an_async_body_past_its_timeout_is_cancelled(bench: Bench, bodies: Bodies) -> None:
    class Short(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            async def endless() -> None:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    bodies.ran.append("cancelled")
                    raise

            try:
                await step.do("slow", {"retries": {"limit": 0, "delay": 0}, "timeout": 20}, endless)
            except StepTimeoutError as error:
                return str(error)
            return "in time"

    assert bench.run(Short).result(timeout=0) == "Execution timed out after 20ms"
    assert bodies.ran == ["cancelled"]


def test_a_worker_that_dies_with_a_long_body_costs_it_one_attempt(
    bench: Bench, bodies: Bodies, a_moment_later: Callable[[], None]
) -> None:
    def during() -> None:
        if len(bodies.ran) == 1:
            a_moment_later()
            pump.bury(bench.database, known=[bench.runtime.worker_id])

    Slow.during, Slow.bodies = staticmethod(during), bodies
    instance = bench.create(Slow, "def")
    bench.work()
    bench.settle()
    assert instance.result(timeout=0) == ["slow", "after"]
    assert bodies.ran == ["slow 1", "slow 2", "after"]
    assert [attempt.status for attempt in steps_of(instance)["slow-1"].attempt_log] == ["errored", "complete"]


def test_an_attempt_past_its_deadline_has_failed_and_its_late_result_is_dropped(bench: Bench, bodies: Bodies) -> None:
    """As the pump sees it: whoever runs the body is another process, which is alive and slow."""

    class Slow(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            policy = {"retries": {"limit": 1, "delay": 0}, "timeout": "1 minute", "queue": "gpu"}
            try:
                return await step.do("slow", policy, slow)
            except StepTimeoutError as error:
                return str(error)

    def slow() -> str:
        deadline_written(bench)
        bench.clock.advance("61 seconds")
        bench.work()
        return str(bodies("slow")())

    instance = bench.run(Slow)
    gpu = bench.worker(registry=bench.registry, queues=("gpu",))
    bench.clock.advance("6 seconds")
    bench.work(gpu)
    bench.clock.advance("6 seconds")
    bench.work(gpu)
    bench.work()
    assert instance.result(timeout=0) == "Execution timed out after 60000ms"
    assert bodies.ran == ["slow", "slow"]
    log = steps_of(instance)["slow-1"].attempt_log
    assert [(attempt.status, (attempt.error or {})["name"]) for attempt in log] == [("errored", "StepTimeoutError")] * 2


def deadline_written(bench: Bench) -> None:
    """What the supervisor of the slow process does after a moment."""
    bench.database.statement(
        lambda connection: connection.exec_driver_sql(
            "UPDATE orchestrator_attempts SET deadline_at = started_at + 60000 WHERE state = 'running'"
        )
    )
