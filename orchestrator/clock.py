"""Where the time comes from, so that tests can move it and workers agree with the database; nothing else reads clocks."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since 1970 UTC, as the database sees them."""
        ...


class SystemClock:
    """This host's clock: right for SQLite, whose users all share one host."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class DatabaseClock:
    """The database server's time, kept between synchronisations by this host's monotonic clock.

    Wall clocks of workers differ and jump; after `synchronise` the error is half a round trip plus the drift of the
    monotonic clock, whatever the host's own clock says.
    """

    def __init__(self) -> None:
        self._offset_ms = time.time_ns() / 1e6 - time.monotonic_ns() / 1e6

    def now_ms(self) -> int:
        return int(time.monotonic_ns() / 1e6 + self._offset_ms)

    def synchronise(self, database_ms: float, sent_ns: int, received_ns: int) -> None:
        """Take the server's time, read between two readings of the monotonic clock (nanoseconds)."""
        self._offset_ms = database_ms - (sent_ns + received_ns) / 2e6


def monotonic() -> float:
    """Seconds from an arbitrary start, for measuring how long something took within this process."""
    return time.monotonic()
