"""The measured programs as our workflows; the bodies do nothing but return a small dict."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from orchestrator import BlockingWorkflowStep, StepContext, WorkflowEntrypoint, WorkflowEvent, WorkflowStep

Params = dict[str, Any]
Numbered = dict[str, int]


async def noop(i: int) -> Numbered:
    return {"i": i}


def noop_def(i: int) -> Numbered:
    return {"i": i}


def nap(i: int, ms: int) -> Numbered:
    time.sleep(ms / 1000)
    return {"i": i}


async def now_ms() -> float:
    return time.time() * 1000


async def fail_twice(ctx: StepContext) -> int:
    if ctx.attempt < 3:
        raise ConnectionError(f"attempt {ctx.attempt}")
    return ctx.attempt


class Seq(WorkflowEntrypoint[Params]):
    async def run(self, event: WorkflowEvent[Params], step: WorkflowStep) -> int:
        return sum([(await step.do("step", noop, i))["i"] for i in range(event.payload["n"])])


class SeqDef(WorkflowEntrypoint[Params]):
    name = "seq_def"

    def run(self, event: WorkflowEvent[Params], step: BlockingWorkflowStep) -> int:
        return sum([step.do("step", noop_def, i)["i"] for i in range(event.payload["n"])])


class Fan(WorkflowEntrypoint[Params]):
    async def run(self, event: WorkflowEvent[Params], step: WorkflowStep) -> int:
        done = await asyncio.gather(*(step.do(f"step {i}", noop, i) for i in range(event.payload["n"])))
        return sum(one["i"] for one in done)


class FanDef(WorkflowEntrypoint[Params]):
    name = "fan_def"

    async def run(self, event: WorkflowEvent[Params], step: WorkflowStep) -> int:
        done = await asyncio.gather(*(step.do(f"step {i}", noop_def, i) for i in range(event.payload["n"])))
        return sum(one["i"] for one in done)


class Nap(WorkflowEntrypoint[Params]):
    async def run(self, event: WorkflowEvent[Params], step: WorkflowStep) -> int:
        n, ms = event.payload["n"], event.payload["ms"]
        done = await asyncio.gather(*(step.do(f"step {i}", nap, i, ms) for i in range(n)))
        return sum(one["i"] for one in done)


class Waits(WorkflowEntrypoint[Params]):
    name = "event"

    async def run(self, event: WorkflowEvent[Params], step: WorkflowStep) -> Any:
        return (await step.wait_for_event("it", "it", timeout="1 hour")).payload


class Timer(WorkflowEntrypoint[Params]):
    async def run(self, event: WorkflowEvent[Params], step: WorkflowStep) -> list[float]:
        asleep = await step.do("asleep", now_ms)
        await step.sleep_until("due", event.payload["due_ms"])
        return [asleep, await step.do("awake", now_ms)]


class Retry(WorkflowEntrypoint[Params]):
    async def run(self, event: WorkflowEvent[Params], step: WorkflowStep) -> int:
        flaky = step.do("flaky", retries={"limit": 2, "delay": 0, "backoff": "constant"})(fail_twice)
        return await flaky()


class Long(WorkflowEntrypoint[Params]):
    """Has a long history, and then waits to be woken on it."""

    async def run(self, event: WorkflowEvent[Params], step: WorkflowStep) -> int:
        total = sum([(await step.do("step", noop, i))["i"] for i in range(event.payload["n"])])
        await step.wait_for_event("it", "it", timeout="1 hour")
        return total


WORKFLOWS: list[type[WorkflowEntrypoint[Any]]] = [Seq, SeqDef, Fan, FanDef, Nap, Waits, Timer, Retry, Long]
