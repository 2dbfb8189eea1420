"""The whole output of one step, as a handle of an instance gives it; a stream is read when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.authoring.streams import ByteStream


@dataclass(frozen=True, slots=True)
class StepOutput:
    status: str
    """As in StepView: complete, errored, running, queued, retrying or waiting."""
    output: Any
    """The whole value, `"[REDACTED]"` if it is sensitive; None where `stream` is set."""
    error: dict[str, Any] | None
    """`{"name", "message"}`; of a step between two attempts, what the last one failed with."""
    event_type: str | None
    """Of a step that waits for an event."""
    stream: ByteStream | None = None
    """The bytes that the step returned as a stream."""
