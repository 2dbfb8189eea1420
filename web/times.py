"""Times as HTTP speaks them: RFC 3339 in UTC; inside they are epoch milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator

from orchestrator.clock import SystemClock
from orchestrator.numbers import LAST_MS

_clock = SystemClock()


def _no_number(given: object) -> object:
    """Numbers are refused: whether they are seconds or milliseconds would be a guess."""
    if isinstance(given, str) and given.strip().lstrip("+-").replace(".", "", 1).replace("_", "").isdigit():
        raise ValueError("must be a time such as 2026-11-22T07:01:02Z, not a number")
    return given


Moment = Annotated[datetime, BeforeValidator(_no_number)]
"""A time in a query."""


def rfc3339(at_ms: int) -> str:
    """`2026-11-22T07:01:02.123Z`."""
    seconds, ms = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def epoch_ms(at: datetime) -> int:
    """A time without a zone is taken as UTC; one before 1970 or after 9999 as the first or the last that there is."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(round(aware.timestamp() * 1000), 0), LAST_MS)


def now() -> str:
    return rfc3339(_clock.now_ms())
