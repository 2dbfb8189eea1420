"""Jobs on all instances of a workflow over either client."""

from __future__ import annotations

from orchestrator.client import BulkJob, Client
from orchestrator.errors import UsageError
from orchestrator.remote import RemoteClient
from tests.remote.conftest import Both


def test_all_instances_are_terminated(both: Both, client: Client | RemoteClient) -> None:
    for number in range(3):
        both.local.workflow("orders").create(id=f"o-{number}")

    assert client.workflow("orders").terminate_all() == BulkJob("ok")
    assert client.workflow("orders").terminate_all() == BulkJob("already_running")
    both.bench.work()
    both.bench.after("1 minute")
    assert {view.status for view in both.local.workflow("orders").list()} == {"terminated"}
    both.refuse(lambda client: client.workflow("orders").terminate_all(["complete"]), UsageError)


def test_a_workflow_is_deleted(both: Both, client: Client | RemoteClient) -> None:
    both.local.workflow("orders").create(id="o-1")

    assert client.workflow("orders").delete() == BulkJob("ok")
    assert "orders" not in [view.name for view in both.local.workflows()]
