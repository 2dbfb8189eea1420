"""Whether this process still hears doorbells: a consumer that has silently stalled looks alive; it restarts nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.clock import monotonic

OFTEN = 3
"""An instance that was rung for so often, each time later, should have been answered by somebody."""
IN_VAIN = 3
"""So many such rings, one after another, while this process was idle and heard nothing at all."""


class Ears:
    """The heartbeat shows that a process lives and reaches the database, and nothing of whether its consumer delivers.

    So the pump notes what it rings for in vain. A process that is idle and consumes the queue would have got such a
    message at once: if it hears nothing, again and again, while the broker takes what is published, it is deaf.
    """

    def __init__(self) -> None:
        self._heard_at: float | None = None
        self._in_vain = 0

    def heard(self) -> None:
        """A message has come."""
        self._heard_at = monotonic()
        self._in_vain = 0

    def rang(self, rows: Iterable[Any], *, queues: Sequence[str], idle: bool, published: bool) -> None:
        """The pump has rung for these instances again: (queue, rings)."""
        if not (idle and published):
            self._in_vain = 0
        elif any(row.rings > OFTEN and row.queue in queues for row in rows):
            self._in_vain += 1

    def deaf(self, patience_s: float) -> bool:
        """Whether this process has heard nothing for at least so long although it was rung for. One that has never
        heard anything has no consumer, or not yet."""
        if self._heard_at is None or self._in_vain < IN_VAIN:
            return False
        return monotonic() - self._heard_at > patience_s
