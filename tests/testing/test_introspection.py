"""Looking at instances: of a known id and of a whole workflow, waiting for them, and what is left when a test is over."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator import OrchestratorError, Settings, WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from orchestrator.errors import InstanceNotFound, InvalidInstanceId, PayloadTooLarge, WorkflowNotFound
from orchestrator.testing import (
    IntrospectionError,
    UnusedModifierWarning,
    WorkflowTest,
    introspect_workflow,
    introspect_workflow_instance,
)
from tests.testing.programs import BodyRan, Ordering, Trying, never, waiting_for


class Greeting(WorkflowEntrypoint[Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> str:
        name = await step.do("name", lambda: event.payload["name"])
        await step.sleep("think", "1 day")
        return f"Hello, {name}!"


# --- all instances of a workflow


@pytest.mark.cloudflare(72)
def test_every_instance_of_a_batch_is_modified_and_found(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow(Greeting) as all_of_them:
        all_of_them.modify_all(lambda m: m.disable_sleeps().mock_step_result("name", "you"))
        workflows.client.workflow(Greeting).create_batch([{"id": "a"}, {"id": "b"}, {"id": "c"}])

        instances = all_of_them.get()
        for instance in instances:
            instance.wait_for_status("complete")

        assert [instance.id for instance in instances] == ["a", "b", "c"]
        assert [instance.get_output() for instance in instances] == ["Hello, you!"] * 3


@pytest.mark.cloudflare(72)
def test_what_is_said_of_all_adds_up_for_those_that_are_created_after_it(workflows: WorkflowTest) -> None:
    greetings = workflows.client.workflow(Greeting)
    before = workflows.introspect_workflow_instance(Greeting, "before")
    greetings.create({"name": "old"}, id="before")
    with workflows.introspect_workflow(Greeting) as all_of_them:
        all_of_them.modify_all().disable_sleeps()
        greetings.create({"name": "ann"}, id="first")
        all_of_them.modify_all().mock_step_result("name", "you")
        greetings.create(id="second")
        workflows.work()

        assert [one.id for one in all_of_them.get()] == ["first", "second"]
        assert [one.get_output() for one in all_of_them.get()] == ["Hello, ann!", "Hello, you!"]
    assert before.handle.status().status == "waiting"


def test_an_instance_of_all_may_be_changed_by_itself(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow(Greeting) as all_of_them:
        all_of_them.modify_all().disable_sleeps()
        workflows.client.workflow(Greeting).create_batch([{"id": "a"}, {"id": "b"}], params={"name": "you"})
        all_of_them.get()[1].modify().mock_step_result("name", "b")

        assert [instance.get_output() for instance in all_of_them.get()] == ["Hello, you!", "Hello, b!"]


def test_a_workflow_has_one_session_at_a_time(workflows: WorkflowTest) -> None:
    first = workflows.introspect_workflow(Greeting)
    with pytest.raises(IntrospectionError, match=r'^Workflow "greeting" already has an active introspection session'):
        workflows.introspect_workflow(Greeting)

    first.dispose()
    first.dispose()
    with workflows.introspect_workflow(Greeting):
        pass
    with pytest.raises(IntrospectionError, match="does not have an active introspection session for this introspector"):
        first.get()
    with pytest.raises(IntrospectionError, match="does not have an active introspection session for this introspector"):
        first.modify_all()


def test_instances_that_workflows_start_are_found_too(workflows: WorkflowTest) -> None:
    class Starting(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> str:
            def start() -> str:
                return workflows.client.workflow(Greeting).create({"name": "child"}, id="child").id

            await step.do("start", start)
            return str(await step.do("wait", lambda: workflows.client.workflow(Greeting).get("child").result(10)))

    with workflows.introspect_workflow(Greeting) as children:
        children.modify_all().disable_sleeps()
        with workflows.introspect_workflow_instance(Starting, "parent") as parent:
            parent.create()
            parent.wait_for_status("complete")
            assert parent.get_output() == "Hello, child!"

        assert [child.id for child in children.get()] == ["child"]


# --- waiting


def test_waiting_for_a_status_that_is_there_needs_nothing(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Greeting, "a") as instance:
        instance.wait_for_status("queued")
        instance.create({"name": "you"})
        instance.wait_for_status("queued")
        instance.wait_for_status("running")
        instance.wait_for_status("waiting")
        instance.wait_for_status("complete")
        instance.wait_for_status("complete")


def test_waiting_for_a_status_that_can_not_come_any_more_says_so_and_why(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Greeting, "a") as instance:
        instance.modify(lambda m: m.mock_step_error("name", ValueError("no name")).disable_retry_delays())
        instance.create()

        with pytest.raises(IntrospectionError) as raised:
            instance.wait_for_status("complete")
        assert raised.value.message == (
            "[WorkflowIntrospector] The Workflow instance a has reached status 'errored'. This is a finite status that "
            "prevents it from ever reaching the expected status of 'complete'. It ended with ValueError: no name"
        )
        with pytest.raises(IntrospectionError) as raised:
            instance.get_output()
        assert raised.value.message == (
            'Cannot retrieve output: Workflow instance is in status "errored" but must be "complete" to have an output '
            "available. It ended with ValueError: no name"
        )
        assert instance.get_error() == {"name": "ValueError", "message": "no name"}


def test_there_is_no_error_of_an_instance_that_has_not_errored(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Greeting, "a") as instance:
        instance.create({"name": "you"})

        with pytest.raises(IntrospectionError) as raised:
            instance.get_error()
        assert raised.value.message == (
            'Cannot retrieve error: Workflow instance is in status "waiting" but must be "errored" to have error '
            "information available"
        )


def test_a_result_may_be_waited_for_while_the_instance_goes_on(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Trying, "a") as instance:
        instance.modify(lambda m: m.mock_step_error("try", ValueError("no"), times=2).mock_step_result("try", "now"))
        instance.create()

        assert instance.wait_for_step_result({"name": "try"}) == "now"
        assert instance.wait_for_step_result("try") == "now"


def test_a_step_that_the_instance_never_comes_to_is_not_waited_for(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Greeting, "a") as instance:
        instance.create({"name": "you"})

        with pytest.raises(
            IntrospectionError, match=r"'complete' without a result of step 'nmae-1'. It came to: 'name-1'"
        ):
            instance.wait_for_step_result("nmae")


def test_an_instance_that_was_not_created_is_not_waited_for(workflows: WorkflowTest) -> None:
    with workflows.introspect_workflow_instance(Greeting, "a") as instance:
        with pytest.raises(
            IntrospectionError, match=r'instance "a" of workflow "greeting" has not been created. Call `cr'
        ):
            instance.wait_for_status("complete")


# --- when it is over


@pytest.mark.cloudflare(73)
def test_after_dispose_the_same_id_is_as_new(workflows: WorkflowTest) -> None:
    for name in ("first", "second"):
        with workflows.introspect_workflow_instance(Greeting, "a") as instance:
            assert workflows.client.workflow(Greeting).list() == []
            instance.modify(lambda m, name=name: m.mock_step_result("name", name))  # type: ignore[misc]
            instance.create()
            instance.wait_for_status("complete")
            assert instance.get_output() == f"Hello, {name}!"

    with workflows.introspect_workflow_instance(Greeting, "a") as instance:
        instance.create({"name": "real"})
        instance.wait_for_status("complete")
        assert instance.get_output() == "Hello, real!"


@pytest.mark.cloudflare(73)
def test_an_instance_that_is_under_way_may_be_disposed_of(workflows: WorkflowTest) -> None:
    instance = workflows.introspect_workflow_instance(Greeting, "a")
    handle = instance.create({"name": "you"})
    instance.wait_for_status("waiting")

    instance.dispose()
    instance.dispose()

    with pytest.raises(InstanceNotFound):
        handle.status()
    with pytest.raises(IntrospectionError, match="does not have an active introspection session for this introspector"):
        instance.modify()
    workflows.advance("1 year")


def test_nothing_of_a_test_of_its_own_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    threads = set(threading.enumerate())

    class Asynchronous(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            async def body() -> int:
                return 1

            return await step.do("body", body)

    with introspect_workflow_instance(Asynchronous, "a") as instance:
        instance.create()
        assert instance.get_output() == 1
        assert list(tmp_path.iterdir())

    assert list(tmp_path.iterdir()) == []
    assert set(threading.enumerate()) == threads


def test_a_test_that_can_not_begin_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with pytest.raises(WorkflowNotFound, match="There is no workflow called 'greetings'"):
        introspect_workflow_instance("greetings", "a")
    with pytest.raises(InvalidInstanceId):
        introspect_workflow_instance(Greeting, "")
    with pytest.raises(IntrospectionError, match="Workflow is required: a class derived from WorkflowEntrypoint"):
        introspect_workflow(42)  # type: ignore[arg-type]

    assert list(tmp_path.iterdir()) == []


def test_a_modifier_that_met_nothing_is_told_of_with_what_there_was(workflows: WorkflowTest) -> None:
    instance = workflows.introspect_workflow_instance(Greeting, "a")
    instance.modify(lambda m: m.disable_sleeps(["thinks"]).mock_step_error("naem", ValueError).mock_event("hurry"))
    instance.create({"name": "you"})
    instance.wait_for_status("complete")

    with pytest.warns(UnusedModifierWarning) as warned:
        instance.dispose()

    assert str(warned[0].message) == (
        "[WorkflowIntrospector] Modifiers of greeting/a were not used. "
        "mock_step_error or force_step_timeout: the workflow never came to a step 'naem-1'. Of that kind it came to: "
        "'name-1'. Did you mean 'name-1'? "
        "disable_sleeps: the workflow never came to a sleep 'thinks-1'. Of that kind it came to: 'think-1'. "
        "Did you mean 'think-1'? "
        "mock_event: the workflow never came to a wait for an event of type 'hurry'. Of that kind it came to: none."
    )
    assert warned[0].filename == __file__


def test_a_modifier_of_all_is_told_of_if_no_instance_met_it(workflows: WorkflowTest) -> None:
    all_of_them = workflows.introspect_workflow(waiting_for("a"))
    all_of_them.modify_all(lambda m: m.force_event_timeout("wait").force_event_timeout("weight"))
    workflows.client.workflow(waiting_for("a").__name__.lower()).create()
    workflows.work()

    with pytest.warns(UnusedModifierWarning, match="never came to a wait for an event 'weight-1'"):
        all_of_them.dispose()


def test_a_test_that_fails_is_not_told_of_modifiers() -> None:
    def test() -> None:
        with introspect_workflow_instance(Greeting, "a") as instance:
            instance.modify(lambda m: m.mock_step_result("never", 1))
            instance.create({"name": "you"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        test()


# --- the test itself


def test_settings_hold_but_for_where_it_runs() -> None:
    settings = Settings(max_payload_bytes=200, database_url="postgresql://nobody@127.0.0.1:1/none")
    with WorkflowTest(Greeting, settings=settings) as test:
        with pytest.raises(PayloadTooLarge):
            test.client.workflow(Greeting).create({"name": "x" * 300})

        assert test.client.workflow(Greeting).create({"name": "you"}).result() == "Hello, you!"


def test_a_given_database_gets_its_tables(empty_database_url: str) -> None:
    for _ in range(2):
        with WorkflowTest(Greeting, database_url=empty_database_url) as test:
            assert test.client.workflow(Greeting).create({"name": "you"}).result() == "Hello, you!"


def test_a_test_may_run_on_a_loop() -> None:
    class Asynchronous(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            async def body() -> int:
                await asyncio.sleep(0)
                return 1

            return [await step.do("async", body), await step.do("plain", lambda: 2), await step.do("mocked", never)]

    async def test() -> Any:
        async def stream() -> Any:
            yield b"bytes"

        with introspect_workflow_instance(Asynchronous, "a") as instance:
            instance.modify(lambda m: m.mock_step_result("mocked", 3))
            instance.create()
            instance.wait_for_status("complete")
            return instance.get_output()

    assert asyncio.run(test()) == [1, 2, 3]


def test_a_body_that_is_not_mocked_runs() -> None:
    with introspect_workflow_instance(Ordering, "a") as instance:
        instance.modify(lambda m: m.disable_retry_delays())
        instance.create()

        with pytest.raises(BodyRan):
            instance.wait_for_step_result("charge")


# --- misuse


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.mock_step_result("s", 1).mock_step_result("s", 2), "Trying to mock step 's' multiple times!"),
        (
            lambda m: m.mock_step_result("s", 1).mock_step_error("s", ValueError()),
            "Trying to mock error on step 's' after mocking its result!",
        ),
        (
            lambda m: m.mock_step_result("s", 1).force_step_timeout("s"),
            "Trying to force timeout on step 's' after mocking its result!",
        ),
        (
            lambda m: m.mock_step_error("s", "boom"),
            "A step fails with an error such as ValueError('no'), not with 'boom'",
        ),
        (lambda m: m.mock_step_error("s", str), "not with <class 'str'>"),
        (
            lambda m: m.mock_step_error("s", ValueError, times=0),
            "`times` for step 's' must be a whole number of at least",
        ),
        (lambda m: m.force_step_timeout("s", times=True), "at least 1, not True"),
        (
            lambda m: m.mock_step_result({"name": "s", "index": 0}, 1),
            "`index` of step 's' must be a whole number of at",
        ),
        (lambda m: m.mock_step_result({"name": "s", "count": 2}, 1), "it takes name and index"),
        (lambda m: m.mock_step_result({"index": 2}, 1), "A step needs a name"),
        (lambda m: m.mock_step_result(7, 1), "A step is named as 'charge' or as {'name': 'charge', 'index': 2}, not 7"),
        (lambda m: m.mock_step_result("", 1), "Step name \"''\" exceeds max length"),
        (lambda m: m.disable_sleeps("pause"), "given as a list such as ['charge', 'ship'], not as 'pause'"),
        (lambda m: m.disable_retry_delays(5), "given as a list such as ['charge', 'ship'], not as 5"),
        (lambda m: m.mock_event({"payload": 1}), "An event is given as {'type': 'approval', 'payload': …}, not as"),
        (lambda m: m.mock_event({"type": "a", "data": 1}), "not as {'type': 'a', 'data': 1}"),
        (lambda m: m.mock_event("a.b"), "Event type 'a.b' is not allowed"),
        (lambda m: m.mock_event("a", object()), "The payload of event 'a' is not serialisable"),
        (42, "Give a function such as `lambda m: m.disable_sleeps()`, not 42"),
    ],
)
def test_a_change_that_is_wrong_is_refused_with_what_to_do(engine: WorkflowTest, change: Any, says: str) -> None:
    with engine.introspect_workflow_instance(Greeting, "a") as instance:
        with pytest.raises(OrchestratorError, match=re.escape(says)):
            instance.modify(change)


def test_a_change_is_a_plain_function(engine: WorkflowTest) -> None:
    async def change(m: Any) -> None:
        m.disable_sleeps()

    with engine.introspect_workflow_instance(Greeting, "a") as instance:
        with pytest.raises(IntrospectionError, match="Give a plain function and not an `async` one"):
            instance.modify(change)


@pytest.mark.parametrize("status", ["done", "", None])
def test_a_status_that_there_is_not_is_refused(engine: WorkflowTest, status: Any) -> None:
    with engine.introspect_workflow_instance(Greeting, "a") as instance:
        with pytest.raises(
            IntrospectionError, match=r"There is no status called .*; there are queued, running, paused"
        ):
            instance.wait_for_status(status)


@pytest.mark.parametrize("now", ["2030-01-01", 5])
def test_a_test_begins_at_a_time_with_a_zone(now: Any) -> None:
    with pytest.raises(IntrospectionError, match="`now` must be a datetime with a time zone"):
        WorkflowTest(now=now)


@pytest.fixture(scope="module")
def engine() -> Any:
    """For what never comes to a database."""
    with WorkflowTest(Greeting) as test:
        yield test
