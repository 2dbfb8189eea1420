"""Params that fit a workflow's type, made from its JSON schema, so that a first command can be copied and run."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.authoring.workflow import Definition

_DEPTH = 4
_BY_FORMAT = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00",
    "duration": "PT1H",
    "email": "ann@example.com",
    "uri": "https://example.com",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
}


def trigger_command(definition: Definition) -> str:
    """The whole command that starts this workflow from another terminal."""
    params = example_params(definition)
    given = "" if params is None else f" {shlex.quote(json.dumps(params, ensure_ascii=False))}"
    return f"orchestrator trigger {definition.name}{given} --watch"


def example_params(definition: Definition) -> Any:
    """Params the workflow accepts, as far as its type can be guessed at; None where it needs none."""
    adapter = definition.params_adapter
    if adapter is None:
        return None
    try:
        schema = adapter.json_schema()
        made = _value(schema, schema.get("$defs", {}), _DEPTH)
        adapter.validate_python(made)
    except (ValueError, TypeError):
        return {}
    return made or None


def _value(schema: dict[str, Any], shared: dict[str, Any], depth: int) -> Any:
    if "$ref" in schema:
        return _value(shared.get(schema["$ref"].rpartition("/")[2], {}), shared, depth - 1)
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _value(schema[key][0], shared, depth)
    return _of_type(schema, shared, depth)


def _of_type(schema: dict[str, Any], shared: dict[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {})
        return {name: _value(fields[name], shared, depth - 1) for name in schema.get("required", ()) if depth > 0}
    if kind == "array":
        least = schema.get("minItems", 1)
        return [_value(schema.get("items", {}), shared, depth - 1) for _ in range(least if depth > 0 else 0)]
    if kind in ("integer", "number"):
        return _number(schema)
    if kind == "string":
        text = str(_BY_FORMAT.get(schema.get("format", ""), "text"))
        return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
    return {"boolean": True, "null": None}.get(str(kind), {})


def _number(schema: dict[str, Any]) -> int | float:
    if "exclusiveMinimum" in schema:
        return int(schema["exclusiveMinimum"]) + 1
    number: int | float = schema.get("minimum", schema.get("maximum", 1))
    return number
