"""The cart reminder, run for real with a wait of milliseconds in place of three days."""

from __future__ import annotations

import json
from pathlib import Path

from examples.cart_reminder.app import Cart, CartReminder, cart_file, keep
from orchestrator.inspection import StepView
from tests.examples.conftest import RESULT_SECONDS, Start

CART = {"customer": "Ann", "items": ["kettle", "tea"], "wait": 50}


def test_a_cart_that_was_left_is_reminded_of_after_the_wait(start: Start) -> None:
    instance = start(CartReminder).workflow(CartReminder).create(CART)

    reminder = instance.result(timeout=RESULT_SECONDS)

    sleep = next(view for view in instance.describe().steps if view.kind == "sleep")
    assert reminder["sent"] is True
    assert "kettle, tea" in Path(reminder["letter"]).read_text(encoding="utf-8")
    assert lasted_ms(sleep) >= 50


def lasted_ms(view: StepView) -> int:
    assert view.started_at is not None
    assert view.ended_at is not None
    return view.ended_at - view.started_at


def test_a_cart_that_was_bought_meanwhile_is_left_alone(start: Start) -> None:
    cart_file("cart-1").parent.mkdir(parents=True)
    cart_file("cart-1").write_text(json.dumps({"items": ["tea"], "bought": True}))

    instance = start(CartReminder).workflow(CartReminder).create(CART, id="cart-1")

    assert instance.result(timeout=RESULT_SECONDS) == {"sent": False, "letter": None}


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
