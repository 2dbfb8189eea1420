"""An event reaches exactly one wait: the oldest of its type, now or later, and in order of arrival."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator import EventTimeoutError, WorkflowEntrypoint
from tests.engine.bench import Bench, Bodies, steps_of
from tests.engine.clock import START_MS


class Verdict(BaseModel):
    by: str
    ok: bool = True


class Approval(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> Any:
        approval = await step.wait_for_event("manager approves", "approval", timeout="24 hours")
        return [approval.payload, approval.type, approval.timestamp.timestamp() * 1000 - START_MS]


@pytest.mark.parametrize("replayed", [False, True])
@pytest.mark.cloudflare(27)
def test_an_event_wakes_the_instance_that_waits_for_it(bench: Bench, replayed: bool) -> None:
    instance = bench.run(Approval)
    assert instance.status().status == "waiting"
    bench.clock.advance("1 hour")
    if replayed:
        bench.restart_process()
    instance.send_event("approval", {"by": "ann"})
    bench.work()
    assert instance.result(timeout=0) == [{"by": "ann"}, "approval", 3_600_000]


@pytest.mark.cloudflare(28)
def test_an_event_that_comes_before_the_wait_is_kept_for_it(bench: Bench) -> None:
    instance = bench.create(Approval)
    instance.send_event("approval", {"by": "ann"})
    bench.after("10 seconds")
    assert instance.result(timeout=0) == [{"by": "ann"}, "approval", 0]


def test_an_event_sent_by_a_step_body_is_there_for_the_wait_after_it(bench: Bench) -> None:
    class Own(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            instance = bench.client.workflow(Own).get(event.instance_id)
            await step.do("ask", lambda: instance.send_event("approval", 1))
            return (await step.wait_for_event("wait", "approval")).payload

    assert bench.run(Own).result(timeout=0) == 1


def test_an_event_of_another_type_wakes_nobody(bench: Bench) -> None:
    instance = bench.run(Approval)
    instance.send_event("Approval")
    bench.work()
    assert instance.status().status == "waiting"


def test_an_event_to_another_instance_wakes_nobody_else(bench: Bench) -> None:
    first, second = bench.run(Approval), bench.run(Approval)
    second.send_event("approval")
    bench.work()
    assert (first.status().status, second.status().status) == ("waiting", "complete")


@pytest.mark.parametrize("replayed", [False, True])
def test_a_wait_ends_with_an_error_when_its_timeout_has_passed(bench: Bench, replayed: bool) -> None:
    instance = bench.run(Approval)
    if replayed:
        bench.restart_process()
    bench.after(86_400_000 - 1)
    assert instance.status().status == "waiting"
    bench.after(1)
    state = instance.status()
    assert state.error == {"name": "EventTimeoutError", "message": "Execution timed out after 86400000ms"}
    assert steps_of(instance)["manager approves-1"].status == "errored"


def test_a_timeout_that_was_caught_is_caught_again_on_replay_whatever_came_since(bench: Bench) -> None:
    class Patient(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            try:
                await step.wait_for_event("wait", "approval", timeout="1 minute")
            except EventTimeoutError:
                await step.sleep("rest", "1 hour")
                return "too late"
            return "in time"

    instance = bench.run(Patient)
    bench.after("1 minute")
    instance.send_event("approval")
    bench.restart_process()
    bench.after("1 hour")
    assert instance.result(timeout=0) == "too late"


class Twice(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> list[Any]:
        seen = []
        for name in ("first", "second"):
            try:
                seen.append((await step.wait_for_event(name, "news", timeout="1 hour")).payload)
            except EventTimeoutError:
                seen.append("timeout")
        return seen


@pytest.mark.cloudflare(30)
def test_events_of_one_type_are_taken_in_order_of_arrival_one_by_one_wait(bench: Bench) -> None:
    instance = bench.create(Twice)
    for number in range(3):
        instance.send_event("news", number)
    bench.work()
    assert instance.result(timeout=0) == [0, 1]
    assert bench.rows("SELECT payload, consumed_by FROM @events ORDER BY id") == [
        ("0", "waitForEvent:first:1"), ("1", "waitForEvent:second:1"), ("2", None),
    ]  # fmt: skip


def test_types_are_queues_of_their_own(bench: Bench) -> None:
    class Both(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            return [(await step.wait_for_event(kind, kind)).payload for kind in ("b", "a")]

    instance = bench.create(Both)
    instance.send_event("a", 1)
    instance.send_event("b", 2)
    bench.work()
    assert instance.result(timeout=0) == [2, 1]


@pytest.mark.cloudflare(29)
def test_a_wait_that_timed_out_does_not_take_the_next_event(bench: Bench) -> None:
    instance = bench.run(Twice)
    bench.after("1 hour")
    instance.send_event("news", "late")
    bench.work()
    assert instance.result(timeout=0) == ["timeout", "late"]


def test_a_wait_that_was_given_up_does_not_take_the_next_event(bench: Bench, bodies: Bodies) -> None:
    class Race(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            try:
                await asyncio.wait_for(step.wait_for_event("first", "news"), timeout=60)
            except TimeoutError:
                return (await step.wait_for_event("second", "news")).payload

    instance = bench.run(Race)
    bench.after("1 minute")
    instance.send_event("news", "for the second")
    bench.work()
    assert instance.result(timeout=0) == "for the second"


@pytest.mark.parametrize("replayed", [False, True])
def test_one_event_answers_one_of_two_parallel_waits_the_older_first(bench: Bench, replayed: bool) -> None:
    class Two(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            waits = [step.wait_for_event(name, "news") for name in ("older", "younger")]
            return [received.payload for received in await asyncio.gather(*waits)]

    instance = bench.run(Two)
    if replayed:
        bench.restart_process()
    instance.send_event("news", 1)
    bench.work()
    steps = steps_of(instance)
    assert (steps["older-1"].status, steps["younger-1"].status) == ("complete", "waiting")
    instance.send_event("news", 2)
    bench.work()
    assert instance.result(timeout=0) == [1, 2]


def test_a_payload_is_read_as_the_type_asked_for_on_the_first_run_and_on_replay(bench: Bench) -> None:
    class Typed(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> list[Any]:
            received = await step.wait_for_event("wait", "verdict", payload_type=Verdict)
            await step.sleep("rest", "1 hour")
            return [type(received.payload).__name__, received.payload.by, received.payload.ok]

    instance = bench.run(Typed)
    instance.send_event("verdict", Verdict(by="ann", ok=False))
    bench.work()
    bench.restart_process()
    bench.after("1 hour")
    assert instance.result(timeout=0) == ["Verdict", "ann", False]


def test_a_payload_that_does_not_fit_the_type_fails_the_wait_and_not_the_worker(bench: Bench) -> None:
    class Typed(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            try:
                await step.wait_for_event("wait", "verdict", payload_type=Verdict)
            except Exception as error:
                await step.sleep("rest", "1 hour")
                return type(error).__name__
            return "fits"

    instance = bench.run(Typed)
    instance.send_event("verdict", {"whom": "ann"})
    bench.work()
    bench.restart_process()
    bench.after("1 hour")
    assert instance.result(timeout=0) == "InvalidEventPayload"


def test_many_events_reach_as_many_waits_and_none_twice(bench: Bench) -> None:
    class Collector(WorkflowEntrypoint):
        def run(self, event: Any, step: Any) -> list[int]:
            return [step.wait_for_event("next", "item").payload for _ in range(20)]

    instance = bench.create(Collector)
    for number in range(20):
        instance.send_event("item", number)
        if number % 3 == 0:
            bench.work()
        if number % 7 == 0:
            bench.restart_process()
    bench.work()
    assert instance.result(timeout=0) == list(range(20))
