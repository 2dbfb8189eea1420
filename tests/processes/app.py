"""The workflows that real workers run here; what a body does is written to a file, so that tests can count bodies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from orchestrator import (
    BlockingWorkflowStep,
    NonRetryableError,
    StepContext,
    WorkflowEntrypoint,
    WorkflowEvent,
    WorkflowStep,
    WorkflowTimeoutError,
)

POLL_S = 0.005
NO_RETRY: Any = {"limit": 0, "delay": 1}
AT_ONCE: Any = {"limit": 3, "delay": 0}


class Plan(BaseModel):
    """What a test asks for; each workflow reads what it needs of it."""

    ledger: str
    """The file to which bodies append what they do."""
    gate: str = ""
    """A file: bodies that wait for the test wait until it is there."""
    count: int = 10
    ms: int = 0
    """How long each body takes."""
    wait_ms: int = 0
    """How long sleeps, retry delays and timeouts are."""
    asynchronous: bool = False
    queue: str = "default"


def note(plan: Plan, *words: object) -> None:
    """One line, appended whole, by whichever process and thread is at work."""
    line = " ".join(map(str, (*words, os.getpid()))) + "\n"
    file = os.open(plan.ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def hold(plan: Plan, name: str) -> str:
    """A body that lasts until the test opens the gate."""
    note(plan, "began", name)
    while not Path(plan.gate).exists():
        time.sleep(POLL_S)
    note(plan, "ended", name)
    return name


async def hold_async(plan: Plan, name: str) -> str:
    note(plan, "began", name)
    try:
        while not Path(plan.gate).exists():
            await asyncio.sleep(POLL_S)
    except asyncio.CancelledError:
        note(plan, "cancelled", name)
        raise
    note(plan, "ended", name)
    return name


def one(plan: Plan, index: int) -> int:
    note(plan, "ran", index)
    time.sleep(plan.ms / 1000)
    return index


async def one_async(plan: Plan, index: int) -> int:
    note(plan, "ran", index)
    await asyncio.sleep(plan.ms / 1000)
    return index


def _body(asynchronous: bool) -> Any:
    return one_async if asynchronous else one


def _lasting_body(asynchronous: bool) -> Any:
    return hold_async if asynchronous else hold


class Chain(WorkflowEntrypoint[Plan]):
    """Step after step, with bodies of both kinds."""

    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> int:
        total = 0
        for index in range(event.payload.count):
            total += await step.do(f"step {index}", {"retries": AT_ONCE}, _body(index % 2 == 0), event.payload, index)
        return total


class BlockingChain(WorkflowEntrypoint[Plan]):
    """The same by an author who writes `def`."""

    def run(self, event: WorkflowEvent[Plan], step: BlockingWorkflowStep) -> int:
        total = 0
        for index in range(event.payload.count):
            total += step.do(f"step {index}", {"retries": AT_ONCE}, _body(index % 2 == 0), event.payload, index)
        step.sleep("a moment", 5)
        return total


class Fan(WorkflowEntrypoint[Plan]):
    """Steps side by side."""

    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> list[int]:
        plan = event.payload
        body = _body(plan.asynchronous)
        return list(await asyncio.gather(*(step.do(f"part {index}", body, plan, index) for index in range(plan.count))))


class BlockingFan(WorkflowEntrypoint[Plan]):
    def run(self, event: WorkflowEvent[Plan], step: BlockingWorkflowStep) -> list[int]:
        plan = event.payload

        @step.do("left")
        def left() -> int:
            return one(plan, 1)

        @step.do("right")
        async def right() -> int:
            return await one_async(plan, 2)

        return step.gather(left, right)


class Flaky(WorkflowEntrypoint[Plan]):
    """Fails `count` times before it succeeds, with a delay of `wait_ms` in between."""

    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> int:
        plan = event.payload

        @step.do("flaky", retries={"limit": 5, "delay": plan.wait_ms, "backoff": "constant"})
        def flaky(ctx: StepContext) -> int:
            note(plan, "tried", ctx.attempt, ctx.idempotency_key)
            if ctx.attempt <= plan.count:
                raise ConnectionError(f"attempt {ctx.attempt}")
            return ctx.attempt

        return await flaky()


class Hopeless(WorkflowEntrypoint[Plan]):
    """A body that says it is of no use to try again; the workflow goes on without it."""

    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> str:
        def body() -> None:
            note(event.payload, "tried")
            raise NonRetryableError("the card has expired")

        try:
            await step.do("charge", body)
        except NonRetryableError as error:
            return str(error)
        return "charged"


class Nap(WorkflowEntrypoint[Plan]):
    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> list[int]:
        plan = event.payload
        before = step.now()
        await step.do("before", one, plan, 1)
        await step.sleep("nap", plan.wait_ms)
        await step.do("after", one, plan, 2)
        await step.sleep_until("a moment ago", before)
        return [int(before.timestamp() * 1000), int(step.now().timestamp() * 1000)]


class Approval(WorkflowEntrypoint[Plan]):
    """Works a little, waits for an approval, and for a second event that may have come long before."""

    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> dict[str, Any]:
        plan = event.payload
        await step.do("prepare", one, plan, 1)
        approval = await step.wait_for_event("manager approves", "approval", timeout="10 minutes")
        await step.do("ship", one, plan, 2)
        receipt = await step.wait_for_event("goods arrive", "receipt", timeout="10 minutes")
        return {"by": approval.payload["by"], "receipt": receipt.payload}


class Unanswered(WorkflowEntrypoint[Plan]):
    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> str:
        try:
            await step.wait_for_event("nobody", "approval", timeout=timedelta(milliseconds=event.payload.wait_ms))
        except WorkflowTimeoutError as error:
            return type(error).__name__
        return "answered"


class Held(WorkflowEntrypoint[Plan]):
    """Two steps, of which the first lasts as long as the test wants."""

    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> list[str]:
        plan = event.payload
        body = _lasting_body(plan.asynchronous)
        first = await step.do("first", {"retries": AT_ONCE}, body, plan, "first")
        second = await step.do("second", {"retries": AT_ONCE}, one, plan, 2)
        return [first, str(second)]


class Meanwhile(WorkflowEntrypoint[Plan]):
    """Waits for events and moments while one long step runs."""

    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> list[str]:
        plan = event.payload

        async def news() -> str:
            heard = await step.wait_for_event("news", "news", timeout="10 minutes")
            await step.do("note the news", note, plan, "heard", heard.payload)
            return str(heard.payload)

        async def rest() -> str:
            await step.sleep("rest", plan.wait_ms)
            await step.do("note the rest", note, plan, "rested")
            return "rested"

        body = _lasting_body(plan.asynchronous)
        return list(await asyncio.gather(step.do("long", body, plan, "long"), news(), rest()))


class Slow(WorkflowEntrypoint[Plan]):
    """A body that ignores its timeout, or is cancelled by it, and a workflow that goes on."""

    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> str:
        plan = event.payload

        @step.do("slow", retries=NO_RETRY, timeout=plan.wait_ms)
        def slow() -> str:
            return hold(plan, "slow")

        @step.do("slow", retries=NO_RETRY, timeout=plan.wait_ms)
        async def slow_async() -> str:
            return await hold_async(plan, "slow")

        try:
            return await (slow_async() if plan.asynchronous else slow())
        except WorkflowTimeoutError as error:
            return await step.do("apologise", type(error).__name__.lower)


class Elsewhere(WorkflowEntrypoint[Plan]):
    """Its first and last step are done here, and the one in the middle by the fleet of another queue."""

    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> list[int]:
        plan = event.payload
        first = await step.do("here", os.getpid)
        second = await step.do("there", {"queue": plan.queue}, os.getpid)
        return [first, second, await step.do("here again", os.getpid)]


class Fatal(WorkflowEntrypoint[Plan]):
    """A body that takes its whole process with it."""

    async def run(self, event: WorkflowEvent[Plan], step: WorkflowStep) -> str:
        plan = event.payload

        def body() -> None:
            note(plan, "fatal")
            os.kill(os.getpid(), signal.SIGKILL) if plan.asynchronous else os._exit(3)

        await step.do("fatal", {"retries": {"limit": 1, "delay": 1}}, body)
        return "survived"


class Yearly(WorkflowEntrypoint[None]):
    """Its next moment never comes while tests run."""

    schedules = "0 7 29 2 *"

    async def run(self, event: WorkflowEvent[None], step: WorkflowStep) -> str:
        assert event.schedule is not None
        return await step.do("say which", str, event.schedule.cron)
