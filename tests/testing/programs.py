"""The workflows that are tested here, both colours of `run`; what they may not do is fail by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from orchestrator import BlockingWorkflowStep, EventTimeoutError, WorkflowEntrypoint, WorkflowEvent, WorkflowStep


class Payment(BaseModel):
    id: str
    cents: int = 0


class BodyRan(Exception):
    """The body of a step ran, and a test had said that it does not."""


def never() -> Any:
    raise BodyRan


class Ordering(WorkflowEntrypoint[Any]):
    """Everything a workflow can wait for, one after the other."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
        async def charge() -> Payment:
            raise BodyRan

        paid = await step.do("charge", charge, retries={"limit": 2, "delay": "1 hour", "backoff": "constant"})
        await step.sleep("cool down", "90 days")
        approval = await step.wait_for_event("manager approves", "approval", timeout="30 days")
        return {"paid": paid.id, "approved": approval.payload}


class PlainOrdering(WorkflowEntrypoint[Any]):
    """The same with a `def run`."""

    def run(self, event: WorkflowEvent[Any], step: BlockingWorkflowStep) -> Any:
        def charge() -> Payment:
            raise BodyRan

        paid = step.do("charge", charge, retries={"limit": 2, "delay": "1 hour", "backoff": "constant"})
        step.sleep("cool down", "90 days")
        approval = step.wait_for_event("manager approves", "approval", timeout="30 days")
        return {"paid": paid.id, "approved": approval.payload}


class Trying(WorkflowEntrypoint[Any]):
    """One step of many attempts."""

    attempts: list[int] = []  # noqa: RUF012 - of the test that runs; it empties it

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
        def body(ctx: Any) -> str:
            Trying.attempts.append(ctx.attempt)
            return f"attempt {ctx.attempt}"

        return await step.do("try", body, retries={"limit": 4, "delay": "10 days", "backoff": "exponential"})


class Downloading(WorkflowEntrypoint[Any]):
    """A step that returns a stream."""

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> int:
        def download() -> Iterator[bytes]:
            yield b"real "
            yield b"bytes"

        stream = await step.do("download", download)
        return len(stream.read())


def waiting_for(*types: str) -> type[WorkflowEntrypoint[Any]]:
    """A workflow that waits for an event of each type in turn; None for what did not come."""

    class Waiting(WorkflowEntrypoint[Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            got = []
            for type in types:
                try:
                    got.append((await step.wait_for_event("wait", type, timeout="1 day")).payload)
                except EventTimeoutError:
                    got.append("timed out")
            return got

    return Waiting
