"""What the buttons and forms of the pages do, and what they say when they are refused."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from orchestrator.errors import DatabaseUnavailable, InvalidParams
from tests.web.page import O1, Page, page
from tests.web.stub import ALLOWED, StubClient, detail
from web.dashboard.wording import ACTIONS


@pytest.mark.parametrize("status", ALLOWED)
def test_exactly_the_allowed_actions_are_offered(http: FlaskClient, stub: StubClient, status: str) -> None:
    stub.add(detail(status=status))
    shown = page(http, O1)
    assert set(shown.buttons) == set(ALLOWED[status]) & ACTIONS.keys()
    hidden = any(tag == "section" and name == "hidden" for tag, name, _ in shown.attributes)
    assert hidden is ("send_event" not in ALLOWED[status])


@pytest.mark.parametrize("action", ["pause", "resume", "terminate", "restart"])
def test_a_button_acts_and_goes_back_to_the_page(http: FlaskClient, stub: StubClient, action: str) -> None:
    stub.add(detail(status="paused" if action == "resume" else "running"))
    response = http.post(f"{O1}/actions", data={"action": action}, follow_redirects=True)
    assert response.status_code == 200
    assert response.request.path == O1
    assert ACTIONS[action].did in response.text
    assert stub.rows["orders"]["o-1"].status not in ("running", "paused" if action == "resume" else "")


def test_deleting_goes_back_to_the_workflow(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="complete"))
    response = http.post(f"{O1}/actions", data={"action": "delete"}, follow_redirects=True)
    assert response.request.path == "/workflows/orders"
    assert "was deleted" in response.text
    assert stub.rows["orders"] == {}


@pytest.mark.parametrize("action", ["describe", "__class__", "", "send_event"])
def test_a_form_can_only_do_what_a_button_does(http: FlaskClient, stub: StubClient, action: str) -> None:
    stub.add(detail(status="running"))
    assert http.post(f"{O1}/actions", data={"action": action}).status_code == 422
    assert stub.rows["orders"]["o-1"].status == "running"


def test_an_action_that_is_no_longer_allowed_is_explained_on_the_page(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="complete"))
    response = http.post(f"{O1}/actions", data={"action": "pause"})
    assert response.status_code == 409
    assert "Cannot pause an instance that is complete" in response.text
    assert http.get(f"{O1}/actions").headers["Location"] == O1


def test_the_form_starts_an_instance(http: FlaskClient, stub: StubClient) -> None:
    form = {"params": '{"n": 1}', "instance_id": " o-9 "}
    response = http.post("/workflows/orders/instances", data=form, follow_redirects=True)
    assert response.request.path == "/workflows/orders/instances/o-9"
    assert "The instance was started" in response.text
    assert stub.rows["orders"]["o-9"].params == {"n": 1}


def test_an_empty_form_starts_an_instance_too(http: FlaskClient, stub: StubClient) -> None:
    http.post("/workflows/orders/instances", data={"params": "", "instance_id": ""})
    assert [row.params for row in stub.rows["orders"].values()] == [None]


@pytest.mark.parametrize(
    ("form", "status", "says"),
    [
        ({"params": "{bad", "instance_id": "o-9"}, 400, "Params is not valid JSON"),
        ({"params": '{"n": 1}', "instance_id": "a b"}, 422, "invalid id"),
        ({"params": '{"n": 1}', "instance_id": "o-1"}, 409, "has an instance"),
    ],
)
def test_a_refused_form_says_why_and_keeps_what_was_typed(
    http: FlaskClient, stub: StubClient, form: dict[str, str], status: int, says: str
) -> None:
    stub.add(detail())
    response = http.post("/workflows/orders/instances", data=form)
    shown = Page(response.text)
    assert response.status_code == status
    assert says in shown.text
    assert form["params"] in shown.text
    assert ("input", "value", form["instance_id"]) in shown.attributes
    assert len(stub.rows["orders"]) == 1


def test_params_that_do_not_fit_are_explained_in_place(
    http: FlaskClient, monkeypatch: pytest.MonkeyPatch, stub: StubClient
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InvalidParams("items: Field required")

    monkeypatch.setattr("tests.web.stub.StubWorkflow.create", refuse)
    response = http.post("/workflows/orders/instances", data={"params": "{}"})
    assert response.status_code == 422
    assert "items: Field required" in response.text


def test_an_event_is_sent(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="waiting"))
    response = http.post(f"{O1}/events", data={"type": "approval", "payload": '{"by": "ann"}'}, follow_redirects=True)
    assert "The event was sent" in response.text
    assert stub.events == [("o-1", "approval", {"by": "ann"})]


def test_a_refused_event_keeps_what_was_typed(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="waiting"))
    response = http.post(f"{O1}/events", data={"type": "app.roval", "payload": '{"by": "ann"}'})
    assert response.status_code == 422
    assert ("input", "value", "app.roval") in Page(response.text).attributes
    assert '{"by": "ann"}' in Page(response.text).text
    assert stub.events == []


def test_a_form_for_nobody_gets_a_page_not_a_form(http: FlaskClient) -> None:
    assert http.post(f"{O1}/actions", data={"action": "pause"}).status_code == 404
    assert http.post("/workflows/nope/instances", data={}).status_code == 404


def test_a_database_that_is_away_is_one_page_not_a_loop(http: FlaskClient, stub: StubClient) -> None:
    stub.failure = DatabaseUnavailable("The database can't be reached.")
    response = http.post("/workflows/orders/instances", data={})
    assert response.status_code == 503
    assert "be reached" in response.text
