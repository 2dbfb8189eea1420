"""Instances that sleep for months, written straight into the tables: starting so many would take longer than the rest."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, insert, select

from orchestrator.authoring.workflow import DEFAULT_QUEUE
from orchestrator.names import step_key
from orchestrator.statuses import InstanceStatus, StepKind
from orchestrator.store.database import Database
from orchestrator.store.schema import instances, timers

_FIRST = 1_000_000  # far from the keys of instances that were started
_MONTHS_MS = 90 * 86_400_000
_BATCH = 5000
_KEY = step_key(StepKind.SLEEP, "due", 1)


def put_to_sleep(database: Database, count: int) -> None:
    """As they are after `step.sleep_until` of the workflow `timer`: let go of by everybody, with a timer each."""
    now = database.clock.now_ms()
    for start in range(_FIRST, _FIRST + count, _BATCH):
        numbers = range(start, min(start + _BATCH, _FIRST + count))

        def write(connection: Connection, numbers: range = numbers) -> None:
            connection.execute(insert(instances), [_instance(n, now) for n in numbers])
            connection.execute(insert(timers), [_timer(n, now) for n in numbers])

        database.transaction(write)


def count_sleepers(database: Database) -> int:
    asleep = select(func.count()).select_from(instances.join(timers, timers.c.instance_id == instances.c.id))
    with database.read() as connection:
        return connection.execute(
            asleep.where(instances.c.id >= _FIRST, instances.c.status == InstanceStatus.WAITING)
        ).scalar_one()


def _instance(number: int, now: int) -> dict[str, Any]:
    times = {"created_at": now, "started_at": now, "modified_at": now}
    who = {"id": number, "workflow": "timer", "instance_id": f"sleeper-{number}", "queue": DEFAULT_QUEUE}
    return {**who, **times, "status": InstanceStatus.WAITING, "fence": 1, "params": "{}", "trigger": "api"}


def _timer(number: int, now: int) -> dict[str, Any]:
    due = now + _MONTHS_MS
    what = {"key": _KEY, "kind": StepKind.SLEEP, "position": 2, "queue": DEFAULT_QUEUE}
    return {**what, "instance_id": number, "started_at": now, "due_at": due, "ring_at": due - 10_000}
