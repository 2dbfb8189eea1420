"""Values as JSON: what comes back is what a workflow sees, and what can't come back the same is refused."""

from __future__ import annotations

import dataclasses
import enum
import math
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from orchestrator.errors import NotSerializableError, PayloadTooLarge
from orchestrator.serialization import MAX_PAYLOAD_BYTES, adapter_for, check_size, decode, encode


class Colour(enum.Enum):
    RED = "red"


class Line(BaseModel):
    sku: str
    price: Decimal
    note: str | None = None


class Order(BaseModel):
    id: uuid.UUID
    lines: list[Line]
    placed_at: datetime


@dataclasses.dataclass
class Point:
    x: float
    y: float | None = None


class Loose(BaseModel):
    value: float | None = None
    anything: Any = None


class Constants(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")
    value: float


class Chosen(TypedDict):
    colour: Colour


ORDER = Order(
    id=uuid.UUID(int=7), lines=[Line(sku="tea", price=Decimal("1.10"))], placed_at=datetime(2026, 1, 2, tzinfo=UTC)
)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, 10**30),
        (float, 1.5),
        (str, "Straße \x00 \u2028"),
        (bool, True),
        (list[int], [1, 2]),
        (dict[str, float], {"a": 0.5}),
        (dict[int, str], {1: "a"}),
        (tuple[int, str], (1, "a")),
        (set[int], {1, 2}),
        (int | None, None),
        (Literal["a", "b"], "b"),
        (date, date(2026, 1, 2)),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)),
        (timedelta, timedelta(days=1, microseconds=1)),
        (Decimal, Decimal("0.10")),
        (uuid.UUID, uuid.UUID(int=7)),
        (bytes, b"text"),
        (Colour, Colour.RED),
        (Chosen, {"colour": Colour.RED}),
        (Point, Point(1.0)),
        (Order, ORDER),
        (dict[str, list[Order]], {"today": [ORDER]}),
    ],
)
def test_a_value_of_an_annotated_type_comes_back_as_it_was(annotation: Any, value: Any) -> None:
    adapter = adapter_for(annotation)
    found = decode(encode(value, adapter), adapter)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (None, None),
        (7, 7),
        ({"a": [1, "b", None, True]}, {"a": [1, "b", None, True]}),
        ((1, 2), [1, 2]),
        ({1}, [1]),
        ({1: "a"}, {"1": "a"}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (Colour.RED, "red"),
        (Point(1.0), {"x": 1.0, "y": None}),
        (ORDER.lines, [{"sku": "tea", "price": "1.10", "note": None}]),
        ("NaN", "NaN"),
        ({"Infinity": "-Infinity"}, {"Infinity": "-Infinity"}),
    ],
)
def test_without_an_annotation_a_value_is_seen_as_json_has_it(value: Any, seen: Any) -> None:
    assert decode(encode(value)) == seen


@pytest.mark.parametrize("annotation", [Any, None, type(None), "a name that was not resolved"])
def test_no_annotation_means_plain_json(annotation: Any) -> None:
    assert adapter_for(annotation) is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("annotation", "wrap"),
    [
        (Any, lambda number: number),
        (Any, lambda number: {"deep": [1, {"down": number}]}),
        (Any, lambda number: [Loose(value=number)]),
        (Any, lambda number: Point(number)),
        (float, lambda number: number),
        (float | None, lambda number: number),
        (list[float], lambda number: [1.0, number]),
        (dict[str, Any], lambda number: {"a": number}),
        (Point, lambda number: Point(1.0, number)),
        (Loose, lambda number: Loose(value=number)),
        (Loose, lambda number: Loose(anything=[number])),
        (Constants, lambda number: Constants(value=number)),
    ],
)
def test_nan_and_infinity_are_refused_and_not_turned_into_null(annotation: Any, wrap: Any, number: float) -> None:
    with pytest.raises(NotSerializableError):
        encode(wrap(number), adapter_for(annotation))


def test_null_where_it_is_meant_is_fine() -> None:
    assert encode(Loose(anything=[None, "NaN"]), adapter_for(Loose)) == '{"value":null,"anything":[null,"NaN"]}'


def circular() -> Any:
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    "value",
    [object(), len, lambda: 1, Exception("no"), circular(), b"\xff", "\ud800", {"a": {"b": object()}}],
)
def test_what_json_does_not_know_is_refused(value: Any) -> None:
    with pytest.raises(NotSerializableError, match=r"^The result is not serialisable: "):
        encode(value, what="The result")


@pytest.mark.parametrize(
    ("annotation", "value"), [(int, "seven"), (Order, {"id": 7}), (list[int], (1, 2)), (Line, 7), (bytes, b"\xff")]
)
def test_a_value_of_another_type_than_annotated_is_refused(annotation: Any, value: Any) -> None:
    with pytest.raises(NotSerializableError):
        encode(value, adapter_for(annotation))


def test_a_type_that_json_does_not_know_is_refused_before_anything_runs() -> None:
    class Socket: ...

    for annotation in (Socket, list[Socket], Annotated[Socket, []]):  # the last one can't be kept in a cache
        for _ in range(2):
            with pytest.raises(
                NotSerializableError, match=r"Socket.* use a pydantic model, a dataclass, or plain types"
            ):
                adapter_for(annotation)


def test_an_annotation_is_compiled_once() -> None:
    assert adapter_for(dict[str, list[Order]]) is adapter_for(dict[str, list[Order]])


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("x" * MAX_PAYLOAD_BYTES, True),
        ("x" * (MAX_PAYLOAD_BYTES + 1), False),
        ("é" * (MAX_PAYLOAD_BYTES // 2), True),
        ("é" * (MAX_PAYLOAD_BYTES // 2 + 1), False),
        ("😀" * (MAX_PAYLOAD_BYTES // 4), True),
        ("😀" * (MAX_PAYLOAD_BYTES // 4 + 1), False),
    ],
    ids=lambda value: value if isinstance(value, bool) else f"{len(value)} x {value[0]}",
)
def test_a_payload_may_have_as_many_bytes_as_the_limit_says(text: str, fits: bool) -> None:
    if fits:
        assert check_size(text, "The output") is text
        return
    with pytest.raises(
        PayloadTooLarge, match=r"The output is too large: 1,048,5\d\d bytes, .* limit is 1,048,576 bytes"
    ):
        check_size(text, "The output")


def test_the_limit_may_be_another_one() -> None:
    with pytest.raises(PayloadTooLarge, match="6 bytes, and the limit is 5 bytes"):
        check_size("123456", "The output", 5)
