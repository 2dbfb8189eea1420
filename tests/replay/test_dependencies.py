"""Steps that name other steps as parameters, or list them in `depends`: Cloudflare's Python graph, rule by rule."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.replay.play import Play


@pytest.mark.cloudflare(75)
def test_parameters_are_the_results_of_the_steps_of_those_names() -> None:
    async def program(step: Any) -> Any:
        @step.do
        def first() -> Any:
            return 1

        @step.do
        def second() -> Any:
            return 2

        @step.do
        def total(first: int, ctx: Any, second: int) -> Any:
            return [first, ctx.step.name, second]

        return await total()

    play = Play(program)
    assert play.waits_for == ["do 'first-1'"]
    play.execute_all()
    assert play.value == [1, "total", 2]
    assert play.asked == ["1: do 'first-1'", "2: do 'second-1'", "3: do 'total-1'"]


def test_a_parameter_is_matched_with_the_name_given_and_not_with_the_name_of_the_function() -> None:
    async def program(step: Any) -> Any:
        @step.do("stock")
        def check_the_stock() -> Any:
            return 3

        @step.do
        def sell(stock: int = 99) -> Any:
            return stock - 1

        return await sell()

    play = Play(program)
    play.execute_all()
    assert play.value == 2


@pytest.mark.cloudflare(76)
def test_a_diamond_runs_its_top_once() -> None:
    async def program(step: Any) -> Any:
        @step.do
        async def top() -> Any: ...

        @step.do
        async def left(top: Any) -> Any: ...

        @step.do
        async def right(top: Any) -> Any: ...

        @step.do(concurrent=True)
        async def bottom(left: Any, right: Any) -> Any: ...

        return await bottom()

    play = Play(program)
    assert play.waits_for == ["do 'top-1'"]
    play.answer("top-1", "t")
    assert play.waits_for == ["do 'left-1'", "do 'right-1'"]
    assert play.step("left-1").kwargs == {"top": "t"}
    play.answer("right-1", "r")
    play.answer("left-1", "l")
    assert play.step("bottom-1").kwargs == {"left": "l", "right": "r"}
    play.answer("bottom-1", "b")
    assert play.value == "b"


def test_without_concurrent_dependencies_run_one_after_another_in_the_order_of_parameters() -> None:
    async def program(step: Any) -> Any:
        @step.do
        async def a() -> Any: ...

        @step.do
        async def b() -> Any: ...

        @step.do
        async def both(b: Any, a: Any) -> Any: ...

        return await both()

    play = Play(program)
    assert play.waits_for == ["do 'b-1'"]
    play.answer("b-1", 1)
    assert play.waits_for == ["do 'a-1'"]


def test_a_dependency_that_has_run_already_is_not_run_again() -> None:
    async def program(step: Any) -> Any:
        @step.do
        async def a() -> Any: ...

        @step.do
        async def b(a: Any) -> Any: ...

        await a()
        return await asyncio.gather(b(), b())

    play = Play(program)
    play.answer("a-1", 1)
    assert play.waits_for == ["do 'b-1'", "do 'b-2'"]


def test_a_direct_call_always_runs_the_step_anew() -> None:
    async def program(step: Any) -> Any:
        @step.do
        async def a() -> Any: ...

        return [await a(), await a()]

    play = Play(program)
    play.answer("a-1", 1)
    play.answer("a-2", 2)
    assert play.value == [1, 2]


@pytest.mark.cloudflare(74)
def test_a_failed_dependency_stops_the_step_and_the_error_reaches_who_waits() -> None:
    async def program(step: Any) -> Any:
        @step.do
        async def a() -> Any: ...

        @step.do
        async def b(a: Any) -> Any: ...

        with pytest.raises(TypeError, match="wrong"):
            await b()
        return "caught"

    play = Play(program)
    play.fail("a-1", TypeError("wrong"))
    assert play.value == "caught"
    assert play.asked == ["1: do 'a-1'"]


def test_a_failure_is_not_kept_so_the_next_dependant_runs_the_dependency_again() -> None:
    async def program(step: Any) -> Any:
        @step.do
        async def a() -> Any: ...

        @step.do
        async def b(a: Any) -> Any: ...

        with pytest.raises(ValueError, match="no"):
            await b()
        return await b()

    play = Play(program)
    play.fail("a-1", ValueError("no"))
    assert play.waits_for == ["do 'a-2'"]
    play.answer("a-2", 5)
    assert play.step("b-1").kwargs == {"a": 5}
    assert Play(program, play.journal).history() == play.history()


def test_arguments_that_are_given_need_no_step() -> None:
    async def program(step: Any) -> Any:
        @step.do
        async def a() -> Any: ...

        @step.do
        async def b(ctx: Any, n: int, a: Any, k: int) -> Any: ...

        return await b(7, k=8)

    play = Play(program)
    play.answer("a-1", 1)
    # `ctx` comes first and is given by the worker, so what follows it is handed over by name.
    assert play.step("b-1").args == ()
    assert play.step("b-1").kwargs == {"n": 7, "k": 8, "a": 1}


def test_a_parameter_that_is_no_step_is_a_type_error() -> None:
    async def program(step: Any) -> Any:
        @step.do
        async def a(nobody: Any) -> Any: ...

        await a()

    assert str(Play(program).error) == "Received unexpected parameter nobody"
    assert isinstance(Play(program).error, TypeError)


def test_a_dependency_that_is_shared_survives_the_end_of_one_of_its_dependants() -> None:
    async def program(step: Any) -> Any:
        @step.do
        async def a() -> Any: ...

        @step.do
        async def b(a: Any) -> Any: ...

        @step.do
        async def c(a: Any) -> Any: ...

        first, second = asyncio.create_task(b()), asyncio.create_task(c())
        await step.do("decide", len)
        first.cancel()
        return await second

    play = Play(program)
    play.answer("decide-1", 0)
    assert play.waits_for == ["do 'a-1'"]
    assert play.given_up == []


def test_a_dependency_that_everybody_has_given_up_is_given_up_too() -> None:
    async def program(step: Any) -> Any:
        @step.do
        async def a() -> Any: ...

        @step.do
        async def b(a: Any) -> Any: ...

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.gather(b(), b()), 30)
        return "gave up"

    play = Play(program)
    play.fire("asyncio-1")
    assert play.given_up == ["do 'a-1'"]
    assert play.value == "gave up"
