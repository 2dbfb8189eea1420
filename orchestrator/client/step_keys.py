"""Reads what a caller says of one step of an instance; whether there is such a step is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import UsageError
from orchestrator.names import is_text, step_key
from orchestrator.statuses import StepKind

TYPES = (StepKind.DO, StepKind.SLEEP, StepKind.WAIT_FOR_EVENT)


def restart_point(given: Mapping[str, Any]) -> str:
    """The key of the step. Raises UsageError."""
    if not isinstance(given, Mapping):
        raise UsageError(f"`from_` must be a mapping such as {{'name': 'charge'}}, not {given!r}.")
    unknown = sorted(str(key) for key in given if key not in ("name", "count", "type"))
    if unknown:
        raise UsageError(f"`from_` has unknown keys ({', '.join(unknown)}); it takes name, count and type.")
    if given.get("name") is None:
        raise UsageError("`from_` needs the name of a step; count and type only say which step of that name.")
    return key_of(given["name"], given.get("count"), given.get("type"), of="`from_`")


def key_of(name: Any, count: Any, kind: Any, *, of: str) -> str:
    """Raises UsageError."""
    if not is_text(name) or not name:
        raise UsageError(f"`name` of {of} must be the name of a step, not {name!r}.")
    count = 1 if count is None else count
    kind = StepKind.DO if kind is None else kind
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise UsageError(f"`count` of {of} must be a whole number of at least 1, not {count!r}.")
    if kind not in TYPES:
        raise UsageError(f"`type` of {of} must be {', '.join(TYPES[:-1])} or {TYPES[-1]}, not {kind!r}.")
    return step_key(kind, name, count)
