"""A message does what it asks for once, however often it comes, and what can't be done is kept with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine.host import register
from orchestrator.errors import (
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidEventType,
    InvalidMessage,
    OrchestratorError,
    PayloadTooLarge,
    WorkflowNotFound,
)
from tests.engine.bench import Bench


class Orders(WorkflowEntrypoint):
    name = "orders"

    async def run(self, event: Any, step: Any) -> Any:
        approval = await step.wait_for_event("approval", "approval")
        return [event.payload, approval.payload]


@pytest.fixture
def shop(bench: Bench) -> Bench:
    bench.registry.add(Orders)
    register(bench.runtime)
    return bench


def create(**more: Any) -> str:
    return json.dumps({"action": "create", "workflow": "orders", "message_id": "m-1", **more})


def approve(instance: str, **more: Any) -> str:
    event = {"action": "send_event", "workflow": "orders", "instance_id": instance, "type": "approval", **more}
    return json.dumps({"message_id": "m-2", **event})


def ids(bench: Bench) -> list[str]:
    return [view.id for view in bench.client.workflow("orders").list()]


def test_a_message_starts_an_instance_and_another_sends_it_an_event(shop: Bench) -> None:
    assert shop.client.accept_message(create(instance_id="o-1", params={"n": 1}))
    shop.work()
    assert shop.client.accept_message(approve("o-1", payload={"by": "ann"}))
    shop.work()
    order = shop.client.workflow("orders").get("o-1")
    assert order.result(timeout=0) == [{"n": 1}, {"by": "ann"}]
    assert order.describe().trigger == "event"


def test_a_message_that_comes_again_does_nothing(shop: Bench) -> None:
    assert shop.client.accept_message(create())
    assert not shop.client.accept_message(create())
    assert len(ids(shop)) == 1
    assert shop.client.accept_message(approve(ids(shop)[0]))
    assert not shop.client.accept_message(approve(ids(shop)[0]))
    assert len(shop.rows("SELECT 1 FROM @events")) == 1


def test_a_message_that_comes_many_times_at_once_is_done_once(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.registry.add(Orders)
    register(bench.runtime)
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: bench.client.accept_message(create()), range(16)))
    assert sorted(done) == [False] * 15 + [True]
    assert len(ids(bench)) == 1


def test_the_id_may_come_with_the_message_instead_of_in_it(shop: Bench) -> None:
    body = json.dumps({"action": "create", "workflow": "orders"})
    assert shop.client.accept_message(body, message_id="m-7")
    assert not shop.client.accept_message(body, message_id="m-7")
    assert shop.client.accept_message(body, message_id="m-8")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("{", InvalidMessage),
        ("[]", InvalidMessage),
        ('{"action": "explode", "workflow": "orders", "message_id": "m"}', InvalidMessage),
        ('{"action": "create", "workflow": "orders"}', InvalidMessage),
        (create(speed="fast"), InvalidMessage),
        (create(message_id="x" * 256), InvalidMessage),
        (create(message_id="a\x00b"), InvalidMessage),
        (create(workflow="nothing"), WorkflowNotFound),
        (create(params="x" * 1024 * 1024), PayloadTooLarge),
        (approve("nobody"), InstanceNotFound),
        (approve("nobody", type="a.b"), InvalidEventType),
    ],
)
def test_what_can_not_be_carried_out_is_refused_and_leaves_nothing(
    shop: Bench, body: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        shop.client.accept_message(body)
    assert ids(shop) == []
    assert shop.rows("SELECT 1 FROM @messages") == []


def test_a_refused_message_may_be_carried_out_when_it_comes_again(shop: Bench) -> None:
    with pytest.raises(InstanceNotFound):
        shop.client.accept_message(approve("o-1"))
    shop.client.accept_message(create(instance_id="o-1"))
    assert shop.client.accept_message(approve("o-1"))


def test_an_id_that_another_has_taken_is_refused(shop: Bench) -> None:
    shop.client.accept_message(create(instance_id="o-1"))
    with pytest.raises(InstanceAlreadyExists):
        shop.client.accept_message(create(instance_id="o-1", message_id="m-9"))


def test_rejected_messages_are_kept_with_the_reason_newest_first_and_once(shop: Bench) -> None:
    error = OrchestratorError("no")
    assert shop.client.reject_message(create(), error, message_id=None, queue="inbox")
    assert not shop.client.reject_message(create(), error, message_id=None, queue="inbox")
    assert shop.client.reject_message("{\x00", error, message_id="m-2", queue="inbox")
    newest, oldest = shop.client.rejected_messages()
    assert (newest.message_id, newest.body, newest.reason, newest.code) == ("m-2", "{\ufffd", "no", "orchestrator")
    assert (oldest.message_id, oldest.body, oldest.queue) == ("m-1", create(), "inbox")
    assert shop.client.rejected_messages(before=newest.id) == [oldest]
    assert not shop.client.accept_message(create()), "a message that was kept aside is dealt with"


def test_ids_are_forgotten_after_a_while(shop: Bench) -> None:
    shop.client.accept_message(create())
    assert shop.client.forget_messages() == 0
    shop.clock.advance(shop.settings.message_memory_ms + 1)
    assert shop.client.forget_messages() == 1
