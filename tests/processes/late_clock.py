"""The same application in a process whose idea of the database's time is behind; nothing else is different in it."""

from __future__ import annotations

import os

from orchestrator.clock import DatabaseClock
from tests.processes.app import Nap

__all__ = ["Nap"]

_behind_ms = int(os.environ["BEHIND_MS"])
_now_ms = DatabaseClock.now_ms
DatabaseClock.now_ms = lambda self: _now_ms(self) - _behind_ms  # type: ignore[method-assign]
