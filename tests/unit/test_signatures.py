"""What is known of a step's function before it runs: its colour, its parameters, `ctx`, and the type of its result."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pytest
from pydantic import BaseModel

from orchestrator.authoring.bodies import return_type, signature_of, type_parameter

if TYPE_CHECKING:
    from decimal import Decimal

T = TypeVar("T")


class Receipt(BaseModel):
    number: int


def traced(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return wrapper


class Calls:
    def method(self, a: int, ctx: Any) -> Receipt: ...  # type: ignore[empty-body]

    async def later(self) -> None: ...

    def __call__(self, b: int) -> int: ...  # type: ignore[empty-body]


class CallsLater:
    async def __call__(self, ctx: Any) -> int: ...  # type: ignore[empty-body]


def plain(a: int, b: int = 2, *args: int, c: int, **kwargs: int) -> Receipt: ...  # type: ignore[empty-body]


async def asynchronous(ctx: Any, a: int) -> Receipt: ...  # type: ignore[empty-body]


def none_given(a, ctx, b):  # type: ignore[no-untyped-def]
    ...


@pytest.mark.parametrize(
    ("fn", "is_async", "parameters", "wants_ctx", "before_ctx"),
    [
        (plain, False, ("a", "b", "c"), False, 0),
        (asynchronous, True, ("a",), True, 0),
        (none_given, False, ("a", "b"), True, 1),
        (lambda: 1, False, (), False, 0),
        (lambda ctx: 1, False, (), True, 0),
        (Calls().method, False, ("a",), True, 1),
        (Calls.method, False, ("self", "a"), True, 2),
        (Calls().later, True, (), False, 0),
        (Calls(), False, ("b",), False, 0),
        (CallsLater(), True, (), True, 0),
        (functools.partial(plain, 1), False, ("b", "c"), False, 0),
        (functools.partial(asynchronous, a=1), True, ("a",), True, 0),
        (traced(plain), False, ("a", "b", "c"), False, 0),
        (traced(none_given), False, ("a", "b"), True, 1),
        (len, False, ("obj",), False, 0),
        (dict, False, (), False, 0),
    ],
)
def test_a_function_is_known_by_its_signature(
    fn: Any, is_async: bool, parameters: tuple[str, ...], wants_ctx: bool, before_ctx: int
) -> None:
    for _ in range(2):  # the second time from the cache
        signature = signature_of(fn)
        assert signature.is_async is is_async
        assert signature.parameters == parameters
        assert signature.wants_ctx is wants_ctx
        assert signature.before_ctx == before_ctx


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((), {}, ((), {})),
        ((1,), {}, ((1,), {})),
        ((1, 2), {}, ((1,), {"b": 2})),
        ((1,), {"b": 2}, ((1,), {"b": 2})),
        ((1, 2, 3), {}, ((1, 2, 3), {})),  # too many: Python's own TypeError when it is called
    ],
)
def test_arguments_after_ctx_are_handed_over_by_name(args: Any, kwargs: Any, expected: Any) -> None:
    assert signature_of(none_given).around_ctx(args, kwargs) == expected


def test_arguments_of_a_function_without_ctx_are_left_alone() -> None:
    assert signature_of(plain).around_ctx((1, 2, 3), {"c": 4}) == ((1, 2, 3), {"c": 4})


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (plain, Receipt),
        (asynchronous, Receipt),
        (none_given, Any),
        (Calls().method, Receipt),
        (traced(plain), Receipt),
        (lambda: 1, Any),
        (functools.partial(plain, 1), Any),
        (len, Any),
    ],
)
def test_the_result_is_of_the_type_annotated(fn: Any, expected: Any) -> None:
    assert return_type(fn) is expected


def test_a_type_made_in_the_workflows_own_function_is_found_where_the_step_closes_over_it() -> None:
    class Local(BaseModel):
        number: int

    def step() -> Local:
        return Local(number=1)

    assert return_type(step) is Local


def test_two_closures_of_one_function_may_return_different_types() -> None:
    def fetching(model: type[BaseModel]) -> Callable[[], Any]:
        def fetch() -> model:  # type: ignore[valid-type]
            return model()

        return fetch

    class Other(BaseModel):
        name: str

    assert return_type(fetching(Receipt)) is Receipt
    for model in (Receipt, Other, Receipt):
        adapter = signature_of(fetching(model)).adapter
        assert adapter is not None
        assert adapter.json_schema()["title"] == model.__name__


def test_functions_behind_the_same_decorator_keep_their_own_signatures() -> None:
    @traced
    def first(a: int) -> Receipt: ...  # type: ignore[empty-body]

    @traced
    def second(ctx: Any, b: int) -> Receipt: ...  # type: ignore[empty-body]

    assert signature_of(first).parameters == ("a",)
    assert signature_of(second).parameters == ("b",)
    assert signature_of(second).wants_ctx


def test_a_step_may_close_over_what_is_defined_after_it() -> None:
    def first() -> Receipt:
        return second()

    assert signature_of(first).adapter is not None

    def second() -> Receipt:
        return Receipt(number=2)


def test_the_types_of_parameters_do_not_matter_for_the_result() -> None:
    def total(amount: Decimal) -> Receipt: ...  # type: ignore[empty-body]

    assert return_type(total) is Receipt


def test_a_type_that_cannot_be_found_is_plain_json_and_said_so(caplog: pytest.LogCaptureFixture) -> None:
    def total() -> Decimal: ...  # type: ignore[empty-body]

    with caplog.at_level(logging.WARNING):
        assert signature_of(total).adapter is None
    assert "the return type 'Decimal' of" in caplog.text
    assert "define the type at module level" in caplog.text


class Base(Generic[T]): ...


class WithModel(Base[Receipt]): ...


class Grandchild(WithModel): ...


class WithName(Base["Receipt"]): ...


class WithList(Base[list[Receipt]]): ...


class Without(Base): ...  # type: ignore[type-arg]


class Open(Base[T]): ...


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (WithModel, Receipt),
        (Grandchild, Receipt),
        (WithName, Receipt),
        (WithList, list[Receipt]),
        (Without, Any),
        (Open, Any),
    ],
)
def test_the_type_parameter_of_a_class_is_found(cls: type, expected: Any) -> None:
    assert type_parameter(cls, Base) == expected
