"""A change that is sent twice with one Idempotency-Key is carried out once, wherever the server dies; on the real client."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from werkzeug.test import TestResponse

from orchestrator.client import Claimed, Instance, WorkflowClient
from orchestrator.errors import DatabaseUnavailable
from tests.web.conftest import assert_problem
from tests.web.door import INSTANCES, Door, open_door

LAPSE = "31 seconds"
EVENTS = f"{INSTANCES}/known/events/go"


class Caller:
    """Sends changes with a key, each from a client of its own, as from another thread."""

    def __init__(self, door: Door, role: str = "admin") -> None:
        self.door = door
        self.token = door.token(role)

    def send(self, method: str, path: str, key: str = "k", **request: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key}
        return self.door.http.application.test_client().open(path, method=method, headers=headers, **request)

    def create(self, key: str = "k", **body: Any) -> TestResponse:
        return self.send("POST", INSTANCES, key, json=body)

    def beside(self, key: str = "k") -> TestResponse:
        """The same from another thread, while this one is at work."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self.create, key).result()


@pytest.fixture
def caller(door: Door) -> Caller:
    return Caller(door)


def made(door: Door) -> int:
    return door.client.workflow("orders").count()


def rows(door: Door, table: str) -> int:
    with door.client.reading() as connection:
        counted: int = connection.exec_driver_sql(f"SELECT count(*) FROM orchestrator_{table}").scalar_one()
    return counted


def test_an_instance_is_created_once_and_the_answer_is_the_first(door: Door, caller: Caller) -> None:
    first, again = caller.create(params={"n": 1}), caller.create(params={"n": 1})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data
    assert (again.headers["Location"], again.mimetype) == (first.headers["Location"], "application/json")
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]
    assert made(door) == 1


CHANGES: list[tuple[str, str, Any, str, int]] = [
    ("POST", f"{INSTANCES}/batch", {"count": 2}, "instances", 2),
    ("POST", EVENTS, {"by": "ann"}, "events", 1),
    ("POST", "/api/v1/workflows/orders/schedules/1/run", None, "instances", 1),
    ("POST", f"{INSTANCES}/batch/delete", {"instances": ["known"]}, "instances", -1),
    ("DELETE", f"{INSTANCES}/known", None, "instances", -1),
    ("PATCH", f"{INSTANCES}/known/status", {"status": "restart"}, "runs", 1),
    ("PUT", f"{INSTANCES}/terminate", None, "jobs", 1),
]


@pytest.mark.parametrize(("method", "path", "body", "table", "more"), CHANGES, ids=lambda value: str(value)[-30:])
def test_every_change_is_made_once(
    door: Door, caller: Caller, method: str, path: str, body: Any, table: str, more: int
) -> None:
    door.client.workflow("orders").create(id="known")
    door.client.workflow("orders").add_schedule("0 7 * * *")
    before = rows(door, table)
    first = caller.send(method, path, json=body)
    assert first.status_code < 300, first.text
    for _ in range(2):
        again = caller.send(method, path, json=body)
        assert (again.status_code, again.data) == (first.status_code, first.data)
        assert again.headers["Idempotent-Replayed"] == "true"
    assert rows(door, table) - before == more


def test_a_key_belongs_to_one_request(door: Door, caller: Caller) -> None:
    assert caller.create(params=1).status_code == 201
    others: list[tuple[str, str, Any]] = [
        ("POST", INSTANCES, {"params": 2}),
        ("POST", f"{INSTANCES}/batch", {"params": 1}),
        ("PUT", f"{INSTANCES}/terminate?status=queued", None),
    ]
    for method, path, body in others:
        assert_problem(caller.send(method, path, json=body), 422, "idempotency.key_reused")
    assert made(door) == 1
    assert caller.create("another", params=2).status_code == 201


def test_a_key_belongs_to_one_token(door: Door, caller: Caller) -> None:
    mine, others = caller.create(), Caller(door).create()
    assert mine.get_json()["id"] != others.get_json()["id"]


def test_of_many_at_the_same_time_one_is_carried_out(door: Door, caller: Caller) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: caller.create(), range(16)))
    assert made(door) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    ids = {answer.get_json()["id"] for answer in answers if answer.status_code == 201}
    assert len(ids) == 1
    assert caller.create().get_json()["id"] in ids


Create = Callable[..., Instance]


@pytest.fixture
def real_create() -> Create:
    return WorkflowClient.create


def test_one_that_is_still_at_work_is_waited_for(
    door: Door, caller: Caller, monkeypatch: pytest.MonkeyPatch, real_create: Create
) -> None:
    seen: list[TestResponse] = []

    def create(*args: Any, **named: Any) -> Instance:
        seen.append(caller.beside())
        return real_create(*args, **named)

    monkeypatch.setattr(WorkflowClient, "create", create)
    assert caller.create().status_code == 201
    assert_problem(seen[0], 409, "idempotency.in_progress")
    assert seen[0].headers["Retry-After"] == "1"
    assert caller.create().headers["Idempotent-Replayed"] == "true"


def test_what_a_dead_server_has_not_done_is_done_when_it_is_asked_for_again(
    door: Door, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(WorkflowClient, "create", die)
        patched.setattr(Claimed, "let_go", lambda _self: None)
        assert caller.create().status_code == 503
    assert_problem(caller.create(), 409, "idempotency.in_progress")
    door.clock.advance(LAPSE)
    assert_problem(caller.create(params="other"), 422, "idempotency.key_reused")
    assert caller.create().status_code == 201
    assert made(door) == 1


def test_what_a_dead_server_has_done_is_not_done_again(
    door: Door, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Claimed, "answer", lambda *_: None)
        assert caller.create().status_code == 201
    assert_problem(caller.create(), 409, "idempotency.in_progress")
    door.clock.advance(LAPSE)
    assert_problem(caller.create(), 409, "idempotency.answer_lost")
    assert made(door) == 1


def test_one_that_was_taken_over_changes_nothing_any_more(
    door: Door, caller: Caller, monkeypatch: pytest.MonkeyPatch, real_create: Create
) -> None:
    others: list[TestResponse] = []
    taken_over: list[bool] = []

    def create(*args: Any, **named: Any) -> Instance:
        if not taken_over:
            taken_over.append(True)
            door.clock.advance(LAPSE)
            others.append(caller.beside())
        return real_create(*args, **named)

    monkeypatch.setattr(WorkflowClient, "create", create)
    assert_problem(caller.create(), 409, "idempotency.in_progress")
    assert others[0].status_code == 201
    assert made(door) == 1
    assert caller.create().get_json()["id"] == others[0].get_json()["id"]


def test_a_failure_of_the_server_is_no_answer_to_keep(
    door: Door, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(WorkflowClient, "create", fail)
        assert caller.create().status_code == 503
    assert caller.create().status_code == 201


def test_too_many_is_no_answer_to_keep(database_url: str) -> None:
    with open_door(database_url, creation_rate=1) as door:
        caller = Caller(door)
        assert caller.create("a").status_code == 201
        assert caller.create("b").status_code == 429
        door.clock.advance("2 seconds")
        assert caller.create("b").status_code == 201


def test_a_refusal_is_an_answer_to_keep(door: Door, caller: Caller) -> None:
    first = assert_problem(caller.create(instance_id="not allowed"), 422, "instance.invalid_id")
    again = caller.create(instance_id="not allowed")
    assert (again.status_code, again.mimetype, again.get_json()) == (422, "application/problem+json", first)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_secret_is_not_stored_for_a_second_answer(door: Door, caller: Caller) -> None:
    refused = caller.send("POST", "/api/v1/tokens", json={"name": "ci"})
    assert assert_problem(refused, 422, "request.invalid")["errors"][0]["field"] == "Idempotency-Key"
    assert len(door.client.access.tokens()) == 1


@pytest.mark.parametrize("key", ["", "a b", "ä", "k" * 256], ids=["empty", "space", "accent", "long"])
def test_a_key_that_is_none_is_refused(door: Door, caller: Caller, key: str) -> None:
    assert_problem(caller.create(key), 422, "request.invalid")
    assert made(door) == 0


def test_looking_takes_no_key(door: Door, caller: Caller) -> None:
    assert caller.send("GET", INSTANCES).status_code == 200
    assert rows(door, "answers") == 0


def test_it_is_forgotten_after_a_day(door: Door, caller: Caller) -> None:
    caller.create()
    door.clock.advance("23 hours")
    caller.create("later")
    door.tidy()
    assert rows(door, "answers") == 2
    assert caller.create().headers["Idempotent-Replayed"] == "true"
    door.clock.advance("61 minutes")
    door.tidy()
    assert rows(door, "answers") == 1
    assert "Idempotent-Replayed" not in caller.create().headers
    assert made(door) == 3


def test_it_is_free_after_a_day_even_if_nobody_tidies(door: Door, caller: Caller) -> None:
    caller.create()
    door.clock.advance("25 hours")
    assert "Idempotent-Replayed" not in caller.create(params="other").headers
    assert made(door) == 2


def test_the_log_of_changes_tells_a_second_answer_from_a_change(door: Door, caller: Caller) -> None:
    caller.create()
    caller.create()
    assert [entry.result for entry in door.client.access.audit()] == ["201 replayed", "201"]
