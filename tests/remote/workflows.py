"""The workflows of these tests; they say nothing about how a client should be."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import BaseModel

from orchestrator import WorkflowEntrypoint


class Order(BaseModel):
    items: list[str] = []
    broken: bool = False


class Orders(WorkflowEntrypoint[Order]):
    async def run(self, event: Any, step: Any) -> Any:
        def check() -> int:
            if event.payload.broken:
                raise ValueError("no stock of täa")
            return len(event.payload.items)

        count = await step.do("check stock", check, config={"retries": {"limit": 1, "delay": 1}})
        approval = await step.wait_for_event("manager approves", "approval", timeout="24 hours")
        return {"count": count, "by": approval.payload}


class Echo(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> Any:
        await step.sleep("breathe", "1 second")
        return event.payload


class Receipt(BaseModel):
    total: float
    paid_on: date
    codes: set[str] = set()


class Paying(WorkflowEntrypoint):
    """Its output has a type, which JSON has not."""

    async def run(self, event: Any, step: Any) -> Receipt:
        return Receipt(total=event.payload["total"], paid_on=date(2026, 11, 22), codes={"a"})


class Undoing(WorkflowEntrypoint):
    async def run(self, event: Any, step: Any) -> None:
        def undo() -> None:
            if event.payload == "stubborn":
                raise ValueError("the bank is closed")

        once = {"retries": {"limit": 0, "delay": 0}}
        await step.do("charge", lambda: "p-1", rollback=undo, rollback_config=once)
        await step.sleep("a while", "1 hour")


WORKFLOWS = (Orders, Echo, Paying, Undoing)
