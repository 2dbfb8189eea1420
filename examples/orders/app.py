"""Shows an order from stock to confirmation: payments that fail, a person's approval, a rollback; and a report by the clock.

The payment service is a program of its own: `python -m examples.orders.payment_service`.
"""

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from pydantic import BaseModel, Field

from orchestrator import (
    EventTimeoutError,
    NonRetryableError,
    RetriesDict,
    Schedule,
    StepContext,
    WorkflowEntrypoint,
    WorkflowEvent,
    WorkflowStep,
)

DATA = Path(".orchestrator/examples/orders")
PAYMENT_URL = "http://127.0.0.1:8790"
#: With the payment service: half a minute in all, which is long enough to start a service that was forgotten.
PATIENCE: RetriesDict = {"limit": 6, "delay": "500 ms", "backoff": "exponential"}
#: What the shop sells: price in cents, and how many it had when it opened.
ASSORTMENT = {"tea": (450, 10_000), "cup": (1200, 10_000), "kettle": (5900, 10_000), "samovar": (49900, 0)}


class Item(BaseModel):
    sku: str = Field(min_length=1)
    quantity: int = Field(default=1, ge=1, le=100)


class Order(BaseModel):
    customer: str = Field(min_length=1)
    items: list[Item] = Field(min_length=1)
    card: str = Field(default="tok_visa", description="a token of the payment service; tok_declined is declined")


class Reservation(BaseModel):
    id: str
    total_cents: int


class Payment(BaseModel):
    id: str
    key: str
    attempts: int


class Approval(BaseModel):
    by: str = Field(min_length=1)
    approved: bool = True


class Receipt(BaseModel):
    status: Literal["confirmed", "cancelled"]
    customer: str
    total_cents: int
    payment: Payment
    decided_by: str
    letter: str


class Report(BaseModel):
    file: str
    available: dict[str, int]


class PaymentUnavailable(Exception):
    """The payment service gave no usable answer; the charge may or may not have been made."""


class OrderProcessing(WorkflowEntrypoint[Order]):
    """Reserves stock, charges the card, waits for a manager, and confirms the order or takes it all back."""

    async def run(self, event: WorkflowEvent[Order], step: WorkflowStep) -> Receipt:
        order = event.payload

        # If an error leaves `run` anywhere below, the rollbacks refund the card and put the goods back, newest step
        # first, whichever worker is there to do it.
        @step.do("reserve inventory", rollback=release_of_step)
        def reserved(ctx: StepContext) -> Reservation:
            return reserve(ctx.idempotency_key, order.items)

        reservation = await reserved()

        @step.do(
            "charge",
            retries=PATIENCE,
            timeout="30 seconds",
            rollback=refund_of_step,
            rollback_config={"retries": PATIENCE, "timeout": "30 seconds"},
        )
        def charged(ctx: StepContext) -> Payment:
            return charge(order.card, reservation.total_cents, ctx)

        payment = await charged()

        try:
            answer = await step.wait_for_event(
                "manager approves", "approval", timeout="24 hours", payload_type=Approval
            )
            decision = answer.payload
        except EventTimeoutError:
            decision = Approval(by="nobody within 24 hours", approved=False)

        if not decision.approved:
            # A refusal is an answer and no error: the order ends well, as cancelled, and so it is undone by plain steps.
            await step.do("refund", {"retries": PATIENCE, "timeout": "30 seconds"}, refund, payment.key)
            await step.do("release inventory", release, reservation.id)

        status: Literal["confirmed", "cancelled"] = "confirmed" if decision.approved else "cancelled"
        letter = await step.do("write to customer", write_letter, event.instance_id, order, reservation, status)
        return Receipt(
            status=status,
            customer=order.customer,
            total_cents=reservation.total_cents,
            payment=payment,
            decided_by=decision.by,
            letter=letter,
        )


class StockReport(WorkflowEntrypoint):
    """Writes down every weekday morning what the shop has left."""

    schedules = Schedule("0 7 * * MON-FRI", timezone="Europe/Berlin")

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Report:
        return await step.do("write report", write_report, event.timestamp.date().isoformat())


@contextmanager
def inventory() -> Iterator[sqlite3.Connection]:
    """The stock, in one transaction: all of a step's changes are made, or none."""
    DATA.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(DATA / "inventory.db", timeout=30)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS stock (sku PRIMARY KEY, price_cents, available)")
        connection.execute("CREATE TABLE IF NOT EXISTS reserved (id, sku, quantity, PRIMARY KEY (id, sku))")
        connection.execute("BEGIN IMMEDIATE")
        opening = [(sku, price_cents, available) for sku, (price_cents, available) in ASSORTMENT.items()]
        connection.executemany("INSERT OR IGNORE INTO stock VALUES (?, ?, ?)", opening)
        yield connection


def reserve(reservation_id: str, items: list[Item]) -> Reservation:
    """Take the items from the stock; a reservation that is there already is not taken again."""
    wanted: Counter[str] = Counter()
    for item in items:
        wanted[item.sku] += item.quantity
    total_cents = 0
    with inventory() as stock:
        done = stock.execute("SELECT 1 FROM reserved WHERE id = ?", (reservation_id,)).fetchone()
        for sku, quantity in wanted.items():
            row = stock.execute("SELECT price_cents, available FROM stock WHERE sku = ?", (sku,)).fetchone()
            if row is None:
                raise NonRetryableError(f"The shop does not sell {sku!r}; it sells {', '.join(ASSORTMENT)}.")
            price_cents, available = row
            total_cents += price_cents * quantity
            if done:
                continue
            if available < quantity:
                raise NonRetryableError(f"{quantity} x {sku} were ordered and {available} are left.", "OutOfStock")
            stock.execute("UPDATE stock SET available = available - ? WHERE sku = ?", (quantity, sku))
            stock.execute("INSERT INTO reserved VALUES (?, ?, ?)", (reservation_id, sku, quantity))
    return Reservation(id=reservation_id, total_cents=total_cents)


def release(reservation_id: str) -> None:
    """Put a reservation's items back; there is nothing to put back the second time."""
    with inventory() as stock:
        rows = stock.execute("DELETE FROM reserved WHERE id = ? RETURNING quantity, sku", (reservation_id,)).fetchall()
        stock.executemany("UPDATE stock SET available = available + ? WHERE sku = ?", rows)


def charge(card: str, amount_cents: int, ctx: StepContext) -> Payment:
    """Charge the card once, however often this is tried: every attempt sends the same key."""
    reply = call_payment_service("/charges", {"card": card, "amount_cents": amount_cents}, key=ctx.idempotency_key)
    return Payment(id=reply["id"], key=ctx.idempotency_key, attempts=ctx.attempt)


def refund(payment_key: str) -> None:
    """Give back whatever was charged under this key, if anything was; a second refund changes nothing."""
    call_payment_service("/refunds", {}, key=payment_key)


def refund_of_step(ctx: StepContext) -> None:
    """Also right where the charge never answered and nobody knows whether it was made: it is found by its key."""
    refund(ctx.idempotency_key)


def release_of_step(ctx: StepContext) -> None:
    release(ctx.idempotency_key)


def call_payment_service(path: str, body: dict[str, Any], *, key: str) -> dict[str, Any]:
    """Raises NonRetryableError for a refusal and PaymentUnavailable for whatever another attempt may mend."""
    url = os.environ.get("PAYMENT_URL", PAYMENT_URL)
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = Request(url + path, json.dumps(body).encode(), headers, method="POST")
    opener = build_opener(ProxyHandler({}))  # it is on this machine: a proxy from the environment would not find it
    try:
        with opener.open(request, timeout=10) as response:
            reply: dict[str, Any] = json.load(response)
            return reply
    except HTTPError as error:
        with error:
            said = error.read().decode(errors="replace")
        if error.code >= 500:
            raise PaymentUnavailable(f"The payment service answered {error.code}: {said}") from error
        raise NonRetryableError(f"The payment service refused with {error.code}: {said}", "PaymentRefused") from error
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, URLError) and isinstance(error.reason, ConnectionRefusedError):
            raise PaymentUnavailable(
                f"Nothing answers at {url}. Start the payment service: python -m examples.orders.payment_service"
            ) from error
        raise PaymentUnavailable(f"The payment service gave no answer: {error}") from error


def write_letter(order_id: str, order: Order, reservation: Reservation, status: str) -> str:
    """Put the customer's letter into the outbox, once: it is named after the order, so a second attempt replaces it."""
    letter = DATA / "outbox" / f"{order_id}.txt"
    letter.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{item.quantity:>4} x {item.sku}" for item in order.items]
    total = f"{reservation.total_cents / 100:.2f}"
    text = "\n".join([f"To {order.customer}", f"Your order {order_id} is {status}.", *lines, f"Total {total}", ""])
    letter.write_text(text, encoding="utf-8")
    return str(letter)


def write_report(day: str) -> Report:
    """The stock of that moment, in a file named after the day: a second attempt replaces it."""
    with inventory() as stock:
        available = dict(stock.execute("SELECT sku, available FROM stock ORDER BY sku").fetchall())
    file = DATA / "reports" / f"{day}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{left:>6} x {sku}\n" for sku, left in available.items()), encoding="utf-8")
    return Report(file=str(file), available=available)
