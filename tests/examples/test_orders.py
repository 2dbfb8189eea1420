"""The orders example, run for real against its HTTP payment service, failures of the network included."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from examples.orders import app
from examples.orders.app import OrderProcessing, StockReport
from examples.orders.payment_service import DECLINED_CARD, Ledger, PaymentService, running
from orchestrator.client import Instance
from orchestrator.errors import InstanceErrored, InstanceTerminated, NonRetryableError
from orchestrator.inspection import InstanceDetail, StepView
from tests.examples.conftest import RESULT_SECONDS, Start
from tests.services import free_port

REPOSITORY = Path(__file__).parents[2]
ORDER: dict[str, Any] = {"customer": "Ann", "items": [{"sku": "tea", "quantity": 2}, {"sku": "cup"}]}
TOTAL_CENTS = 2 * 450 + 1200


@pytest.fixture
def payments(monkeypatch: pytest.MonkeyPatch) -> Iterator[PaymentService]:
    """The service with its usual failures: the first two requests fail, the third is answered."""
    with running() as service:
        monkeypatch.setenv("PAYMENT_URL", service.url)
        yield service


def stock_of(sku: str) -> int:
    with app.inventory() as stock:
        available: int = stock.execute("SELECT available FROM stock WHERE sku = ?", (sku,)).fetchone()[0]
        return available


def steps_of(instance: Instance) -> dict[str, StepView]:
    return {view.name: view for view in instance.describe().steps if view.kind != "rollback"}


def undone_by(instance: Instance) -> list[str]:
    return [view.name for view in instance.describe().steps if view.kind == "rollback" and view.status == "complete"]


def until_it_waits_for_approval(instance: Instance) -> None:
    for detail in instance.watch(timeout=RESULT_SECONDS):
        if detail.status == "waiting" and any(view.kind == "waitForEvent" for view in detail.steps):
            return
    pytest.fail(f"{instance.id} ended without waiting for approval: {instance.status()}")


def test_an_order_is_charged_once_though_the_service_fails_twice_and_is_confirmed_on_approval(
    start: Start, payments: PaymentService
) -> None:
    orders = start(OrderProcessing).workflow(OrderProcessing)
    before = stock_of("tea")

    instance = orders.create(ORDER, id="order-1")
    until_it_waits_for_approval(instance)
    instance.send_event("approval", {"by": "Mia"})
    receipt = instance.result(timeout=RESULT_SECONDS)

    charges = [(charge.card, charge.amount_cents) for charge in payments.ledger.charges.values()]
    letter = Path(receipt.letter).read_text(encoding="utf-8")
    assert (receipt.status, receipt.total_cents, receipt.decided_by) == ("confirmed", TOTAL_CENTS, "Mia")
    assert receipt.payment.attempts == steps_of(instance)["charge"].attempts == 3
    assert charges == [("tok_visa", TOTAL_CENTS)]
    assert payments.ledger.requests == {"is unavailable": 1, "loses its answer": 1, "answers": 1}
    assert stock_of("tea") == before - 2
    assert letter.startswith("To Ann\nYour order order-1 is confirmed.\n")


def test_an_approval_that_came_first_is_waiting_when_the_order_gets_there(
    start: Start, payments: PaymentService
) -> None:
    instance = start(OrderProcessing).workflow(OrderProcessing).create(ORDER)

    instance.send_event("approval", {"by": "Mia"})

    assert instance.result(timeout=RESULT_SECONDS).decided_by == "Mia"


def test_a_declined_card_is_not_tried_again_and_the_goods_go_back(start: Start, payments: PaymentService) -> None:
    payments.ledger.failure_rate = 0
    orders = start(OrderProcessing).workflow(OrderProcessing)
    before = stock_of("tea")

    instance = orders.create({**ORDER, "card": DECLINED_CARD})
    with pytest.raises(InstanceErrored, match="declined") as ended:
        instance.result(timeout=RESULT_SECONDS)

    assert ended.value.error is not None
    assert ended.value.error["name"] == "PaymentRefused"
    assert steps_of(instance)["charge"].attempts == 1
    assert undone_by(instance) == ["charge", "reserve inventory"]
    assert stock_of("tea") == before
    assert payments.ledger.charges == {}


def test_a_refused_order_is_refunded_and_the_goods_go_back(start: Start, payments: PaymentService) -> None:
    orders = start(OrderProcessing).workflow(OrderProcessing)
    before = stock_of("tea")

    instance = orders.create(ORDER)
    until_it_waits_for_approval(instance)
    instance.send_event("approval", {"by": "Mia", "approved": False})
    receipt = instance.result(timeout=RESULT_SECONDS)

    assert receipt.status == "cancelled"
    assert [charge.refunded for charge in payments.ledger.charges.values()] == [True]
    assert stock_of("tea") == before


def test_whatever_fails_after_the_charge_the_card_is_refunded_and_the_goods_go_back(
    start: Start, payments: PaymentService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise NonRetryableError("the outbox is full")

    monkeypatch.setattr(app, "write_letter", fail)
    before = stock_of("tea")

    instance = start(OrderProcessing).workflow(OrderProcessing).create(ORDER)
    instance.send_event("approval", {"by": "Mia"})
    with pytest.raises(InstanceErrored, match="outbox"):
        instance.result(timeout=RESULT_SECONDS)

    assert instance.status().rollback == {"outcome": "complete", "error": None}
    assert undone_by(instance) == ["charge", "reserve inventory"]
    assert [charge.refunded for charge in payments.ledger.charges.values()] == [True]
    assert stock_of("tea") == before


def test_an_order_that_is_called_off_while_it_waits_is_taken_back(start: Start, payments: PaymentService) -> None:
    before = stock_of("tea")
    instance = start(OrderProcessing).workflow(OrderProcessing).create(ORDER)
    until_it_waits_for_approval(instance)

    instance.terminate(rollback=True)
    with pytest.raises(InstanceTerminated):
        instance.result(timeout=RESULT_SECONDS)

    assert undone_by(instance) == ["charge", "reserve inventory"]
    assert [charge.refunded for charge in payments.ledger.charges.values()] == [True]
    assert stock_of("tea") == before


def test_a_charge_whose_every_answer_was_lost_is_refunded_all_the_same(
    start: Start, payments: PaymentService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "PATIENCE", {"limit": 0, "delay": 0})
    payments.ledger.next_outcome = iter(["loses its answer", "answers"]).__next__  # type: ignore[method-assign,assignment]

    instance = start(OrderProcessing).workflow(OrderProcessing).create(ORDER)
    with pytest.raises(InstanceErrored, match="no answer"):
        instance.result(timeout=RESULT_SECONDS)

    assert undone_by(instance) == ["charge", "reserve inventory"]
    assert [charge.refunded for charge in payments.ledger.charges.values()] == [True]


def test_the_stock_is_reported_by_the_clock_and_on_demand(start: Start) -> None:
    reports = start(StockReport).workflow(StockReport)
    (schedule,) = reports.schedules()

    report = reports.run_schedule(schedule.id).result(timeout=RESULT_SECONDS)

    in_berlin = [datetime.fromtimestamp(at / 1000, ZoneInfo("Europe/Berlin")) for at in schedule.next_times]
    assert {(at.hour, at.minute) for at in in_berlin} == {(7, 0)}
    assert all(at.weekday() < 5 for at in in_berlin)
    assert report.available == {sku: stock_of(sku) for sku in app.ASSORTMENT}
    assert f"{stock_of('tea'):>6} x tea\n" in Path(report.file).read_text(encoding="utf-8")


@pytest.mark.parametrize(("sku", "says"), [("samovar", "0 are left"), ("teapot", "does not sell 'teapot'")])
def test_what_can_not_be_delivered_is_not_charged(start: Start, payments: PaymentService, sku: str, says: str) -> None:
    instance = start(OrderProcessing).workflow(OrderProcessing).create({"customer": "Ann", "items": [{"sku": sku}]})

    with pytest.raises(InstanceErrored, match=says):
        instance.result(timeout=RESULT_SECONDS)

    assert not payments.ledger.requests


def test_without_the_payment_service_the_error_says_how_to_start_it_and_the_order_goes_on_when_it_runs(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("PAYMENT_URL", f"http://127.0.0.1:{port}")
    instance = start(OrderProcessing).workflow(OrderProcessing).create(ORDER)
    instance.send_event("approval", {"by": "Mia"})

    error = first_charge_error(instance.watch(timeout=RESULT_SECONDS))
    with running(port, Ledger(failure_rate=0)):
        receipt = instance.result(timeout=RESULT_SECONDS)

    assert error["name"] == "PaymentUnavailable"
    assert "python -m examples.orders.payment_service" in error["message"]
    assert receipt.status == "confirmed"


def first_charge_error(details: Iterator[InstanceDetail]) -> dict[str, Any]:
    for detail in details:
        for view in detail.steps:
            if view.name == "charge" and view.attempt_log and view.attempt_log[0].error:
                return dict(view.attempt_log[0].error)
    pytest.fail("the charge never failed")


def test_a_repeated_attempt_reserves_and_releases_once() -> None:
    items = [app.Item(sku="tea", quantity=1), app.Item(sku="tea", quantity=2)]
    before = stock_of("tea")

    reservations = [app.reserve("r", items), app.reserve("r", items)]
    after_reserving = stock_of("tea")
    app.release("r")
    app.release("r")

    assert reservations[0] == reservations[1]
    assert after_reserving == before - 3
    assert stock_of("tea") == before


def test_one_seed_gives_one_row_of_failures() -> None:
    rows = [[ledger.next_outcome() for _ in range(50)] for ledger in (Ledger(seed=3), Ledger(seed=3), Ledger(seed=4))]

    assert rows[0] == rows[1] != rows[2]
    assert set(rows[0]) == {"answers", "is unavailable", "loses its answer"}


def test_one_idempotency_key_is_one_charge_and_can_not_become_another() -> None:
    ledger = Ledger()

    first, again, other = (
        ledger.charge("k", "tok_visa", 5),
        ledger.charge("k", "tok_visa", 5),
        ledger.charge("k", "x", 5),
    )

    assert first is again is not None
    assert other is None
    assert len(ledger.charges) == 1


def test_the_payment_service_runs_as_a_program_of_its_own() -> None:
    command = [sys.executable, "-m", "examples.orders.payment_service", "--port", "0"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as own:
        assert own.stdout is not None
        try:
            url = own.stdout.readline().split()[3]
            with closing(urllib.request.urlopen(f"{url}/charges", timeout=10)) as answer:
                said = json.load(answer)
        finally:
            own.terminate()

    assert said == {"charges": [], "requests": {}}
