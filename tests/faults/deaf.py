"""An application whose worker loses every message as soon as a file exists, as a consumer does that has stalled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kombu.transport.virtual.base import Transport

from tests.faults.app import Harmless

__all__ = ["Harmless"]

_deliver = Transport._deliver


def _deliver_or_not(self: Any, message: Any, queue: str) -> None:
    if not Path(os.environ["DEAF"]).exists():
        _deliver(self, message, queue)


Transport._deliver = _deliver_or_not
