"""An instance is followed over HTTP as server-sent events, from where the reader stopped, and the stream ends with it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.request import Request, urlopen

import pytest

from orchestrator import Client, Settings, WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.engine.host import register
from orchestrator.engine.local import LocalDoorbell, run_until_idle
from orchestrator.engine.runtime import Runtime
from orchestrator.store.database import Database
from tests.web.conftest import assert_problem
from web import WebSettings, create_app, start
from web.api import subscribe

ADDRESS = "/api/v1/workflows/orders/instances/o-1/subscribe"


class Orders(WorkflowEntrypoint):
    name = "orders"

    async def run(self, event: Any, step: Any) -> str:
        await step.do("check", lambda: "two\nlines")
        await step.wait_for_event("approval", "approval")
        return "done"


class Shop:
    def __init__(self, database_url: str, **web: Any) -> None:
        self.database = Database(database_url)
        doorbell = LocalDoorbell(self.database.clock)
        settings = Settings(database_url=database_url)
        runtime = Runtime(self.database, Registry([Orders]), settings, doorbell)
        register(runtime)
        self.client = Client(settings, database=self.database, doorbell=doorbell)
        self.app = create_app(self.client, settings=WebSettings(**web))
        self.http = self.app.test_client()
        self.order = self.client.workflow("orders").create(id="o-1")
        self.work = lambda: run_until_idle(runtime, doorbell)
        self.work()

    def finish(self) -> None:
        self.order.send_event("approval")
        self.work()


@pytest.fixture
def shop(database_url: str) -> Iterator[Shop]:
    shop = Shop(database_url)
    yield shop
    shop.database.close()


def events(text: str) -> list[dict[str, Any]]:
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line[1:])
        if "data" in lines:
            found.append({"id": lines.get("id"), "event": lines["event"], "data": json.loads(lines["data"])})
    return found


def test_a_finished_instance_is_told_and_the_answer_ends(shop: Shop) -> None:
    shop.finish()
    answer = shop.http.get(ADDRESS)
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    assert answer.headers["X-Accel-Buffering"] == "no"
    told = events(answer.text)
    assert [event["event"] for event in told][:3] == ["workflow_queued", "workflow_started", "workflow_running"]
    assert told[-1]["event"] == "workflow_completed"
    assert told[-1]["data"]["data"] == {"output": "done"}
    assert [event["id"] for event in told] == [str(event["data"]["event_id"]) for event in told]
    outputs = [event["data"]["data"]["output"] for event in told if event["event"] == "step_completed"]
    assert outputs == ["two\nlines"]


@pytest.mark.parametrize("header", [True, False])
def test_one_who_comes_back_goes_on_after_the_last_event(shop: Shop, header: bool) -> None:
    shop.finish()
    told = events(shop.http.get(ADDRESS).text)
    last = told[4]["id"]
    again = (
        shop.http.get(ADDRESS, headers={"Last-Event-ID": last}) if header else shop.http.get(f"{ADDRESS}?cursor={last}")
    )
    assert events(again.text) == told[5:]


def test_one_who_comes_back_after_the_end_is_told_to_stop(shop: Shop) -> None:
    shop.finish()
    last = events(shop.http.get(ADDRESS).text)[-1]["id"]
    assert shop.http.get(ADDRESS, headers={"Last-Event-ID": last}).status_code == 204


def test_only_what_is_asked_for_is_told(shop: Shop) -> None:
    shop.finish()
    told = events(shop.http.get(f"{ADDRESS}?filter=step_completed,wait_completed").text)
    assert [event["event"] for event in told] == ["step_completed", "wait_completed"]


@pytest.mark.parametrize("query", ["cursor=-1", "filter=nonsense"])
def test_what_can_not_be_asked_for_is_said(shop: Shop, query: str) -> None:
    assert_problem(shop.http.get(f"{ADDRESS}?{query}"), 422, "subscription.invalid")


@pytest.mark.parametrize("query", ["cursor=x", "since=1"])
def test_a_query_that_is_none_is_refused(shop: Shop, query: str) -> None:
    assert_problem(shop.http.get(f"{ADDRESS}?{query}"), 422, "request.invalid")


def test_a_last_event_id_that_is_none_is_refused(shop: Shop) -> None:
    assert_problem(shop.http.get(ADDRESS, headers={"Last-Event-ID": "x"}), 422, "subscription.invalid")


def test_an_instance_that_is_not_there_is_not_found(shop: Shop) -> None:
    assert_problem(shop.http.get(ADDRESS.replace("o-1", "o-2")), 404, "instance.not_found")


def test_what_happens_while_one_reads_arrives_and_silence_is_filled(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribe, "HEARTBEAT_S", 0.05)
    with (
        start(shop.app, "127.0.0.1", 0) as server,
        closing(urlopen(Request(server.url + ADDRESS), timeout=20)) as answer,
    ):
        lines: list[str] = []
        while ": still here" not in lines:
            lines.append(answer.readline().decode().rstrip("\n"))
        assert "event: wait_started" in lines
        threading.Thread(target=shop.finish).start()
        rest = answer.read().decode()
    assert events(rest)[-1]["event"] == "workflow_completed"


def test_not_every_thread_of_the_server_is_given_to_readers(database_url: str) -> None:
    shop = Shop(database_url, web_threads=2)
    first = shop.http.get(ADDRESS)  # the test client reads nothing before it is asked to
    assert_problem(shop.http.get(ADDRESS), 503, "subscription.too_many")
    first.close()
    second = shop.http.get(ADDRESS)
    assert second.status_code == 200
    second.close()
    shop.database.close()


def test_an_answer_ends_after_a_while_and_the_reader_comes_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribe, "LONGEST_S", 0.0)
    told = events(shop.http.get(ADDRESS).text)
    assert [event["event"] for event in told] == ["workflow_queued"]
