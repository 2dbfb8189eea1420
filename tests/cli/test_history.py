"""What an instance has been through: its runs and its events."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Orchestrator
from tests.cli.stub import StubClient, detail


def test_runs_are_listed_with_where_they_began(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    shown = orchestrator("instances", "runs", "orders").stdout.splitlines()

    assert shown[0].split() == ["Run", "Status", "Began", "from", "Started", "Took", "Error"]
    assert "E: bad" in shown[1]
    assert "charge-1 (do)" in shown[2]
    assert orchestrator("instances", "runs", "orders", "order-1", "-o", "name").stdout == "1\n2\n"


def test_an_earlier_run_is_described(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    assert json.loads(orchestrator("instances", "describe", "orders", "--run", "3", "--json").stdout)["run"] == 3
    assert orchestrator("instances", "describe", "orders", "--run", "0").exit_code == 2
    assert orchestrator("instances", "describe", "orders", "--run", "1", "--watch").exit_code == 2


def test_events_come_a_line_each(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    lines = orchestrator("instances", "subscribe", "orders", "latest").stdout.splitlines()
    data = [json.loads(line) for line in orchestrator("instances", "subscribe", "orders", "--json").stdout.splitlines()]

    assert "workflow_started" in lines[0]
    assert "step_completed" in lines[1]
    assert 'charge-1  {"output": {"paid": true}}' in lines[1]
    assert [event["event_id"] for event in data] == [1, 2]
    assert orchestrator("instances", "subscribe", "orders", "-o", "id").stdout == "1\n2\n"


def test_what_is_wanted_of_the_events_reaches_the_client(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    orchestrator(
        "instances", "subscribe", "orders", "latest", "--cursor", "5", "--filter", "a,b", "--filter", "c",
        "--timeout", "2s",
    )  # fmt: skip

    assert client.calls == [("subscribe", "order-1", {"cursor": 5, "filter": ["a", "b", "c"], "timeout": 2})]


@pytest.mark.parametrize("given", [["--cursor", "-1"], ["--cursor", "x"], ["--timeout", "soon"]])
def test_what_can_not_be_meant_is_refused(given: list[str], client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    assert orchestrator("instances", "subscribe", "orders", "latest", *given).exit_code == 2


def test_ending_with_a_rollback_is_asked_for(client: StubClient, orchestrator: Orchestrator) -> None:
    client.has(detail("order-1"))

    orchestrator("instances", "terminate", "orders", "latest", "--rollback", "--yes")

    assert client.calls == [("terminate", "order-1", "rollback")]


@pytest.mark.parametrize(
    ("rollback", "words"),
    [
        ({"outcome": "complete", "error": None}, "⏪ complete"),
        ({"outcome": "failed", "error": {"name": "E", "message": "stuck"}}, "⏪ failed: E: stuck"),
    ],
)
def test_what_came_of_a_rollback_is_shown(
    rollback: dict[str, object], words: str, client: StubClient, orchestrator: Orchestrator
) -> None:
    client.has(detail("order-1", status="errored", rollback=rollback))

    assert words in orchestrator("instances", "describe", "orders").stdout
