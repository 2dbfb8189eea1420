"""Messages that could not be carried out: seen, tried again and deleted over REST, on the real client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.errors import OrchestratorError
from tests.web.conftest import assert_problem
from tests.web.door import INSTANCES, Door

REJECTED = "/api/v1/rejected"


@pytest.fixture
def operator(door: Door) -> str:
    return door.token("operate")


def reject(door: Door, **message: Any) -> None:
    """What `orchestrator listen` does with a message that can't be carried out."""
    body = json.dumps({"action": "send_event", "workflow": "orders", "message_id": "m", **message})
    with pytest.raises(OrchestratorError) as refused:
        door.client.accept_message(body)
    assert door.client.reject_message(body, refused.value, message_id=None, queue="inbox")


def listed(door: Door, token: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = door.ask("GET", REJECTED, token).get_json()["messages"]
    return found


def test_they_are_listed_with_the_reason_page_by_page(door: Door, operator: str) -> None:
    for number in range(3):
        reject(door, message_id=f"m-{number}", instance_id="none", type="go")
    first = door.ask("GET", f"{REJECTED}?limit=2", operator).get_json()
    assert [row["message_id"] for row in first["messages"]] == ["m-2", "m-1"]
    assert (first["messages"][0]["code"], first["messages"][0]["queue"]) == ("instance.not_found", "inbox")
    rest = door.ask("GET", f"{REJECTED}?limit=2&cursor={first['next_cursor']}", operator).get_json()
    assert ([row["message_id"] for row in rest["messages"]], rest["next_cursor"]) == (["m-0"], None)


def test_one_that_is_tried_again_is_carried_out_once(door: Door, operator: str) -> None:
    reject(door, instance_id="a", type="go")
    id = listed(door, operator)[0]["id"]
    again = f"{REJECTED}/{id}/retry"
    problem = assert_problem(door.ask("POST", again, operator), 404, "instance.not_found")
    assert "'a'" in problem["detail"]
    assert len(listed(door, operator)) == 1, "what still can't be done is still there"

    door.client.workflow("orders").create(id="a")
    door.work()
    assert door.ask("POST", again, operator).status_code == 204
    door.work()
    assert door.ask("GET", f"{INSTANCES}/a", operator).get_json()["status"] == "complete"
    assert listed(door, operator) == []
    assert_problem(door.ask("POST", again, operator), 404, "message.not_found")


def test_one_that_makes_no_sense_stays_until_it_is_deleted(door: Door, operator: str) -> None:
    reject(door, instance_id=7)
    id = listed(door, operator)[0]["id"]
    assert_problem(door.ask("POST", f"{REJECTED}/{id}/retry", operator), 422, "message.invalid")
    assert door.ask("DELETE", f"{REJECTED}/{id}", operator).status_code == 204
    assert listed(door, operator) == []
    assert_problem(door.ask("DELETE", f"{REJECTED}/{id}", operator), 404, "message.not_found")


def test_numbers_that_no_message_can_have_are_nobodys(door: Door, operator: str) -> None:
    assert_problem(door.ask("DELETE", f"{REJECTED}/{2**80}", operator), 404, "message.not_found")
