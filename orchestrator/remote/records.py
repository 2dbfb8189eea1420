"""From the server's JSON to the records of the read model; a field of a newer server is left out, times become ms."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from orchestrator.errors import ServerFailed

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

Record = TypeVar("Record")


def record(cls: type[Record], data: Mapping[str, Any]) -> Record:
    """A record of that class. Raises ServerFailed where the server leaves out what there has to be."""
    hints: dict[str, Any] = _hints(cls)  # type: ignore[arg-type]  # a class can be hashed, which mypy doubts here
    values = {name: _value(hint, data[name]) for name, hint in hints.items() if name in data}
    try:
        return cls(**values)
    except TypeError as error:
        raise ServerFailed(
            f"The server's answer does not fit this client, which may be of another version: {error}."
        ) from None


def to_ms(text: str) -> int:
    """Epoch milliseconds of `2026-11-22T07:01:02.123Z`."""
    try:
        return (datetime.fromisoformat(text) - _EPOCH) // _MS
    except (ValueError, TypeError):
        raise ServerFailed(f"The server's answer has a time that can't be read: {text!r}.") from None


def to_text(at_ms: int) -> str:
    """`2026-11-22T07:01:02.123Z`."""
    return (_EPOCH + at_ms * _MS).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _value(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    kind = get_origin(hint)
    if kind in (Union, UnionType):
        wanted = [part for part in get_args(hint) if part is not type(None)]
        return _value(wanted[0], value) if len(wanted) == 1 else value
    if kind is list and isinstance(value, list):
        (part,) = get_args(hint)
        return [_value(part, item) for item in value]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return record(hint, value)
    if hint is int and isinstance(value, str):
        return to_ms(value)
    return value


@cache
def _hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}
