"""Finding, listing and watching instances, sending them events, and what is said when that can't be done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine.host import register
from orchestrator.errors import (
    InstanceNotFound,
    InvalidEventType,
    NotSerializableError,
    PayloadTooLarge,
    ResultTimeout,
    UsageError,
)
from orchestrator.inspection import WorkflowView
from tests.engine.bench import Bench
from tests.engine.clock import START_MS


class Waiter(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> Any:
        await step.do("begin", lambda: None)
        return (await step.wait_for_event("wait", "news")).payload


@pytest.mark.parametrize("id", ["unknown", "", "no such id", "ä", "a\x00b", "\udce9", "x" * 300, 7, None], ids=repr)
@pytest.mark.cloudflare(33, 47, 53)
def test_an_instance_that_is_not_there_is_not_found_whatever_it_is_called(bench: Bench, id: Any) -> None:
    bench.create(Waiter, id="known")
    with pytest.raises(InstanceNotFound, match="Workflow 'waiter' has no instance with id") as refused:
        bench.client.workflow(Waiter).get(id)
    assert repr(id) in str(refused.value)
    assert refused.value.code == "instance.not_found"


def test_an_instance_is_found_by_its_workflow_and_id(bench: Bench) -> None:
    made = bench.create(Waiter, id="known")
    found = bench.client.workflow(Waiter).get("known")
    assert found.describe() == made.describe()
    assert repr(found) == "<Instance waiter/known>"


def test_the_latest_is_the_newest_of_its_workflow(bench: Bench) -> None:
    waiters = bench.client.workflow(Waiter)
    with pytest.raises(InstanceNotFound, match="Workflow 'waiter' has no instances yet"):
        waiters.latest()
    for id in ("first", "second"):
        bench.create(Waiter, id=id)
    assert waiters.latest().id == "second"


def test_lists_may_be_bounded_by_the_time_of_creation_and_counted(bench: Bench) -> None:
    for number in range(4):
        bench.create(Waiter, id=f"w{number}")
        bench.clock.advance(1000)
    waiters = bench.client.workflow(Waiter)
    assert [view.id for view in waiters.list(since=START_MS + 1000, until=START_MS + 2000)] == ["w2", "w1"]
    assert [view.id for view in waiters.list(limit=2, offset=1)] == ["w2", "w1"]
    assert (waiters.count(), waiters.count(until=START_MS), waiters.count(status=["paused"])) == (4, 1, 0)


def test_lists_show_the_newest_first_page_by_page(bench: Bench) -> None:
    for number in range(7):
        bench.create(Waiter, id=f"w{number}")
    waiters = bench.client.workflow(Waiter)
    first = waiters.list(limit=3)
    assert [view.id for view in first] == ["w6", "w5", "w4"]
    second = waiters.list(limit=3, before=first[-1].cursor)
    assert [view.id for view in second] == ["w3", "w2", "w1"]
    assert [view.id for view in waiters.list(limit=3, before=second[-1].cursor)] == ["w0"]
    oldest = waiters.list(limit=4, oldest_first=True)
    assert [view.id for view in oldest] == ["w0", "w1", "w2", "w3"]
    assert [view.id for view in waiters.list(oldest_first=True, before=oldest[-1].cursor)] == ["w4", "w5", "w6"]
    assert len(waiters.list()) == 7


def test_lists_can_be_narrowed_to_statuses(bench: Bench) -> None:
    for id in ("waits", "ends"):
        bench.run(Waiter, id=id).send_event("news") if id == "ends" else bench.run(Waiter, id=id)
    bench.work()
    bench.create(Waiter, id="new")
    waiters = bench.client.workflow(Waiter)
    assert [view.id for view in waiters.list(status=["complete"])] == ["ends"]
    assert [view.id for view in waiters.list(status=["waiting", "queued"])] == ["new", "waits"]
    assert waiters.list(status=["errored"]) == []
    assert [view.id for view in bench.client.instances(status=["complete"])] == ["ends"]
    assert {view.status for view in bench.client.instances()} == {"complete", "waiting", "queued"}


@pytest.mark.parametrize("limit", [0, -1, 10_001, "3", None, True], ids=repr)
def test_a_page_has_a_sensible_size(bench: Bench, limit: Any) -> None:
    for list_ in (bench.client.workflow(Waiter).list, bench.client.instances):
        with pytest.raises(UsageError, match="limit must be 1 to 10,000") as refused:
            list_(limit=limit)
        assert repr(limit) in str(refused.value)


def test_a_status_that_there_is_not_is_refused_with_those_there_are(bench: Bench) -> None:
    for list_ in (bench.client.workflow(Waiter).list, bench.client.instances):
        with pytest.raises(UsageError, match=r"no status called 'done'.*queued, running, paused") as refused:
            list_(status=["queued", "done"])
        assert "complete" in str(refused.value)


def test_workflows_are_shown_with_how_many_instances_are_in_which_status(bench: Bench) -> None:
    bench.run(Waiter)
    bench.create(Waiter)
    register(bench.runtime)
    assert bench.client.workflows() == [
        WorkflowView(
            name="waiter", class_name="Waiter", module=__name__, queue="default", created_at=START_MS, seen_at=START_MS,
            triggered_at=START_MS, instances={"waiting": 1, "queued": 1},
        )
    ]  # fmt: skip
    assert bench.client.workflow("waiter").describe() == bench.client.workflows()[0]


@pytest.mark.parametrize("type", ["", "order.approved", "-a", "a b", "x" * 101, "ä", "\x00", 7, None], ids=repr)
def test_an_event_type_that_is_not_allowed_is_refused_and_nothing_is_sent(bench: Bench, type: Any) -> None:
    instance = bench.run(Waiter)
    with pytest.raises(InvalidEventType, match="1 to 100 letters, digits, '-' or '_'") as refused:
        instance.send_event(type, 1)
    assert repr(type) in str(refused.value)
    assert refused.value.code == "workflow.invalid_event_type"
    assert bench.rows("SELECT * FROM @events") == []
    assert instance.status().status == "waiting"


def test_a_payload_that_can_not_be_sent_is_refused_and_nothing_is_sent(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_payload_bytes=1000)
    instance = bench.run(Waiter)
    with pytest.raises(NotSerializableError, match="The payload of event 'news' is not serialisable"):
        instance.send_event("news", object())
    with pytest.raises(PayloadTooLarge, match="The payload of event 'news' is too large: 1,002 bytes"):
        instance.send_event("news", "x" * 1000)
    assert bench.rows("SELECT * FROM @events") == []
    instance.send_event("news", "x" * 998)
    bench.work()
    assert instance.result(timeout=0) == "x" * 998


@pytest.mark.parametrize("payload", [None, 0, "", [], {"a": [1, None, "\x00 and ä"]}], ids=repr)
def test_any_payload_arrives_as_it_was_sent(bench: Bench, payload: Any) -> None:
    instance = bench.run(Waiter)
    instance.send_event("news", payload)
    bench.work()
    assert instance.result(timeout=0) == payload


def test_a_result_that_does_not_come_in_time_is_told_so(bench: Bench) -> None:
    instance = bench.run(Waiter, id="slow")
    with pytest.raises(ResultTimeout, match=r"'slow' of workflow 'waiter' did not end within 0\.02 seconds"):
        instance.result(timeout=0.02)
    with pytest.raises(ResultTimeout):
        list(instance.watch(timeout=0.02))


def test_a_result_is_waited_for_and_returned_as_soon_as_it_is_there(bench: Bench) -> None:
    instance = bench.run(Waiter)
    results: list[Any] = []
    waiting = threading.Thread(target=lambda: results.append(instance.result(timeout=30)))
    waiting.start()
    instance.send_event("news", "arrived")
    bench.work()
    waiting.join(30)
    assert results == ["arrived"]


def test_watching_shows_each_change_once_and_ends_with_the_instance(bench: Bench) -> None:
    instance = bench.create(Waiter)
    shown = []
    for detail in instance.watch(timeout=30):
        shown.append((detail.status, len(detail.steps)))
        if detail.status == "queued":
            bench.work()
        elif detail.status == "waiting":
            instance.pause()
        elif detail.status == "paused":
            instance.resume()
            instance.send_event("news")
            bench.work()
    assert shown == [("queued", 0), ("waiting", 2), ("paused", 2), ("complete", 2)]


def test_watching_an_instance_that_is_deleted_says_so(bench: Bench) -> None:
    instance = bench.run(Waiter)
    watching = instance.watch(timeout=30)
    next(watching)
    instance.delete()
    with pytest.raises(InstanceNotFound, match="any more"):
        next(watching)
