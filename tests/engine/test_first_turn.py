"""A coroutine or task whose first turn was taken before anything else was prepared goes on as any other."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import body_loop
from orchestrator.engine.body_loop import BodyLoop
from orchestrator.engine.first_turn import FirstTurn
from orchestrator.errors import StepTimeoutError
from tests.engine.bench import Bench
from tests.engine.lending import until

HERE = threading.get_ident


async def result_of(coroutine: Any) -> Any:
    first = FirstTurn(coroutine)
    return first.result if first.is_over else await first


def test_one_that_never_waits_is_over_at_once() -> None:
    async def body() -> str:
        return "done"

    first = FirstTurn(body())
    assert (first.is_over, first.result) == (True, "done")


def test_one_that_waits_goes_on_in_its_task() -> None:
    tasks: list[Any] = []

    async def body() -> list[int]:
        tasks.append(asyncio.current_task())
        found = [await asyncio.sleep(0, n) for n in range(3)]
        found.append(await asyncio.get_running_loop().run_in_executor(None, lambda: 3))
        tasks.append(asyncio.current_task())
        return found

    assert asyncio.run(result_of(body())) == [0, 1, 2, 3]
    assert tasks[0] is tasks[1]


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_its_error_is_raised_where_it_is_awaited(turns: int) -> None:
    async def body() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        raise ValueError("of the body")

    with pytest.raises(ValueError, match="of the body"):
        asyncio.run(result_of(body()))


@pytest.mark.parametrize("answer", ["goes on", "ends", "is cancelled"])
def test_a_cancellation_reaches_it_and_it_decides(answer: str) -> None:
    async def body() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if answer == "is cancelled":
                raise
        return await asyncio.sleep(0, "went on") if answer == "goes on" else "ended"

    async def outside() -> Any:
        task = asyncio.ensure_future(result_of(body()))
        await asyncio.sleep(0)
        task.cancel()
        return await task

    if answer == "is cancelled":
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(outside())
    else:
        assert asyncio.run(outside()) == ("went on" if answer == "goes on" else "ended")


def test_an_error_that_came_from_elsewhere_does_not_keep_the_coroutine(request: pytest.FixtureRequest) -> None:
    """What is referred to counts as in hand (engine.held_rows), and a full garbage collection may be hours away."""

    class Local:
        pass

    kept: list[weakref.ref[Local]] = []

    async def body() -> None:
        local = Local()
        kept.append(weakref.ref(local))
        await asyncio.get_running_loop().run_in_executor(None, lambda: 1 // 0)

    async def outside() -> str:
        try:
            await result_of(body())
        except ZeroDivisionError as error:
            return type(error).__name__
        return "no error"

    request.addfinalizer(gc.enable)
    gc.disable()
    assert asyncio.run(outside()) == "ZeroDivisionError"
    assert kept[0]() is None


def test_what_a_body_returns_is_not_awaited_for_it(bench: Bench) -> None:
    made: list[Any] = []

    class Returns(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> str:
            async def inner() -> int:
                return 1

            async def body() -> Any:
                made.append(inner())
                return made[0]

            await step.do("returns a coroutine", body)
            return "it was taken"

    instance = bench.run(Returns)
    made[0].close()
    error = instance.status().error
    assert error is not None
    assert error["name"] == "NotSerializableError"


def test_a_body_that_never_waits_is_not_too_late_however_long_it_took(bench: Bench) -> None:
    class Slow(WorkflowEntrypoint):
        async def run(self, event: Any, step: Any) -> Any:
            async def busy() -> str:
                until = asyncio.get_running_loop().time() + 0.05
                while asyncio.get_running_loop().time() < until:
                    pass
                return "done"

            async def busy_and_one_more_turn() -> str:
                await busy()
                return await asyncio.sleep(0, "done too")

            async def waits_after() -> None:
                await busy()
                await asyncio.sleep(3600)

            found = [await step.do(body.__name__, {"timeout": "1 ms"}, body) for body in (busy, busy_and_one_more_turn)]
            try:
                await step.do("waits", {"timeout": "1 ms", "retries": {"limit": 0, "delay": 0}}, waits_after)
            except StepTimeoutError:
                return [*found, "timed out"]

    assert bench.run(Slow).result(timeout=0) == ["done", "done too", "timed out"]


@pytest.mark.parametrize(("round_s", "has_turn"), [(60, False), (0, True)])
def test_a_body_that_never_waits_costs_no_round_of_the_loop_until_one_is_due(
    monkeypatch: pytest.MonkeyPatch, loop: BodyLoop, round_s: int, has_turn: bool
) -> None:
    monkeypatch.setattr(body_loop, "ROUND_S", round_s)
    ran: list[str] = []
    loop._loop.call_soon(ran.append, "what others have on it")
    kept: list[Any] = []

    async def body() -> None:
        ran.append("body")
        loop.look()

    loop.call(lambda: kept.append(loop.create_task(body())), will_drive=True)
    assert loop.drive(lambda: "body" in ran, None)
    assert kept[0].done()
    assert ran == (["what others have on it", "body"] if has_turn else ["body"])


def test_a_first_turn_without_a_round_is_like_any_other(monkeypatch: pytest.MonkeyPatch, loop: BodyLoop) -> None:
    monkeypatch.setattr(body_loop, "ROUND_S", 60)
    seen: dict[str, Any] = {}
    kept: list[Any] = []
    said: contextvars.ContextVar[str] = contextvars.ContextVar("said", default="nothing")

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            seen["generator"] = "closed"

    async def body() -> None:
        said.set("within")
        here = asyncio.get_running_loop()
        seen.update(loop=here, runs=here.is_running(), task=asyncio.current_task())
        async for _ in numbers():
            break  # what is left of it is closed by the loop, which has to know of it
        async with asyncio.timeout(60):
            loop.look()

    loop.call(lambda: kept.append(loop.create_task(body())), will_drive=True)
    assert loop.drive(lambda: bool(seen), None)
    assert kept[0].done()
    assert kept[0].exception() is None
    assert seen["loop"] is loop._loop
    assert seen["runs"] is True
    assert seen["task"] is kept[0]
    assert (said.get(), loop._loop.is_running(), asyncio._get_running_loop()) == ("nothing", False, None)
    assert sys.get_asyncgen_hooks() == (None, None)
    until(lambda: seen.get("generator") == "closed")


def test_a_loop_whose_guest_was_thrown_out_of_a_first_turn_goes_on(loop: BodyLoop) -> None:
    ran: list[int] = []
    kept: list[Any] = []

    async def body() -> None:
        raise KeyboardInterrupt

    async def another() -> None:
        ran.append(HERE())

    loop.call(lambda: kept.append(loop.create_task(body())), will_drive=True)
    with pytest.raises(KeyboardInterrupt):
        loop.drive(lambda: False, None)
    assert not loop.has_guest
    assert asyncio._get_running_loop() is None
    loop.call(lambda: kept.append(loop.create_task(another())))
    until(lambda: bool(ran))
    assert ran != [HERE()]
    assert isinstance(kept[0].exception(), KeyboardInterrupt)


def test_what_is_put_on_it_meanwhile_and_a_guest_thrown_out_before_the_first_turn_change_nothing(
    monkeypatch: pytest.MonkeyPatch, loop: BodyLoop
) -> None:
    monkeypatch.setattr(body_loop, "ROUND_S", 60)
    ran: list[str] = []
    kept: list[Any] = []

    async def body() -> None:
        ran.append("body")

    def begin() -> None:
        loop._loop.call_soon(ran.append, "put")
        kept.append(loop.create_task(body()))
        raise KeyboardInterrupt

    loop.call(begin, will_drive=True)
    with pytest.raises(KeyboardInterrupt):
        loop.drive(lambda: False, None)
    assert (vars(loop._loop).keys() & {"call_soon", "call_soon_threadsafe", "is_running"}) == set()
    until(lambda: len(ran) == 2)
    assert ran == ["put", "body"]


@pytest.mark.parametrize("why", ["it is over already", "asyncio's debug mode"])
def test_a_first_turn_is_had_in_a_round_where_it_must_be(
    monkeypatch: pytest.MonkeyPatch, loop: BodyLoop, why: str
) -> None:
    monkeypatch.setattr(body_loop, "ROUND_S", 60)
    ran: list[int] = []
    kept: list[Any] = []
    origins: list[int] = []
    debug = why != "it is over already"
    loop._loop.set_debug(debug)

    async def body() -> None:
        origins.append(sys.get_coroutine_origin_tracking_depth())
        ran.append(HERE())
        loop.look()

    loop.call(lambda: kept.append(loop.create_task(body())), will_drive=True)
    assert loop.drive(lambda: not debug or bool(ran), None)
    until(lambda: bool(ran))
    assert (ran == [HERE()]) == debug
    assert (origins[0] > 0) == debug


def test_a_body_has_the_context_of_whoever_asked_for_it_wherever_it_runs(loop: BodyLoop) -> None:
    said: contextvars.ContextVar[str] = contextvars.ContextVar("said", default="nothing")
    seen: list[tuple[str, bool]] = []
    kept: list[Any] = []

    async def body() -> None:
        seen.append((said.get(), HERE() == guest))
        loop.look()

    guest = HERE()
    token = said.set("by the caller")
    loop.call(lambda: kept.append(loop.create_task(body())), will_drive=True)
    said.reset(token)
    assert loop.drive(lambda: bool(seen), None)
    token = said.set("by the caller")
    loop.call(lambda: kept.append(loop.create_task(body())), will_drive=True)
    said.reset(token)
    loop.give_back()
    until(lambda: len(seen) == 2)
    assert seen == [("by the caller", True), ("by the caller", False)]
