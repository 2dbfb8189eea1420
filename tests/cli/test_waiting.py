"""`instances wait`: nothing but the output on stdout, and an exit code that tells how the instance ended."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Orchestrator
from tests.cli.stub import StubClient, detail


@pytest.mark.parametrize(("status", "exit_code"), [("complete", 0), ("errored", 10), ("terminated", 11)])
def test_the_exit_code_tells_how_it_ended(
    status: str, exit_code: int, client: StubClient, orchestrator: Orchestrator
) -> None:
    error = {"name": "CardError", "message": "declined"} if status == "errored" else None
    client.has(detail("order-1", status=status, error=error))

    shown = orchestrator("instances", "wait", "orders", "order-1", "--timeout", "5 minutes")
    told = orchestrator("instances", "wait", "orders", "latest", "--json")

    assert shown.exit_code == told.exit_code == exit_code
    assert shown.stdout == ('{\n  "receipt": 7\n}\n' if status == "complete" else "")
    assert json.loads(told.stdout)["status"] == status
    assert client.calls == [("result", "order-1", 300.0), ("result", "order-1", None)]


def test_not_in_time_is_7_and_the_instance_goes_on(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1", status="running", ended_at=None))

    result = orchestrator("instances", "wait", "orders", "--timeout", "1s")

    assert result.exit_code == 7
    assert "it goes on by itself" in result.stderr


def test_an_id_that_there_is_not_is_3_and_a_time_that_is_none_2(orchestrator: Orchestrator) -> None:
    assert orchestrator("instances", "wait", "orders", "order-1").exit_code == 3
    assert orchestrator("instances", "wait", "orders", "order-1", "--timeout", "soon").exit_code == 2
