"""Small random workflow programs as data, and what runs them with `await` and without; it asserts nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import strategies as st

Op = tuple[Any, ...]

NAMES = st.sampled_from("abc")
LEAVES: st.SearchStrategy[Op] = st.one_of(
    st.tuples(st.just("do"), NAMES),
    st.tuples(st.just("decorated"), NAMES),
    st.tuples(st.just("sleep"), NAMES),
    st.tuples(st.just("event"), NAMES),
    st.tuples(st.just("chance")),
)


def _nested(leaves: st.SearchStrategy[Op], kinds: tuple[str, ...]) -> st.SearchStrategy[Op]:
    def grown(ops: st.SearchStrategy[Op]) -> st.SearchStrategy[Op]:
        several = st.lists(ops, min_size=1, max_size=4)
        return st.tuples(st.sampled_from(kinds), several)

    return st.recursive(leaves, grown, max_leaves=12)


BLOCKING_PROGRAMS = _nested(LEAVES, ("sequence", "all", "race", "careful", "branch"))
PROGRAMS = _nested(
    LEAVES | st.tuples(st.just("timer")) | st.tuples(st.just("graph"), NAMES),
    ("sequence", "all", "group", "race", "limit", "careful", "branch", "queue", "as completed", "gate"),
)


def body() -> Any:
    raise AssertionError("answers come from the test")


async def interpret(op: Op, step: Any) -> Any:
    kind, *rest = op
    if kind in _ASYNC_LEAVES:
        return await _ASYNC_LEAVES[kind](step, *rest)
    return await _ASYNC_SHAPES[kind](step, rest[0])


async def _event(step: Any, name: str) -> Any:
    return (await step.wait_for_event(name, "answer")).payload


async def _chance(step: Any) -> Any:
    return [round(step.random(), 6), str(step.uuid()), step.now().timestamp()]


async def _graph(step: Any, name: str) -> Any:
    @step.do(f"{name} top")
    async def top() -> Any: ...

    @step.do("left", depends=[top])
    async def left(top: Any) -> Any: ...

    @step.do("right", depends=[top])
    async def right(top: Any) -> Any: ...

    @step.do("bottom", depends=[left, right], concurrent=True)
    async def bottom(left: Any, right: Any) -> Any: ...

    return await bottom()


async def _sequence(step: Any, ops: list[Op]) -> Any:
    return [await interpret(op, step) for op in ops]


async def _all(step: Any, ops: list[Op]) -> Any:
    return await asyncio.gather(*(interpret(op, step) for op in ops))


async def _group(step: Any, ops: list[Op]) -> Any:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(interpret(op, step)) for op in ops]
    return [task.result() for task in tasks]


async def _race(step: Any, ops: list[Op]) -> Any:
    tasks = [asyncio.create_task(interpret(op, step)) for op in ops]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return [task.result() for task in done]


async def _limit(step: Any, ops: list[Op]) -> Any:
    try:
        async with asyncio.timeout(30):
            return await _sequence(step, ops)
    except TimeoutError:
        return ["late", await asyncio.wait_for(step.do("apologise", body), 60)]


async def _careful(step: Any, ops: list[Op]) -> Any:
    try:
        return await _all(step, ops)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        await step.do("clean", body)


async def _branch(step: Any, ops: list[Op]) -> Any:
    chosen = await step.do("choose", body)
    return [chosen, await interpret(ops[len(str(chosen)) % len(ops)], step)]


async def _queue(step: Any, ops: list[Op]) -> Any:
    queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=1)

    async def produce(op: Op) -> None:
        await queue.put(await interpret(op, step))

    async with asyncio.TaskGroup() as group:
        for op in ops:
            group.create_task(produce(op))
        return [[await queue.get(), await step.do("store", body)] for _ in ops]


async def _as_completed(step: Any, ops: list[Op]) -> Any:
    tasks = [asyncio.create_task(interpret(op, step)) for op in ops]
    return [await done for done in asyncio.as_completed(tasks)]


async def _gate(step: Any, ops: list[Op]) -> Any:
    opened, room = asyncio.Event(), asyncio.Semaphore(2)

    async def guest(op: Op) -> Any:
        await opened.wait()
        async with room:
            return await interpret(op, step)

    guests = asyncio.gather(*(guest(op) for op in ops), return_exceptions=True)
    try:
        await step.do("open", body)
    finally:
        opened.set()
    return [str(found) if isinstance(found, Exception) else found for found in await guests]


_ASYNC_LEAVES: dict[str, Any] = {
    "do": lambda step, name: step.do(name, body),
    "decorated": lambda step, name: step.do(name)(body)(),
    "sleep": lambda step, name: step.sleep(name, 1000),
    "event": _event,
    "chance": _chance,
    "timer": lambda step: asyncio.sleep(5),
    "graph": _graph,
}
_ASYNC_SHAPES: dict[str, Any] = {
    "sequence": _sequence,
    "all": _all,
    "group": _group,
    "race": _race,
    "limit": _limit,
    "careful": _careful,
    "branch": _branch,
    "queue": _queue,
    "as completed": _as_completed,
    "gate": _gate,
}


def interpret_blocking(op: Op, step: Any) -> Any:
    kind, *rest = op
    if kind == "do":
        return step.do(rest[0], body)
    if kind == "decorated":
        return step.do(rest[0])(body)()
    if kind == "sleep":
        return step.sleep(rest[0], 1000)
    if kind == "event":
        return step.wait_for_event(rest[0], "answer").payload
    if kind == "chance":
        return [round(step.random(), 6), str(step.uuid()), step.now().timestamp()]
    return _blocking_shape(kind, rest[0], step)


def _blocking_shape(kind: str, ops: list[Op], step: Any) -> Any:
    each = [lambda op=op: interpret_blocking(op, step) for op in ops]
    if kind == "sequence":
        return [call() for call in each]
    if kind == "all":
        return step.gather(*each)
    if kind == "race":
        return step.race(*each)
    if kind == "branch":
        return each[len(str(step.do("choose", body))) % len(each)]()
    try:
        return step.gather(*each)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        step.do("clean", body)
