"""What the pages show, to everybody and as text only."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from tests.web.page import O1, Page, page, words
from tests.web.stub import T0, StubClient, attempt, detail, step
from web.dashboard.wording import STATUSES


def test_home_lists_workflows_with_counts_and_the_newest_instances_of_all(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail("o-1", status="errored", created_at=T0))
    stub.add(detail("o-2", status="running", created_at=T0 + 1))
    stub.add(detail("r-1", "reports", status="running", created_at=T0 + 2))
    shown = words(page(http, "/").text)
    assert "1 Running 1 Errored" in shown
    assert shown.index("r-1") < shown.index("o-2") < shown.index("o-1")


def test_an_empty_home_says_what_to_do(http: FlaskClient, stub: StubClient) -> None:
    assert "orchestrator trigger orders" in page(http, "/").text
    stub.rows.clear()
    assert "orchestrator dev app.py" in page(http, "/").text


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_is_shown_with_a_word_and_an_icon(http: FlaskClient, stub: StubClient, status: str) -> None:
    stub.add(detail(status=status, allowed_actions=[]))
    html = http.get(O1).text
    badge = re.search(r'<span class="badge[^"]*">(.*?)</span>', html, re.S)
    assert badge is not None
    assert "<svg" in badge[1]
    assert STATUSES[status].word in badge[1]


def test_an_instance_shows_its_steps_attempts_params_and_output(http: FlaskClient, stub: StubClient) -> None:
    failed = attempt(1, error={"name": "PaymentTimeout", "message": "too slow"}, worker="w-7")
    charge = step("charge", count=2, attempts=2, attempt_log=[failed, attempt(2, status="complete")], output={"ch": 1})
    stub.add(detail(status="complete", params={"n": 41}, output={"shipped": True}, steps=[charge], ended_at=T0 + 9000))
    shown = words(page(http, O1).text)
    for part in ("charge #2", "2 attempts", "PaymentTimeout: too slow", "w-7", '"n": 41', '"shipped": true', '"ch": 1'):
        assert part in shown
    assert "1 of 1 step completed, 1 retry" in shown


def test_an_errored_instance_shows_its_error(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="errored", error={"name": "NoStock", "message": "empty"}))
    assert "NoStock: empty" in page(http, O1).text


def test_a_waiting_instance_says_for_what_and_fills_in_the_event(http: FlaskClient, stub: StubClient) -> None:
    wait = step("ok?", kind="waitForEvent", status="waiting", ended_at=None, config={"type": "approval"})
    stub.add(detail(status="waiting", waiting_for='event "approval"', steps=[wait]))
    shown = page(http, O1)
    assert 'Waiting for event "approval".' in shown.text
    assert ("input", "value", "approval") in shown.attributes


def test_what_users_wrote_is_shown_as_text(http: FlaskClient, stub: StubClient) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    stub.add(
        detail(
            status="errored", params={evil: evil}, trigger=evil, waiting_for=evil,
            error={"name": evil, "message": evil},
            steps=[step(evil, error={"name": evil, "message": evil}, output=evil, config={evil: evil},
                        attempt_log=[attempt(1, error={"name": evil, "message": evil}, worker=evil)])],
        )
    )  # fmt: skip
    html = http.get(O1).text
    assert "<script>alert" not in html
    assert "<img" not in html
    assert page(http, O1).text.count("<script>alert(1)</script>") >= 6


def test_what_is_not_shown_of_a_long_value_is_counted(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="complete", output="x" * 25_000))
    shown = words(page(http, O1).text)
    assert "5,002 more characters are not shown here" in shown


def test_very_many_steps_are_shown_two_hundred_at_a_time_the_newest_first(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="running", steps=[step(f"step {number}") for number in range(1, 1251)]))

    response = http.get(O1)
    newest = Page(response.text)
    (earlier,) = newest.links("last=")
    before = page(http, earlier.partition("#")[0])
    (first,) = [page(http, f"{O1}?last=50")]

    assert "Steps 1,051 to 1,250 of 1,250" in words(newest.text)
    assert "1,250 of 1,250 steps completed" in words(newest.text)
    assert "step 1250" in newest.text
    assert "step 1050" not in newest.text
    assert "Steps 851 to 1,050 of 1,250" in words(before.text)
    assert {"step-851", "step-1050"} <= set(before.ids)
    assert "Steps 1 to 50 of 1,250" in words(first.text)
    assert not first.links("last=")
    assert "Newest steps" in first.text
    assert len(response.data) < 1_400 * 200


def test_what_undoes_a_step_is_told_from_it_and_not_counted_as_one(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="terminated", steps=[step("charge"), step("charge", kind="rollback", status="errored")]))

    shown = words(page(http, O1).text)

    assert "1 of 1 step completed" in shown
    assert "undo charge rollback · errored" in shown


@pytest.mark.parametrize(("status", "live"), [("running", True), ("waiting", True), ("complete", False)])
def test_a_page_refreshes_itself_until_the_instance_has_finished(
    http: FlaskClient, stub: StubClient, status: str, live: bool
) -> None:
    stub.add(detail(status=status))
    assert (("main", "data-refresh-ms", "1000") in page(http, O1).attributes) is live


def test_a_workflow_page_filters_by_status(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail("o-1", status="errored"))
    stub.add(detail("o-2", status="running"))
    shown = page(http, "/workflows/orders?status=errored").text
    assert "o-1" in shown
    assert "o-2" not in shown
    assert http.get("/workflows/orders?status=broken").status_code == 422


# --- for everybody ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/", "/workflows/orders", O1, "/nothing"])
def test_every_page_is_well_formed_for_those_who_can_not_see_it(
    http: FlaskClient, stub: StubClient, address: str
) -> None:
    failed = attempt(1, error={"name": "A", "message": "b"})
    stub.add(detail(status="waiting", steps=[step("a", attempt_log=[failed]), step("b")]))
    shown = Page(http.get(address).text)
    assert shown.fields <= shown.labels
    assert len(shown.ids) == len(set(shown.ids))
    assert shown.headings[0] == "h1"
    assert shown.headings.count("h1") == 1
    assert ("html", "lang", "en") in shown.attributes
    assert ("a", "href", "#main") in shown.attributes
    labelled_by = {value for _, name, value in shown.attributes if name == "aria-labelledby"}
    assert labelled_by <= set(shown.ids)


@pytest.mark.parametrize("address", ["/", "/workflows/orders", O1, "/nothing"])
def test_no_page_needs_what_the_content_security_policy_forbids(
    http: FlaskClient, stub: StubClient, address: str
) -> None:
    stub.add(detail(status="waiting", steps=[step("a")]))
    shown = Page(http.get(address).text)
    for _tag, name, value in shown.attributes:
        assert name != "style"
        assert not name.startswith("on")
        assert not value.startswith("javascript:")
    sources = [value for tag, name, value in shown.attributes if tag == "script" and name == "src"]
    assert len(sources) == [tag for tag, *_ in shown.attributes].count("script") // 2
    assert all(source.startswith("/static/") for source in sources)
