"""What type checkers must infer where instances are started and looked at; read by them, never run."""

from __future__ import annotations

from typing import Any, assert_type

from orchestrator import Client, Instance, InstanceStatus, WorkflowClient
from tests.typing.authors.async_author import Order, Waiting
from tests.typing.authors.blocking_author import Direct


def start(order: Order) -> None:
    with Client() as client:
        orders = client.workflow(Direct)
        assert_type(orders, WorkflowClient[Order])
        instance = orders.create(params=order, id="order-42")
        assert_type(instance, Instance)
        assert_type(orders.create(order), Instance)

        assert_type(client.workflow("orders"), WorkflowClient[Any])
        client.workflow("orders").create({"anything": "goes"})
        client.workflow("orders").create()
        client.workflow(Waiting).create({"anything": "goes"})
        client.workflow(Waiting).create()

        assert_type(instance.status().status, InstanceStatus)
        instance.send_event("approval", {"by": "ann"})
        instance.result(timeout=30)
