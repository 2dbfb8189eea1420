"""What is done to all instances of a workflow in the background: terminating them, or removing them with the workflow.

A job is a row; whichever worker comes next goes on with it for a while, so it survives them all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection

from orchestrator.doorbell import Ring
from orchestrator.engine import lifecycle
from orchestrator.engine.admission import Desk
from orchestrator.errors import ActionNotAllowed, UsageError
from orchestrator.statuses import InstanceStatus
from orchestrator.store import instances, jobs, schedules, workflows

TERMINATE, DELETE = "terminate", "delete"
STATUSES = (
    InstanceStatus.QUEUED,
    InstanceStatus.RUNNING,
    InstanceStatus.PAUSED,
    InstanceStatus.WAITING,
    InstanceStatus.WAITING_FOR_PAUSE,
)
"""What can be terminated."""
BATCH = 100
PATIENCE_MS = 30_000
"""After it a job whose worker has not been heard of is gone on with by another."""


@dataclass(frozen=True, slots=True)
class BulkJob:
    status: Literal["ok", "already_running"]


def terminate_all(desk: Desk, workflow: str, statuses: Sequence[str] | None) -> BulkJob:
    """Terminate all instances there are now, or those in some statuses. Raises UsageError for another status."""
    chosen = list(STATUSES if statuses is None else statuses)
    wrong = [status for status in chosen if status not in STATUSES]
    if wrong or not chosen:
        raise UsageError(
            f"Instances that are {', '.join(map(str, wrong)) or 'in no status'} can't be terminated; "
            f"those that are {', '.join(STATUSES)} can."
        )
    text, now = json.dumps(chosen), desk.clock.now_ms()
    added = desk.database.statement(
        lambda connection: jobs.add(connection, kind=TERMINATE, workflow=workflow, statuses=text, now=now)
    )
    return BulkJob("ok" if added else "already_running")


def delete(desk: Desk, workflow: str) -> BulkJob:
    """Forget a workflow and its schedules now, and remove the instances there are now in the background."""
    now = desk.clock.now_ms()

    def work(connection: Connection) -> bool:
        workflows.remove(connection, workflow)
        schedules.remove_all(connection, workflow)
        return jobs.add(connection, kind=DELETE, workflow=workflow, statuses="[]", now=now)

    return BulkJob("ok" if desk.database.transaction(work) else "already_running")


def go_on(desk: Desk) -> bool:
    """Do a part of a job. False if there is none to be done."""
    now = desk.clock.now_ms()
    job = desk.database.statement(lambda connection: jobs.take(connection, now=now, again_at=now + PATIENCE_MS))
    if job is None:
        return False
    with desk.database.read() as connection:
        keys = jobs.next_instances(
            connection, workflow=job.workflow, last=job.last, up_to=job.up_to, statuses=json.loads(job.statuses),
            limit=BATCH,
        )  # fmt: skip
    if job.kind == DELETE:
        _remove(desk, keys)
    else:
        for key in keys:
            _terminate(desk, key)
    if len(keys) < BATCH:
        desk.database.statement(lambda connection: jobs.done(connection, job.id))
    else:
        desk.database.statement(lambda connection: jobs.go_on(connection, job.id, last=keys[-1], now=now))
    return True


def _terminate(desk: Desk, key: int) -> None:
    try:
        lifecycle.terminate(desk, key)
    except ActionNotAllowed:
        return  # it has ended by itself meanwhile


def _remove(desk: Desk, keys: Sequence[int]) -> None:
    def work(connection: Connection) -> Sequence[Any]:
        found = instances.lock_some(connection, keys)
        instances.remove(connection, [row.id for row in found])
        return found

    gone = desk.database.transaction(work) if keys else []
    if gone:
        desk.doorbell.ring([Ring(row.id, row.queue) for row in gone])  # whoever holds one looks, and stops
    for row in gone:
        desk.notifier.changed(row.id)
