"""What people see of a step's stored result, wherever it is shown; what is handed on is not decided here."""

from __future__ import annotations

from typing import Any

from orchestrator.authoring.policy import is_sensitive
from orchestrator.authoring.streams import stream_info
from orchestrator.serialization import decode

REDACTED = "[REDACTED]"


def shown_output(result: str | None, config: str | None) -> Any:
    """The value; the beginning of a stream; or that it is hidden, if its step was declared `sensitive="output"`."""
    if result is None:
        return None
    if is_sensitive(config):
        return REDACTED
    stream = stream_info(result)
    return decode(result) if stream is None else stream.summary
