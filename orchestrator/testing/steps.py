"""How a test names a step: by its name and which one of that name; it knows no instance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NotRequired, TypedDict

from orchestrator.errors import InvalidStepName
from orchestrator.names import check_step_name, step_key
from orchestrator.statuses import StepKind
from orchestrator.testing.misuse import BY, IntrospectionError


class StepSelector(TypedDict):
    """`index` (1) is which step of that name, in the order in which the workflow asks for them."""

    name: str
    index: NotRequired[int]


Step = str | StepSelector
"""`"charge"`, or `{"name": "charge", "index": 2}` for the second one of that name."""


def key_of(step: Step, kind: StepKind) -> str:
    """Raises IntrospectionError."""
    if isinstance(step, str):
        step = {"name": step}
    if not isinstance(step, Mapping):
        raise IntrospectionError(
            f"{BY} A step is named as 'charge' or as {{'name': 'charge', 'index': 2}}, not {step!r}."
        )
    unknown = sorted(str(key) for key in step if key not in ("name", "index"))
    if unknown or "name" not in step:
        wrong = f"has no {', '.join(unknown)}" if unknown else "needs a name"
        raise IntrospectionError(f"{BY} A step {wrong} (given: {dict(step)!r}); it takes name and index.")
    try:
        name = check_step_name(step["name"])
    except InvalidStepName as error:
        raise IntrospectionError(f"{BY} {error.message}") from None
    return step_key(kind, name, whole(step.get("index", 1), f"`index` of step {name!r}"))


def keys_of(steps: Iterable[Step], kind: StepKind) -> set[str]:
    """Raises IntrospectionError."""
    given: object = steps
    if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
        raise IntrospectionError(f"{BY} Steps are given as a list such as ['charge', 'ship'], not as {given!r}.")
    return {key_of(step, kind) for step in steps}


def whole(number: object, what: str) -> int:
    """Raises IntrospectionError unless it is a number of at least 1."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise IntrospectionError(f"{BY} {what} must be a whole number of at least 1, not {number!r}.")
    return number
