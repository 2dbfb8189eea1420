"""The workflows that run random programs, `async` and not. Bodies write down that they ran, outside of the database."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator import (
    BlockingWorkflowStep,
    ByteStream,
    NonRetryableError,
    StepContext,
    WorkflowEntrypoint,
    WorkflowEvent,
    WorkflowStep,
)
from tests.chaos.programs import CAUGHT, TIMED_OUT, Op, content, digest

PATIENT: Any = {"limit": 100, "delay": 100, "backoff": "constant"}
"""No number of killed workers may use up the attempts of a step that is meant to succeed."""
EVENT_TIMEOUT = "1 day"
NEVER = "never"
SLOW_TIMEOUT_MS = 300


def note(folder: str, ctx: StepContext, word: str) -> None:
    """One line, appended whole: what, when (ns), who, and of which attempt."""
    line = f"{word} {time.time_ns()} {os.getpid()} {ctx.idempotency_key} {ctx.attempt}\n"
    file = os.open(Path(folder) / f"bodies-{os.getpid()}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def shared_moment(now: datetime, every_ms: int) -> int:
    """One of few, and further away than what an instance waits for in memory."""
    return (int(now.timestamp() * 1000) // every_ms + 2) * every_ms


def config_of(op: Op) -> Any:
    config: Any = {"retries": {"limit": op["limit"], "delay": 50} if op["op"] == "fail" else PATIENT}
    return {**config, "timeout": SLOW_TIMEOUT_MS} if op["op"] == "slow" else config


def seconds_of(op: Op, ctx: StepContext) -> float:
    return float(0 if op["op"] == "slow" and ctx.attempt > 1 else op["ms"] / 1000)


def outcome(op: Op, ctx: StepContext) -> Any:
    if op["op"] == "poison" and ctx.attempt == 1:
        os._exit(9)
    if op["op"] == "fail" or ctx.attempt <= op.get("fails", 0):
        raise ValueError(f"attempt {ctx.attempt} of {op['name']} fails")
    return op["value"]


def body_of(op: Op, folder: str) -> Callable[..., Any]:
    def body(ctx: StepContext) -> Any:
        note(folder, ctx, "began")
        time.sleep(seconds_of(op, ctx))
        value = outcome(op, ctx)
        note(folder, ctx, "ended")
        return value

    async def async_body(ctx: StepContext) -> Any:
        note(folder, ctx, "began")
        await asyncio.sleep(seconds_of(op, ctx))
        value = outcome(op, ctx)
        note(folder, ctx, "ended")
        return value

    return body if op["sync"] else async_body


def stream_of(op: Op, folder: str) -> Callable[..., Any]:
    def begin(ctx: StepContext) -> None:
        note(folder, ctx, "began")

    def give(ctx: StepContext, number: int, data: bytes) -> bytes:
        if number and ctx.attempt <= op["fails"]:
            raise ValueError(f"attempt {ctx.attempt} of {op['name']} fails in the middle")
        return data

    def body(ctx: StepContext) -> Iterator[bytes]:
        begin(ctx)
        for number, data in enumerate(content(op)):
            time.sleep(op["ms"] / 1000)
            yield give(ctx, number, data)
        note(folder, ctx, "ended")

    async def async_body(ctx: StepContext) -> AsyncIterator[bytes]:
        begin(ctx)
        for number, data in enumerate(content(op)):
            await asyncio.sleep(op["ms"] / 1000)
            yield give(ctx, number, data)
        note(folder, ctx, "ended")

    return body if op["sync"] else async_body


def reader_of(stream: ByteStream, op: Op, folder: str) -> Callable[..., Any]:
    def body(ctx: StepContext) -> Any:
        note(folder, ctx, "began")
        found = digest(stream.read())
        note(folder, ctx, "ended")
        return found

    async def async_body(ctx: StepContext) -> Any:
        note(folder, ctx, "began")
        found = digest(await stream.aread())
        note(folder, ctx, "ended")
        return found

    return body if op["sync"] else async_body


def options_of(op: Op, folder: str) -> Any:
    return {"rollback": handler_of(op, folder), "rollback_config": {"retries": PATIENT}} if op.get("undo") else {}


def handler_of(op: Op, folder: str) -> Callable[..., Any]:
    undo = op["undo"]

    def begin(ctx: StepContext, output: Any) -> None:
        note(folder, ctx, "undoing")
        returned = op["chunks"] * op["size"] if op["op"] == "stream" else op.get("value")
        if (output.size if isinstance(output, ByteStream) else output) not in (None, returned):
            raise NonRetryableError(f"the handler of {op['name']} was given {output!r}")

    def end(ctx: StepContext) -> None:
        if undo["refuses"]:
            raise NonRetryableError(f"{op['name']} can't be undone")
        if _tries(folder, ctx) <= undo["fails"]:
            raise ValueError(f"{op['name']} can't be undone yet")
        note(folder, ctx, "undone")

    def handler(ctx: StepContext, output: Any) -> None:
        begin(ctx, output)
        time.sleep(undo["takes_ms"] / 1000)
        end(ctx)

    async def async_handler(ctx: StepContext, output: Any) -> None:
        begin(ctx, output)
        await asyncio.sleep(undo["takes_ms"] / 1000)
        end(ctx)

    return handler if undo["sync"] else async_handler


def _tries(folder: str, ctx: StepContext) -> int:
    """How often a handler has come so far, this time included: it is not told."""
    file = os.open(Path(folder) / f"tries-{ctx.idempotency_key}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, b".")
        return os.fstat(file).st_size
    finally:
        os.close(file)


class ChaosAsync(WorkflowEntrypoint[Any]):
    name = "chaos-async"

    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
        return await _Interpreter(step, event.payload["folder"]).run(event.payload["op"])


class _Interpreter:
    def __init__(self, step: WorkflowStep, folder: str) -> None:
        self._step = step
        self._folder = folder

    async def run(self, op: Op) -> Any:
        kind = op["op"]
        if kind == "sequence":
            return [await self.run(child) for child in op["of"]]
        if kind == "loop":
            return [await self.run(op["of"]) for _ in range(op["times"])]
        if kind == "all":
            return await asyncio.gather(*(self.run(child) for child in op["of"]))
        if kind == "race":
            return await self._race(op)
        if kind == "careful":
            try:
                return ["fine", await self.run(op["of"])]
            except Exception:
                return CAUGHT
        return await self._leaf(kind, op)

    async def _race(self, op: Op) -> Any:
        tasks = [asyncio.ensure_future(self.run(op[which])) for which in ("winner", "loser")]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        return done.pop().result()

    async def _leaf(self, kind: str, op: Op) -> Any:
        step, name = self._step, op["name"]
        if kind == "sleep":
            await step.sleep(name, op["ms"])
            return None
        if kind == "until":
            await step.sleep_until(name, shared_moment(step.now(), op["ms"]))
            return None
        if kind == "event":
            return (await step.wait_for_event(name, op["type"], EVENT_TIMEOUT)).payload
        if kind == "no event":
            try:
                return await step.wait_for_event(name, NEVER, op["ms"])
            except Exception:
                return TIMED_OUT
        if kind == "late":
            try:
                async with asyncio.timeout(op["ms"] / 1000):
                    return await step.wait_for_event(name, NEVER, EVENT_TIMEOUT)
            except TimeoutError:
                return TIMED_OUT
        if kind == "stream":
            stream = await step.do(name, config_of(op), stream_of(op, self._folder), **options_of(op, self._folder))
            if op["read"] == "in run":
                return digest(await stream.aread())
            return await step.do(f"{name} read", config_of(op), reader_of(stream, op, self._folder))
        return await step.do(name, config_of(op), body_of(op, self._folder), **options_of(op, self._folder))


class ChaosDef(WorkflowEntrypoint[Any]):
    name = "chaos-def"

    def run(self, event: WorkflowEvent[Any], step: BlockingWorkflowStep) -> Any:
        return _interpret(event.payload["op"], step, event.payload["folder"])


def _interpret(op: Op, step: BlockingWorkflowStep, folder: str) -> Any:
    kind = op["op"]
    if kind == "sequence":
        return [_interpret(child, step, folder) for child in op["of"]]
    if kind == "loop":
        return [_interpret(op["of"], step, folder) for _ in range(op["times"])]
    if kind == "all":
        return step.gather(*(lambda child=child: _interpret(child, step, folder) for child in op["of"]))
    if kind == "race":
        return step.race(*(lambda which=which: _interpret(op[which], step, folder) for which in ("winner", "loser")))
    if kind == "careful":
        try:
            return ["fine", _interpret(op["of"], step, folder)]
        except Exception:
            return CAUGHT
    return _blocking_leaf(kind, op, step, folder)


def _blocking_leaf(kind: str, op: Op, step: BlockingWorkflowStep, folder: str) -> Any:
    name = op["name"]
    if kind == "sleep":
        step.sleep(name, op["ms"])
        return None
    if kind == "until":
        step.sleep_until(name, shared_moment(step.now(), op["ms"]))
        return None
    if kind == "event":
        return step.wait_for_event(name, op["type"], EVENT_TIMEOUT).payload
    if kind in ("no event", "late"):
        try:
            return step.wait_for_event(name, NEVER, max(op["ms"], 1000))
        except Exception:
            return TIMED_OUT
    if kind == "stream":
        stream = step.do(name, config_of(op), stream_of(op, folder), **options_of(op, folder))
        if op["read"] == "in run":
            return digest(stream.read())
        return step.do(f"{name} read", config_of(op), reader_of(stream, op, folder))
    return step.do(name, config_of(op), body_of(op, folder), **options_of(op, folder))
