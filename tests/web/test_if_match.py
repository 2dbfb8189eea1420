"""What was seen is changed, or nothing is: If-Match on the real client."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.web.conftest import assert_problem
from tests.web.door import INSTANCES, Door
from web.operations import instances as operations

CHANGES: list[tuple[str, str, Any]] = [
    ("PATCH", f"{INSTANCES}/a/status", {"status": "terminate"}),
    ("DELETE", f"{INSTANCES}/a", None),
]


@pytest.fixture
def admin(door: Door) -> str:
    door.client.workflow("orders").create(id="a")
    return door.token()


def tag(door: Door, path: str, token: str) -> str:
    return door.ask("GET", path, token).headers["ETag"]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_an_instance_is_changed_only_as_it_was_seen(door: Door, admin: str, method: str, path: str, body: Any) -> None:
    seen = tag(door, f"{INSTANCES}/a", admin)
    door.client.workflow("orders").get("a").pause()
    refused = door.ask(method, path, admin, json=body, headers={"If-Match": seen})
    assert_problem(refused, 412, "request.precondition_failed")
    assert door.client.workflow("orders").get("a").status().status == "paused"
    now = refused.headers["ETag"]
    assert now == tag(door, f"{INSTANCES}/a", admin) != seen
    assert door.ask(method, path, admin, json=body, headers={"If-Match": f'"x", {now}'}).status_code < 300


def test_a_workflow_is_set_only_as_it_was_seen(door: Door, admin: str) -> None:
    orders = "/api/v1/workflows/orders"
    seen = tag(door, orders, admin)
    door.client.workflow("orders").create()
    assert tag(door, orders, admin) == seen, "how many instances there are is no setting"
    first = door.ask("PATCH", orders, admin, json={"limits": {"steps": 5}}, headers={"If-Match": seen})
    assert (first.status_code, first.headers["ETag"]) == (200, tag(door, orders, admin))
    second = door.ask("PATCH", orders, admin, json={"limits": {"steps": 6}}, headers={"If-Match": seen})
    assert_problem(second, 412, "request.precondition_failed")
    assert second.headers["ETag"] == first.headers["ETag"]
    assert door.client.workflow("orders").describe().limits == {"steps": 5}


def test_a_workflow_is_deleted_only_as_it_was_seen(door: Door, admin: str) -> None:
    orders = "/api/v1/workflows/orders"
    seen = tag(door, orders, admin)
    door.client.workflow("orders").configure(limits={"steps": 5})
    refused = door.ask("DELETE", orders, admin, headers={"If-Match": seen})
    assert_problem(refused, 412, "request.precondition_failed")
    now = refused.headers["ETag"]
    assert now == tag(door, orders, admin) != seen
    assert door.ask("DELETE", orders, admin, headers={"If-Match": now}).status_code == 200
    assert door.ask("GET", orders, admin).status_code == 404


def test_anything_will_do_for_a_star_and_a_weak_tag_for_nothing(door: Door, admin: str) -> None:
    seen = tag(door, f"{INSTANCES}/a", admin)
    pause = {"status": "pause"}
    weak = door.ask("PATCH", f"{INSTANCES}/a/status", admin, json=pause, headers={"If-Match": f"W/{seen}"})
    assert weak.status_code == 412
    star = door.ask("PATCH", f"{INSTANCES}/a/status", admin, json=pause, headers={"If-Match": "*"})
    assert star.status_code == 200


def test_a_change_that_comes_between_is_noticed(door: Door, admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = operations.change_status

    def late(*given: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(door.client.workflow("orders").get("a").pause).result()
        return real(*given)

    monkeypatch.setattr(operations, "change_status", late)
    headers = {"If-Match": tag(door, f"{INSTANCES}/a", admin), "Idempotency-Key": "k"}
    refused = door.ask("PATCH", f"{INSTANCES}/a/status", admin, json={"status": "terminate"}, headers=headers)
    assert_problem(refused, 412, "request.precondition_failed")
    assert door.client.workflow("orders").get("a").status().status == "paused"
