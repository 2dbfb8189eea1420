"""The web room over the real client, on both databases, with workflows that really run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import BaseModel

from orchestrator import Client, Settings, WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from orchestrator.authoring.registry import Registry
from orchestrator.engine.host import register
from orchestrator.engine.local import LocalDoorbell, run_until_idle
from orchestrator.engine.runtime import Runtime
from orchestrator.store.database import Database
from tests.web.conftest import assert_problem
from web import WebSettings, create_app

API = "/api/v1/workflows/orders/instances"
PAGES = "/workflows/orders/instances"


class Order(BaseModel):
    items: list[str] = []
    broken: bool = False


class Orders(WorkflowEntrypoint[Order]):
    """Takes an order to its door."""

    name = "orders"

    async def run(self, event: WorkflowEvent[Order], step: WorkflowStep) -> dict[str, Any]:
        def check() -> int:
            if event.payload.broken:
                raise ValueError("no stock of <b>tea</b>")
            return len(event.payload.items)

        count = await step.do("check stock", check, config={"retries": {"limit": 0, "delay": 1}})
        approval = await step.wait_for_event("manager approves", "approval", timeout="24 hours")
        return {"count": count, "by": approval.payload["by"]}


@dataclass
class Shop:
    http: FlaskClient
    work: Callable[[], None]
    """Do what is to be done at this moment."""

    def status(self, id: str) -> str:
        shown: str = self.http.get(f"{API}/{id}").get_json()["status"]
        return shown


@pytest.fixture
def shop(database_url: str) -> Iterator[Shop]:
    settings = Settings(database_url=database_url)
    database = Database(database_url)
    doorbell = LocalDoorbell(database.clock)
    registry = Registry([Orders])
    runtime = Runtime(database, registry, settings, doorbell)
    register(runtime)
    client = Client(settings, database=database, doorbell=doorbell)
    app = create_app(client, registry=registry, settings=WebSettings())
    yield Shop(app.test_client(), lambda: run_until_idle(runtime, doorbell))
    runtime.bodies.stop()
    runtime.completions.stop()
    database.close()


def test_an_instance_goes_from_its_creation_to_its_output_over_rest(shop: Shop) -> None:
    created = shop.http.post(API, json={"instance_id": "o-1", "params": {"items": ["tea", "cup"]}})
    assert (created.status_code, created.get_json()["status"]) == (201, "queued")
    shop.work()

    waiting = shop.http.get(f"{API}/o-1").get_json()
    assert waiting["status"] == "waiting"
    assert "approval" in waiting["waiting_for"]
    assert [step["status"] for step in waiting["steps"]] == ["complete", "waiting"]
    assert waiting["steps"][0]["output"] == 2
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", waiting["steps"][1]["due_at"])

    assert shop.http.post(f"{API}/o-1/events/approval", json={"by": "ann"}).status_code == 202
    shop.work()
    done = shop.http.get(f"{API}/o-1").get_json()
    assert (done["status"], done["output"]) == ("complete", {"count": 2, "by": "ann"})
    assert shop.http.get("/api/v1/workflows").get_json()["workflows"][0]["instances"] == {"complete": 1}


def test_an_instance_goes_from_its_creation_to_its_output_over_the_pages(shop: Shop) -> None:
    form = {"params": '{"items": ["tea"]}', "instance_id": "o-1"}
    assert "Queued" in shop.http.post(PAGES, data=form, follow_redirects=True).text
    shop.work()
    waiting = shop.http.get(f"{PAGES}/o-1").text
    assert "check stock" in waiting
    assert "manager approves" in waiting
    assert 'name="type" required maxlength="100" value="approval"' in waiting

    event = {"type": "approval", "payload": '{"by": "ann"}'}
    assert "The event was sent" in shop.http.post(f"{PAGES}/o-1/events", data=event, follow_redirects=True).text
    shop.work()
    assert "ann" in shop.http.get(f"{PAGES}/o-1").text
    home = shop.http.get("/").text
    assert "Takes an order to its door." in home
    assert "Completed" in home
    assert "o-1" in home


def test_a_failed_instance_shows_its_error_and_attempt(shop: Shop) -> None:
    shop.http.post(API, json={"instance_id": "o-1", "params": {"broken": True}})
    shop.work()
    shown = shop.http.get(f"{API}/o-1").get_json()
    assert shown["error"] == {"name": "ValueError", "message": "no stock of <b>tea</b>"}
    assert [attempt["status"] for attempt in shown["steps"][0]["attempt_log"]] == ["errored"]
    assert "no stock of &lt;b&gt;tea&lt;/b&gt;" in shop.http.get(f"{PAGES}/o-1").text


@pytest.mark.parametrize("over", ["rest", "pages"])
def test_an_instance_is_paused_resumed_restarted_terminated_and_deleted(shop: Shop, over: str) -> None:
    shop.http.post(API, json={"instance_id": "o-1"})
    shop.work()
    for action, status in (
        ("pause", "paused"),
        ("resume", "waiting"),
        ("restart", "waiting"),
        ("terminate", "terminated"),
    ):
        if over == "rest":
            assert shop.http.patch(f"{API}/o-1/status", json={"status": action}).status_code == 200
        else:
            assert shop.http.post(f"{PAGES}/o-1/actions", data={"action": action}).status_code == 303
        shop.work()
        assert shop.status("o-1") == status

    problem = assert_problem(
        shop.http.patch(f"{API}/o-1/status", json={"status": "pause"}), 409, "instance.not_allowed"
    )
    assert problem["allowed_actions"] == ["restart", "delete"]
    if over == "rest":
        assert shop.http.delete(f"{API}/o-1").status_code == 204
    else:
        assert shop.http.post(f"{PAGES}/o-1/actions", data={"action": "delete"}).status_code == 303
    assert_problem(shop.http.get(f"{API}/o-1"), 404, "instance.not_found")


def test_params_that_do_not_fit_the_workflow_start_nothing(shop: Shop) -> None:
    problem = assert_problem(shop.http.post(API, json={"params": {"items": 7}}), 422, "instance.invalid_params")
    assert "items" in problem["detail"]
    assert shop.http.get(API).get_json()["instances"] == []


def test_params_over_the_payload_limit_start_nothing(shop: Shop) -> None:
    response = shop.http.post(API, json={"params": {"items": ["x" * 1024 * 1024]}})
    problem = assert_problem(response, 413, "payload.too_large")
    assert "1,048,576" in problem["detail"]
    assert shop.http.get(API).get_json()["instances"] == []


def test_an_id_that_many_want_at_once_is_given_once(shop: Shop) -> None:
    def create(number: int) -> int:
        http = shop.http.application.test_client()
        return http.post(API, json={"instance_id": "o-1", "params": {"items": [str(number)]}}).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(create, range(24)))
    assert statuses == [201] + [409] * 23


@pytest.mark.parametrize("direction", ["desc", "asc"])
def test_pages_follow_one_another_without_gaps_or_repeats(shop: Shop, direction: str) -> None:
    ids = [f"o-{number}" for number in range(5)]
    for id in ids:
        shop.http.post(API, json={"instance_id": id})
    seen: list[str] = []
    cursor: int | None = None
    while True:
        more = "" if cursor is None else f"&cursor={cursor}"
        page = shop.http.get(f"{API}?limit=2&direction={direction}{more}").get_json()
        seen += [row["id"] for row in page["instances"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == (ids if direction == "asc" else ids[::-1])


def test_a_list_is_filtered_by_status(shop: Shop) -> None:
    shop.http.post(API, json={"instance_id": "waits"})
    shop.http.post(API, json={"instance_id": "fails", "params": {"broken": True}})
    shop.work()
    shop.http.post(API, json={"instance_id": "is-new"})
    rows = shop.http.get(f"{API}?status=waiting,queued").get_json()["instances"]
    assert [row["id"] for row in rows] == ["is-new", "waits"]
    assert "fails" not in shop.http.get("/workflows/orders?status=waiting").text


@pytest.mark.parametrize("address", ["/api/v1/workflows/nope", "/api/v1/workflows/nope/instances", f"{API}/nope"])
def test_what_is_not_there_is_not_found(shop: Shop, address: str) -> None:
    assert shop.http.get(address).status_code == 404


def test_a_database_without_our_tables_is_said_with_the_remedy(empty_database_url: str) -> None:
    with Client(Settings(database_url=empty_database_url)) as client:
        http = create_app(client, settings=WebSettings()).test_client()
        problem = assert_problem(http.get("/readyz"), 503, "database.behind")
        page = http.get("/")
    assert "orchestrator db upgrade" in problem["detail"]
    assert page.status_code == 503
    assert "orchestrator db upgrade" in page.text


def test_no_database_is_said_without_its_password() -> None:
    with Client(Settings(database_url="postgresql://ann:hunter2@127.0.0.1:1/nowhere")) as client:
        http = create_app(client, settings=WebSettings()).test_client()
        response = http.get("/readyz")
    assert_problem(response, 503, "database.unavailable")
    assert "hunter2" not in response.text
