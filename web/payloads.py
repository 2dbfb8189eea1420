"""Request bodies and queries, read and checked before a view sees them; nothing unknown or malformed gets through."""

from __future__ import annotations

import difflib
import math
from typing import Any, TypeVar, get_args

import pydantic_core
from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError

from web.refusals import FieldProblem, InvalidRequest, MalformedRequest, UnsupportedMediaType


class Body(BaseModel):
    """Base of all request bodies and queries: an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=Body)
_SHOWN = 200
"""Characters of a wrong value: it may be a megabyte."""


def parse_json(raw: bytes | str, what: str = "The request body") -> Any:
    """The value of JSON text. NaN and Infinity are no JSON, though Python's own parser takes them."""
    try:
        value = pydantic_core.from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise MalformedRequest(f"{what} is not valid JSON: {error}.") from None
    if _overflows(value):
        raise MalformedRequest(f"{what} has a number that is too large for a float.")
    return value


def _overflows(value: Any) -> bool:
    """Whether it holds a number such as 1e999: valid JSON, read as an infinity, which can't be written again."""
    rest = [value]
    while rest:
        part = rest.pop()
        if isinstance(part, dict):
            rest.extend(part.values())
        elif isinstance(part, list):
            rest.extend(part)
        elif isinstance(part, float) and math.isinf(part):
            return True
    return False


def read_json() -> Any:
    """Any JSON value of the request's body; None where there is no body."""
    raw = request.get_data(cache=False)
    if not raw:
        return None
    if not request.is_json:
        raise UnsupportedMediaType
    return parse_json(raw)


def read_body(model: type[Model]) -> Model:
    value = read_json()
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise InvalidRequest([FieldProblem("body", f"must be a JSON object, not {_kind(value)}.")])
    return validated(model, value)


def read_query(model: type[Model]) -> Model:
    """The query string; a field given once is a text, one given several times is a list."""
    values = {name: many if len(many) > 1 else many[0] for name, many in request.args.to_dict(flat=False).items()}
    return validated(model, values)


def refuse_query() -> None:
    if request.args:
        raise InvalidRequest([FieldProblem(name, "is unknown: this address takes no query.") for name in request.args])


def validated(model: type[Model], value: dict[str, Any]) -> Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidRequest([_problem(details, model) for details in error.errors(include_url=False)]) from None


def _problem(details: pydantic_core.ErrorDetails, model: type[BaseModel]) -> FieldProblem:
    place = details["loc"]
    field = ".".join(map(str, place)) or "body"
    if details["type"] != "extra_forbidden":
        said = details["msg"].removeprefix("Value error, ")
        # What was left out, or is wrong as a whole, has no value of its own to show.
        given = "" if details["type"] == "missing" or not details["loc"] else f" (given: {_shown(details['input'])})"
        return FieldProblem(field, f"{said}{given}.")
    known = [part.alias or name for name, part in _at(model, place[:-1]).model_fields.items()]
    message = f"unknown field; allowed: {', '.join(known)}."
    close = difflib.get_close_matches(str(place[-1]), known, n=1)
    return FieldProblem(field, f"{message} Did you mean {close[0]!r}?" if close else message)


def _at(model: type[BaseModel], place: tuple[int | str, ...]) -> type[BaseModel]:
    """The model of a part of a body."""
    for name in place:
        field = model.model_fields.get(str(name))
        model = model if field is None else _model_in(field.annotation) or model
    return model


def _model_in(kind: Any) -> type[BaseModel] | None:
    """Of a type such as `Limits | None` or `list[Schedule] | None`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next((found for part in get_args(kind) if (found := _model_in(part))), None)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _kind(value: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
