"""One instance with everything there is to see of its current run."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from orchestrator.durations import in_words
from orchestrator.inspection.lists import summary
from orchestrator.inspection.steps import public_rollback, steps_of
from orchestrator.inspection.versions import versions_of
from orchestrator.inspection.views import InstanceDetail
from orchestrator.names import label_of, split_key
from orchestrator.serialization import decode, public_error
from orchestrator.statuses import RETRY, InstanceStatus, StepKind
from orchestrator.store import attempts, reading, timers
from orchestrator.transitions import allowed


def describe(connection: Connection, pk: int) -> InstanceDetail | None:
    """Everything there is to see of an instance's current run, in a snapshot; None if it is gone."""
    row = reading.detail(connection, pk)
    if row is None:
        return None
    tried = attempts.of_run(connection, pk, row.run)
    waiting = timers.of_instance(connection, pk)
    journal = reading.steps_of(connection, pk, row.run)
    steps = steps_of(journal, tried, waiting)
    status = InstanceStatus(row.status)
    return InstanceDetail(
        **summary(row),
        params=decode(row.params),
        output=None if row.output is None else decode(row.output),
        error=None if row.error is None else public_error(row.error),
        step_count=len(steps),
        steps=steps,
        waiting_for=_waiting_for(status, waiting, in_line=row.place is not None),
        allowed_actions=list(allowed(status, undone=row.rollback is not None)),
        rollback=public_rollback(row.rollback),
        version=_version(row, journal, tried, waiting),
        versions=versions_of(connection, pk, row.version),
    )


def _version(row: Any, journal: Sequence[Any], tried: Sequence[Any], waiting: Sequence[Any]) -> int:
    attempts_seen = [(attempt.id, attempt.state) for attempt in tried]
    waits_seen = [(wait.key, wait.due_at) for wait in waiting]
    return zlib.crc32(repr((row.run, row.status, len(journal), attempts_seen, waits_seen)).encode())


def _waiting_for(status: InstanceStatus, waiting: Sequence[Any], *, in_line: bool) -> str | None:
    if status == InstanceStatus.PAUSED:
        return "paused; resume it to go on"
    if status == InstanceStatus.QUEUED:
        return "a slot: its workflow runs as many instances at once as it may" if in_line else "a worker"
    if not waiting or status not in (InstanceStatus.WAITING, InstanceStatus.RUNNING, InstanceStatus.ROLLING_BACK):
        return None
    return ", ".join(_in_words(row) for row in waiting[:3]) + (
        f" and {len(waiting) - 3} more" if len(waiting) > 3 else ""
    )


def _in_words(row: Any) -> str:
    label = label_of(row.key)
    name = label if split_key(row.key)[0] != StepKind.ROLLBACK else f"the rollback of {label}"
    lasts = in_words(max(row.due_at - row.started_at, 0))
    if row.kind == StepKind.WAIT_FOR_EVENT:
        return f"event {row.event_type!r} ({name}, for {lasts} at most)"
    return f"the next attempt of {name} (after {lasts})" if row.kind == RETRY else f"{name} to end (a sleep of {lasts})"
