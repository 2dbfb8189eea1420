"""How long an ended instance is kept, as people write it, turned into milliseconds; it deletes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.durations import MAX_MS, to_ms
from orchestrator.errors import InvalidDuration, InvalidRetention

FOREVER = "forever"
KEYS = ("success_retention", "error_retention")


@dataclass(frozen=True, slots=True)
class Retention:
    """None: what the next level says (an instance's own, its workflow's default, the settings)."""

    success_ms: int | None = None
    """After it is complete or terminated."""
    error_ms: int | None = None
    """After it has errored."""

    @classmethod
    def of(cls, given: Retention | Mapping[str, Any] | None, *, what: str = "retention") -> Retention:
        """Read `{"success_retention": "7 days", "error_retention": "forever"}`. Raises InvalidRetention."""
        if given is None:
            return cls()
        if isinstance(given, Retention):
            return given
        if not isinstance(given, Mapping):
            raise InvalidRetention(f"{what} is {given!r}; write it as {{'success_retention': '7 days'}}.")
        unknown = sorted(str(key) for key in given if key not in KEYS)
        if unknown:
            raise InvalidRetention(f"{what} has no {', '.join(unknown)}; allowed are {' and '.join(KEYS)}.")
        success, error = (kept_ms(given[key], f"{what}[{key!r}]") if key in given else None for key in KEYS)
        return cls(success, error)


def kept_ms(given: Any, what: str) -> int | None:
    """Milliseconds of a duration or of `"forever"`; None for None. Raises InvalidRetention."""
    if given is None:
        return None
    if given == FOREVER:
        return MAX_MS
    try:
        ms = to_ms(given, what=what)
    except InvalidDuration as error:
        raise InvalidRetention(f"{error} Or {FOREVER!r}, to keep it.") from None
    if ms < 1:
        raise InvalidRetention(f"{what} is {given!r}; it must be longer than nothing, or {FOREVER!r}.")
    return ms
