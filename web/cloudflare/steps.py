"""The rows of an instance's steps, one shape for each kind of step."""

from __future__ import annotations

from typing import Any

from orchestrator.inspection import StepView
from orchestrator.serialization import encode
from orchestrator.statuses import StepKind
from web.times import rfc3339

OUTPUT_CHARACTERS = 1024
"""Longer outputs are cut here and marked; a step's own address has them whole."""
_ENDED = {"complete": True, "errored": False}


def step_row(step: StepView) -> dict[str, Any]:
    if step.kind == StepKind.WAIT_FOR_EVENT:
        return _wait(step)
    if step.kind in (StepKind.SLEEP, StepKind.TIMER):
        return _sleep(step)
    return _do(step)


def _do(step: StepView) -> dict[str, Any]:
    return {
        "type": "rollback" if step.kind == "rollback" else "step",
        "name": step.label,
        "start": _at(step.started_at),
        "end": _at(step.ended_at),
        "success": _ENDED.get(step.status),
        "config": step.config,
        **_output(step, step.output),
        "attempts": [
            {
                "start": _at(attempt.started_at),
                "end": _at(attempt.ended_at),
                "success": _ENDED.get(attempt.status),
                "error": attempt.error,
            }
            for attempt in step.attempt_log
        ],
    }


def _sleep(step: StepView) -> dict[str, Any]:
    return {
        "type": "sleep",
        "name": step.label,
        "start": _at(step.started_at),
        "end": _at(step.ended_at or step.due_at),
        "finished": step.status in _ENDED,
        "error": step.error,
    }


def _wait(step: StepView) -> dict[str, Any]:
    return {
        "type": "waitForEvent",
        "name": step.label,
        "start": _at(step.started_at),
        "end": _at(step.ended_at or step.due_at),
        "finished": step.status in _ENDED,
        "event_type": (step.config or {}).get("type"),
        **_output(step, (step.output or {}).get("payload")),
        "error": step.error,
    }


def _output(step: StepView, value: Any) -> dict[str, str]:
    """The output as JSON text, cut where it is long; without one, wrangler shows no line for it."""
    if step.status != "complete":
        return {}
    text = encode(value)
    return {"output": text if len(text) <= OUTPUT_CHARACTERS else f"{text[:OUTPUT_CHARACTERS]}[truncated output]"}


def _at(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
