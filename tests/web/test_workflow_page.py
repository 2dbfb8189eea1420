"""What a workflow's page tells beside its instances, and what it does to the workflow as a whole."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from orchestrator.inspection import AggregateRow, ScheduleView, VersionView
from orchestrator.inspection.aggregates import DurationStats
from orchestrator.retention import FOREVER, Retention
from tests.web.page import Page, page, words
from tests.web.stub import T0, StubClient, detail
from web.dashboard import graphs, numbers

ORDERS = "/workflows/orders"
EVIL = "<script>alert(1)</script>"


def schedule(id: str = "7", **values: Any) -> ScheduleView:
    base: dict[str, Any] = {
        "cron": "30 7 * * MON", "timezone": "Europe/Vienna", "params": {}, "source": "code", "paused": False,
        "created_at": T0, "next_at": T0 + 60_000, "last_at": None, "next_times": [T0 + 60_000, T0 + 120_000],
    }  # fmt: skip
    return ScheduleView(id=id, workflow="orders", **(base | values))


def version(id: str, has_graph: bool = True) -> VersionView:
    return VersionView(
        id=id, workflow="orders", class_name="Orders", module="shop", created_at=T0, seen_at=T0, has_graph=has_graph
    )


def test_schedules_tell_when_they_start_what(http: FlaskClient, stub: StubClient) -> None:
    stub.schedules = [schedule()]
    shown = words(page(http, ORDERS).text)
    for part in ("30 7 * * MON", "Europe/Vienna · from the code", "2025-11-22 06:32, 2025-11-22 06:33 UTC"):
        assert part in shown


def test_a_schedule_is_paused_and_resumed(http: FlaskClient, stub: StubClient) -> None:
    stub.schedules = [schedule()]
    paused = http.post(f"{ORDERS}/schedules/7", data={"schedule": "pause_schedule"}, follow_redirects=True)
    assert "The schedule is paused" in paused.text
    assert "resume_schedule" in paused.text
    assert "pause_schedule" not in paused.text
    http.post(f"{ORDERS}/schedules/7", data={"schedule": "resume_schedule"})
    assert stub.schedules[0].paused is False


def test_a_schedule_run_now_leads_to_its_instance(http: FlaskClient, stub: StubClient) -> None:
    stub.schedules = [schedule()]
    response = http.post(f"{ORDERS}/schedules/7", data={"schedule": "run_schedule"}, follow_redirects=True)
    assert response.request.path == f"{ORDERS}/instances/by-schedule"
    assert "as if the schedule had" in response.text


@pytest.mark.parametrize(("id", "action", "status"), [("7", "remove_schedule", 422), ("8", "pause_schedule", 404)])
def test_a_schedule_does_only_what_a_button_says(
    http: FlaskClient, stub: StubClient, id: str, action: str, status: int
) -> None:
    stub.schedules = [schedule()]
    assert http.post(f"{ORDERS}/schedules/{id}", data={"schedule": action}).status_code == status
    assert stub.schedules == [schedule()]
    assert http.get(f"{ORDERS}/schedules/7").headers["Location"] == ORDERS


def test_settings_are_told_in_words(http: FlaskClient, stub: StubClient) -> None:
    assert "Settings" not in page(http, ORDERS).text
    forever = Retention.of({"error_retention": FOREVER}).error_ms
    stub.set_up = {
        "limits": {"steps": 20_000},
        "concurrency": {"limit": 3},
        "default_retention": {"success_retention": 7 * 86_400_000, "error_retention": forever},
    }
    shown = words(page(http, ORDERS).text)
    for part in ("20,000 at most", "Instances at once3 at most", "are keptfor 7d", "are keptfor ever"):
        assert part in shown


def test_terminating_all_and_deleting_are_asked_for_twice(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail())
    shown = page(http, ORDERS)
    forms = {value for tag, name, value in shown.attributes if (tag, name) == ("form", "action")}
    assert {f"{ORDERS}/terminate", f"{ORDERS}/delete"} <= forms
    assert {"confirm-terminate_all", "confirm-delete_workflow"} <= set(shown.ids)
    assert "in the background" in http.post(f"{ORDERS}/terminate", follow_redirects=True).text
    assert stub.asked[-2] == {"terminate_all": "orders"}
    gone = http.post(f"{ORDERS}/delete", follow_redirects=True)
    assert (gone.request.path, stub.rows) == ("/", {})
    assert "The workflow was deleted" in gone.text
    assert http.post(f"{ORDERS}/delete").status_code == http.post(f"{ORDERS}/terminate").status_code == 404


def test_versions_lead_to_their_graphs(http: FlaskClient, stub: StubClient) -> None:
    stub.versions = [version("b" * 64), version("a" * 64, has_graph=False)]
    stub.graph = {"workflow": {"nodes": [{"type": "step_do", "name": EVIL, "rollback": True}]}}
    newest, older = http.get(ORDERS), http.get(f"{ORDERS}?version={'a' * 64}")
    assert "<script>alert" not in newest.text
    assert f"step {EVIL} · has a rollback" in words(Page(newest.text).text)
    assert "It has no graph" in older.text
    assert http.get(f"{ORDERS}?version=none").status_code == 404


def test_a_graph_is_what_is_inside_what() -> None:
    charge = {"type": "step_do", "name": "charge"}
    nap = {"type": "step_sleep", "name": "nap", "duration": "1 day"}
    found = graphs.entries(
        {
            "workflow": {
                "nodes": [
                    {"type": "start"},
                    {"type": "try", "try": [charge], "catch": [{"condition": "Oops", "nodes": [nap]}], "finally": []},
                    {"type": "if", "branches": [{"condition": "paid", "nodes": [nap]}, {"nodes": []}]},
                    {"type": "parallel", "kind": "all", "nodes": [charge, charge]},
                ],
                "functions": {"ship": {"nodes": [charge]}},
            }
        }
    )
    tried, chosen, parallel, function = found
    assert [(entry.word, entry.name, entry.details) for entry in tried.below] == [
        ("step", "charge", ""),
        ("except", "", "Oops"),
    ]
    assert [(entry.word, entry.details, len(entry.below)) for entry in chosen.below] == [
        ("when", "paid", 1),
        ("else", "", 0),
    ]
    assert (parallel.word, parallel.details, len(parallel.below)) == ("at once", "all", 2)
    assert (function.name, function.below[0].name) == ("ship", "charge")
    assert graphs.entries(None) == graphs.entries({}) == []


def test_numbers_are_a_row_for_each_period(http: FlaskClient, stub: StubClient) -> None:
    assert "Nothing has run in the last 7 days" in page(http, ORDERS).text
    stub.aggregates = [
        AggregateRow(
            kind="workflow", started=1234, finished={"complete": 1200, "errored": 30, "terminated": 4},
            wall_ms=DurationStats(count=1234, p50_ms=1500, p95_ms=90_000),
        )
    ]  # fmt: skip
    shown = words(page(http, ORDERS).text)
    assert shown.count("1,234 1,20030 4 1.5s1m 30s") == 2


def test_bars_are_as_high_as_their_share_and_failures_stand_on_top() -> None:
    rows = [
        AggregateRow(kind="workflow", at=0, finished={"complete": 3, "errored": 1}),
        AggregateRow(kind="workflow", at=7_200_000, finished={"terminated": 1, "restarted": 1}),
    ]
    first, none, last = numbers.bars([0, 3_600_000, 7_200_000], rows, "hour")
    assert first.parts == [numbers.Part("good", 10, 30), numbers.Part("bad", 0, 10)]
    assert (none.parts, none.title) == ([], "1970-01-01 01:00 UTC: none ended")
    assert last.parts == [numbers.Part("idle", 20, 20)]
    assert last.title == "1970-01-01 02:00 UTC: 1 restarted, 1 terminated"
