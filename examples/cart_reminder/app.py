"""Shows a workflow without async that sleeps for days and holds no worker meanwhile; it touches local files only."""

import json
from pathlib import Path

from pydantic import BaseModel, Field

from orchestrator import BlockingWorkflowStep, WorkflowEntrypoint, WorkflowEvent

DATA = Path(".orchestrator/examples/carts")


class Cart(BaseModel):
    customer: str = Field(min_length=1)
    items: list[str] = Field(min_length=1)
    wait: str | int = Field(default="3 days", description="how long to leave the customer alone; a number is in ms")


class Reminder(BaseModel):
    sent: bool
    letter: str | None = None


class CartReminder(WorkflowEntrypoint[Cart]):
    """Waits three days, then reminds the customer of the cart, unless it was bought by then."""

    def run(self, event: WorkflowEvent[Cart], step: BlockingWorkflowStep) -> Reminder:
        cart = event.payload
        step.do("keep cart", keep, event.instance_id, cart)
        step.sleep("leave the customer alone", cart.wait)

        @step.do("was it bought?")
        def bought() -> bool:
            return bool(json.loads(cart_file(event.instance_id).read_text(encoding="utf-8"))["bought"])

        if bought():
            return Reminder(sent=False)
        return Reminder(sent=True, letter=step.do("send reminder", remind, event.instance_id, cart))


def cart_file(cart_id: str) -> Path:
    return DATA / f"{cart_id}.json"


def keep(cart_id: str, cart: Cart) -> str:
    """Keep the cart where the shop can mark it as bought; a second attempt leaves such a mark alone."""
    target = cart_file(cart_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        target.write_text(json.dumps({"items": cart.items, "bought": False}), encoding="utf-8")
    return str(target)


def remind(cart_id: str, cart: Cart) -> str:
    """Put the reminder into the outbox, once: it is named after the cart, so a second attempt replaces it."""
    letter = DATA / "outbox" / f"{cart_id}.txt"
    letter.parent.mkdir(parents=True, exist_ok=True)
    things = ", ".join(cart.items)
    letter.write_text(f"Dear {cart.customer},\nthese still wait for you: {things}.\n", encoding="utf-8")
    return str(letter)
