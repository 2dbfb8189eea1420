"""Earlier runs, restarting from a step, whole outputs and rollbacks, as the pages of an instance show them."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.web.page import O1, Page, page, words
from tests.web.stub import StubClient, detail, step

CHARGE = step("charge", count=2, label="charge-2", output={"ch": "é" * 2000})
FROM_CHARGE = {"name": "charge", "count": 2, "type": "do"}


def test_earlier_runs_are_listed_and_can_be_looked_at_but_not_acted_on(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="running", run=3, steps=[CHARGE]))
    now, before = page(http, O1), page(http, f"{O1}?run=2")
    assert "3 (current) Runningfrom charge #2" in words(now.text)
    assert now.links("?run=") == [f"{O1}?run=2", f"{O1}?run=1"]
    assert "Run2 of 3" in words(before.text)
    assert (before.buttons, before.links("/output"), before.links("/restart")) == ([], [], [])
    assert ("main", "data-refresh-ms", "1000") not in before.attributes


def test_an_instance_that_never_was_restarted_has_no_list_of_runs(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail())
    assert "(current)" not in page(http, O1).text


@pytest.mark.parametrize(("run", "status"), [("9", 404), ("0", 422), ("x", 422)])
def test_a_run_that_is_none_is_refused(http: FlaskClient, stub: StubClient, run: str, status: int) -> None:
    stub.add(detail())
    assert http.get(f"{O1}?run={run}").status_code == status


def test_restarting_from_a_step_asks_first(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="errored", steps=[CHARGE, step("undo", kind="rollback")]))
    (link,) = page(http, O1).links("/restart")
    question = page(http, link)
    assert "Restart from “charge #2”?" in question.text
    assert stub.asked == []
    (target,) = [value for tag, name, value in question.attributes if (tag, name) == ("form", "action")]
    done = http.post(target, follow_redirects=True)
    assert (done.request.path, stub.asked) == (O1, [{"from": FROM_CHARGE}])
    assert "goes on from that step" in done.text


def test_a_restart_that_is_refused_says_why_beside_the_question(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="rollingBack", steps=[CHARGE]))
    response = http.post(f"{O1}/restart?name=charge&count=2&type=do")
    assert response.status_code == 409
    assert "Cannot restart" in response.text
    assert page(http, O1).links("/restart") == []


@pytest.mark.parametrize("query", ["", "?name=a&type=timer", "?name=a&count=0", "?name=a&more=1"])
def test_a_restart_from_nowhere_is_refused(http: FlaskClient, stub: StubClient, query: str) -> None:
    stub.add(detail(status="errored"))
    assert http.get(f"{O1}/restart{query}").status_code == 422
    assert http.post(f"{O1}/restart{query}").status_code == 422
    assert stub.asked == []


def test_the_whole_output_of_a_step_is_a_file(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(steps=[CHARGE]))
    (link,) = page(http, O1).links("/output")
    answer = http.get(link)
    assert answer.get_json() == CHARGE.output
    assert answer.headers["Content-Disposition"] == "attachment; filename=o-1-charge-2.json"
    assert http.get(f"{O1}/output?name=nothing-1").status_code == 404


def test_a_stream_shows_its_beginning_and_its_size(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(steps=[step("export", output='a "line"\n<b>', stream_bytes=123_456)]))
    html = http.get(O1).text
    assert "a stream of 123,456 bytes" in html
    assert 'a "line"\n<b>' in Page(html).text
    assert "<b></pre>" not in html


def test_terminating_may_roll_back_first(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="running"))
    targets = [value for tag, name, value in page(http, O1).attributes if (tag, name) == ("button", "formaction")]
    assert targets == [f"{O1}/actions?rollback=1"]
    http.post(targets[0], data={"action": "terminate"})
    assert stub.asked == [{"rollback": True}]


def test_a_rollback_under_way_can_only_be_given_up(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="rollingBack", allowed_actions=["pause", "terminate", "delete"]))
    shown = page(http, O1)
    assert "terminate" in shown.buttons
    assert [name for _, name, _ in shown.attributes if name == "formaction"] == []


def test_how_a_rollback_ended_is_told_with_its_steps(http: FlaskClient, stub: StubClient) -> None:
    failed = {"outcome": "failed", "error": {"name": "Refused", "message": "<i>no</i>"}}
    undo = step("charge", kind="rollback", status="errored", error=failed["error"])
    error = {"name": "ValueError", "message": "no van"}
    stub.add(detail(status="errored", error=error, rollback=failed, steps=[undo]))
    shown = words(page(http, O1).text)
    for part in ("Its rollback failed.", "The rollback failedRefused: <i>no</i>", "rollback · errored", "no van"):
        assert part in shown


def test_the_versions_an_instance_ran_on_lead_to_their_code(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(versions=["a" * 64, "b" * 64]))
    assert page(http, O1).links("?version=") == [f"/workflows/orders?version={letter * 64}#code" for letter in "ab"]


def test_the_page_of_an_instance_whose_id_holds_a_cron_expression(http: FlaskClient, stub: StubClient) -> None:
    id = "*/5 * * * *-1795000000000"
    stub.add(detail(id, status="running"))
    (link,) = set(page(http, "/workflows/orders").links("1795000000000"))
    assert page(http, link).text.count(id) >= 1
    assert http.post(f"{link}/actions", data={"action": "pause"}).status_code == 303
    assert http.post(f"{link}/events", data={"type": "go"}).status_code == 303
