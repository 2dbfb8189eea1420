"""Mistakes that type checkers must find: every line that ends in `# wrong`, and no other."""

from __future__ import annotations

from orchestrator import BlockingWorkflowStep, Client, WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from tests.typing.authors.async_author import Approval, Direct, Order, Receipt, charge, charge_later, charge_once


def callers(client: Client, receipt: Receipt) -> None:
    client.workflow(Direct).create(receipt)  # wrong
    client.workflow(Direct).create(params="order")  # wrong
    client.workflow(Direct).create([1])  # wrong
    client.workflow(Direct).create({"id": "order-42", "amount": 5})
    client.workflow(Receipt)  # wrong
    client.workflow("orders").create(name="order-42")  # wrong


class Authors(WorkflowEntrypoint[Order]):
    async def run(self, event: WorkflowEvent[Order], step: WorkflowStep) -> Receipt:
        order = event.payload
        _ = order.amout  # wrong
        event.payload = order  # wrong

        await step.do("a", charge)  # wrong
        await step.do("b", charge, "order")  # wrong
        await step.do("c", charge, order, curency="USD")  # wrong
        await step.do("d", charge_once, order, order)  # wrong
        await step.do(charge, order)  # wrong
        await step.do("e", {"timout": 5}, charge, order)  # wrong

        @step.do("f", retries={"limit": 3})  # wrong
        def without_delay() -> int:
            return 1

        @step.do("g", retries={"limit": 3, "delay": 5, "backoff": "quadratic"})  # wrong
        def without_backoff() -> int:
            return 1

        @step.do("h", timeout=[5])  # wrong
        def without_duration() -> int:
            return 1

        @step.do
        def charged() -> Receipt:
            return charge(order)

        _ = (await charged()).amount  # wrong
        _ = charged().number  # wrong
        later = step.do("i", charge_later, order)
        _ = later.number  # wrong
        _ = (await later).number

        approval = await step.wait_for_event("approval", "approval", payload_type=Approval)
        _ = approval.payload.amount  # wrong
        await step.sleep("nap")  # wrong
        return order  # wrong


class BlockingAuthors(WorkflowEntrypoint[Order]):
    def run(self, event: WorkflowEvent[Order], step: BlockingWorkflowStep) -> Receipt:
        order = event.payload

        @step.do
        def charged() -> Receipt:
            return charge(order)

        _ = charged().number
        _ = charged().amount  # wrong
        step.do("a", charge, "order")  # wrong
        step.sleep("nap", [5])  # wrong
        return step.do("b", len, "order")  # wrong
