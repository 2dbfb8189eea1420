"""The workflows that Cloudflare's clients drive here; each shows one thing they can look at or act on."""

from __future__ import annotations

from typing import Any

from orchestrator import NonRetryableError, WorkflowEntrypoint, WorkflowEvent, WorkflowStep


class Orders(WorkflowEntrypoint):
    """Fails once, sleeps, waits for an approval, ends with what came."""

    name = "orders"

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> dict[str, Any]:
        @step.do("check stock", retries={"limit": 2, "delay": 0, "backoff": "constant"}, timeout="1 minute")
        async def check(ctx: Any) -> dict[str, Any]:
            if ctx.attempt == 1:
                raise ConnectionError("the warehouse does not answer")
            return {"items": event.payload.get("items", 0)}

        found = await check()
        await step.sleep("cool down", 5)
        approval = await step.wait_for_event("manager approves", "approval", timeout="24 hours")
        return {"found": found, "by": approval.payload["by"]}


class Failing(WorkflowEntrypoint):
    name = "failing"

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> None:
        def fail() -> None:
            raise NonRetryableError("out of stock", "StockError")

        await step.do("look", lambda: "seen")
        await step.do("fail", fail)


class Sleeper(WorkflowEntrypoint):
    name = "sleeper"

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> str:
        await step.sleep("long", "30 days")
        return "rested"


class Booking(WorkflowEntrypoint):
    """Undoes what it has done."""

    name = "booking"

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> None:
        await step.do("reserve", lambda: "seat 7", rollback=lambda: None)
        await step.wait_for_event("pay", "paid")


class Wordy(WorkflowEntrypoint):
    """More output than a list of steps shows."""

    name = "wordy"

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> int:
        return len(await step.do("write", lambda: "x" * 5000))
