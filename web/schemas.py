"""JSON schemas of what REST takes and answers, with times as REST spells them; it knows no routes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

REF = "#/components/schemas/{model}"
_NULL = {"type": "null"}
_TIME = {"type": "string", "format": "date-time"}

Schemas = dict[str, Any]


def of_answer(kind: Any, named: Schemas) -> Schemas:
    """What is answered has all of its fields always. Its parts that have names are put into `named`."""
    return _made(kind, named, "serialization")


def of_body(kind: Any, named: Schemas) -> Schemas:
    return _made(kind, named, "validation")


def of_query(model: type[BaseModel], named: Schemas) -> list[Schemas]:
    """A parameter for each field. What is not given is None inside; a query has no null."""
    made = TypeAdapter(model).json_schema(mode="validation", ref_template=REF)
    named.update({name: _tidy(schema) for name, schema in made.pop("$defs", {}).items()})
    parameters = []
    for name, given in made["properties"].items():
        schema = _tidy(given)
        options = [option for option in schema.pop("anyOf", []) if option != _NULL]
        if options:
            schema |= options[0] if len(options) == 1 else {"anyOf": options}
        if schema.get("default", ...) is None:
            del schema["default"]
        parameters.append({"name": name, "in": "query", "required": name in made.get("required", ()), "schema": schema})
    return parameters


def _made(kind: Any, named: Schemas, mode: Literal["validation", "serialization"]) -> Schemas:
    made = TypeAdapter(kind).json_schema(mode=mode, ref_template=REF)
    title = made.get("title")
    parts = made.pop("$defs", {})
    if title is not None and "properties" in made:
        parts[title], made = made, {"$ref": REF.format(model=title)}
    for name, schema in parts.items():
        shaped = _answered(_tidy(schema)) if mode == "serialization" else _tidy(schema)
        if named.setdefault(name, shaped) != shaped:
            raise ValueError(f"There are two different schemas with the name {name}.")
    tidy: Schemas = _tidy(made)
    return tidy


def _answered(schema: Schemas) -> Schemas:
    properties = schema.get("properties")
    if properties is None:
        return schema
    times = {name: _spelled(value) if name == "at" or name.endswith(("_at", "_times")) else value
             for name, value in properties.items()}  # fmt: skip
    for value in times.values():
        value.pop("default", None)
    return schema | {"properties": times, "required": list(times)}


def _spelled(schema: Schemas) -> Schemas:
    """Where the read model has epoch milliseconds, REST has text."""
    if schema.get("type") == "integer":
        return dict(_TIME)
    if "anyOf" in schema:
        return schema | {"anyOf": [_spelled(option) for option in schema["anyOf"]]}
    return schema | {"items": _spelled(schema["items"])} if "items" in schema else schema


def _tidy(schema: Any) -> Any:
    """Without the titles that pydantic makes of the names, which tell nothing more."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: {field: _tidy(of) for field, of in part.items()} if name == "properties" else _tidy(part)
        for name, part in schema.items()
        if name != "title"
    }
