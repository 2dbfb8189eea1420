"""One answer of an instance's recorded history, as the replay reads it; it knows nothing of how it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UNREAD: Any = object()
"""Stands where a value has not been read from its text yet."""


@dataclass(slots=True)
class Entry:
    """What one command was answered with. `result` is JSON text; `error` is as `serialization.encode_error` gives it."""

    key: str
    position: int
    ended_at: int
    result: str | None = None
    error: dict[str, Any] | None = None
    value: Any = UNREAD
    """The value of `result`, where the writer has read it back already."""
