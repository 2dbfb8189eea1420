"""Tokens at the door: who is let in, to what, until when, and what is written down of it; over the real client."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.web.conftest import assert_problem
from tests.web.door import INSTANCES, Billing, Door, Orders, open_door
from web import WebSettings, access


def test_nobody_is_let_in_without_a_token_but_for_health(door: Door) -> None:
    for path in (INSTANCES, "/api/v1/tokens", "/api/v1/nothing"):
        problem = door.ask("GET", path, None)
        assert_problem(problem, 401, "auth.unauthorized")
        assert problem.headers["WWW-Authenticate"] == "Bearer"
    page = door.ask("GET", "/", None)
    assert (page.status_code, page.headers["WWW-Authenticate"]) == (401, 'Basic realm="orchestrator"')
    refused = door.ask("GET", "/client/v4/accounts/a/workflows", None)
    assert (refused.status_code, refused.get_json()["errors"][0]["code"]) == (401, 10000)
    assert door.ask("GET", "/healthz", None).status_code == 200
    assert door.ask("GET", "/readyz", None).status_code == 200


def test_a_token_opens_the_interface_and_as_a_password_the_pages(door: Door) -> None:
    token = door.token("read")
    assert door.ask("GET", INSTANCES, token).status_code == 200
    password = base64.b64encode(f"anybody:{token}".encode()).decode()
    assert door.http.get("/", headers={"Authorization": f"Basic {password}"}).status_code == 200
    # Other machines are let in too: it is the token that counts.
    there = door.http.get(
        INSTANCES,
        headers={"Authorization": f"Bearer {token}", "Host": "orders.example"},
        environ_base={"REMOTE_ADDR": "10.0.0.7"},
    )
    assert there.status_code == 200


@pytest.mark.parametrize(
    "wrong", ["", "orc_", "x", "orc_0123456789ab_" + "a" * 43, "orc_0123456789ab_" + "ä" * 43], ids=ascii
)
def test_what_is_no_token_opens_nothing(door: Door, wrong: str) -> None:
    assert_problem(door.ask("GET", INSTANCES, wrong.encode("utf-8").decode("latin-1")), 401, "auth.unauthorized")


def test_a_known_id_with_another_secret_opens_nothing(door: Door) -> None:
    token = door.token()
    assert_problem(
        door.ask("GET", INSTANCES, token[:-1] + ("a" if token[-1] != "a" else "b")), 401, "auth.unauthorized"
    )


def test_a_token_ends_when_it_expires_and_when_it_is_revoked(door: Door) -> None:
    short, revoked = door.token(expires="1 hour"), door.token()
    assert door.ask("GET", INSTANCES, short).status_code == 200
    door.clock.advance("1 hour")
    assert_problem(door.ask("GET", INSTANCES, short), 401, "auth.unauthorized")
    door.client.access.revoke_token(revoked.split("_")[1])
    assert_problem(door.ask("GET", INSTANCES, revoked), 401, "auth.unauthorized")


def test_the_secret_is_stored_nowhere(door: Door) -> None:
    token = door.token()
    assert token not in repr(door.client.access.tokens())
    with door.client.reading() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM orchestrator_tokens").all()
    assert token.split("_", 2)[2] not in repr(rows)


STEPS: list[tuple[str, str, str, Any]] = [
    ("read", "GET", INSTANCES, None),
    ("trigger", "POST", INSTANCES, {"instance_id": "new"}),
    ("trigger", "POST", f"{INSTANCES}/batch", {"count": 1}),
    ("trigger", "POST", f"{INSTANCES}/known/events/go", None),
    ("operate", "PATCH", f"{INSTANCES}/known/status", {"status": "pause"}),
    ("operate", "POST", f"{INSTANCES}/batch/delete", {"instances": ["none"]}),
    ("operate", "DELETE", f"{INSTANCES}/known", None),
    ("admin", "PATCH", "/api/v1/workflows/orders", {}),
    ("admin", "DELETE", "/api/v1/workflows/orders", None),
    ("read", "GET", "/api/v1/rejected", None),
    ("operate", "POST", "/api/v1/rejected/1/retry", None),
    ("operate", "DELETE", "/api/v1/rejected/1", None),
    ("trigger", "POST", "/workflows/orders/instances", None),
    ("trigger", "POST", "/workflows/orders/instances/known/events?type=go", None),
    ("operate", "POST", "/workflows/orders/instances/known/restart?name=none", None),
    ("operate", "POST", "/workflows/orders/terminate", None),
    ("operate", "POST", "/workflows/orders/schedules/1", None),
    ("admin", "POST", "/workflows/orders/delete", None),
    ("admin", "GET", "/api/v1/tokens", None),
    ("admin", "POST", "/api/v1/tokens", {"name": "x"}),
    ("admin", "GET", "/api/v1/audit", None),
    ("trigger", "POST", "/client/v4/accounts/a/workflows/orders/instances", {}),
    ("operate", "PATCH", "/client/v4/accounts/a/workflows/orders/instances/known/status", {"status": "pause"}),
]


@pytest.mark.parametrize(("role", "method", "path", "body"), STEPS, ids=lambda value: str(value)[-40:])
def test_each_route_needs_its_role_and_no_more(door: Door, role: str, method: str, path: str, body: Any) -> None:
    door.client.workflow("orders").create(id="known")
    roles = ["read", "trigger", "operate", "admin"]
    below = roles[: roles.index(role)]
    for weaker in below:
        refused = door.ask(method, path, door.token(weaker), json=body)
        assert refused.status_code == 403
    assert door.ask(method, path, door.token(role), json=body).status_code not in (401, 403, 500)


def test_a_token_for_some_workflows_reaches_no_others(door: Door) -> None:
    token = door.token(workflows=["ord*", "billing"])
    assert door.ask("GET", INSTANCES, token).status_code == 200
    assert_problem(door.ask("GET", "/api/v1/workflows/payments/instances", token), 403, "auth.forbidden")
    for path in ("/api/v1/tokens", "/api/v1/audit", "/api/v1/rejected"):
        assert_problem(door.ask("GET", path, door.token(workflows=["ord*"])), 403, "auth.forbidden")


def listed(door: Door, token: str) -> dict[str, list[str]]:
    """The workflows of the rows of each list over all workflows."""

    def rows(path: str, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = door.ask("GET", f"/api/v1/{path}", token).get_json()[name]
        return found

    aggregates = "aggregates?group_by=workflow&since=1970-01-01T00:00:00Z"
    theirs = door.ask("GET", "/client/v4/accounts/a/workflows", token).get_json()["result"]
    return {
        "workflows": [row["name"] for row in rows("workflows", "workflows")],
        "instances": [row["workflow"] for row in rows("instances", "instances")],
        "oldest": [row["workflow"] for row in rows("instances?direction=asc&limit=2", "instances")],
        "schedules": [row["workflow"] for row in rows("schedules", "schedules")],
        "aggregates": [row["workflow"] for row in rows(aggregates, "aggregates")],
        "cloudflare": [row["name"] for row in theirs],
    }


def test_lists_over_all_workflows_show_a_token_what_is_for_it(database_url: str) -> None:
    with open_door(database_url, Orders, Billing) as door:
        for name in ("billing", "orders", "billing", "orders"):
            door.client.workflow(name).create()
            door.client.workflow(name).terminate_all()
        door.work()
        for name in ("billing", "orders"):
            door.client.workflow(name).add_schedule("0 7 * * *")
        whole = listed(door, door.token("read"))
        assert [sorted(set(names)) for names in whole.values()] == [["billing", "orders"]] * 6
        mine = listed(door, door.token("read", workflows=["ord*"]))
        assert mine == {name: [each for each in names if each == "orders"] for name, names in whole.items()} | {
            "oldest": ["orders", "orders"]  # a page is full though others stand between
        }
        assert all(not names for names in listed(door, door.token("read", workflows=["none"])).values())
        home = door.ask("GET", "/", door.token("read", workflows=["ord*"])).text
        assert "orders" in home
        assert "billing" not in home


def test_the_log_of_changes_is_kept_for_as_long_as_is_set(database_url: str) -> None:
    with open_door(database_url, audit_retention="10 days") as door:
        door.client.access.record("ann", "old", "x", "done")
        door.clock.advance("9 days")
        door.client.access.record("ann", "new", "x", "done")
        door.tidy()
        assert [entry.action for entry in door.client.access.audit()] == ["new", "old"]
        door.clock.advance("2 days")
        door.tidy()
        assert [entry.action for entry in door.client.access.audit()] == ["new"]


def test_whoever_guesses_is_told_to_wait(door: Door) -> None:
    right = door.token()
    for _ in range(access.FAILURES):
        assert door.ask("GET", INSTANCES, "wrong").status_code == 401
    refused = door.ask("GET", INSTANCES, right)
    assert_problem(refused, 429, "auth.too_many_failures")
    assert int(refused.headers["Retry-After"]) > 0
    elsewhere = {"Authorization": f"Bearer {right}"}
    assert door.http.get(INSTANCES, headers=elsewhere, environ_base={"REMOTE_ADDR": "10.0.0.7"}).status_code == 200


def test_every_change_is_written_down_with_who_and_what_came_of_it(door: Door) -> None:
    token = door.token("operate")
    who = f"token {token.split('_')[1]} (operate)"
    door.ask("POST", INSTANCES, token, json={"instance_id": "a"})
    door.ask("POST", INSTANCES, token, json={"instance_id": "a"})
    door.ask("GET", INSTANCES, token)
    refused = door.ask("POST", "/api/v1/tokens", token, json={"name": "mine"})
    door.ask("POST", INSTANCES, "wrong", json={})
    shown = door.ask("GET", "/api/v1/audit?limit=3", door.token()).get_json()
    assert [(row["actor"], row["action"], row["target"], row["result"]) for row in shown["entries"]] == [
        (who, "POST create_token", "/api/v1/tokens", "403"),
        (who, "POST create_instance", INSTANCES, "409"),
        (who, "POST create_instance", INSTANCES, "201"),
    ]
    assert shown["entries"][0]["request_id"] == refused.headers["X-Request-Id"]


def test_tokens_are_made_shown_and_revoked_over_rest(door: Door) -> None:
    admin = door.token()
    made = door.ask("POST", "/api/v1/tokens", admin, json={"name": "ci", "role": "trigger", "expires": "90 days"})
    assert made.status_code == 201
    secret, id = made.get_json()["secret"], made.get_json()["id"]
    assert door.ask("POST", INSTANCES, secret, json={}).status_code == 201
    listed = door.ask("GET", "/api/v1/tokens", admin)
    assert secret not in listed.text
    assert {row["name"] for row in listed.get_json()["tokens"]} == {"admin", "ci"}
    assert door.ask("DELETE", f"/api/v1/tokens/{id}", admin).get_json()["revoked_at"] is not None
    assert_problem(door.ask("GET", INSTANCES, secret), 401, "auth.unauthorized")
    assert_problem(door.ask("DELETE", "/api/v1/tokens/none", admin), 404, "token.not_found")


BAD: list[dict[str, Any]] = [{"name": ""}, {"name": "x", "workflows": []}, {"name": "x", "expires": "soon"}]


@pytest.mark.parametrize("body", BAD, ids=str)
def test_a_token_that_makes_no_sense_is_refused(door: Door, body: dict[str, Any]) -> None:
    assert door.ask("POST", "/api/v1/tokens", door.token(), json=body).status_code in (400, 422)


def test_a_deployment_is_closed_unless_it_is_told_otherwise(make_settings: Callable[..., WebSettings]) -> None:
    assert make_settings().who == "loopback"
    assert make_settings().for_deployment().who == "tokens"
    assert make_settings(allow_remote=True).for_deployment().who == "none"
    assert make_settings(auth="loopback").for_deployment().who == "loopback"


@pytest.fixture
def make_settings() -> Callable[..., WebSettings]:
    return WebSettings
