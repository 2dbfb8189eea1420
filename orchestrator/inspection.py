"""The read model: workflows and instances as people see them, in plain records; it changes nothing."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Connection

from orchestrator.authoring.policy import stored_config
from orchestrator.durations import in_words
from orchestrator.errors import UsageError
from orchestrator.names import step_label
from orchestrator.serialization import decode
from orchestrator.statuses import RETRY, AttemptState, InstanceStatus, StepKind, StepStatus
from orchestrator.store import attempts, reading, timers
from orchestrator.transitions import ALLOWED

MAX_PAGE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowView:
    """A workflow that a worker has registered. Times are epoch milliseconds, here and below."""

    name: str
    class_name: str
    module: str
    queue: str
    created_at: int
    seen_at: int
    triggered_at: int | None
    instances: dict[str, int]
    """How many instances there are, by status."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    id: str
    workflow: str
    status: str
    run: int
    created_at: int
    started_at: int | None
    ended_at: int | None
    modified_at: int
    trigger: str
    cursor: int
    """Give it as `before` (or `after`) to page on from this instance."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    attempt: int
    status: str
    started_at: int | None
    ended_at: int | None
    error: dict[str, Any] | None
    worker: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    name: str
    count: int
    label: str
    kind: str
    status: str
    """complete, errored, running, queued (for any worker), retrying (until `due_at`), waiting (until `due_at`)."""
    started_at: int | None = None
    ended_at: int | None = None
    due_at: int | None = None
    attempts: int = 0
    attempt_log: list[AttemptView] = field(default_factory=list)
    output: Any = None
    error: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDetail(InstanceView):
    params: Any
    output: Any
    error: dict[str, Any] | None
    step_count: int
    steps: list[StepView]
    """In the order in which the workflow asked for them."""
    waiting_for: str | None
    """What the instance waits for, in words."""
    allowed_actions: list[str]
    version: int
    """Another number after each change that a watcher might want to see; the same in every process."""


def list_workflows(connection: Connection) -> list[WorkflowView]:
    counts, triggered = reading.counts(connection), reading.triggered(connection)
    return [
        WorkflowView(
            name=row.name,
            class_name=row.class_name,
            module=row.module,
            queue=row.queue,
            created_at=row.created_at,
            seen_at=row.seen_at,
            triggered_at=triggered.get(row.name),
            instances=counts.get(row.name, {}),
        )
        for row in reading.workflows(connection)
    ]


def list_instances(
    connection: Connection,
    *,
    workflow: str | None = None,
    statuses: Sequence[str] | None = None,
    limit: int = 25,
    cursor: int | None = None,
    oldest_first: bool = False,
) -> list[InstanceView]:
    """One page, newest first unless asked otherwise. Raises UsageError for a limit or a status that there is not."""
    _check_limit(limit)
    for status in statuses or ():
        if status not in set(InstanceStatus):
            raise UsageError(f"There is no status called {status!r}; there are {', '.join(InstanceStatus)}.")
    rows = reading.page(
        connection, workflow=workflow, statuses=statuses, limit=limit, cursor=cursor, oldest_first=oldest_first
    )
    return [InstanceView(**_summary(row)) for row in rows]


def _check_limit(limit: Any) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise UsageError(f"limit must be 1 to {MAX_PAGE:,}, not {limit!r}.")


def describe(connection: Connection, pk: int) -> InstanceDetail | None:
    """Everything there is to see of an instance's current run; None if it is gone."""
    row = reading.detail(connection, pk)
    if row is None:
        return None
    tried = attempts.of_run(connection, pk, row.run)
    waiting = timers.of_instance(connection, pk)
    # Last: a step that is settled while we look must not be missing in all three.
    journal = reading.steps_of(connection, pk, row.run)
    steps = _steps(journal, tried, waiting)
    status = InstanceStatus(row.status)
    return InstanceDetail(
        **_summary(row),
        params=decode(row.params),
        output=None if row.output is None else decode(row.output),
        error=None if row.error is None else public_error(row.error),
        step_count=len(steps),
        steps=steps,
        waiting_for=_waiting_for(status, waiting, row.paused_at),
        allowed_actions=list(ALLOWED[status]),
        version=_version(row, journal, tried, waiting),
    )


def _version(row: Any, journal: Sequence[Any], tried: Sequence[Any], waiting: Sequence[Any]) -> int:
    attempts_seen = [(attempt.id, attempt.state) for attempt in tried]
    waits_seen = [(wait.key, wait.due_at) for wait in waiting]
    return zlib.crc32(repr((row.run, row.status, len(journal), attempts_seen, waits_seen)).encode())


def public_error(text: str) -> dict[str, Any]:
    """What is shown of a stored error: its name and message."""
    data = decode(text)
    return {"name": data.get("name"), "message": data.get("message")}


def _summary(row: Any) -> dict[str, Any]:
    return {
        "id": row.instance_id,
        "workflow": row.workflow,
        "status": row.status,
        "run": row.run,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "modified_at": row.modified_at,
        "trigger": row.trigger,
        "cursor": row.id,
    }


def _steps(journal: Sequence[Any], tried: Sequence[Any], waiting: Sequence[Any]) -> list[StepView]:
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


def _identity(key: str, position: int) -> dict[str, Any]:
    kind, _, rest = key.partition(":")
    name, _, count = rest.rpartition(":")
    return {
        "kind": kind,
        "name": name,
        "count": int(count),
        "label": step_label(name, int(count)),
        "position": position,
    }


def _finished(row: Any, tried: list[Any]) -> StepView:
    tried = [attempt for attempt in tried if attempt.state == AttemptState.FAILED]
    log = [_attempt(attempt) for attempt in tried]
    identity = _identity(row.key, row.position)
    if identity["kind"] == StepKind.DO and not any(attempt.attempt == row.attempts for attempt in log):
        log.append(
            AttemptView(
                attempt=row.attempts, status=_settled(row), started_at=row.started_at, ended_at=row.ended_at,
                error=None if row.error is None else public_error(row.error), worker=row.worker,
            )
        )  # fmt: skip
    started = min([row.started_at, *(attempt.started_at for attempt in tried if attempt.started_at)])
    config = row.config if identity["kind"] != StepKind.DO else stored_config(row.config).shown
    return StepView(
        **identity,
        status=_settled(row),
        started_at=started,
        ended_at=row.ended_at,
        attempts=row.attempts,
        attempt_log=log,
        output=None if row.result is None else decode(row.result),
        error=None if row.error is None else public_error(row.error),
        config=None if config is None else decode(config),
    )


def _settled(row: Any) -> StepStatus:
    return StepStatus.COMPLETE if row.error is None else StepStatus.ERRORED


def _waiting(row: Any, tried: list[Any]) -> StepView:
    log = [_attempt(attempt) for attempt in tried]
    identity = _identity(row.key, row.position)
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


def _open(key: str, rows: list[Any]) -> StepView:
    last = rows[-1]
    status = {AttemptState.READY: "queued", AttemptState.RUNNING: "running", AttemptState.FAILED: "retrying"}
    return StepView(
        **_identity(key, last.position),
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


def _waiting_for(status: InstanceStatus, waiting: Sequence[Any], paused_at: int | None) -> str | None:
    if status == InstanceStatus.PAUSED:
        return "paused; resume it to go on"
    if status == InstanceStatus.QUEUED:
        return "a worker"
    if not waiting or status not in (InstanceStatus.WAITING, InstanceStatus.RUNNING):
        return None
    return ", ".join(_in_words(row) for row in waiting[:3]) + (
        f" and {len(waiting) - 3} more" if len(waiting) > 3 else ""
    )


def _in_words(row: Any) -> str:
    name = _identity(row.key, 0)["label"]
    lasts = in_words(max(row.due_at - row.started_at, 0))
    if row.kind == StepKind.WAIT_FOR_EVENT:
        return f"event {row.event_type!r} ({name}, for {lasts} at most)"
    return f"the next attempt of {name} (after {lasts})" if row.kind == RETRY else f"{name} to end (a sleep of {lasts})"
