"""What authors get wrong ends their instance with words that help, and never silently."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from tests.engine.bench import Bench, Bodies, steps_of


def test_code_that_no_longer_asks_for_what_was_recorded_ends_the_instance_and_its_steps_stay(
    bench: Bench, bodies: Bodies
) -> None:
    name = "charge"

    class Changing(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do(name, bodies("body"))
            await step.sleep("rest", "1 hour")

    instance = bench.run(Changing)
    name = "bill"
    bench.restart_process()
    bench.after("1 hour")
    error = instance.status().error
    assert error is not None
    assert error["name"] == "ReplayMismatch"
    assert "expected do 'charge-1' (number 1 in the order of calls)" in error["message"]
    assert "asks for do 'bill-1'" in error["message"]
    assert "restart the instance" in error["message"]
    assert steps_of(instance)["charge-1"].output == "body"
    assert bodies.ran == ["body"], "the renamed step did not run"
    assert bench.rows("SELECT * FROM @timers") == []


@pytest.mark.parametrize("change", ["order", "kind", "shorter"])
def test_a_change_of_order_kind_or_length_is_seen_too(bench: Bench, bodies: Bodies, change: str) -> None:
    changed = False

    class Changing(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            if changed and change == "kind":
                await step.sleep("one", 0)
            elif not (changed and change == "shorter"):
                names = ["two", "one"] if changed and change == "order" else ["one", "two"]
                for name in names:
                    await step.do(name, bodies(name))
            await step.wait_for_event("wait", "news")

    instance = bench.run(Changing)
    changed = True
    bench.restart_process()
    instance.send_event("news")
    bench.work()
    error = instance.status().error
    assert error is not None
    assert error["name"] == "ReplayMismatch"
    assert bodies.ran == ["one", "two"]


def test_a_mismatch_that_shows_while_the_instance_is_held_ends_it_too(bench: Bench, bodies: Bodies) -> None:
    chance = iter(range(100))

    class Unsteady(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            number = next(chance)
            await step.do(f"step {number}", lambda: own.send_event("noise"))
            await step.wait_for_event("wait", "news")

    own = bench.create(Unsteady)
    bench.work()
    assert own.status().status == "waiting"
    bench.restart_process()
    own.send_event("news")
    bench.work()
    error = own.status().error
    assert error is not None
    assert error["name"] == "ReplayMismatch"


def test_a_workflow_that_waits_for_nothing_that_can_come_is_told_so(bench: Bench) -> None:
    class Stuck(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await step.do("one", lambda: None)
            await asyncio.get_running_loop().create_future()

    state = bench.run(Stuck).status()
    assert state.status == "errored"
    assert state.error is not None
    assert "awaits neither a step, a sleep nor an event" in state.error["message"]


def test_a_workflow_that_opens_something_in_run_is_told_to_do_it_in_a_step(bench: Bench) -> None:
    class Opening(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> None:
            await asyncio.open_connection("127.0.0.1", 9)

    error = bench.run(Opening).status().error
    assert error is not None
    assert error["name"] == "NotAllowedInWorkflow"
    assert "Do this in a step" in error["message"]


def test_an_error_in_run_ends_the_instance_with_its_name_and_message(bench: Bench) -> None:
    class Broken(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            await step.do("one", lambda: 1)
            return event.payload["missing"]

    state = bench.run(Broken).status()
    assert (state.status, state.error) == ("errored", {"name": "KeyError", "message": "'missing'"})


def test_a_step_that_is_started_and_never_awaited_does_not_outlive_its_instance(bench: Bench, bodies: Bodies) -> None:
    started = asyncio.Event()

    class Leaving(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            async def endless() -> None:
                bodies.ran.append("endless")
                await started.wait()

            task = asyncio.ensure_future(step.do("endless", endless))
            await asyncio.sleep(0)
            assert task is not None
            return "left"

    instance = bench.run(Leaving)
    assert instance.result(timeout=0) == "left"
    for table in ("attempts", "timers"):
        assert bench.rows(f"SELECT * FROM @{table}") == []
