"""The whole output of one step, and of its attempts what they failed with; it does not read a stream's bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from orchestrator.authoring.policy import is_sensitive
from orchestrator.authoring.streams import StreamInfo, stream_info
from orchestrator.inspection.steps import steps_of
from orchestrator.store import attempts, reading, timers


@dataclass(frozen=True, slots=True)
class StoredOutput:
    status: str
    output: Any
    error: dict[str, Any] | None
    event_type: str | None
    stream: StreamInfo | None
    """Set if the output is a stream that may be read; `output` is None then."""


def stored_output(connection: Connection, pk: int, key: str, attempt: int | None = None) -> StoredOutput | None:
    """Of a step of the current run, or of one attempt of it; None if there is no trace of it."""
    row = reading.detail(connection, pk)
    if row is None:
        return None
    tried = [one for one in attempts.of_run(connection, pk, row.run) if one.key == key]
    waiting = [one for one in timers.of_instance(connection, pk) if one.key == key]
    journal = reading.step_of(connection, pk, row.run, key)
    found = steps_of(journal, tried, waiting)
    if not found:
        return None
    step = found[0]
    event_type = (step.config or {}).get("type")
    if attempt is not None and (attempt != step.attempts or step.status != "complete"):
        one = next((one for one in step.attempt_log if one.attempt == attempt), None)
        return None if one is None else StoredOutput(one.status, None, one.error, event_type, None)
    stream = stream_info(journal[0].result) if journal and not is_sensitive(journal[0].config) else None
    return StoredOutput(step.status, None if stream else step.output, step.error, event_type, stream)
