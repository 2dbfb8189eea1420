"""The numbers that callers hand to clients, checked alike everywhere; what they are for is not known here."""

from __future__ import annotations

import math
from typing import Any

from orchestrator.errors import UsageError

MAX_KEY = 2**62
"""Larger numbers do not fit the databases' integers."""
LAST_MS = 253_402_300_799_999
"""The end of the year 9999, after which no time can be written."""


def integer(value: Any, what: str) -> int:
    """A truth value is no number, and neither is a text that looks like one. Raises UsageError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{what} must be a whole number, not {_shown(value)}.")
    return value


def whole(value: Any, what: str, *, least: int = 0, most: int = MAX_KEY) -> int:
    """Raises UsageError."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        upto = f"of at least {least}" if most >= MAX_KEY else f"from {least} to {most}"
        raise UsageError(f"{what} must be a whole number {upto}, not {_shown(value)}.")
    return value


def optional_whole(value: Any, what: str, *, least: int = 0, most: int = MAX_KEY) -> int | None:
    return None if value is None else whole(value, what, least=least, most=most)


def moment(value: Any, what: str) -> int | None:
    """Epoch milliseconds; None for no bound. Raises UsageError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LAST_MS:
        raise UsageError(f"{what} must be a time in whole milliseconds since 1970, not {_shown(value)}.")
    return value


def seconds(value: Any, what: str = "timeout") -> float | None:
    """How long to wait; None for as long as it takes, and what is negative is over already. Raises UsageError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise UsageError(f"{what} must be a number of seconds, or None to wait for as long as it takes, not {value!r}.")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
