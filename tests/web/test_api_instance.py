"""The REST interface over a stub: one instance, its events, and the health checks."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator.errors import SchemaBehind
from tests.web.conftest import assert_problem
from tests.web.stub import StubClient, attempt, detail, step

ORDERS = "/api/v1/workflows/orders"
O1 = f"{ORDERS}/instances/o-1"


def test_an_instance_is_shown_with_steps_and_attempts_and_users_values_untouched(
    http: FlaskClient, stub: StubClient
) -> None:
    users_own = {"started_at": 5, "created_at": "yesterday"}
    failed = attempt(1, error={"name": "Timeout", "message": "slow"})
    stub.add(detail(params=users_own, steps=[step("charge", output=users_own, attempts=2, attempt_log=[failed])]))
    shown = http.get(O1).get_json()
    assert shown["params"] == users_own
    assert shown["started_at"] is None
    assert shown["allowed_actions"] == ["pause", "terminate", "restart", "send_event", "delete"]
    (charge,) = shown["steps"]
    assert charge["output"] == users_own
    assert charge["ended_at"] == "2025-11-22T06:31:03.623Z"
    assert charge["attempt_log"][0]["ended_at"] == "2025-11-22T06:31:02.423Z"
    assert charge["attempt_log"][0]["error"]["message"] == "slow"


def test_an_unknown_instance_is_not_found(http: FlaskClient) -> None:
    problem = assert_problem(http.get(f"{ORDERS}/instances/nope"), 404, "instance.not_found")
    assert problem["instance_id"] == "nope"


@pytest.mark.parametrize(
    ("before", "action", "after"),
    [
        ("running", "pause", "paused"),
        ("paused", "resume", "queued"),
        ("running", "terminate", "terminated"),
        ("complete", "restart", "queued"),
    ],
)
def test_a_status_is_changed(http: FlaskClient, stub: StubClient, before: str, action: str, after: str) -> None:
    stub.add(detail(status=before))
    response = http.patch(f"{O1}/status", json={"status": action})
    assert response.status_code == 200
    assert response.get_json()["status"] == after
    assert stub.rows["orders"]["o-1"].status == after


def test_an_action_the_status_does_not_allow_is_a_conflict_with_those_it_does(
    http: FlaskClient, stub: StubClient
) -> None:
    stub.add(detail(status="complete"))
    problem = assert_problem(http.patch(f"{O1}/status", json={"status": "terminate"}), 409, "instance.not_allowed")
    assert problem["allowed_actions"] == ["restart", "delete"]
    assert problem["instance_id"] == "o-1"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "delete"},
        {"status": "paused"},
        {"status": "pause", "now": True},
        {"status": "terminate", "rollback": "no"},  # was taken for false
        {"status": "terminate", "rollback": 0},
    ],
)
def test_an_unknown_status_change_is_refused(http: FlaskClient, stub: StubClient, body: dict[str, Any]) -> None:
    stub.add(detail(status="running"))
    assert_problem(http.patch(f"{O1}/status", json=body), 422, "request.invalid")
    assert stub.rows["orders"]["o-1"].status == "running"


def test_an_instance_is_deleted_once(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail())
    response = http.delete(O1)
    assert (response.status_code, response.data) == (204, b"")
    assert_problem(http.delete(O1), 404, "instance.not_found")


# --- events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [{"by": "ann"}, [1], "text", 3, False])
def test_an_events_payload_is_the_whole_body(http: FlaskClient, stub: StubClient, payload: Any) -> None:
    stub.add(detail())
    response = http.post(f"{O1}/events/approval", json=payload)
    assert response.status_code == 202
    assert response.get_json() == {"workflow": "orders", "instance_id": "o-1", "type": "approval"}
    assert stub.events == [("o-1", "approval", payload)]


def test_an_event_may_have_no_payload(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail())
    assert http.post(f"{O1}/events/approval").status_code == 202
    assert stub.events == [("o-1", "approval", None)]


def test_an_illegal_event_type_is_refused(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail())
    assert_problem(http.post(f"{O1}/events/a.b"), 422, "workflow.invalid_event_type")
    assert stub.events == []


def test_an_event_for_nobody_is_not_found(http: FlaskClient) -> None:
    assert_problem(http.post(f"{O1}/events/approval"), 404, "instance.not_found")


# --- health -----------------------------------------------------------------------------------------------------------


def test_alive_does_not_depend_on_the_database_but_ready_does(http: FlaskClient, stub: StubClient) -> None:
    assert http.get("/readyz").get_json() == {"status": "ready"}
    stub.failure = SchemaBehind()
    assert http.get("/healthz").get_json() == {"status": "ok"}
    assert_problem(http.get("/readyz"), 503, "database.behind")


def test_an_instance_that_is_as_it_was_is_not_sent_again(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="running"))
    tag = http.get(O1).headers["ETag"]
    again = http.get(O1, headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    stub.add(detail(status="paused"))
    assert http.get(O1, headers={"If-None-Match": tag}).get_json()["status"] == "paused"
