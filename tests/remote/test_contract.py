"""One suite for the local client and the one over HTTP: what either answers, and what either refuses, is the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.client import Client, InstanceState
from orchestrator.errors import (
    ActionNotAllowed,
    InstanceAlreadyExists,
    InstanceErrored,
    InstanceNotFound,
    InstanceTerminated,
    InvalidEventType,
    InvalidInstanceId,
    InvalidParams,
    InvalidWorkflowName,
    NotSerializableError,
    OrchestratorError,
    PayloadTooLarge,
    ResultTimeout,
    UsageError,
    WorkflowNotFound,
)
from orchestrator.inspection import InstanceDetail, InstanceView, WorkflowView
from orchestrator.remote import RemoteClient
from tests.remote.conftest import Both
from tests.remote.workflows import Echo, Order, Orders

AnyClient = Client | RemoteClient


def test_an_instance_goes_from_its_creation_to_its_output(both: Both, client: AnyClient) -> None:
    order = client.workflow("orders").create({"items": ["tea", "cup"]}, id="o-1")
    assert (order.id, order.workflow) == ("o-1", "orders")
    assert order.status() == InstanceState("queued", None, None)

    both.bench.work()
    assert order.status().status == "waiting"
    order.send_event("approval", {"by": "änn", "n": [1, None]})
    both.bench.work()

    assert order.result(timeout=5) == {"count": 2, "by": {"by": "änn", "n": [1, None]}}
    assert order.status().status == "complete"


def test_a_workflow_given_by_its_class_takes_its_params_as_its_type(both: Both, client: AnyClient) -> None:
    order = client.workflow(Orders).create(Order(items=["tea"]))
    assert order.describe().params == {"items": ["tea"], "broken": False}
    with pytest.raises(InvalidParams, match=r"do not fit workflow 'orders': items"):
        client.workflow(Orders).create({"items": 7})
    assert client.workflow(Orders).create().describe().params == {"items": [], "broken": False}


@pytest.mark.parametrize("params", [None, {"n": 1}, [1, "ä", None], "text", 0, False, {"deep": {"er": [{}]}}], ids=repr)
def test_params_arrive_as_they_were_given(both: Both, client: AnyClient, params: Any) -> None:
    made = client.workflow("echo").create(params)
    assert made.describe().params == ({} if params is None else params)


def test_what_is_shown_is_the_same_on_both_sides(both: Both) -> None:
    for id, params in (("waits", {"items": ["tea"]}), ("fails", {"broken": True})):
        both.local.workflow("orders").create(params, id=id)
    both.bench.work()
    both.bench.after(2)
    both.local.workflow("echo").create({"x": 1.5}, id="sleeps")
    both.bench.work()

    shown = both.agree(lambda client: client.workflows())
    assert {type(view) for view in shown} == {WorkflowView}
    assert both.agree(lambda client: client.workflow("orders").describe()).instances == {"waiting": 1, "errored": 1}
    listed = both.agree(lambda client: client.workflow("orders").list())
    assert [(type(view), view.id) for view in listed] == [(InstanceView, "fails"), (InstanceView, "waits")]
    assert len(both.agree(lambda client: client.instances())) == 3
    for workflow, id in (("orders", "waits"), ("orders", "fails"), ("echo", "sleeps")):
        detail = both.agree(lambda client, w=workflow, i=id: client.workflow(w).get(i).describe())
        assert type(detail) is InstanceDetail
        assert detail.steps
    failed = both.agree(lambda client: client.workflow("orders").get("fails").status())
    assert failed.error == {"name": "ValueError", "message": "no stock of täa"}
    assert both.agree(lambda client: client.workflow("orders").latest().id) == "fails"


def test_lists_page_and_filter_alike(both: Both) -> None:
    for number in range(7):
        both.local.workflow("echo").create(id=f"e{number}")
    both.local.workflow("echo").get("e3").terminate()

    def pages(client: Any, oldest_first: bool) -> list[str]:
        seen: list[str] = []
        cursor: int | None = None
        while page := client.workflow("echo").list(limit=3, before=cursor, oldest_first=oldest_first):
            seen += [view.id for view in page]
            cursor = page[-1].cursor
        return seen

    assert both.agree(lambda client: pages(client, True)) == [f"e{number}" for number in range(7)]
    assert both.agree(lambda client: pages(client, False)) == [f"e{number}" for number in reversed(range(7))]
    ended = both.agree(lambda client: client.workflow("echo").list(status=["terminated", "paused"]))
    assert [view.id for view in ended] == ["e3"]
    assert both.agree(lambda client: client.instances(status=["terminated"])) == ended
    assert both.agree(lambda client: client.workflow("orders").list()) == []


def test_more_rows_than_a_server_hands_out_at_once_come_in_one_list(both: Both) -> None:
    for number in range(103):
        both.local.workflow("echo").create(id=f"e{number}")
    assert len(both.agree(lambda client: client.workflow("echo").list(limit=102))) == 102
    assert len(both.agree(lambda client: client.workflow("echo").list(limit=1000))) == 103


def test_an_instance_is_paused_resumed_restarted_terminated_and_deleted(both: Both, client: AnyClient) -> None:
    order = client.workflow("orders").create(id="o-1")
    both.bench.work()
    assert order.pause().status == "paused"
    assert order.resume().status in ("queued", "waiting", "running")
    assert order.restart().status == "queued"
    both.bench.work()
    assert order.describe().run == 2
    assert order.terminate().status == "terminated"
    with pytest.raises(InstanceTerminated, match="'o-1' of workflow 'orders' was terminated"):
        order.result(timeout=5)
    order.delete()
    with pytest.raises(InstanceNotFound, match="any more"):
        order.describe()
    with pytest.raises(InstanceNotFound):
        client.workflow("orders").get("o-1")


@pytest.mark.parametrize("params", ["easy", "stubborn"])
def test_an_instance_is_terminated_with_rollback(both: Both, client: AnyClient, params: str) -> None:
    instance = client.workflow("undoing").create(params, id="u-1")
    both.bench.work()
    assert instance.terminate(rollback=True).status == "rollingBack"
    both.bench.work()
    error = {"name": "ValueError", "message": "the bank is closed"}
    expected = {
        "easy": {"outcome": "complete", "error": None},
        "stubborn": {"outcome": "failed", "error": error},
    }[params]
    assert instance.status() == InstanceState("terminated", None, None, expected)
    detail = both.agree(lambda client: client.workflow("undoing").get("u-1").describe())
    assert detail.rollback == expected
    assert [(step.kind, step.label) for step in detail.steps][-1] == ("rollback", "charge-1")


def test_watching_shows_each_change_once_and_ends_with_the_instance(both: Both, client: AnyClient) -> None:
    order = client.workflow("orders").create()
    seen = []
    for detail in order.watch(timeout=30):
        seen.append(detail.status)
        if detail.status == "queued":
            both.bench.work()
        elif detail.status == "waiting":
            order.send_event("approval")
            both.bench.work()
    assert seen == ["queued", "waiting", "complete"]


def test_watching_costs_a_request_for_each_change_and_none_while_nothing_happens(both: Both) -> None:
    order = both.remote.workflow("orders").create()
    both.bench.work()
    asked: list[str] = []
    send = both.remote.transport.send

    def counted(method: str, *segments: str, **how: Any) -> Any:
        asked.append(segments[-1])
        return send(method, *segments, **how)

    watching = order.watch(timeout=30)
    order._transport.send = counted  # type: ignore[method-assign]
    assert next(watching).status == "waiting"
    later = threading.Timer(0.5, lambda: both.local.workflow("orders").get(order.id).terminate())
    later.start()
    assert [detail.status for detail in watching] == ["terminated"]
    later.join()
    assert asked == [order.id, "wait"]


def test_an_instance_that_does_not_change_is_not_told_again(both: Both) -> None:
    order = both.remote.workflow("orders").create()
    both.bench.work()
    watching = order.watch(timeout=0.4)
    assert next(watching).status == "waiting"
    with pytest.raises(ResultTimeout):
        next(watching)


def test_a_result_is_waited_for(both: Both, client: AnyClient) -> None:
    order = client.workflow("orders").create()
    results: list[Any] = []
    waiting = threading.Thread(target=lambda: results.append(order.result(timeout=30)))
    waiting.start()
    order.send_event("approval", 7)
    both.bench.work()
    waiting.join(30)
    assert results == [{"count": 0, "by": 7}]


# --- refusals ---------------------------------------------------------------------------------------------------------

REFUSALS: dict[str, tuple[Callable[[Any], Any], type[OrchestratorError]]] = {
    "an unknown workflow": (lambda client: client.workflow("ordres"), WorkflowNotFound),
    "a wrong workflow name": (lambda client: client.workflow("a b"), InvalidWorkflowName),
    "no workflow name": (lambda client: client.workflow(""), InvalidWorkflowName),
    "a taken id": (lambda client: client.workflow("orders").create(id="waits"), InstanceAlreadyExists),
    "a wrong id": (lambda client: client.workflow("orders").create(id="a b"), InvalidInstanceId),
    "a reserved id": (lambda client: client.workflow("orders").create(id="latest"), InvalidInstanceId),
    "an id that is no text": (lambda client: client.workflow("orders").create(id=7), InvalidInstanceId),
    "params that do not fit": (lambda client: client.workflow(Orders).create({"items": "tea"}), InvalidParams),
    "params that are no JSON": (lambda client: client.workflow("echo").create({"f": object()}), NotSerializableError),
    "params that are no number": (lambda client: client.workflow("echo").create(float("nan")), NotSerializableError),
    "large params": (lambda client: client.workflow("echo").create("x" * 1_100_000), PayloadTooLarge),
    "no limit": (lambda client: client.workflow("orders").list(limit=0), UsageError),
    "a limit that is no number": (lambda client: client.instances(limit="3"), UsageError),
    "a status that there is not": (lambda client: client.workflow("orders").list(status=["done"]), UsageError),
    "no instances yet": (lambda client: client.workflow("echo").latest(), InstanceNotFound),
    "a wrong event type": (lambda client: _waits(client).send_event("a.b"), InvalidEventType),
    "an event payload that is no JSON": (lambda client: _waits(client).send_event("a", object()), NotSerializableError),
    "a large event": (lambda client: _waits(client).send_event("a", "x" * 1_100_000), PayloadTooLarge),
    "an action that is not allowed": (lambda client: _ended(client).pause(), ActionNotAllowed),
    "ending what has ended": (lambda client: _ended(client).terminate(), ActionNotAllowed),
    "the result of what was terminated": (lambda client: _ended(client).result(timeout=5), InstanceTerminated),
    "the result of what errored": (
        lambda client: client.workflow("orders").get("fails").result(timeout=5),
        InstanceErrored,
    ),
    "no result in time": (lambda client: _waits(client).result(timeout=0.02), ResultTimeout),
    "no end in time": (lambda client: list(_waits(client).watch(timeout=0.02)), ResultTimeout),
}


def _waits(client: Any) -> Any:
    return client.workflow("orders").get("waits")


def _ended(client: Any) -> Any:
    return client.workflow("orders").get("ended")


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.replace(" ", "-"))
def test_what_one_refuses_the_other_refuses_in_the_same_words(both: Both, case: str) -> None:
    for id, params in (("waits", {}), ("fails", {"broken": True}), ("ended", {})):
        both.local.workflow("orders").create(params, id=id)
    both.bench.work()
    both.bench.after(2)
    _ended(both.local).terminate()
    ask, kind = REFUSALS[case]

    both.refuse(ask, kind)

    assert len(both.local.instances()) == 3


@pytest.mark.parametrize(
    "id",
    [
        "unknown", "", ".", "..", "../orders", "a/../b", "a/b", "a b", "ä", "a?b=1", "a#b", "a%2Fb", "%", "a\x00b",
        "\udce9", "x" * 300, 7, None,
    ],
    ids=repr,
)  # fmt: skip
def test_an_instance_that_is_not_there_is_not_found_whatever_it_is_called(both: Both, id: Any) -> None:
    refused = both.refuse(lambda client: client.workflow("orders").get(id), InstanceNotFound)
    assert repr(id) in refused.message


def test_a_handle_of_an_instance_that_is_gone_says_so(both: Both) -> None:
    both.local.workflow("echo").create(id="gone")
    handles = {side: side.workflow("echo").get("gone") for side in (both.local, both.remote)}
    handles[both.local].delete()
    for ask in ("status", "describe", "pause", "resume", "terminate", "restart", "delete"):
        both.refuse(lambda client, ask=ask: getattr(handles[client], ask)(), InstanceNotFound)
    both.refuse(lambda client: handles[client].send_event("a"), InstanceNotFound)
    both.refuse(lambda client: handles[client].result(timeout=1), InstanceNotFound)


def test_an_id_that_many_want_at_once_is_given_once(both: Both) -> None:
    taken: list[OrchestratorError] = []

    def create() -> None:
        try:
            both.remote.workflow(Echo).create(id="one")
        except InstanceAlreadyExists as error:
            taken.append(error)

    threads = [threading.Thread(target=create) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(taken) == 11


def test_lists_are_bounded_by_time_alike(both: Both) -> None:
    for number in range(4):
        both.local.workflow("echo").create(id=f"e{number}")
        both.bench.clock.advance("1 minute")
    at = [view.created_at for view in both.local.workflow("echo").list(oldest_first=True)]

    def ids(**bounds: int) -> list[str]:
        whole = both.agree(lambda client: client.instances(oldest_first=True, **bounds))
        assert both.agree(lambda client: client.workflow("echo").list(oldest_first=True, **bounds)) == whole
        return [view.id for view in whole]

    assert ids(since=at[1]) == ["e1", "e2", "e3"]
    assert ids(until=at[1]) == ["e0", "e1"]
    assert ids(since=at[1] + 1, until=at[2]) == ["e2"]
    assert ids(since=at[3] + 1) == []
