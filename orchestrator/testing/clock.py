"""A clock that stands still until it is moved ahead, so that months pass at once and to the millisecond."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from orchestrator.clock import SystemClock, monotonic
from orchestrator.testing.misuse import IntrospectionError

PATIENCE_S = 5.0


class MovableClock:
    """While a body has really been running for long it goes on, so that a timeout of the workflow around it can pass."""

    def __init__(self, start: datetime | None = None) -> None:
        self._moment_ms = SystemClock().now_ms() if start is None else _epoch_ms(start)
        self._bodies: dict[object, float] = {}
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        with self._lock:
            return self._now_ms()

    def move_to(self, moment_ms: int) -> None:
        """Nothing happens if it is past that moment."""
        with self._lock:
            self._moment_ms += max(moment_ms - self._now_ms(), 0)

    @contextmanager
    def body(self) -> Iterator[None]:
        """Within it a body runs on another thread."""
        token = object()
        with self._lock:
            self._bodies[token] = monotonic()
        try:
            yield
        finally:
            with self._lock:
                now = self._now_ms()
                del self._bodies[token]
                self._moment_ms += now - self._now_ms()

    def _now_ms(self) -> int:
        if not self._bodies:
            return self._moment_ms
        running_s = monotonic() - min(self._bodies.values())
        return self._moment_ms + max(int((running_s - PATIENCE_S) * 1000), 0)


def _epoch_ms(start: object) -> int:
    if not isinstance(start, datetime) or start.tzinfo is None:
        raise IntrospectionError(
            f"`now` must be a datetime with a time zone, such as datetime(2030, 1, 31, tzinfo=UTC), not {start!r}."
        )
    return int(start.timestamp() * 1000)
