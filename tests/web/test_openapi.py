"""Whether the document of the REST interface is whole, and the committed one current."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.checkout import ROOT
from tests.web.stub import StubClient
from web import WebSettings, create_app
from web.contract import contract_of
from web.openapi import document


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    client: Any = StubClient()
    return document(create_app(client, settings=WebSettings()))


def operations(described: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in described["paths"].values() for operation in path.values()]


def test_the_committed_document_is_what_the_code_makes(described: dict[str, Any]) -> None:
    committed = json.loads((ROOT / "docs" / "openapi.json").read_text())
    assert committed == described, "python -m web.api >docs/openapi.json"


def test_it_is_served_to_whoever_asks(described: dict[str, Any]) -> None:
    client: Any = StubClient()
    app = create_app(client, settings=WebSettings(auth="tokens"))
    assert app.test_client().get("/api/v1/openapi.json").get_json() == described


def test_every_route_says_what_it_takes_and_answers(app: Flask) -> None:
    routes = [rule.endpoint for rule in app.url_map.iter_rules() if rule.endpoint.startswith("api.")]
    assert len(routes) > 30
    assert [route for route in routes if contract_of(app.view_functions[route]) is None] == []


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    def references(part: Any) -> set[str]:
        if isinstance(part, dict):
            return ({part["$ref"]} if isinstance(part.get("$ref"), str) else set()).union(
                *map(references, part.values())
            )
        return set().union(*map(references, part)) if isinstance(part, list) else set()

    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert references(described) <= known


def test_every_operation_has_a_name_of_its_own_and_says_its_errors(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(described)]
    assert len(names) == len(set(names))
    for operation in operations(described):
        problems = {status: answer for status, answer in operation["responses"].items() if status[0] not in "23"}
        assert all([*answer["content"]] == ["application/problem+json"] for answer in problems.values())


def test_times_are_text_and_what_users_stored_is_anything(described: dict[str, Any]) -> None:
    detail = described["components"]["schemas"]["InstanceDetail"]
    assert detail["properties"]["created_at"] == {"type": "string", "format": "date-time"}
    assert detail["properties"]["params"] == {}
    assert set(detail["required"]) == set(detail["properties"])


def test_a_query_that_no_contract_names_is_refused(http: FlaskClient) -> None:
    assert http.get("/api/v1/workflows?limit=1").status_code == 422
    assert http.get("/api/v1/workflows/orders/instances?limit=1").status_code == 200


def test_what_may_be_unchanged_says_so(described: dict[str, Any]) -> None:
    conditional = {
        operation["operationId"]
        for operations in described["paths"].values()
        for operation in operations.values()
        if "304" in operation["responses"]
    }
    assert conditional == {"show_instance", "wait_for_instance"}
    show = described["paths"]["/workflows/{workflow}/instances/{instance_id}"]["get"]
    assert "If-None-Match" in [parameter["name"] for parameter in show["parameters"]]
    assert "content" not in show["responses"]["304"]


def test_a_batch_says_which_instances_are_to_go(described: dict[str, Any]) -> None:
    body = described["paths"]["/workflows/{workflow}/instances/batch/delete"]["post"]["requestBody"]
    assert body["required"]
    schema = described["components"]["schemas"]["DeletedInstances"]
    assert schema["required"] == ["instances"]
    assert (schema["properties"]["instances"]["minItems"], schema["properties"]["instances"]["maxItems"]) == (1, 100)
