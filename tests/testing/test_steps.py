"""Steps that a test changes: what they return, how they fail, how long their attempts wait for one another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from orchestrator import StepTimeoutError, WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from orchestrator.testing import IntrospectionError, WorkflowTest, introspect_workflow_instance
from tests.testing.programs import BodyRan, Downloading, Ordering, PlainOrdering, Trying, never

Workflow = type[WorkflowEntrypoint[Any]]


class Declined(Exception):
    """An error of the author's own."""


@pytest.fixture(autouse=True)
def _no_attempts() -> None:
    Trying.attempts.clear()


@pytest.mark.cloudflare(66)
@pytest.mark.parametrize("workflow", [Ordering, PlainOrdering])
def test_a_mocked_step_returns_what_the_test_says_and_its_body_does_not_run(
    workflows: WorkflowTest, workflow: Workflow
) -> None:
    with workflows.introspect_workflow_instance(workflow, "order-1") as instance:
        instance.modify(
            lambda m: (m.disable_sleeps(), m.mock_step_result("charge", {"id": "p-1"}), m.mock_event("approval", "yes"))
        )
        instance.create()
        instance.wait_for_status("complete")

        assert instance.get_output() == {"paid": "p-1", "approved": "yes"}
        assert instance.wait_for_step_result("charge") == {"id": "p-1", "cents": 0}
        assert instance.handle.step("charge").status == "complete"


@pytest.mark.parametrize("result", [None, 0, "", [], False])
def test_a_result_may_be_nothing(result: Any) -> None:
    class Asking(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            return [await step.do("ask", never)]

    with introspect_workflow_instance(Asking, "a") as instance:
        instance.modify().mock_step_result("ask", result)
        instance.create()

        assert instance.get_output() == [result]


def test_a_mocked_result_that_does_not_fit_the_annotation_fails_the_test(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Ordering, "order-1") as instance:
        instance.modify(lambda m: m.mock_step_result("charge", {"cents": "many"}))
        instance.create()

        with pytest.raises(
            IntrospectionError, match=r"mocked result of step 'charge' does not fit .*id: Field required"
        ):
            instance.wait_for_status("complete")


def test_a_mocked_result_that_is_no_json_ends_the_instance_as_a_real_one_does() -> None:
    class Asking(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            return await step.do("ask", never)

    with introspect_workflow_instance(Asking, "a") as instance:
        instance.modify(lambda m: m.mock_step_result("ask", object()))
        instance.create()
        instance.wait_for_status("errored")

        assert instance.get_error()["name"] == "NotSerializableError"


def test_the_second_step_of_a_name_is_another_step() -> None:
    class Asking(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            return [await step.do("ask", lambda: "real") for _ in range(3)]

    with introspect_workflow_instance(Asking, "a") as instance:
        instance.modify(lambda m: m.mock_step_result({"name": "ask", "index": 2}, "mocked"))
        instance.create()

        assert instance.get_output() == ["real", "mocked", "real"]
        assert instance.wait_for_step_result({"name": "ask", "index": 3}) == "real"


@pytest.mark.cloudflare(67)
def test_a_step_fails_as_often_as_the_test_says_and_then_runs(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Trying, "a") as instance:
        instance.modify(lambda m: m.mock_step_error("try", Declined("no funds"), times=2))
        instance.create()
        instance.wait_for_status("complete")

        assert Trying.attempts == [3]
        log = [(attempt.status, attempt.error) for attempt in instance.handle.describe().steps[0].attempt_log]
        declined = {"name": "Declined", "message": "no funds"}
        assert log == [("errored", declined), ("errored", declined), ("complete", None)]


@pytest.mark.cloudflare(67)
def test_failures_follow_one_another_and_come_before_a_mocked_result(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Trying, "a") as instance:
        instance.modify(
            lambda m: (
                m.mock_step_error("try", Declined("first"), times=1)
                .force_step_timeout("try", times=2)
                .mock_step_error("try", Declined, times=1)
                .mock_step_result("try", "at last")
            )
        )
        instance.create()
        instance.wait_for_status("complete")

        assert instance.get_output() == "at last"
        assert Trying.attempts == []
        errors = [attempt.error for attempt in instance.handle.describe().steps[0].attempt_log]
        timed_out = {"name": "StepTimeoutError", "message": "Execution timed out after 0ms"}
        assert errors == [
            {"name": "Declined", "message": "first"}, timed_out, timed_out, {"name": "Declined", "message": ""}, None,
        ]  # fmt: skip


def test_a_step_that_always_fails_raises_the_same_error_in_the_workflow_and_in_the_test(
    workflows: WorkflowTest,
) -> None:
    class Catching(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            try:
                await step.do("charge", never, retries={"limit": 1, "delay": "1 day"})
            except Declined as error:
                return str(error)

    with workflows.introspect_workflow_instance(Catching, "a") as instance:
        instance.modify(lambda m: m.mock_step_error("charge", Declined("no funds")))
        instance.create()

        with pytest.raises(Declined, match="no funds"):
            instance.wait_for_step_result("charge")
        assert instance.get_output() == "no funds"


def test_a_forced_timeout_is_the_error_of_a_real_one(workflows: WorkflowTest) -> None:
    class Catching(WorkflowEntrypoint[Any]):
        def run(self, event: WorkflowEvent[Any], step: Any) -> Any:
            try:
                step.do("slow", never, retries={"limit": 0, "delay": 0})
            except StepTimeoutError as error:
                return str(error)

    with workflows.introspect_workflow_instance(Catching, "a") as instance:
        instance.modify(lambda m: m.force_step_timeout("slow"))
        instance.create()

        assert instance.get_output() == "Execution timed out after 0ms"


@pytest.mark.cloudflare(4, 71)
@pytest.mark.parametrize("steps", [None, ["try"], [{"name": "try", "index": 1}]])
def test_without_its_delays_a_step_is_tried_again_at_once(workflows: WorkflowTest, steps: Any) -> None:
    with workflows.introspect_workflow_instance(Trying, "a") as instance:
        instance.modify(lambda m: m.disable_retry_delays(steps).mock_step_error("try", Declined("no"), times=3))
        before = workflows.now
        instance.create()
        instance.wait_for_status("complete")

        assert instance.get_output() == "attempt 4"
        assert (workflows.now - before).days == 0


def test_with_its_delays_a_mocked_failure_is_waited_out(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Trying, "a") as instance:
        instance.modify(lambda m: m.disable_retry_delays(["another"]).mock_step_error("try", Declined("no"), times=2))
        before = workflows.now
        instance.create()
        instance.wait_for_status("complete")
        instance.dispose(check=False)

        assert (workflows.now - before).days == 10 + 20


def test_what_is_said_holds_for_every_run(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Trying, "a") as instance:
        instance.modify(lambda m: m.mock_step_error("try", Declined("no"), times=1).mock_step_result("try", "mocked"))
        instance.create()
        instance.wait_for_status("complete")
        instance.handle.restart()
        instance.wait_for_status("complete")

        assert instance.handle.describe().run == 2
        assert instance.handle.describe().steps[0].attempts == 2
        assert Trying.attempts == []


def test_several_steps_at_once_may_be_mocked(workflows: WorkflowTest) -> None:
    class Many(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            async def asynchronous() -> Any:
                raise BodyRan

            return await asyncio.gather(
                *[step.do(f"plain {n}", never) for n in range(3)],
                *[step.do(f"async {n}", asynchronous) for n in range(3)],
            )

    with workflows.introspect_workflow_instance(Many, "a") as instance:
        for n in range(3):
            instance.modify().mock_step_result(f"plain {n}", n).mock_step_result(f"async {n}", 10 + n)
        instance.create()
        instance.wait_for_status("complete")

        assert instance.get_output() == [0, 1, 2, 10, 11, 12]


def test_parallel_async_steps_that_fail_first_come_to_their_end(workflows: WorkflowTest) -> None:
    class Many(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            async def body(ctx: Any) -> int:
                return int(ctx.attempt)

            return await asyncio.gather(*[step.do(f"try {n}", body) for n in range(4)])

    with workflows.introspect_workflow_instance(Many, "a") as instance:
        for n in range(4):
            instance.modify().mock_step_error(f"try {n}", Declined("no"), times=n + 1)
        instance.create()
        instance.wait_for_status("complete")

        assert instance.get_output() == [2, 3, 4, 5]


# --- streams


def _plain() -> Iterator[bytes]:
    yield b"mocked"
    yield bytearray(b" stream")


async def _asynchronous() -> AsyncIterator[bytes]:
    yield b"mocked"
    yield b" stream"


@pytest.mark.cloudflare(25)
@pytest.mark.parametrize("stream", [_plain, _asynchronous, lambda: iter([b"mocked", memoryview(b" stream")])])
def test_a_stream_may_be_mocked_and_waited_for(workflows: WorkflowTest, stream: Any) -> None:
    with workflows.introspect_workflow_instance(Downloading, "a") as instance:
        instance.modify(lambda m: m.mock_step_result("download", stream()))
        instance.create()

        found = instance.wait_for_step_result("download")

        assert [found.read(), found.read()] == [b"mocked stream"] * 2
        assert instance.get_output() == len(b"mocked stream")


@pytest.mark.cloudflare(22, 25)
def test_a_mocked_stream_is_there_for_the_next_run_too(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Downloading, "a") as instance:
        instance.modify(lambda m: m.mock_step_result("download", _plain()))
        instance.create()
        instance.wait_for_status("complete")
        instance.handle.restart()
        instance.wait_for_status("complete")

        assert instance.wait_for_step_result("download").read() == b"mocked stream"


@pytest.mark.cloudflare(25)
def test_a_real_stream_is_waited_for() -> None:
    with introspect_workflow_instance(Downloading, "a") as instance:
        instance.create()

        assert instance.wait_for_step_result("download").read() == b"real bytes"


@pytest.mark.parametrize(
    ("stream", "says"),
    [
        (iter([b"bytes", "text"]), "chunks must be bytes, bytearray or memoryview values, not str"),
        (iter([1, 2]), "not int. For a list of other values, mock the list itself"),
    ],
)
def test_what_is_no_stream_of_bytes_can_not_be_mocked(stream: Any, says: str) -> None:
    with introspect_workflow_instance(Downloading, "a") as instance, pytest.raises(IntrospectionError, match=says):
        instance.modify(lambda m: m.mock_step_result("download", stream))


def test_a_stream_that_somebody_has_read_from_can_not_be_mocked() -> None:
    stream = _plain()
    next(stream)

    with introspect_workflow_instance(Downloading, "a") as instance:
        with pytest.raises(IntrospectionError, match="received a locked or unreadable ReadableStream"):
            instance.modify(lambda m: m.mock_step_result("download", stream))


def test_a_sensitive_result_is_not_shown_to_the_test_and_reaches_the_workflow() -> None:
    class Secretive(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            return len(await step.do("fetch", never, sensitive="output"))

    with introspect_workflow_instance(Secretive, "a") as instance:
        instance.modify(lambda m: m.mock_step_result("fetch", "hunter2"))
        instance.create()

        assert instance.wait_for_step_result("fetch") == "[REDACTED]"
        assert instance.get_output() == len("hunter2")
