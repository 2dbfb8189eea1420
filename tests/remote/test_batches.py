"""Batches over either client: what is created, what is refused, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.client import Client
from orchestrator.errors import InvalidBatch, InvalidInstanceId, InvalidParams, InvalidRetention, OrchestratorError
from orchestrator.remote import RemoteClient
from tests.remote.conftest import Both
from tests.remote.workflows import Orders

AnyClient = Client | RemoteClient


def test_a_batch_is_created_and_deleted_with_an_error_for_each_that_is_not(both: Both, client: AnyClient) -> None:
    orders = client.workflow("orders")
    orders.create(id="taken")
    batch = orders.create_batch(
        [{"id": "a", "params": {"items": ["tea"]}}, {"id": "taken"}, {"id": "a"}, {"id": "b"}],
        params={"items": ["cup"]},
    )
    assert [instance.id for instance in batch.created] == ["a", "b"]
    assert [(error.index, error.id, error.code) for error in batch.errors] == [(1, "taken", 10405), (2, "a", 10415)]
    assert orders.get("a").describe().params["items"] == ["tea"]
    assert orders.get("b").describe().params["items"] == ["cup"]

    gone = orders.delete_batch(["a", "nope", "b", "a"])
    assert gone.deleted == ["a", "b", "a"]
    assert [(error.index, error.id, error.code) for error in gone.errors] == [(1, "nope", 10400)]
    assert [view.id for view in orders.list()] == ["taken"]


def test_a_number_of_instances_alike(both: Both, client: AnyClient) -> None:
    batch = client.workflow(Orders).create_batch(
        count=3, params={"items": ["tea"]}, retention={"error_retention": "1 day"}
    )
    assert len({instance.id for instance in batch.created}) == 3
    assert {view.status for view in client.workflow("orders").list()} == {"queued"}


REFUSED: dict[str, tuple[Callable[[Any], Any], type[OrchestratorError]]] = {
    "nothing": (lambda orders: orders.create_batch(), InvalidBatch),
    "both": (lambda orders: orders.create_batch([{}], count=1), InvalidBatch),
    "none": (lambda orders: orders.create_batch([]), InvalidBatch),
    "too many": (lambda orders: orders.create_batch(count=101), InvalidBatch),
    "a number that is none": (lambda orders: orders.create_batch(count=0), InvalidBatch),
    "an unknown key": (lambda orders: orders.create_batch([{"name": "a"}]), InvalidBatch),
    "a wrong id": (lambda orders: orders.create_batch([{"id": "a b"}]), InvalidInstanceId),
    "params that do not fit": (lambda orders: orders.create_batch([{"params": {"items": 7}}]), InvalidParams),
    "a retention that is none": (
        lambda orders: orders.create_batch(count=1, retention={"error_retention": "soon"}),
        InvalidRetention,
    ),
    "one retention that is none": (lambda orders: orders.create(retention={"forever": 1}), InvalidRetention),
    "no ids": (lambda orders: orders.delete_batch([]), InvalidBatch),
    "too many ids": (lambda orders: orders.delete_batch(["a"] * 101), InvalidBatch),
    "ids that are none": (lambda orders: orders.delete_batch(["a", "ä"]), InvalidInstanceId),
    "ids that are no list": (lambda orders: orders.delete_batch("abc"), InvalidBatch),
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.replace(" ", "-"))
def test_a_batch_that_is_none_is_refused_and_nothing_is_done(both: Both, case: str) -> None:
    ask, kind = REFUSED[case]
    both.refuse(lambda client: ask(client.workflow(Orders)), kind)
    assert both.local.instances() == []


def test_how_long_to_keep_arrives(both: Both, client: AnyClient) -> None:
    client.workflow("orders").create(retention={"success_retention": "7 days", "error_retention": "forever"})
    (row,) = both.bench.rows("SELECT * FROM @instances")
    assert 7 * 24 * 3_600_000 in row
    assert any(isinstance(value, int) and value > 10**14 for value in row) or "forever" in str(row)


def test_a_restart_begins_at_the_step_that_was_named(both: Both, client: AnyClient) -> None:
    order = client.workflow("orders").create(id="o-1")
    both.bench.work()
    order.restart(from_={"name": "manager approves", "type": "waitForEvent"})
    both.bench.work()
    assert [step.name for step in order.describe().steps] == ["check stock", "manager approves"]
    assert order.describe().run == 2


def test_ids_are_found_by_their_beginning(both: Both) -> None:
    for id in ("order_1", "orderx1", "order_2", "other"):
        both.local.workflow("orders").create(id=id)

    def found(prefix: str, limit: int = 10) -> list[str]:
        return both.agree(lambda client: [view.id for view in client.workflow("orders").find(prefix, limit)])

    assert found("order_") == ["order_2", "order_1"]
    assert found("ord") == ["order_2", "orderx1", "order_1"]
    assert found("ord", 2) == ["order_2", "orderx1"]
    assert found("") == ["other", "order_2", "orderx1", "order_1"]
    assert found("%") == found("x" * 300) == found("a\x00") == []


def test_as_many_ids_are_found_as_were_asked_for(both: Both) -> None:
    orders = both.local.workflow("orders")
    for start in (0, 100):
        orders.create_batch([{"id": f"order_{start + n:03}"} for n in range(100)])
    orders.create_batch([{"id": f"order_{200 + n}"} for n in range(30)])
    orders.create(id="other")

    def found(limit: int, before: int | None = None) -> list[Any]:
        return both.agree(lambda client: client.workflow("orders").find("order_", limit, before))

    assert [view.id for view in found(230)] == [f"order_{n:03}" for n in reversed(range(230))]
    assert len(found(1000)) == 230
    assert len(found(101)) == 101
    (second,) = found(1, before=found(1)[0].cursor)
    assert second.id == "order_228"
