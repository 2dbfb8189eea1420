"""What type checkers must infer in a `def run`; read by them, never run."""

from __future__ import annotations

from typing import Any, assert_type

from orchestrator import BlockingWorkflowStep, ReceivedEvent, StepContext, WorkflowEntrypoint, WorkflowEvent
from tests.typing.authors.async_author import (
    Approval,
    Order,
    Receipt,
    charge,
    charge_later,
    charge_once,
    charge_once_later,
)


class Direct(WorkflowEntrypoint[Order]):
    def run(self, event: WorkflowEvent[Order], step: BlockingWorkflowStep) -> Receipt:
        order = event.payload
        assert_type(step.do("a", charge, order), Receipt)
        assert_type(step.do("b", charge, order, currency="USD"), Receipt)
        assert_type(step.do("c", charge_later, order), Receipt)
        assert_type(step.do("d", charge_once, order), Receipt)
        assert_type(step.do("e", charge_once_later, order), Receipt)
        assert_type(step.do("f", {"timeout": "2 minutes"}, charge, order), Receipt)
        assert_type(step.do("g", {"timeout": "2 minutes"}, charge_later, order), Receipt)
        assert_type(step.do("h", {"timeout": "2 minutes"}, charge_once, order), Receipt)
        assert_type(step.do("i", {"timeout": "2 minutes"}, charge_once_later, order), Receipt)
        return step.do("j", lambda: charge(order))


class Decorated(WorkflowEntrypoint[Order]):
    def run(self, event: WorkflowEvent[Order], step: BlockingWorkflowStep) -> list[Any]:
        order = event.payload

        @step.do
        def plain() -> Receipt:
            return charge(order)

        @step.do("later", retries={"limit": 3, "delay": "30 seconds"}, timeout="2 minutes")
        async def later(ctx: StepContext) -> Receipt:
            return await charge_once_later(ctx, order)

        @step.do("both", depends=[plain, later], concurrent=True)
        def both(first: Receipt, second: Receipt) -> int:
            return first.number + second.number

        assert_type(plain(), Receipt)
        assert_type(later(), Receipt)
        assert_type(both(), int)

        step.sleep("nap", "3 days")
        typed = step.wait_for_event("approval", "approval", payload_type=Approval)
        assert_type(typed, ReceivedEvent[Approval])
        assert_type(step.wait_for_event("anything", "anything"), ReceivedEvent[Any])
        step.race(plain, later, lambda: step.sleep("patience", "1 hour"))
        return step.gather(plain, later, lambda: typed.payload.by)
