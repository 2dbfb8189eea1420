"""Each action on an instance in each status, over HTTP: what the table of transitions says, or a 409 with what is allowed."""

from __future__ import annotations

import pytest

from tests.engine.bench import Bench
from tests.engine.conftest import bench, make_bench
from tests.engine.test_transitions import MAKE, TABLE
from tests.web.conftest import assert_problem
from web import WebSettings, create_app

__all__ = ["bench", "make_bench"]


@pytest.mark.parametrize(("status", "action", "expected"), TABLE)
@pytest.mark.parametrize("root", ["/api/v1", "/client/v4/accounts/any"])
def test_an_action_over_http_leads_where_the_table_says_or_is_refused_with_what_is_allowed(
    bench: Bench, root: str, status: str, action: str, expected: str | None
) -> None:
    instance = MAKE[status](bench)
    before = instance.describe()
    http = create_app(bench.client, registry=bench.registry, settings=WebSettings()).test_client()
    path = f"{root}/workflows/{instance.workflow}/instances/{instance.id}"
    answer = http.patch(f"{path}/status", json={"status": action})
    if expected is not None:
        assert answer.status_code == 200
        assert (answer.get_json().get("result") or answer.get_json())["status"] == expected
        assert instance.status().status == expected
        return
    assert answer.status_code == 409
    if root == "/api/v1":
        problem = assert_problem(answer, 409, "instance.not_allowed")
        assert (problem["action"], problem["instance_status"]) == (action, status)
        assert problem["allowed_actions"] == before.allowed_actions
    else:
        said = answer.get_json()["messages"][0]["message"]
        assert ", ".join(before.allowed_actions) in said
    assert instance.describe() == before


@pytest.mark.parametrize("status", MAKE)
def test_an_instance_in_any_status_takes_an_event_and_is_deleted_over_http(bench: Bench, status: str) -> None:
    instance = MAKE[status](bench)
    http = create_app(bench.client, registry=bench.registry, settings=WebSettings()).test_client()
    path = f"/api/v1/workflows/{instance.workflow}/instances/{instance.id}"
    assert http.post(f"{path}/events/news", json={"payload": 1}).status_code in (200, 202)
    assert http.delete(path).status_code == 204
    assert_problem(http.get(path), 404, "instance.not_found")
