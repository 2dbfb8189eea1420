"""The cart reminder, run for real with a wait of milliseconds in place of three days."""

from __future__ import annotations

import json
from pathlib import Path

from examples.cart_reminder.app import Cart, CartReminder, Reminder, cart_file, keep
from orchestrator.inspection import StepView
from orchestrator.testing import WorkflowTest, introspect_workflow_instance
from tests.examples.conftest import RESULT_SECONDS, Start

CART = {"customer": "Ann", "items": ["kettle", "tea"], "wait": 50}


def test_a_cart_that_was_left_is_reminded_of_after_the_wait(start: Start) -> None:
    instance = start(CartReminder).workflow(CartReminder).create(CART)

    reminder = instance.result(timeout=RESULT_SECONDS)

    sleep = next(view for view in instance.describe().steps if view.kind == "sleep")
    assert reminder.sent is True
    assert "kettle, tea" in Path(reminder.letter).read_text(encoding="utf-8")
    assert lasted_ms(sleep) >= 50


def lasted_ms(view: StepView) -> int:
    assert view.started_at is not None
    assert view.ended_at is not None
    return view.ended_at - view.started_at


def test_a_cart_that_was_bought_meanwhile_is_left_alone(start: Start) -> None:
    cart_file("cart-1").parent.mkdir(parents=True)
    cart_file("cart-1").write_text(json.dumps({"items": ["tea"], "bought": True}))

    instance = start(CartReminder).workflow(CartReminder).create(CART, id="cart-1")

    assert instance.result(timeout=RESULT_SECONDS) == Reminder(sent=False)


def test_the_wait_may_be_words_and_sleeping_is_reported_as_waiting(start: Start) -> None:
    instance = start(CartReminder).workflow(CartReminder).create({**CART, "wait": "3 days"})

    for detail in instance.watch(timeout=RESULT_SECONDS):
        if detail.status == "waiting":
            break

    sleep = next(view for view in instance.describe().steps if view.kind == "sleep")
    assert instance.status().status == "waiting"
    assert sleep.started_at is not None
    assert sleep.due_at == sleep.started_at + 3 * 24 * 3600 * 1000


def test_a_repeated_attempt_keeps_the_shops_mark_on_the_cart() -> None:
    cart = Cart(customer="Ann", items=["tea"])
    keep("c", cart)
    cart_file("c").write_text(json.dumps({"items": ["tea"], "bought": True}))

    keep("c", cart)

    assert json.loads(cart_file("c").read_text())["bought"] is True


def test_three_days_pass_in_a_test_at_once_and_not_earlier() -> None:
    with WorkflowTest(CartReminder) as test, test.introspect_workflow_instance(CartReminder, "cart-1") as instance:
        instance.create({"customer": "Ann", "items": ["tea"]})

        test.advance("71 hours")
        instance.wait_for_status("waiting")
        test.advance("1 hour")

        assert instance.get_output()["sent"] is True


def test_a_reminder_is_sent_again_when_the_outbox_was_away() -> None:
    with introspect_workflow_instance(CartReminder, "cart-1") as instance:
        instance.modify(
            lambda m: m.disable_sleeps().mock_step_error("send reminder", OSError("the disk is full"), times=2)
        )
        instance.create({"customer": "Ann", "items": ["tea"]})

        letter = instance.wait_for_step_result("send reminder")

        assert "tea" in Path(letter).read_text(encoding="utf-8")
        assert instance.handle.step("send reminder", attempt=2).error == {
            "name": "OSError",
            "message": "the disk is full",
        }
