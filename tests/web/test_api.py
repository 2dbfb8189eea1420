"""The REST interface over a stub: workflows, and instances made and listed."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.web.conftest import assert_problem
from tests.web.stub import T0, StubClient, detail

ORDERS = "/api/v1/workflows/orders"
O1 = f"{ORDERS}/instances/o-1"


def test_workflows_are_listed_with_counts_and_times_as_text(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="running"))
    (workflow,) = http.get("/api/v1/workflows").get_json()["workflows"]
    assert workflow["name"] == "orders"
    assert workflow["instances"] == {"running": 1}
    assert workflow["created_at"] == "2025-11-22T06:31:02.123Z"


def test_one_workflow_is_shown(http: FlaskClient) -> None:
    assert http.get(ORDERS).get_json()["class_name"] == "Orders"


def test_an_unknown_workflow_is_not_found(http: FlaskClient) -> None:
    problem = assert_problem(http.get("/api/v1/workflows/nope"), 404, "workflow.not_found")
    assert problem["workflow"] == "nope"


# --- create -----------------------------------------------------------------------------------------------------------


def test_an_instance_is_created_at_the_address_it_says(http: FlaskClient, stub: StubClient) -> None:
    response = http.post(f"{ORDERS}/instances", json={"instance_id": "o-1", "params": {"items": [1]}})
    assert response.status_code == 201
    assert response.headers["Location"] == O1
    assert response.get_json() == {
        "id": "o-1",
        "workflow": "orders",
        "status": "queued",
        "output": None,
        "error": None,
        "rollback": None,
    }
    assert stub.rows["orders"]["o-1"].params == {"items": [1]}
    assert stub.rows["orders"]["o-1"].trigger == "api"


def test_an_instance_needs_neither_id_nor_params_nor_body(http: FlaskClient, stub: StubClient) -> None:
    assert http.post(f"{ORDERS}/instances").status_code == 201
    assert http.post(f"{ORDERS}/instances", json={}).status_code == 201
    assert len(stub.rows["orders"]) == 2


def test_params_may_be_any_json_value(http: FlaskClient, stub: StubClient) -> None:
    http.post(f"{ORDERS}/instances", json={"instance_id": "o-1", "params": [1, "two", None]})
    assert stub.rows["orders"]["o-1"].params == [1, "two", None]


def test_an_id_that_is_taken_is_a_conflict_that_names_the_instance(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(params={"first": True}))
    response = http.post(f"{ORDERS}/instances", json={"instance_id": "o-1", "params": {"second": True}})
    problem = assert_problem(response, 409, "instance.already_exists")
    assert (problem["workflow"], problem["instance_id"]) == ("orders", "o-1")
    assert stub.rows["orders"]["o-1"].params == {"first": True}


def test_an_illegal_id_is_refused(http: FlaskClient, stub: StubClient) -> None:
    response = http.post(f"{ORDERS}/instances", json={"instance_id": "a b"})
    assert_problem(response, 422, "instance.invalid_id")
    assert stub.rows["orders"] == {}


def test_an_unknown_field_is_refused_by_name_with_the_likely_one(http: FlaskClient, stub: StubClient) -> None:
    response = http.post(f"{ORDERS}/instances", json={"prams": {}, "instance_id": "o-1"})
    problem = assert_problem(response, 422, "request.invalid")
    assert "prams" in problem["detail"]
    assert "'params'" in problem["detail"]
    assert [error["field"] for error in problem["errors"]] == ["prams"]
    assert stub.rows["orders"] == {}


@pytest.mark.parametrize(
    "raw",
    [b"{bad", b'{"params": NaN}', b'{"params": 1e999}', b"\xff\xfe", b'{"a": "\\ud800"}', b"[" * 100_000, b'{"a":1}{}'],
    ids=["broken", "nan", "infinity", "no utf-8", "half a surrogate", "too deep", "two values"],
)
def test_malformed_json_creates_nothing(http: FlaskClient, stub: StubClient, raw: bytes) -> None:
    response = http.post(f"{ORDERS}/instances", data=raw[:60_000], content_type="application/json")
    assert_problem(response, 400, "request.malformed")
    assert stub.rows["orders"] == {}


@pytest.mark.parametrize("body", [[], "text", 1, True])
def test_a_body_that_is_no_object_is_refused(http: FlaskClient, body: Any) -> None:
    assert_problem(http.post(f"{ORDERS}/instances", json=body), 422, "request.invalid")


def test_a_field_of_the_wrong_type_is_named(http: FlaskClient) -> None:
    problem = assert_problem(http.post(f"{ORDERS}/instances", json={"instance_id": 7}), 422, "request.invalid")
    assert problem["errors"][0]["field"] == "instance_id"


def test_a_body_that_does_not_say_it_is_json_is_refused(http: FlaskClient, stub: StubClient) -> None:
    response = http.post(f"{ORDERS}/instances", data=b'{"instance_id": "o-1"}', content_type="text/plain")
    problem = assert_problem(response, 415, "request.unsupported_media_type")
    assert "application/json" in problem["detail"]
    assert stub.rows["orders"] == {}


def test_an_oversize_body_is_refused_with_the_limit(http: FlaskClient, stub: StubClient) -> None:
    response = http.post(f"{ORDERS}/instances", json={"params": "x" * 70_000})
    problem = assert_problem(response, 413, "request.too_large")
    assert "65,536" in problem["detail"]
    assert stub.rows["orders"] == {}


# --- list -------------------------------------------------------------------------------------------------------------


def test_instances_are_listed_newest_first_with_a_cursor(http: FlaskClient, stub: StubClient) -> None:
    for number in range(3):
        stub.add(detail(f"o-{number}", created_at=T0 + number))
    answer = http.get(f"{ORDERS}/instances?limit=2").get_json()
    assert [row["id"] for row in answer["instances"]] == ["o-2", "o-1"]
    assert answer["instances"][0]["created_at"] == "2025-11-22T06:31:02.125Z"
    assert answer["next_cursor"] is not None
    http.get(f"{ORDERS}/instances?cursor={answer['next_cursor']}")
    assert stub.asked[-1]["before"] == answer["next_cursor"]


def test_the_last_page_has_no_cursor(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail())
    assert http.get(f"{ORDERS}/instances").get_json()["next_cursor"] is None


@pytest.mark.parametrize("query", ["status=running,errored", "status=running&status=errored"])
def test_a_list_is_filtered_by_several_statuses(http: FlaskClient, stub: StubClient, query: str) -> None:
    for status in ("running", "errored", "complete"):
        stub.add(detail(f"is-{status}", status=status))
    rows = http.get(f"{ORDERS}/instances?{query}").get_json()["instances"]
    assert {row["id"] for row in rows} == {"is-running", "is-errored"}


def test_a_list_is_turned_round(http: FlaskClient, stub: StubClient) -> None:
    http.get(f"{ORDERS}/instances?direction=asc")
    assert stub.asked[-1]["oldest_first"] is True


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1000", "limit"),
        ("limit=ten", "limit"),
        ("limit=1&limit=2", "limit"),
        ("status=done", "status.0"),
        ("cursor=-1", "cursor"),
        ("direction=up", "direction"),
        ("statsu=running", "statsu"),
    ],
)
def test_a_wrong_query_is_refused_by_name(http: FlaskClient, query: str, field: str) -> None:
    problem = assert_problem(http.get(f"{ORDERS}/instances?{query}"), 422, "request.invalid")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("address", ["/api/v1/workflows", ORDERS, O1])
def test_addresses_that_take_no_query_refuse_one(http: FlaskClient, stub: StubClient, address: str) -> None:
    stub.add(detail())
    assert_problem(http.get(f"{address}?status=running"), 422, "request.invalid")
