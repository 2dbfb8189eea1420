"""What can be set for a workflow, by its class or from outside: checked and merged; it is applied elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import InvalidWorkflowSettings
from orchestrator.retention import Retention

MAX_STEP_LIMIT = 25_000
MAX_CONCURRENCY = 50_000
KEYS = ("limits", "concurrency", "default_retention")


def checked(given: Mapping[str, Any], workflow: str) -> dict[str, dict[str, int]]:
    """The settings that are given, as plain JSON. None stands for nothing at all.

    Raises InvalidWorkflowSettings, InvalidRetention.
    """
    unknown = sorted(str(key) for key in given if key not in KEYS)
    if unknown:
        raise InvalidWorkflowSettings(
            f"Workflow {workflow!r} has no setting {', '.join(unknown)}; there are {', '.join(KEYS)}."
        )
    found: dict[str, dict[str, int]] = {}
    if given.get("limits") is not None:
        found["limits"] = _number(given["limits"], "steps", MAX_STEP_LIMIT, f"limits of workflow {workflow!r}")
    if given.get("concurrency") is not None:
        found["concurrency"] = _number(
            given["concurrency"], "limit", MAX_CONCURRENCY, f"concurrency of workflow {workflow!r}"
        )
    if given.get("default_retention") is not None:
        kept = Retention.of(given["default_retention"], what=f"default_retention of workflow {workflow!r}")
        values = {"success_retention": kept.success_ms, "error_retention": kept.error_ms}
        found["default_retention"] = {key: ms for key, ms in values.items() if ms is not None}
    return found


def merged(
    declared: Mapping[str, Mapping[str, int]], configured: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """What holds: a setting from outside counts in place of the class's."""
    return {key: dict(configured.get(key, declared.get(key, {}))) for key in KEYS}


def _number(given: Any, key: str, highest: int, what: str) -> dict[str, int]:
    if not isinstance(given, Mapping) or any(name != key for name in given):
        raise InvalidWorkflowSettings(f"{what} is {given!r}; write it as {{{key!r}: a number}}.")
    number = given.get(key)
    if number is None:
        return {}
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= highest:
        raise InvalidWorkflowSettings(f"{what} has {key} {number!r}; it must be 1 to {highest:,}.")
    return {key: number}
