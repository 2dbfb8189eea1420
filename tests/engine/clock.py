"""A clock that stands still until a test moves it, so that a year of waiting takes no time."""

from __future__ import annotations

from orchestrator.durations import Duration, to_ms

START_MS = 1_800_000_000_000


class FakeClock:
    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, duration: Duration) -> None:
        """`"1 hour"`, or milliseconds."""
        self._now_ms += to_ms(duration)
