"""Versions, graphs, numbers and whole outputs of steps over either client, and on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.cli import root
from orchestrator.errors import InvalidAggregates, OrchestratorError, StepNotFound, UsageError, VersionNotFound
from orchestrator.inspection import VersionView
from tests.remote.conftest import Both


@pytest.fixture
def shop(both: Both) -> Both:
    order = both.local.workflow("orders").create({"items": ["tea"]}, id="o-1")
    both.local.workflow("orders").create({"broken": True}, id="o-2")
    both.bench.work()
    order.send_event("approval", {"by": "änn"})
    both.bench.after(2)
    return both


def test_versions_and_graphs_are_told_alike(shop: Both) -> None:
    (version,) = shop.agree(lambda client: client.workflow("orders").versions())
    assert (type(version), version.class_name) == (VersionView, "Orders")
    assert shop.agree(lambda client: client.workflow("orders").version(version.id)) == version
    graph = shop.agree(lambda client: client.workflow("orders").graph())
    assert shop.agree(lambda client: client.workflow("orders").graph(version.id)) == graph
    assert graph["workflow"]["class_name"] == "Orders"


def test_numbers_are_told_alike(shop: Both) -> None:
    now = shop.bench.clock.now_ms()
    for groups in (["hour"], ["day", "workflow"], ["step"]):
        ask = {"since": now - 86_400_000, "until": now, "group_by": groups}
        shop.agree(lambda client, ask=ask: client.aggregates(**ask))
        shop.agree(lambda client, ask=ask: client.workflow("orders").aggregates(**ask))
    assert shop.agree(lambda client: client.aggregates(workflow="orders")) != []


def test_the_whole_output_of_a_step_is_told_alike(shop: Both) -> None:
    def parts(client: Any, id: str, *step: Any, **which: Any) -> Any:
        found = client.workflow("orders").get(id).step(*step, **which)
        return found.status, found.output, found.error, found.event_type

    assert shop.agree(lambda client: parts(client, "o-1", "check stock")) == ("complete", 1, None, None)
    waited = shop.agree(lambda client: parts(client, "o-1", "manager approves", type="waitForEvent"))
    assert waited[3] == "approval"
    failed = shop.agree(lambda client: parts(client, "o-2", "check stock", attempt=1))
    assert failed[2] == {"name": "ValueError", "message": "no stock of täa"}


REFUSED: dict[str, tuple[Callable[[Any], Any], type[OrchestratorError]]] = {
    "no version": (lambda orders: orders.version("nope"), VersionNotFound),
    "no name of a version": (lambda orders: orders.version("../x"), VersionNotFound),
    "no graph": (lambda orders: orders.graph("nope"), VersionNotFound),
    "no group": (lambda orders: orders.aggregates(group_by=["minute"]), InvalidAggregates),
    "no step": (lambda orders: orders.get("o-1").step("nope"), StepNotFound),
    "no attempt": (lambda orders: orders.get("o-1").step("check stock", attempt=7), StepNotFound),
    "no count": (lambda orders: orders.get("o-1").step("check stock", count=0), UsageError),
    "no type": (lambda orders: orders.get("o-1").step("check stock", type="step"), UsageError),
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.replace(" ", "-"))
def test_what_one_refuses_the_other_refuses_too(shop: Both, case: str) -> None:
    ask, kind = REFUSED[case]
    shop.refuse(lambda client: ask(client.workflow("orders")), kind)


COMMANDS = [
    ["versions", "orders"],
    ["versions", "orders", "--json"],
    ["graph", "orders"],
    ["graph", "orders", "--format", "mermaid"],
    ["graph", "orders", "--format", "json"],
    ["graph", "orders", "--version", "nope"],
    ["stats", "--since", "2020-01-01", "--json"],
    ["stats", "orders", "--since", "2020-01-01", "--by", "step", "--by", "day"],
    ["stats", "orders", "--since", "now", "--until", "24h"],
    ["instances", "step", "orders", "o-1", "check stock"],
    ["instances", "step", "orders", "o-1", "check stock", "--json"],
    ["instances", "step", "orders", "o-2", "check stock"],
    ["instances", "step", "orders", "o-1", "nope"],
    ["instances", "runs", "orders", "o-1"],
    ["instances", "subscribe", "orders", "o-1"],
    ["schedules", "list"],
]


def test_the_command_line_writes_the_same_on_a_server_and_on_its_database(shop: Both) -> None:
    for arguments in COMMANDS:
        results = [
            CliRunner().invoke(root, arguments, env=env)
            for env in ({"DATABASE_URL": shop.bench.settings.database_url}, {"ORCHESTRATOR_API_URL": shop.remote.url})
        ]
        local, remote = results
        assert (remote.stdout, remote.stderr) == (local.stdout, local.stderr), arguments
        assert remote.exit_code == local.exit_code, arguments
        assert not isinstance(local.exception, Exception) or isinstance(local.exception, SystemExit), local.exception
    shown = CliRunner().invoke(
        root, ["graph", "orders", "--format", "json"], env={"ORCHESTRATOR_API_URL": shop.remote.url}
    )
    assert json.loads(shown.stdout)["workflow"]["class_name"] == "Orders"
