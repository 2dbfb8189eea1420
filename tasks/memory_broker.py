"""Kombu's broker in memory, but one that wakes its consumer instead of being asked by it; it keeps no messages itself.

Kombu looks every few milliseconds, which is a service's processor time while it has nothing to do.
"""

from __future__ import annotations

import threading
from queue import Empty
from typing import Any

from kombu.transport import memory

from orchestrator.clock import monotonic

BUSY_S = 0.005
"""How long to wait while there are messages and no free slot for them: nothing tells when one gets free."""
LONGEST_S = 1.0

_arrived = threading.Event()


class Channel(memory.Channel):  # type: ignore[misc]
    def _put(self, queue: str, message: Any, **options: Any) -> None:
        super()._put(queue, message, **options)
        _arrived.set()


class Transport(memory.Transport):  # type: ignore[misc]
    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Deliver one message. Raises socket.timeout if none has come for `timeout` seconds."""
        until = None if timeout is None else monotonic() + timeout
        while True:
            _arrived.clear()
            try:
                self.cycle.get(self._deliver, timeout=timeout)
            except Empty:
                left = LONGEST_S if until is None else until - monotonic()
                if left <= 0:
                    raise TimeoutError from None
                if any(queue.qsize() for queue in Channel.queues.values()):
                    threading.Event().wait(min(left, BUSY_S))
                else:
                    _arrived.wait(min(left, LONGEST_S))
            else:
                return
