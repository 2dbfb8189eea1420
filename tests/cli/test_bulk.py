"""Jobs on all instances of a workflow: asked before, told after in Wrangler's words."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Orchestrator
from tests.cli.stub import StubClient


def test_all_instances_are_terminated_in_the_background(client: StubClient, orchestrator: Orchestrator) -> None:
    started = orchestrator("instances", "terminate-all", "orders", "--yes")
    running = orchestrator("instances", "terminate-all", "orders", "--status", "queued", "--status", "paused", "--yes")

    assert client.calls == [("terminate_all", None), ("terminate_all", ["queued", "paused"])]
    assert started.stderr.strip() == (
        '🥷 A job to terminate instances from Workflow "orders" has been started. '
        "It might take a few minutes to complete."
    )
    assert 'Workflow "orders" with status "queued, paused" is already running.' in running.stderr


def test_a_workflow_is_deleted(client: StubClient, orchestrator: Orchestrator) -> None:
    result = orchestrator("delete", "orders", "--yes")

    assert client.calls == [("delete_workflow", "orders")]
    assert result.stderr.splitlines()[0] == '✅ Workflow "orders" removed successfully.'


@pytest.mark.parametrize("command", [["delete"], ["instances", "terminate-all"]], ids=" ".join)
def test_neither_is_done_unasked_or_to_what_is_not_there(
    command: list[str], client: StubClient, orchestrator: Orchestrator
) -> None:
    assert orchestrator(*command, "orders").exit_code == 2
    assert orchestrator(*command, "ordres", "--yes").exit_code == 3
    assert client.calls == []
    assert orchestrator("instances", "terminate-all", "orders", "--status", "complete").exit_code == 2
