"""The measured programs as Restate handlers, served to its server by an HTTP/2 process of their own."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta
from typing import Any

import restate
from restate import Context, RunOptions, Service, Workflow, WorkflowContext, WorkflowSharedContext

bench = Service("bench")
waits = Workflow("waits")

_attempts: Counter[int] = Counter()


async def noop(i: int) -> dict[str, int]:
    return {"i": i}


def noop_def(i: int) -> dict[str, int]:
    return {"i": i}


async def now_ms() -> float:
    return time.time() * 1000


async def fail_twice(key: int) -> int:
    _attempts[key] += 1
    if _attempts[key] < 3:
        raise ConnectionError(f"attempt {_attempts[key]}")
    return _attempts[key]


@bench.handler()
async def seq(ctx: Context, params: dict[str, Any]) -> int:
    return sum([(await ctx.run_typed("step", noop, i=i))["i"] for i in range(params["n"])])


@bench.handler()
async def seq_def(ctx: Context, params: dict[str, Any]) -> int:
    return sum([(await ctx.run_typed("step", noop_def, i=i))["i"] for i in range(params["n"])])


@bench.handler()
async def fan(ctx: Context, params: dict[str, Any]) -> int:
    done = await restate.gather(*(ctx.run_typed(f"step {i}", noop, i=i) for i in range(params["n"])))
    return sum([(await one)["i"] for one in done])


@bench.handler()
async def fan_def(ctx: Context, params: dict[str, Any]) -> int:
    done = await restate.gather(*(ctx.run_typed(f"step {i}", noop_def, i=i) for i in range(params["n"])))
    return sum([(await one)["i"] for one in done])


@bench.handler()
async def timer(ctx: Context, params: dict[str, Any]) -> list[float]:
    asleep = await ctx.run_typed("asleep", now_ms)
    await ctx.sleep(timedelta(milliseconds=max(params["due_ms"] - asleep, 0)))
    return [asleep, await ctx.run_typed("awake", now_ms)]


@bench.handler()
async def retry(ctx: Context, params: dict[str, Any]) -> int:
    options: RunOptions[int] = RunOptions(max_attempts=3, initial_retry_interval=timedelta(milliseconds=1))
    return await ctx.run_typed("flaky", fail_twice, options, key=params["key"])


@waits.main()
async def run(ctx: WorkflowContext, params: dict[str, Any]) -> Any:
    return await ctx.promise("it").value()


@waits.handler()
async def send(ctx: WorkflowSharedContext, payload: Any) -> None:
    await ctx.promise("it").resolve(payload)


app = restate.app(services=[bench, waits])
