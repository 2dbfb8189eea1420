"""A rollback is durable: it survives its workers, is carried on by others, waits for what runs, and undoes nothing twice."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, ClassVar

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.engine import sharing, turns
from tests.engine.bench import Bench, Bodies, Failing, Own, Workflow, steps_of
from tests.engine.test_deaths import Killed, die
from tests.engine.test_sagas import COMPLETE, NOW, Undone, program, rollbacks

MINUTE = {"retries": {"limit": 1, "delay": "1 minute", "backoff": "constant"}}


def patient(bodies: Bodies, *, colour: str = "async def") -> Workflow:
    """Three steps; the handler of the second fails once, and is tried again after a minute."""
    undo_b = Failing(1)

    def undo(name: str) -> Any:
        return bodies(f"undo {name}", undo_b if name == "b" else None)

    class Steps(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            for name in "abc":
                await step.do(name, bodies(name), rollback=undo(name), rollback_config=MINUTE)
            raise Undone("over")

    class BlockingSteps(WorkflowEntrypoint):
        def run(self, event: Any, step: Any) -> None:
            for name in "abc":
                step.do(name, bodies(name), rollback=undo(name), rollback_config=MINUTE)
            raise Undone("over")

    return Steps if colour == "async def" else BlockingSteps


UNDONE_ONCE = ["a", "b", "c", "undo c", "undo b", "undo b", "undo a"]


@pytest.mark.parametrize("colour", ["def", "async def"])
@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.cloudflare(62)
def test_a_handler_that_has_succeeded_never_runs_again(bench: Bench, bodies: Bodies, crash: bool, colour: str) -> None:
    instance = bench.run(patient(bodies, colour=colour))
    assert instance.status().status == "rollingBack"
    assert bodies.ran[3:] == ["undo c", "undo b"]
    if crash:
        bench.restart_process()
    bench.after("1 minute")
    assert bodies.ran == UNDONE_ONCE
    assert (instance.status().status, instance.status().rollback) == ("errored", COMPLETE)


@pytest.mark.parametrize("deaths", [1, 2])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_handler_that_kills_its_worker_costs_an_attempt_and_is_carried_on_by_another(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch, deaths: int, in_place: bool
) -> None:
    class Deadly(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("a", lambda: None, rollback=bodies("undo a"))
            await step.do("b", lambda: None, rollback=undo, rollback_config=NOW if in_place else MINUTE)
            await step.do("c", lambda: None, rollback=bodies("undo c"))
            raise Undone

    def undo() -> None:
        if bodies("undo b")() and bodies.count("undo b") <= deaths:
            raise Killed

    instance = bench.create(Deadly)
    for _ in range(deaths):
        die(bench, monkeypatch)
        assert instance.status().status == "rollingBack"
        bench.clock.advance(bench.settings.lease_ms + 1)
        if not in_place:
            bench.work()
            bench.clock.advance("1 minute")
    bench.work()
    assert bodies.count("undo b") == 2
    assert bodies.count("undo c") == 1
    state = instance.status()
    assert state.status == "errored"
    if deaths == 1:
        assert state.rollback == COMPLETE
        assert bodies.ran[-1] == "undo a"
    else:
        assert state.rollback is not None
        assert (state.rollback["outcome"], state.rollback["error"]["name"]) == ("failed", "WorkerLostError")
        assert "undo a" not in bodies.ran


def test_a_step_that_runs_when_the_workflow_fails_is_waited_for_and_undone_with_its_output(bench: Bench) -> None:
    go_on, told = threading.Event(), []

    class Racing(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            async def charge() -> str:
                await asyncio.to_thread(go_on.wait)
                return "p-1"

            async def fail() -> None:
                raise ValueError("no stock")

            once = {"retries": {"limit": 0, "delay": 0}}
            await asyncio.gather(
                step.do("charge", charge, rollback=lambda output: told.append(output)), step.do("stock", once, fail)
            )

    instance = bench.run(Racing)
    assert instance.status().status == "rollingBack"
    assert steps_of(instance)["charge-1"].status == "running"
    bench.restart_process()
    bench.work()
    assert told == []
    go_on.set()
    bench.settle()
    for _ in range(1000):
        if instance.status().status == "errored":
            break
        threading.Event().wait(0.005)
        bench.after(bench.settings.grace_ms + 1)
    assert told == ["p-1"]
    assert instance.status().error == {"name": "ValueError", "message": "no stock"}
    assert instance.status().rollback == COMPLETE


class OnTwoFleets(WorkflowEntrypoint):
    """One of its steps is for the fleet `gpu`; the other fails."""

    told: ClassVar[list[Any]] = []

    async def run(self, event: Any, step: Any) -> None:
        def undo(output: Any) -> None:
            OnTwoFleets.told.append(output)

        await asyncio.gather(
            step.do("render", {"queue": "gpu"}, lambda: "image", rollback=undo),
            step.wait_for_event("fail", "fail"),
        )
        raise Undone


@pytest.mark.parametrize("taken", [True, False])
def test_a_step_of_another_fleet_is_undone_if_it_has_begun(bench: Bench, taken: bool) -> None:
    OnTwoFleets.told = []
    instance = bench.run(OnTwoFleets)
    gpu = bench.worker(registry=bench.registry, queues=("gpu",))
    bench.beat(gpu)
    if taken:
        assert len(turns.claim(gpu, instance._pk, 1)) == 1
    instance.terminate(rollback=True)
    bench.work()
    if not taken:
        assert (instance.status().status, instance.status().rollback) == ("terminated", None)
        assert bench.rows("SELECT * FROM @attempts") == []
        return
    assert (instance.status().status, OnTwoFleets.told) == ("rollingBack", [])
    bench.after(bench.settings.lease_ms + 1)  # the worker of that fleet is dead, so nobody can say how far it had come
    other = bench.worker(registry=bench.registry, queues=("gpu",))
    bench.work(other)
    assert OnTwoFleets.told == [None], "a handler runs where its step does"
    bench.work()
    assert (instance.status().status, instance.status().rollback) == ("terminated", COMPLETE)


@pytest.mark.parametrize("asked", ["rollback", "pause"])
def test_a_step_that_is_handed_back_no_longer_holds_up_a_rollback_or_a_pause(bench: Bench, asked: str) -> None:
    """Found by chaos: nobody takes such a step up in an instance that is undone, nor looked at that instance again."""
    OnTwoFleets.told = []
    instance = bench.run(OnTwoFleets)
    gpu = bench.worker(registry=bench.registry, queues=("gpu",))
    bench.beat(gpu)
    (taken,) = turns.claim(gpu, instance._pk, 1)
    if asked == "rollback":
        instance.terminate(rollback=True)
    else:
        instance.pause()
    bench.work()
    assert instance.status().status == ("rollingBack" if asked == "rollback" else "waitingForPause")

    sharing.hand_back(gpu, {taken.held.id: instance._pk})
    bench.beat(bench.runtime)
    bench.after(bench.settings.grace_ms + 1)

    if asked == "pause":
        assert instance.status().status == "paused"
        return
    bench.work(gpu)
    assert OnTwoFleets.told == [None], "it may have begun"
    bench.work()
    assert (instance.status().status, instance.status().rollback) == ("terminated", COMPLETE)


def test_a_step_that_was_given_up_is_undone_as_it_may_have_come_to_anything(bench: Bench) -> None:
    told: list[Any] = []

    class Impatient(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            async def forever() -> None:
                await asyncio.Event().wait()

            async with asyncio.timeout(60):
                await step.do("charge", forever, rollback=lambda step_name, output: told.append((step_name, output)))

    instance = bench.create(Impatient)
    worker = threading.Thread(target=bench.work)
    worker.start()
    for _ in range(2000):
        if bench.runtime.running:
            break
        threading.Event().wait(0.005)
    bench.clock.advance("2 minutes")
    for activation in list(bench.runtime.holding.values()):
        activation.nudge()
    worker.join(20)
    bench.settle()
    assert told == [("charge-1", None)]
    assert instance.status().error == {"name": "TimeoutError", "message": ""}
    assert instance.status().rollback == COMPLETE


def test_a_step_between_two_attempts_is_undone_when_the_instance_is_terminated(bench: Bench) -> None:
    told: list[Any] = []

    class Retrying(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("a", MINUTE, Failing(), rollback=lambda ctx, output: told.append((ctx.attempt, output)))

    instance = bench.run(Retrying)
    assert instance.status().status == "waiting"
    instance.terminate(rollback=True)
    bench.after("1 hour")
    assert told == [(1, None)]
    assert (instance.status().status, instance.status().rollback) == ("terminated", COMPLETE)
    assert [(step.kind, step.attempts) for step in instance.describe().steps] == [("do", 1), ("rollback", 1)]


@pytest.mark.parametrize("colour", ["def", "async def"])
def test_an_instance_terminated_with_rollback_by_its_own_step_keeps_what_the_step_returns(
    bench: Bench, bodies: Bodies, own: Own, colour: str
) -> None:
    told: list[Any] = []

    class Own_(WorkflowEntrypoint):
        name = "own"

        async def run(self, event: Any, step: Any) -> None:
            def first() -> str:
                own(event).terminate(rollback=True)
                return "first"

            async def first_later() -> str:
                return first()

            body = first if colour == "def" else first_later
            await step.do("first", body, rollback=lambda output: told.append(output))
            await step.do("second", bodies("second"), rollback=bodies("undo second"))

    instance = bench.run(Own_)
    bench.settle()
    assert (told, bodies.ran) == (["first"], [])
    assert (instance.status().status, instance.status().rollback) == ("terminated", COMPLETE)


def test_what_a_dead_holder_was_running_is_undone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    class Deadly(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            def body() -> None:
                raise Killed

            await step.do("a", lambda: "a", rollback=lambda output: told.append(output))
            await step.do("b", body, rollback=lambda output: told.append(output))

    instance = bench.create(Deadly)
    die(bench, monkeypatch)
    assert instance.terminate(rollback=True).status == "rollingBack"
    bench.after(bench.settings.lease_ms + 1)
    assert told == [None, "a"]
    assert (instance.status().status, instance.status().rollback) == ("terminated", COMPLETE)


def without_handler(workflow: Workflow, change: str) -> Workflow:
    """The same workflow after its code was changed."""

    class Changed(WorkflowEntrypoint):
        name = "steps"

        async def run(self, event: Any, step: Any) -> None:
            if change == "another step first":
                await step.do("new", lambda: None)
                await step.do("a", lambda: None, rollback=lambda output: told.append(output))
                await step.sleep("a nap", "1 day")
            else:
                await step.do("a", lambda: None)
            await step.do("b", lambda: None, rollback=lambda output: told.append(output))
            await step.do("c", lambda: None, rollback=lambda output: told.append(output))

    told: list[Any] = []
    Changed.told = told  # type: ignore[attr-defined]
    return Changed


@pytest.mark.parametrize("change", ["another step first", "handler removed"])
@pytest.mark.cloudflare(62)
def test_handlers_are_found_again_in_changed_code_or_reported_missing(
    bench: Bench, bodies: Bodies, change: str
) -> None:
    instance = bench.run(patient(bodies))
    assert instance.status().status == "rollingBack"
    changed = without_handler(patient(bodies), change)
    bench.registry = Registry([changed])
    bench.restart_process()
    bench.after("1 minute")
    state = instance.status()
    if change == "another step first":
        assert changed.told == ["b", "a"]  # type: ignore[attr-defined]
        assert (state.status, state.rollback) == ("errored", COMPLETE)
        return
    assert changed.told == ["b"]  # type: ignore[attr-defined]
    assert state.rollback == {
        "outcome": "failed",
        "error": {"name": "RollbackMissing", "message": "Rollback function not available in registry"},
    }
    assert (instance.describe().steps[-1].label, instance.describe().steps[-1].status) == ("a-1", "errored")


def test_a_rollback_that_is_paused_goes_on_when_it_is_resumed(bench: Bench, bodies: Bodies) -> None:
    instance = bench.run(patient(bodies))
    assert instance.pause().status == "paused"
    assert instance.describe().allowed_actions == ["resume", "terminate", "delete"]
    bench.after("1 hour")
    assert bodies.ran[3:] == ["undo c", "undo b"]
    assert instance.resume().status == "rollingBack"
    bench.after("30 seconds")
    assert bodies.ran[3:] == ["undo c", "undo b"], "its deadlines were put off by the pause"
    bench.after("30 seconds")
    assert bodies.ran == UNDONE_ONCE
    assert (instance.status().status, instance.status().rollback) == ("errored", COMPLETE)


def test_a_rollback_that_is_paused_in_a_handler_stands_still_after_it(bench: Bench, bodies: Bodies, own: Own) -> None:
    class Steps(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("a", lambda: None, rollback=bodies("undo a"))
            await step.do("b", lambda: None, rollback=lambda: own(event).pause() and bodies("undo b")())
            raise Undone

    instance = bench.run(Steps)
    assert (instance.status().status, bodies.ran) == ("paused", ["undo b"])
    bench.restart_process()
    instance.resume()
    bench.work()
    assert (instance.status().status, bodies.ran) == ("errored", ["undo b", "undo a"])


@pytest.mark.parametrize("status", ["rollingBack", "paused"])
def test_a_rollback_that_is_terminated_ends_at_once_as_failed(bench: Bench, bodies: Bodies, status: str) -> None:
    instance = bench.run(patient(bodies))
    if status == "paused":
        instance.pause()
    state = instance.terminate()
    assert (state.status, state.error) == ("terminated", {"name": "Undone", "message": "over"})
    assert state.rollback is not None
    assert (state.rollback["outcome"], state.rollback["error"]["name"]) == ("failed", "Terminated")
    bench.after("1 hour")
    assert bodies.ran[3:] == ["undo c", "undo b"]
    assert bench.rows("SELECT * FROM @timers") == []
    assert instance.restart().rollback is None
    (kept,) = bench.rows("SELECT status, rollback FROM @runs")
    assert kept.status == "terminated"
    assert '"failed"' in kept.rollback


def test_asking_again_for_a_rollback_changes_nothing(bench: Bench, bodies: Bodies) -> None:
    instance = bench.run(patient(bodies))
    before = instance.describe()
    assert instance.terminate(rollback=True).status == "rollingBack"
    assert instance.describe() == before
    bench.after("1 minute")
    assert (instance.status().status, bodies.ran) == ("errored", UNDONE_ONCE)


def test_an_instance_that_never_ran_is_terminated_at_once(bench: Bench) -> None:
    instance = bench.create(program("a", undo=lambda name: print))
    assert instance.terminate(rollback=True).status == "terminated"
    assert instance.status().rollback is None


def test_nothing_is_undone_when_a_result_cannot_be_stored(bench: Bench, bodies: Bodies) -> None:
    """A fatal end is not the workflow's own doing, and what its code would do about it was never asked."""

    class Fatal(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("a", lambda: None, rollback=bodies("undo a"))
            await step.do("b", lambda: object(), rollback=bodies("undo b"))

    instance = bench.run(Fatal)
    assert (instance.status().status, instance.status().rollback, bodies.ran) == ("errored", None, [])


def test_a_long_handler_gives_its_instance_back_and_reports_for_itself(bench: Bench, bodies: Bodies) -> None:
    from orchestrator.engine.supervisor import Supervisor

    class Steps(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            def slow() -> None:
                for order in list(bench.runtime.running.values()):
                    order.started -= 10
                Supervisor(bench.runtime).look_after_bodies()
                bodies("undo b")()

            await step.do("a", lambda: None, rollback=bodies("undo a"))
            await step.do("b", lambda: None, rollback=slow)
            raise Undone

    instance = bench.run(Steps)
    bench.settle()
    assert bodies.ran == ["undo b", "undo a"]
    assert (instance.status().status, instance.status().rollback) == ("errored", COMPLETE)
    assert rollbacks(bench) == [("rollback:b:1", None, 1), ("rollback:a:1", None, 1)]
