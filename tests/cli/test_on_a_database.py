"""The command line over the real client and a real SQLite file, with nobody at work: what is written and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestrator.cli import root

APPLICATION = """
from pydantic import BaseModel
from orchestrator import WorkflowEntrypoint

class Order(BaseModel):
    items: list[str]

class Orders(WorkflowEntrypoint[Order]):
    async def run(self, event, step):
        return None
"""

Command = Callable[..., Result]


@pytest.fixture
def orchestrator(sqlite_url: str, tmp_path: Path) -> Command:
    """The command line as a user has it: the application and the database come from the environment."""
    (tmp_path / "shop_of_orders.py").write_text(APPLICATION)
    variables = {"DATABASE_URL": sqlite_url, "ORCHESTRATOR_APP": "shop_of_orders.py"}

    def run(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(root, arguments, env={**variables, **more})

    return run


@pytest.fixture
def order(orchestrator: Command) -> str:
    result = orchestrator("trigger", "orders", '{"items": ["tea"]}', "--id", "order-1", "-o", "id")
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def _data(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def _status(orchestrator: Command, instance: str) -> str:
    status: str = _data(orchestrator("instances", "describe", "orders", instance, "--json"))["status"]
    return status


def test_what_was_triggered_is_listed_and_described(orchestrator: Command, order: str) -> None:
    listed = _data(orchestrator("instances", "list", "orders", "--json"))
    found = _data(orchestrator("instances", "describe", "orders", "latest", "--json"))

    assert [row["id"] for row in listed] == [order]
    assert (found["id"], found["status"], found["params"]) == (order, "queued", {"items": ["tea"]})
    assert isinstance(found["created_at"], int)
    assert "order-1" in orchestrator("instances", "list", "orders").stdout
    assert "⌛ Queued" in orchestrator("instances", "describe", "orders").stdout


def test_params_that_do_not_fit_are_refused_and_nothing_is_written(orchestrator: Command, order: str) -> None:
    result = orchestrator("trigger", "orders", '{"items": "tea"}')

    assert result.exit_code == 2
    assert "items" in result.stderr
    assert len(_data(orchestrator("instances", "list", "orders", "--json"))) == 1


def test_an_id_that_is_taken_is_a_conflict_that_names_the_instance(orchestrator: Command, order: str) -> None:
    result = orchestrator("trigger", "orders", '{"items": []}', "--id", order)

    assert result.exit_code == 4
    assert order in result.stderr
    assert f"orchestrator instances describe orders {order}" in result.stderr


@pytest.mark.parametrize("instance", ["a b", "-", "x" * 101, "latest", "é"])
def test_an_id_with_illegal_characters_is_refused(orchestrator: Command, instance: str) -> None:
    assert orchestrator("trigger", "orders", '{"items": []}', "--id", instance).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["describe", "order"],
        ["trigger", "order"],
        ["instances", "list", "order"],
        ["instances", "describe", "order"],
        ["instances", "pause", "order", "latest"],
    ],
    ids=" ".join,
)
def test_an_unknown_workflow_is_3_with_the_one_that_was_meant(
    orchestrator: Command, order: str, arguments: list[str]
) -> None:
    result = orchestrator(*arguments)

    assert result.exit_code == 3
    assert "orders" in result.stderr


def test_an_unknown_instance_is_3(orchestrator: Command, order: str) -> None:
    assert orchestrator("instances", "describe", "orders", "order-2").exit_code == 3
    assert orchestrator("instances", "delete", "orders", "order-2", "--yes").exit_code == 3


def test_an_instance_can_be_ended_restarted_and_deleted(orchestrator: Command, order: str) -> None:
    assert orchestrator("instances", "terminate", "orders", order, "--yes").exit_code == 0
    assert _status(orchestrator, order) == "terminated"
    refused = orchestrator("instances", "terminate", "orders", order, "--yes")
    assert refused.exit_code == 4
    assert orchestrator("instances", "restart", "orders", order, "--yes").exit_code == 0
    assert _status(orchestrator, order) == "queued"
    assert orchestrator("instances", "delete", "orders", "latest", "--yes").exit_code == 0
    assert orchestrator("instances", "describe", "orders", order).exit_code == 3


def test_an_event_type_with_illegal_characters_is_refused(orchestrator: Command, order: str) -> None:
    assert orchestrator("instances", "send-event", "orders", order, "--type", "approval").exit_code == 0
    assert orchestrator("instances", "send-event", "orders", order, "--type", "a.b").exit_code == 2


def test_waiting_for_what_nobody_works_on_is_7(orchestrator: Command, order: str) -> None:
    for flag in ("--wait", "--watch"):
        result = orchestrator("trigger", "orders", '{"items": []}', flag, "--timeout", "100ms")

        assert result.exit_code == 7, result.stderr


def test_without_the_tables_the_next_command_is_told(orchestrator: Command, tmp_path: Path) -> None:
    result = orchestrator("instances", "list", "orders", DATABASE_URL=f"sqlite:///{tmp_path}/new.db")

    assert result.exit_code == 1
    assert "orchestrator db upgrade" in result.stderr
