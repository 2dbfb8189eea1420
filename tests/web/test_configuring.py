"""How a workflow is set and counted over REST, on the real client."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.conftest import assert_problem
from tests.web.door import INSTANCES, Door

ORDERS = "/api/v1/workflows/orders"
DAY_MS = 24 * 3_600_000


@pytest.fixture
def admin(door: Door) -> str:
    return door.token()


def test_a_workflow_is_set_and_given_back_to_its_class(door: Door, admin: str) -> None:
    asked = {"limits": {"steps": 500}, "concurrency": {"limit": 8}, "default_retention": {"error_retention": "7 days"}}
    answered = door.ask("PATCH", ORDERS, admin, json=asked)
    assert answered.status_code == 200, answered.text
    for shown in (answered.get_json(), door.ask("GET", ORDERS, admin).get_json()):
        assert (shown["limits"], shown["concurrency"]) == ({"steps": 500}, {"limit": 8})
        assert shown["default_retention"] == {"error_retention": 7 * DAY_MS}

    shown = door.ask("PATCH", ORDERS, admin, json={"concurrency": None}).get_json()
    assert (shown["limits"], shown["concurrency"]) == ({"steps": 500}, {})


def test_its_schedules_are_those_that_are_given(door: Door, admin: str) -> None:
    for crons in (["0 7 * * *", "0 8 * * 1"], ["0 8 * * 1"], []):
        body = {"schedules": [{"cron": cron, "timezone": "Europe/Lisbon"} for cron in crons]}
        assert door.ask("PATCH", ORDERS, admin, json=body).status_code == 200
        there = door.ask("GET", f"{ORDERS}/schedules", admin).get_json()["schedules"]
        assert [(row["cron"], row["timezone"]) for row in there] == [(cron, "Europe/Lisbon") for cron in crons]


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"limit": {}}, "limit", "Did you mean 'limits'?"),
    ({"limits": {"step": 5}}, "limits.step", "allowed: steps. Did you mean 'steps'?"),
    ({"schedules": [{"corn": "* * * * *"}]}, "schedules.0.corn", "allowed: cron, timezone, params."),
    ({"limits": {"steps": 0}}, "limits.steps", "greater than or equal to 1"),
]


@pytest.mark.parametrize(("body", "field", "said"), WRONG, ids=str)
def test_a_setting_that_there_is_not_is_refused_by_name(
    door: Door, admin: str, body: dict[str, Any], field: str, said: str
) -> None:
    problem = assert_problem(door.ask("PATCH", ORDERS, admin, json=body), 422, "request.invalid")
    assert said in next(error["message"] for error in problem["errors"] if error["field"] == field)
    assert door.client.workflow("orders").describe().limits == {}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"limits": {"steps": 25_001}}, "workflow.invalid_settings"),
        ({"default_retention": {"error_retention": "soon"}}, "retention.invalid"),
        ({"schedules": [{"cron": "never"}]}, "schedule.invalid"),
    ],
)
def test_a_setting_that_can_not_be_is_refused(door: Door, admin: str, body: dict[str, Any], code: str) -> None:
    assert_problem(door.ask("PATCH", ORDERS, admin, json=body), 422, code)


def test_a_workflow_that_nobody_knows_is_not_set(door: Door, admin: str) -> None:
    assert_problem(door.ask("PATCH", "/api/v1/workflows/none", admin, json={}), 404, "workflow.not_found")


def test_instances_are_counted(door: Door, admin: str) -> None:
    made_at = []
    for id in ("a", "b", "c"):
        door.client.workflow("orders").create(id=id)
        made_at.append(door.ask("GET", f"{INSTANCES}/{id}", admin).get_json()["created_at"])
        door.clock.advance("1 hour")
    door.client.workflow("orders").get("a").pause()

    def count(**query: Any) -> int:
        answer = door.ask("GET", f"{ORDERS}/count", admin, query_string=query)
        assert answer.status_code == 200, answer.text
        counted: int = answer.get_json()["count"]
        return counted

    assert count() == 3
    assert (count(status="paused"), count(status="paused,queued"), count(status="complete")) == (1, 3, 0)
    assert (count(date_start=made_at[1]), count(date_end=made_at[0])) == (2, 1)
    assert door.ask("GET", f"{ORDERS}/count?status=odd", admin).status_code == 422
