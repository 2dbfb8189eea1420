"""What a page offers is what its reader's token may do, and REST says the same in `allowed_actions`; over the real client."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from tests.web.door import INSTANCES, Door
from tests.web.page import Page, words
from tests.web.stub import StubClient, detail

WORKFLOW = "/workflows/orders"
INSTANCE = f"{WORKFLOW}/instances/known"
CHANGES = ["pause", "restart", "terminate", "delete"]
MAY = {
    "read": ([], []),
    "trigger": (["create"], ["send_event"]),
    "operate": (["create", "terminate_all", "schedule"], ["send_event", *CHANGES]),
    "admin": (["create", "terminate_all", "delete_workflow", "schedule"], ["send_event", *CHANGES]),
}
FORMS = {
    "create": f"{WORKFLOW}/instances",
    "terminate_all": f"{WORKFLOW}/terminate",
    "delete_workflow": f"{WORKFLOW}/delete",
    "schedule": f"{WORKFLOW}/schedules/",
}


def shown(door: Door, path: str, token: str) -> Page:
    answer = door.ask("GET", path, token)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def offered(page: Page) -> set[str]:
    return {value for tag, name, value in page.attributes if tag == "form" and name == "action"}


@pytest.mark.parametrize("role", MAY)
def test_a_workflows_page_offers_what_the_role_may_do_and_nothing_else(door: Door, role: str) -> None:
    door.client.workflow("orders").add_schedule("0 7 * * *")

    forms = offered(shown(door, WORKFLOW, door.token(role)))

    assert {name for name, path in FORMS.items() if any(form.startswith(path) for form in forms)} == set(MAY[role][0])


@pytest.mark.parametrize("role", MAY)
def test_an_instances_page_and_rest_offer_the_same(door: Door, role: str) -> None:
    door.client.workflow("orders").create(id="known")
    token = door.token(role)

    page = shown(door, INSTANCE, token)
    said = door.ask("GET", f"{INSTANCES}/known", token).get_json()["allowed_actions"]

    assert set(page.buttons) == {action for action in MAY[role][1] if action != "send_event"}
    assert set(said) == set(MAY[role][1])
    hidden = [name for tag, name, _ in page.attributes if tag == "section" and name == "hidden"]
    assert (not hidden) is ("send_event" in said)


def test_a_reader_is_told_who_they_are_and_why_there_is_nothing_to_press(door: Door) -> None:
    door.client.workflow("orders").create(id="known")
    token = door.token("read")

    assert "read · read" in words(shown(door, "/", token).text)
    for path, role in ((WORKFLOW, "trigger"), (INSTANCE, "operate")):
        page = shown(door, path, token)
        assert "Your token “read” has the role read." in words(page.text)
        assert role in words(page.text)
        assert not [form for form in offered(page) if not form.endswith("/events")]
    assert "#start" not in door.ask("GET", "/", token).text


def test_the_question_before_a_restart_is_not_asked_where_the_answer_is_refused(door: Door) -> None:
    door.client.workflow("orders").create(id="known")

    asked = f"{INSTANCE}/restart?name=wait&type=waitForEvent"

    assert door.ask("GET", asked, door.token("trigger")).status_code == 403
    assert door.ask("GET", asked, door.token("operate")).status_code == 200


def test_without_tokens_everything_is_offered_and_nobody_is_named(http: FlaskClient, stub: StubClient) -> None:
    stub.add(detail(status="waiting"))

    page = Page(http.get("/workflows/orders/instances/o-1").text)

    assert set(page.buttons) == set(CHANGES)
    assert "role" not in words(page.text)


def test_whose_token_is_for_no_workflow_there_is_is_told_so_and_not_to_write_one(door: Door) -> None:
    home = words(shown(door, "/", door.token("read", workflows=["billing", "pay-*"])).text)

    assert "Your token “read” is for billing, pay-*, and there is no such workflow." in home
    assert "orchestrator dev" not in home
