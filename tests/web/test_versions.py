"""Versions, graphs and numbers over REST, on both databases, of workflows that really ran."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator import Client, Settings, WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.engine.chores import do
from orchestrator.engine.host import register
from orchestrator.engine.local import LocalDoorbell, run_until_idle
from orchestrator.engine.runtime import Runtime
from orchestrator.store.database import Database
from tests.web.conftest import assert_problem
from web import WebSettings, create_app

ORDERS = "/api/v1/workflows/orders"


class Orders(WorkflowEntrypoint):
    name = "orders"

    async def run(self, event: Any, step: Any) -> None:
        await step.do("check", lambda: 1)


@pytest.fixture
def http(database_url: str) -> Iterator[FlaskClient]:
    database = Database(database_url)
    settings = Settings(database_url=database_url)
    doorbell = LocalDoorbell(database.clock)
    runtime = Runtime(database, Registry([Orders]), settings, doorbell)
    register(runtime)
    client = Client(settings, database=database, doorbell=doorbell)
    client.workflow("orders").create(id="o-1")
    run_until_idle(runtime, doorbell)
    do(runtime)
    yield create_app(client, settings=WebSettings()).test_client()
    database.close()


def test_versions_and_their_graphs_are_shown(http: FlaskClient) -> None:
    (version,) = http.get(f"{ORDERS}/versions").get_json()["versions"]
    assert version["created_at"].endswith("Z")
    assert http.get(f"{ORDERS}/versions/{version['id']}").get_json() == version
    graph = http.get(f"{ORDERS}/versions/{version['id']}/graph").get_json()
    assert [node["type"] for node in graph["workflow"]["nodes"]] == ["start", "step_do"]
    assert http.get(f"{ORDERS}/graph").get_json() == graph
    assert http.get(f"{ORDERS}/instances/o-1").get_json()["versions"] == [version["id"]]


@pytest.mark.parametrize("address", ["versions/nothing", "versions/nothing/graph"])
def test_a_version_that_is_not_there_is_not_found(http: FlaskClient, address: str) -> None:
    assert_problem(http.get(f"{ORDERS}/{address}"), 404, "version.not_found")


def test_numbers_are_shown_by_what_is_asked_for(http: FlaskClient) -> None:
    (row,) = http.get(f"{ORDERS}/aggregates").get_json()["aggregates"]
    assert row["at"].endswith(":00:00.000Z")
    assert (row["started"], row["finished"], row["wall_ms"]["count"]) == (1, {"complete": 1}, 1)
    (step,) = http.get("/api/v1/aggregates?group_by=workflow,step").get_json()["aggregates"]
    assert (step["at"], step["workflow"], step["step"], step["attempts"]) == (None, "orders", "check", 1)
    assert http.get(f"{ORDERS}/aggregates?since=2001-01-01T00:00:00Z&until=2001-01-02T00:00:00Z").get_json() == {
        "aggregates": []
    }


@pytest.mark.parametrize(
    ("query", "code"),
    [("group_by=minute", "aggregates.invalid"), ("since=yesterday", "request.invalid"), ("by=hour", "request.invalid")],
)
def test_numbers_that_can_not_be_asked_for_are_refused(http: FlaskClient, query: str, code: str) -> None:
    assert_problem(http.get(f"/api/v1/aggregates?{query}"), 422, code)
