"""The steps of a run, put together from its journal, its attempts and what waits; it reads nothing itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from orchestrator.authoring.policy import stored_config
from orchestrator.authoring.shown import shown_output
from orchestrator.authoring.streams import stream_info
from orchestrator.inspection.views import AttemptView, StepView
from orchestrator.names import split_key, step_label
from orchestrator.serialization import decode, named_error, public_error
from orchestrator.statuses import RETRY, AttemptState, StepKind, StepStatus

_TRIED = (StepKind.DO, StepKind.ROLLBACK)
"""The kinds that are run, and take attempts."""


def steps_of(journal: Sequence[Any], tried: Sequence[Any], waiting: Sequence[Any]) -> list[StepView]:
    logs: dict[str, list[Any]] = {}
    for attempt in tried:
        logs.setdefault(attempt.key, []).append(attempt)
    steps = [_finished(row, logs.pop(row.key, [])) for row in journal]
    done = {row.key for row in journal}
    for row in waiting:
        if row.key not in done:
            steps.append(_waiting(row, logs.pop(row.key, [])))
    steps += [_open(key, rows) for key, rows in logs.items()]
    return sorted(steps, key=lambda step: step.position)


def identity_of(key: str, position: int) -> dict[str, Any]:
    kind, name, count = split_key(key)
    return {
        "kind": kind,
        "name": name,
        "count": count,
        "label": step_label(name, count),
        "position": position,
    }


def _finished(row: Any, tried: list[Any]) -> StepView:
    tried = [attempt for attempt in tried if attempt.state == AttemptState.FAILED]
    log = [_attempt(attempt) for attempt in tried]
    identity = identity_of(row.key, row.position)
    if identity["kind"] in _TRIED and not any(attempt.attempt == row.attempts for attempt in log):
        log.append(
            AttemptView(
                attempt=row.attempts, status=_settled(row), started_at=row.started_at, ended_at=row.ended_at,
                error=None if row.error is None else public_error(row.error), worker=row.worker,
            )
        )  # fmt: skip
    started = min([row.started_at, *(attempt.started_at for attempt in tried if attempt.started_at)])
    config = stored_config(row.config).shown if identity["kind"] in _TRIED else row.config
    return StepView(
        **identity,
        status=_settled(row),
        started_at=started,
        ended_at=row.ended_at,
        attempts=row.attempts,
        attempt_log=log,
        output=shown_output(row.result, row.config),
        stream_bytes=None if (stream := stream_info(row.result)) is None else stream.bytes,
        error=None if row.error is None else public_error(row.error),
        config=None if config is None else decode(config),
    )


def _settled(row: Any) -> StepStatus:
    return StepStatus.COMPLETE if row.error is None else StepStatus.ERRORED


def _waiting(row: Any, tried: list[Any]) -> StepView:
    log = [_attempt(attempt) for attempt in tried]
    identity = identity_of(row.key, row.position)
    return StepView(
        **identity,
        status="retrying" if row.kind == RETRY else "waiting",
        started_at=log[0].started_at if log else row.started_at,
        due_at=row.due_at,
        attempts=len(log),
        attempt_log=log,
        error=log[-1].error if log else None,
        config={"type": row.event_type} if row.event_type else None,
    )


def cut_short(step: StepView) -> StepView:
    """A step of a run that was ended while it was under way: what is left of it are attempts that failed."""
    return step if step.status in set(StepStatus) else replace(step, status=StepStatus.ERRORED, due_at=None)


def _open(key: str, rows: list[Any]) -> StepView:
    last = rows[-1]
    status = {AttemptState.READY: "queued", AttemptState.RUNNING: "running", AttemptState.FAILED: "retrying"}
    return StepView(
        **identity_of(key, last.position),
        status=status[AttemptState(last.state)],
        started_at=rows[0].started_at,
        attempts=last.attempt,
        attempt_log=[_attempt(row) for row in rows],
        config=decode(stored_config(last.config).shown),
    )


def _attempt(row: Any) -> AttemptView:
    return AttemptView(
        attempt=row.attempt,
        status={"failed": "errored", "ready": "queued"}.get(row.state, row.state),
        started_at=row.started_at,
        ended_at=row.ended_at,
        error=None if row.error is None else public_error(row.error),
        worker=row.worker,
    )


def public_rollback(text: str | None) -> dict[str, Any] | None:
    """What is shown of a rollback that has come to its end: its outcome, and the error it failed with."""
    data = {} if text is None else decode(text)
    if data.get("outcome") is None:
        return None
    failure = data.get("failure")
    return {"outcome": data["outcome"], "error": None if failure is None else named_error(failure)}
