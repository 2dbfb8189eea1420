"""`depends=[…]`, the older way of Cloudflare's Python SDK to say which results a step gets, with its exact refusals."""

from __future__ import annotations

from typing import Any

import pytest

from tests.replay.play import Play


@pytest.mark.cloudflare(77)
def test_steps_listed_in_depends_go_to_the_parameters_in_order() -> None:
    async def program(step: Any) -> Any:
        @step.do("first one")
        async def a() -> Any: ...

        @step.do("second one")
        async def b() -> Any: ...

        @step.do("both", depends=[a, b], concurrent=True)
        async def both(x: Any, ctx: Any, y: Any) -> Any: ...

        return await both()

    play = Play(program)
    assert play.waits_for == ["do 'first one-1'", "do 'second one-1'"]
    play.answer("second one-1", 2)
    play.answer("first one-1", 1)
    assert play.step("both-1").kwargs == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("depends", "message"),
    [
        ([], "Step declares 1 non-ctx parameter(s) but 'depends' has 0 item(s)"),
        ([1, 2], "Step declares 1 non-ctx parameter(s) but 'depends' has 2 item(s)"),
        ([len], "'depends' entry for parameter 'x' is not a function decorated with step.do"),
    ],
)
def test_depends_that_does_not_fit_the_parameters_is_a_type_error(depends: list[Any], message: str) -> None:
    async def program(step: Any) -> Any:
        @step.do("a", depends=depends)
        async def a(x: Any, ctx: Any) -> Any: ...

    error = Play(program).error
    assert isinstance(error, TypeError)
    assert str(error) == message


@pytest.mark.cloudflare(77)
def test_depends_and_names_work_for_blocking_functions() -> None:
    def program(step: Any) -> Any:
        @step.do
        def a() -> Any:
            return 1

        @step.do
        def b(a: int) -> Any:
            return a + 1

        @step.do("c", depends=[a, b])
        def c(x: int, y: int) -> Any:
            return x + y

        return c()

    play = Play(program)
    play.execute_all()
    assert play.value == 3
    assert [line.partition(" ")[2] for line in play.asked] == ["do 'a-1'", "do 'b-1'", "do 'c-1'"]
