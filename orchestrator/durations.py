"""Durations as people write them, turned into whole milliseconds; it must not know the time of day."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from orchestrator.errors import InvalidDuration

Duration = int | float | str | timedelta
"""Milliseconds as a number, `"5 minutes"`, or a timedelta."""

_SECOND_MS = 1000
_DAY_MS = 24 * 3600 * _SECOND_MS
UNITS_MS = {
    "millisecond": 1, "ms": 1,
    "second": _SECOND_MS, "sec": _SECOND_MS, "s": _SECOND_MS,
    "minute": 60 * _SECOND_MS, "min": 60 * _SECOND_MS, "m": 60 * _SECOND_MS,
    "hour": 3600 * _SECOND_MS, "h": 3600 * _SECOND_MS,
    "day": _DAY_MS, "d": _DAY_MS,
    "week": 7 * _DAY_MS, "w": 7 * _DAY_MS,
    "month": 30 * _DAY_MS,
    "year": 31_557_600 * _SECOND_MS,
}  # fmt: skip
"""A month is 30 days and a year 365.25, as in Cloudflare's parser (itty-time)."""

MAX_MS = 10_000 * UNITS_MS["year"]
_PART = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([a-zA-Z]+)")


def to_ms(duration: Duration, *, what: str = "duration") -> int:
    """Whole milliseconds of a number (of milliseconds), a text such as `"1 hour 30 minutes"` or `"1h30m"`, or a timedelta.

    Raises InvalidDuration for an unknown unit, a negative or non-finite amount, or anything else; `what` names the
    thing in the message.
    """
    if isinstance(duration, bool):
        raise _invalid(duration, what, "a truth value is no duration")
    if isinstance(duration, timedelta):
        amount = duration / timedelta(milliseconds=1)
    elif isinstance(duration, (int, float)):
        amount = duration
    elif isinstance(duration, str):
        amount = _parse(duration, what)
    else:
        raise _invalid(duration, what, f"{type(duration).__name__} is no duration")
    if amount < 0 or amount in (math.inf, -math.inf) or amount != amount:  # isfinite() fails on very large integers
        raise _invalid(duration, what, "it must be finite and not negative")
    if amount > MAX_MS:
        raise _invalid(duration, what, "it is longer than 10,000 years")
    return round(amount)


def _parse(text: str, what: str) -> float:
    rest, total = text.strip(), 0.0
    if not rest:
        raise _invalid(text, what, "it is empty")
    while rest:
        match = _PART.match(rest)
        if match is None:
            raise _invalid(text, what, f"can't read {rest!r}")
        unit = match.group(2).lower()
        unit_ms = UNITS_MS.get(unit) or UNITS_MS.get(unit.removesuffix("s"))
        if unit_ms is None:
            raise _invalid(text, what, f"unknown unit {match.group(2)!r}")
        total += float(match.group(1)) * unit_ms
        rest = rest[match.end() :].lstrip(" ,")
    return total


def _invalid(given: object, what: str, reason: str) -> InvalidDuration:
    return InvalidDuration(
        f"Invalid {what} {given!r}: {reason}. Use milliseconds as a number, a timedelta, or a text such as "
        '"30 seconds", "5 minutes", "3 days" (millisecond, second, minute, hour, day, week, month, year).'
    )


def in_words(ms: int) -> str:
    """`90_000` -> `"1m 30s"`: the two largest units, for people."""
    if ms < _SECOND_MS:
        return f"{ms}ms"
    if ms < 10 * _SECOND_MS:
        return f"{ms / _SECOND_MS:.1f}s".replace(".0s", "s")
    parts: list[str] = []
    for suffix, unit_ms in (("d", _DAY_MS), ("h", 3600 * _SECOND_MS), ("m", 60 * _SECOND_MS), ("s", _SECOND_MS)):
        amount, ms = divmod(ms, unit_ms)
        if amount:
            parts.append(f"{amount}{suffix}")
    return " ".join(parts[:2])
