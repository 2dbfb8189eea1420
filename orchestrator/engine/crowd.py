"""Who is at work on instances in this process, and what those who come may join; it works on nothing itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.engine.convoy import Convoy


class Crowd:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads = 0
        """How many are at work on instances."""
        self.open: Convoy | None = None
        """Takes others along."""
        self.blocking: set[str] = set()
        """Workflows with `def` bodies, for which others in a convoy would have to wait: their instances go on alone."""

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """For a thread, while it works on instances."""
        with self.lock:
            self.threads += 1
        try:
            yield
        finally:
            with self.lock:
                self.threads -= 1
