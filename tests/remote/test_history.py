"""Runs, events, rollbacks and schedules over either client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.client import Client
from orchestrator.errors import (
    InvalidParams,
    InvalidSchedule,
    InvalidSubscription,
    OrchestratorError,
    ResultTimeout,
    RunNotFound,
    ScheduleNotFound,
    UsageError,
)
from orchestrator.inspection import RunView, ScheduleView
from orchestrator.remote import RemoteClient
from tests.remote.conftest import Both
from tests.remote.workflows import Orders

AnyClient = Client | RemoteClient


def test_earlier_runs_stay_readable(both: Both) -> None:
    order = both.local.workflow("orders").create({"items": ["tea"]}, id="o-1")
    both.bench.work()
    both.remote.workflow("orders").get("o-1").restart()
    both.bench.work()
    order.send_event("approval", 1)
    both.bench.work()

    shown = both.agree(lambda client: client.workflow("orders").get("o-1").runs())
    assert [(type(view), view.run, view.status) for view in shown] == [
        (RunView, 1, "waiting"),
        (RunView, 2, "complete"),
    ]
    first = both.agree(lambda client: client.workflow("orders").get("o-1").describe(1))
    assert (first.run, first.output) == (1, None)
    assert both.agree(lambda client: client.workflow("orders").get("o-1").describe(2)).output == {"count": 1, "by": 1}
    for run in (3, 0, -1):
        both.refuse(lambda client, run=run: client.workflow("orders").get("o-1").describe(run), RunNotFound)


def test_events_are_told_alike_from_any_point_on(both: Both) -> None:
    order = both.local.workflow("orders").create({"items": ["tea"]}, id="o-1")
    both.bench.work()
    order.send_event("approval", {"by": "änn"})
    both.bench.work()

    def events(client: Any, **asked: Any) -> Any:
        return list(client.workflow("orders").get("o-1").subscribe(**asked))

    whole = both.agree(events)
    assert whole[-1].type == "workflow_completed"
    middle = whole[len(whole) // 2].event_id
    assert both.agree(lambda client: events(client, cursor=middle)) == [e for e in whole if e.event_id > middle]
    done = both.agree(lambda client: events(client, filter=["step_completed"]))
    assert {event.type for event in done} == {"step_completed"}
    assert both.agree(lambda client: events(client, filter=["rollback_started"])) == []
    assert both.agree(lambda client: events(client, cursor=whole[-1].event_id)) == []


def test_events_come_as_they_happen(both: Both, client: AnyClient) -> None:
    order = client.workflow("orders").create(id="o-1")
    seen: list[str] = []
    told = threading.Event()

    def follow() -> None:
        for event in order.subscribe(timeout=60):
            seen.append(event.type)
            told.set()

    following = threading.Thread(target=follow)
    following.start()
    assert told.wait(30)
    both.bench.work()
    order.send_event("approval")
    both.bench.work()
    following.join(30)
    assert not following.is_alive()
    assert seen[-1] == "workflow_completed"


@pytest.mark.parametrize(
    "asked", [{"cursor": -1}, {"cursor": "1"}, {"filter": ["nope"]}, {"filter": "step_started"}], ids=repr
)
def test_what_can_not_be_subscribed_to_is_refused(both: Both, asked: dict[str, Any]) -> None:
    both.local.workflow("orders").create(id="o-1")
    both.refuse(lambda client: client.workflow("orders").get("o-1").subscribe(**asked), InvalidSubscription)


def test_a_subscription_lasts_no_longer_than_was_said(both: Both) -> None:
    both.local.workflow("orders").create(id="o-1")
    both.refuse(lambda client: list(client.workflow("orders").get("o-1").subscribe(timeout=0.3)), ResultTimeout)


def test_an_end_with_a_rollback_is_asked_for(both: Both, client: AnyClient) -> None:
    order = client.workflow("orders").create()
    both.bench.work()
    order.terminate(rollback=True)
    both.bench.work()
    assert order.status().status == "terminated"


def test_schedules_are_made_changed_run_and_removed(both: Both, client: AnyClient) -> None:
    orders = client.workflow("orders")
    made = orders.add_schedule("0 7 * * MON-FRI", "Europe/Berlin", {"items": ["tea"]})
    assert (type(made), made.cron, made.timezone, made.params["items"]) == (
        ScheduleView, "0 7 * * MON-FRI", "Europe/Berlin", ["tea"]
    )  # fmt: skip
    assert len(both.agree(lambda client: client.workflow("orders").schedules())[0].next_times) == 5
    assert both.agree(lambda client: client.schedules()) == orders.schedules()

    paused = orders.pause_schedule(made.id)
    assert (paused.paused, paused.next_at) == (True, None)
    assert orders.resume_schedule(made.id).next_at == made.next_at
    started = orders.run_schedule(made.id)
    assert started.describe().params["items"] == ["tea"]
    assert orders.get(started.id).id == started.id
    assert started.pause().status
    assert started.runs()[0].run == 1
    orders.remove_schedule(made.id)
    assert both.agree(lambda client: client.schedules()) == []


REFUSED: dict[str, tuple[Callable[[Any], Any], type[OrchestratorError]]] = {
    "no expression": (lambda orders: orders.add_schedule("every day"), InvalidSchedule),
    "no zone": (lambda orders: orders.add_schedule("0 7 * * *", "Mars/Base"), InvalidSchedule),
    "no params": (lambda orders: orders.add_schedule("0 7 * * *", params={"items": 7}), InvalidParams),
    "no schedule to pause": (lambda orders: orders.pause_schedule("99"), ScheduleNotFound),
    "no schedule to run": (lambda orders: orders.run_schedule("nope"), ScheduleNotFound),
    "no schedule to remove": (lambda orders: orders.remove_schedule("../7"), ScheduleNotFound),
    "no name of a schedule": (lambda orders: orders.resume_schedule(""), ScheduleNotFound),
    "no step": (lambda orders: orders.create().restart(from_={"count": 1}), UsageError),
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.replace(" ", "-"))
def test_what_one_refuses_the_other_refuses_too(both: Both, case: str) -> None:
    ask, kind = REFUSED[case]
    both.refuse(lambda client: ask(client.workflow(Orders)), kind)
