"""Sleeps and events that a test changes, and time that a test lets pass."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from orchestrator.errors import ResultTimeout
from orchestrator.testing import IntrospectionError, WorkflowTest, introspect_workflow_instance
from tests.testing.programs import Ordering, PlainOrdering, waiting_for

Workflow = type[WorkflowEntrypoint[Any]]


class Sleeping(WorkflowEntrypoint[Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> list[str]:
        began = step.now()
        await step.sleep("a month", "30 days")
        await step.sleep("a month", "30 days")
        await step.sleep_until("a date", began + timedelta(days=90))
        return [str((step.now() - began).days)]


class PlainSleeping(WorkflowEntrypoint[Any]):
    def run(self, event: WorkflowEvent[Any], step: Any) -> list[str]:
        began = step.now()
        step.sleep("a month", "30 days")
        step.sleep("a month", "30 days")
        step.sleep_until("a date", began + timedelta(days=90))
        return [str((step.now() - began).days)]


# --- sleeps


@pytest.mark.cloudflare(68)
@pytest.mark.parametrize("workflow", [Sleeping, PlainSleeping])
def test_disabled_sleeps_pass_at_once(workflows: WorkflowTest, workflow: Workflow) -> None:
    with workflows.introspect_workflow_instance(workflow, "a") as instance:
        instance.modify(lambda m: m.disable_sleeps())
        instance.create()
        instance.wait_for_status("complete")

        assert instance.get_output() == ["0"]
        asked = [step.config for step in instance.handle.describe().steps]
        assert asked[0] == {"duration": 30 * 24 * 3_600_000}


@pytest.mark.cloudflare(68)
def test_only_the_sleeps_that_are_named_are_disabled(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Sleeping, "a") as instance:
        instance.modify(lambda m: m.disable_sleeps([{"name": "a month", "index": 2}, "a date"]))
        instance.create()
        instance.wait_for_status("complete")

        assert instance.get_output() == ["30"]


def test_disabled_sleeps_end_in_the_order_in_which_they_would_have(workflows: WorkflowTest) -> None:
    class Racing(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> list[str]:
            ended: list[str] = []

            async def sleep(days: int) -> None:
                await step.sleep(f"{days} days", f"{days} days")
                ended.append(f"{days} days")

            await asyncio.gather(*[sleep(days) for days in (3, 1, 2)])
            return ended

    with workflows.introspect_workflow_instance(Racing, "a") as instance:
        instance.modify(lambda m: m.disable_sleeps())
        instance.create()

        assert instance.get_output() == ["1 days", "2 days", "3 days"]


def test_whoever_waits_lets_time_pass(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Sleeping, "a") as instance:
        before = workflows.now
        instance.create()
        instance.wait_for_status("complete")

        assert instance.get_output() == ["90"]
        assert (workflows.now - before).days == 90


def test_time_may_be_let_pass_bit_by_bit(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Sleeping, "a") as instance:
        instance.create()
        instance.wait_for_status("waiting")

        workflows.advance("29 days")
        assert instance.handle.describe().waiting_for == "a month-1 to end (a sleep of 30d)"
        workflows.advance("31 days")
        assert [step.label for step in instance.handle.describe().steps] == ["a month-1", "a month-2", "a date-1"]
        workflows.advance("30 days")
        assert instance.get_output() == ["90"]


def test_the_result_that_the_client_waits_for_comes(workflows: WorkflowTest) -> None:
    workflows.introspect_workflow(Sleeping)
    instance = workflows.client.workflow(Sleeping).create()

    assert instance.result() == ["90"]


def test_a_test_begins_at_a_time_of_its_own() -> None:
    with WorkflowTest(Sleeping, now=datetime(2031, 2, 1, tzinfo=UTC)) as test:
        instance = test.client.workflow(Sleeping).create()
        instance.result()

        assert test.now == datetime(2031, 5, 2, tzinfo=UTC)


def test_a_timeout_of_asyncio_is_kept(workflows: WorkflowTest) -> None:
    class Hurrying(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> str:
            try:
                async with asyncio.timeout(3600):
                    await step.sleep("long", "2 days")
            except TimeoutError:
                return "too late"
            return "in time"

    with workflows.introspect_workflow_instance(Hurrying, "late") as instance:
        instance.create()
        instance.wait_for_status("complete")
        assert instance.get_output() == "too late"
    with workflows.introspect_workflow_instance(Hurrying, "early") as instance:
        instance.modify(lambda m: m.disable_sleeps())
        instance.create()
        instance.wait_for_status("complete")
        assert instance.get_output() == "in time"


def test_a_body_that_takes_long_lets_the_time_of_the_test_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.testing.clock.PATIENCE_S", 0.0)

    class Hanging(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> str:
            async def hangs() -> None:
                await asyncio.Event().wait()

            try:
                async with asyncio.timeout(0.05):
                    await step.do("hangs", hangs)
            except TimeoutError:
                return "too late"
            return "in time"

    with introspect_workflow_instance(Hanging, "a") as instance:
        instance.create()

        assert instance.get_output() == "too late"


def test_a_workflow_that_sleeps_for_ever_is_not_waited_for_for_ever() -> None:
    class Polling(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> None:
            while True:
                await step.sleep("pause", "1 hour")

    with introspect_workflow_instance(Polling, "a") as instance:
        instance.test.engine.max_moves = 5
        instance.create()

        with pytest.raises(
            IntrospectionError, match="clock was moved 5 times, and what the test waits for has not come"
        ):
            instance.wait_for_status("complete")

        instance.test.engine.max_rounds = 5
        instance.modify(lambda m: m.disable_sleeps())
        with pytest.raises(IntrospectionError, match=r"do not come to rest: .* they go on for ever"):
            instance.get_output()
        instance.handle.terminate()


def test_what_is_not_repeatable_is_found() -> None:
    class Changing(WorkflowEntrypoint[Any]):
        runs = 0

        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> None:
            Changing.runs += 1
            await step.do(f"step {Changing.runs}", lambda: None)
            await step.sleep("pause", "1 hour")

    with introspect_workflow_instance(Changing, "a") as instance:
        instance.create()
        instance.wait_for_status("errored")

        assert instance.get_error()["name"] == "ReplayMismatch"


# --- events


@pytest.mark.cloudflare(69)
@pytest.mark.parametrize("workflow", [Ordering, PlainOrdering])
def test_a_mocked_event_is_there_when_the_instance_waits_for_it(workflows: WorkflowTest, workflow: Workflow) -> None:
    with workflows.introspect_workflow_instance(workflow, "a") as instance:
        instance.modify(lambda m: m.mock_event({"type": "approval", "payload": {"by": "ann"}}))
        instance.modify(lambda m: m.mock_step_result("charge", {"id": "p-1"}))
        instance.create()
        instance.wait_for_status("complete")

        assert instance.get_output()["approved"] == {"by": "ann"}


@pytest.mark.cloudflare(69)
def test_mocked_events_of_a_type_are_taken_in_order_and_what_is_left_is_waited_for(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(waiting_for("a", "b", "a", "a"), "a") as instance:
        instance.modify(lambda m: m.mock_event("a", 1).mock_event("a", 2).mock_event("b", 3))
        instance.create()
        instance.wait_for_status("complete")

        assert instance.get_output() == [1, 3, 2, "timed out"]


def test_events_of_the_test_itself_are_taken_too(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(waiting_for("a", "b"), "a") as instance:
        instance.modify(lambda m: m.mock_event("b", "mocked"))
        handle = instance.create()
        instance.wait_for_status("waiting")
        handle.send_event("a", "sent")

        assert instance.get_output() == ["sent", "mocked"]


def test_after_a_restart_each_wait_gets_the_event_it_had(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(waiting_for("a", "a"), "a") as instance:
        instance.modify(lambda m: m.mock_event("a", 1).mock_event("a", 2))
        instance.create()
        instance.wait_for_status("complete")
        instance.handle.restart()
        instance.wait_for_status("complete")
        assert instance.get_output() == [1, 2]

        instance.handle.restart(from_={"name": "wait", "count": 2, "type": "waitForEvent"})
        instance.wait_for_status("complete")
        assert instance.get_output() == [1, 2]


@pytest.mark.cloudflare(70)
def test_a_forced_timeout_of_an_event_ends_the_instance_as_a_real_one_does(workflows: WorkflowTest) -> None:
    class Waiting(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> None:
            await step.wait_for_event("manager approves", "approval", timeout="30 days")

    with workflows.introspect_workflow_instance(Waiting, "a") as instance:
        instance.modify(lambda m: m.force_event_timeout({"name": "manager approves"}))
        before = workflows.now
        instance.create()
        instance.wait_for_status("errored")

        month_ms = 30 * 24 * 3_600_000
        assert instance.get_error() == {
            "name": "EventTimeoutError", "message": f"Execution timed out after {month_ms}ms",
        }  # fmt: skip
        assert (workflows.now - before).days == 0


@pytest.mark.cloudflare(70)
def test_only_the_wait_that_is_named_times_out(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(waiting_for("a", "a", "a"), "a") as instance:
        instance.modify(
            lambda m: m.force_event_timeout({"name": "wait", "index": 2}).mock_event("a", 1).mock_event("a", 2)
        )
        instance.create()
        instance.wait_for_status("complete")

        assert instance.get_output() == [1, "timed out", 2]


def test_a_paused_instance_waits_whatever_is_modified(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Sleeping, "a") as instance:
        handle = instance.create()
        instance.wait_for_status("waiting")
        handle.pause()
        instance.modify(lambda m: m.disable_sleeps())

        with pytest.raises(IntrospectionError, match="has status 'paused' and nothing more happens to it by itself"):
            instance.wait_for_status("complete")
        handle.resume()
        instance.wait_for_status("complete")


# --- schedules


class Nightly(WorkflowEntrypoint[Any]):
    schedules = "0 3 * * *"

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> str:
        assert event.schedule is not None
        return event.schedule.cron


def test_schedules_start_instances_as_time_passes_if_the_test_wants_it() -> None:
    with WorkflowTest(Nightly, now=datetime(2031, 2, 1, 12, tzinfo=UTC), schedules=True) as test:
        test.advance("3 days")

        started = test.client.workflow(Nightly).list()
        assert [(view.status, view.trigger) for view in started] == [("complete", "cron")] * 3


def test_schedules_start_nothing_otherwise() -> None:
    with WorkflowTest(Nightly) as test:
        test.advance("3 days")

        assert test.client.workflow(Nightly).list() == []


def test_an_async_body_that_waits_for_another_instance_is_told_when_its_time_is_over(workflows: WorkflowTest) -> None:
    """It holds up the loop on which the other's body would run."""

    class Asked(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> None:
            async def answer() -> None:
                return

            await step.do("answer", answer)

    class Asking(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> str:
            async def before() -> None:
                return

            async def ask() -> str:
                try:
                    other.create().result(timeout=0.5)
                except ResultTimeout:
                    return "not in time"
                return "answered"

            for _ in range(5):
                await step.do("before", before)
            return await step.do("ask", ask)

    with (
        workflows.introspect_workflow_instance(Asked, "asked") as other,
        workflows.introspect_workflow_instance(Asking, "asking") as instance,
    ):
        instance.create()
        instance.wait_for_status("complete")
        assert instance.get_output() == "not in time"
