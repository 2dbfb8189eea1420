"""A moment as people type it, in epoch milliseconds; which clock it is read against is the caller's to say."""

from __future__ import annotations

from datetime import date, datetime, time

from orchestrator.durations import to_ms
from orchestrator.errors import InvalidDuration, UsageError

_MS = 1000


def moment_ms(text: str, now_ms: int, *, what: str, end_of_day: bool = False) -> int:
    """ISO 8601 (without a zone: this machine's), a day, `now`, or how long ago: `24h`, `15 minutes`.

    A day means its first moment, or its last with `end_of_day`. Raises UsageError.
    """
    given = text.strip()
    if given == "now":
        return now_ms
    try:
        day = date.fromisoformat(given)
    except ValueError:
        pass
    else:
        at = datetime.combine(day, time.max if end_of_day else time.min)
        return int(at.astimezone().timestamp() * _MS)
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        pass
    else:
        return int((at if at.tzinfo else at.astimezone()).timestamp() * _MS)
    try:
        return now_ms - to_ms(given, what=what)
    except InvalidDuration:
        raise UsageError(
            f"{what} can't be read from {text!r}. Give a day (2026-11-22), a time (2026-11-22T09:00, with Z or +01:00 if "
            "not this machine's), or how long ago (24h, 15 minutes)."
        ) from None
