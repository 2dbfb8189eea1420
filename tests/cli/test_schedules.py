"""Schedules on the command line: shown with what comes next, changed by name, tried out without a database."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import Orchestrator
from tests.cli.stub import StubClient, schedule


def test_schedules_are_listed_of_one_workflow_or_of_all(client: StubClient, orchestrator: Orchestrator) -> None:
    client.planned = [schedule(), schedule(id="8", workflow="refunds", paused=True, next_at=None, next_times=[])]

    of_all = orchestrator("schedules", "list").stdout
    of_one = orchestrator("schedules", "list", "orders", "-o", "name").stdout

    assert [line.split()[0] for line in of_all.splitlines()] == ["ID", "7", "8"]
    assert "0 7 * * *" in of_all
    assert "⏸️ paused" in of_all
    assert of_one == "7\n"
    assert "Params" in orchestrator("schedules", "list", "-o", "wide").stdout
    assert json.loads(orchestrator("schedules", "list", "--json").stdout)[0]["cron"] == "0 7 * * *"


def test_no_schedules_say_how_to_make_one(orchestrator: Orchestrator) -> None:
    assert "orchestrator schedules create orders" in orchestrator("schedules", "list", "orders").stderr


def test_a_schedule_is_created_with_its_zone_and_params(client: StubClient, orchestrator: Orchestrator) -> None:
    result = orchestrator("schedules", "create", "orders", "0 7 * * *", "--tz", "Europe/Berlin", "--params", '{"n": 1}')

    assert client.calls == [("add_schedule", "0 7 * * *", "Europe/Berlin", {"n": 1})]
    assert result.exit_code == 0, result.stderr
    assert '⏰ Schedule 7 starts "orders" at "0 7 * * *" (Europe/Berlin)' in result.stderr
    assert "Next: " in result.stderr


@pytest.mark.parametrize(
    ("verb", "call", "told"),
    [
        ("pause", "pause_schedule", "⏸️  The schedule 7 of orders was paused successfully"),
        ("resume", "resume_schedule", "🔄 The schedule 7 of orders was resumed successfully"),
        ("run-now", "run_schedule", '🚀 Workflow instance "0 7 * * *-1800000000000" has been queued successfully'),
        ("delete", "remove_schedule", "🗑️  Deleted the schedule 7 of orders"),
    ],
)
def test_a_schedule_is_acted_on_by_its_id(
    verb: str, call: str, told: str, client: StubClient, orchestrator: Orchestrator
) -> None:
    result = orchestrator("schedules", verb, "orders", "7", *(["--yes"] if verb == "delete" else []))

    assert client.calls == [(call, "7")]
    assert result.stderr.splitlines()[0] == told


def test_deleting_asks_first(client: StubClient, orchestrator: Orchestrator) -> None:
    assert orchestrator("schedules", "delete", "orders", "7").exit_code == 2
    assert client.calls == []


def test_an_expression_is_tried_out_without_a_database(orchestrator: Orchestrator) -> None:
    result = orchestrator("schedules", "preview", "30 7 * * *", "--tz", "Europe/Berlin", "-n", "3", "--json")

    found = json.loads(result.stdout)
    assert len(found) == 3
    assert all(" 07:30+0" in moment["local"] for moment in found)
    assert len(orchestrator("schedules", "preview", "30 7 * * *").stdout.splitlines()) == 11


@pytest.mark.parametrize(
    "given", [["every day"], ["0 7 * *"], ["61 * * * *"], ["0 7 * * *", "--tz", "Mars/Base"], [""]]
)
def test_an_expression_that_is_none_is_refused(given: list[str], orchestrator: Orchestrator) -> None:
    result = orchestrator("schedules", "preview", *given)

    assert result.exit_code == 2
    assert "Error:" in result.stderr
