"""Starts instances when their schedules say so, once for each moment, whoever comes first; it runs no workflow code."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from orchestrator import cron
from orchestrator.authoring.schedules import Schedule
from orchestrator.doorbell import Ring
from orchestrator.engine import publishing
from orchestrator.engine.admission import Desk
from orchestrator.errors import ScheduleAlreadyExists, ScheduleDeclared, ScheduleNotFound
from orchestrator.names import scheduled_id
from orchestrator.settings import Settings
from orchestrator.statuses import TRIGGER_CRON
from orchestrator.store import instances, schedules
from orchestrator.store.database import Database

log = logging.getLogger(__name__)

CODE, API = "code", "api"
"""Who declared a schedule: the workflow's class, or somebody through the client."""
LIMIT = 100


def fire_due(database: Database, settings: Settings, now: int, *, grace_ms: int) -> list[Ring]:
    """Start what is due, and set each schedule to its next moment, in one transaction.

    Of the moments that nobody was there for only the last is made up for, and only within the catch-up window.
    """

    def work(connection: Connection) -> list[Ring]:
        rings = []
        for row in schedules.due(connection, now=now, limit=LIMIT):
            try:
                tick = cron.last_tick(
                    row.cron, row.timezone, since_ms=max(row.next_at, now - settings.catch_up_ms), until_ms=now
                )
                next_at = cron.next_tick(row.cron, row.timezone, now)
            except (LookupError, OSError):  # a time zone that was there when it was declared
                log.exception("schedule %s of workflow %r can't be read and is not run", row.id, row.workflow)
                tick = next_at = None
            if tick is not None:
                pk = _start(connection, settings, row, row.queue, tick, now, now + grace_ms)
                rings += [Ring(pk, row.queue)] if pk is not None else []
            else:
                log.warning("%r of workflow %r was missed for too long to make up for", row.cron, row.workflow)
            schedules.fired(connection, row.id, fired_at=tick, next_at=next_at)
        return rings

    return database.transaction(work)


def synchronise(
    connection: Connection, workflow: str, declared: list[tuple[Schedule, str]], now: int, *, source: str = CODE
) -> None:
    """Bring the schedules of one source up to what it declares now; those of the other stay as they are."""
    wanted = {(schedule.cron, schedule.timezone): params for schedule, params in declared}
    for row in schedules.of_workflow(connection, workflow):
        if row.source != source:
            continue
        params = wanted.pop((row.cron, row.timezone), None)
        if params is None:
            schedules.remove(connection, row.id)
        elif params != row.params:
            schedules.set_params(connection, row.id, params)
    for (expression, timezone), params in wanted.items():
        _insert(connection, workflow, source, expression, timezone, params, now)


def add(desk: Desk, workflow: str, schedule: Schedule, params: str) -> Any:
    """Its row. Raises ScheduleAlreadyExists if the workflow has this one already."""
    now = desk.clock.now_ms()

    def work(connection: Connection) -> Any:
        same = [
            row
            for row in schedules.of_workflow(connection, workflow)
            if (row.cron, row.timezone) == (schedule.cron, schedule.timezone)
        ]
        if same:
            return None
        return _insert(connection, workflow, API, schedule.cron, schedule.timezone, params, now)

    row = desk.database.transaction(work)
    if row is None:
        raise ScheduleAlreadyExists(
            f"Workflow {workflow!r} has the schedule {schedule.cron!r} ({schedule.timezone}) already; "
            "remove that one first to change its params."
        )
    return row


def pause(desk: Desk, workflow: str, id: str) -> Any:
    now = desk.clock.now_ms()
    return _change(desk, workflow, id, lambda connection, row: schedules.pause(connection, row.id, now=now))


def resume(desk: Desk, workflow: str, id: str) -> Any:
    """Go on with the next moment; those of the pause are not made up for."""
    now = desk.clock.now_ms()

    def work(connection: Connection, row: Any) -> None:
        if row.paused_at is not None:
            schedules.resume(connection, row.id, next_at=cron.next_tick(row.cron, row.timezone, now))

    return _change(desk, workflow, id, work)


def remove(desk: Desk, workflow: str, id: str) -> None:
    """Raises ScheduleDeclared for one that the workflow's class declares: it would be back with the next worker."""

    def work(connection: Connection, row: Any) -> None:
        if row.source == CODE:
            raise ScheduleDeclared(
                f"Schedule {id} ({row.cron!r}) is declared by the class of workflow {workflow!r}: remove it there, or "
                "pause it here."
            )
        schedules.remove(connection, row.id)

    _change(desk, workflow, id, work)


def run_now(desk: Desk, workflow: str, queue: str, id: str) -> tuple[int, str]:
    """Start an instance as if this were one of the schedule's moments; (key, id)."""
    now = desk.clock.now_ms()

    def work(connection: Connection) -> tuple[int, str]:
        row = _locked(connection, workflow, id)
        moment = now
        while (pk := _start(connection, desk.settings, row, queue, moment, now, now + desk.grace_ms)) is None:
            moment += 1  # somebody has run it in this very millisecond
        return pk, scheduled_id(row.cron, row.timezone, moment)

    pk, instance_id = desk.database.transaction(work)
    desk.doorbell.ring([Ring(pk, queue)])
    return pk, instance_id


def _start(
    connection: Connection, settings: Settings, row: Any, queue: str, tick: int, now: int, ring_at: int
) -> int | None:
    """The instance's key; None if it has been started for this moment already: its id is the moment's."""
    pk = instances.insert(
        connection,
        workflow=row.workflow,
        instance_id=scheduled_id(row.cron, row.timezone, tick),
        queue=queue,
        params=row.params,
        trigger=TRIGGER_CRON,
        success_retention_ms=None,
        error_retention_ms=None,
        ring_at=ring_at,
        now=now,
    )
    if pk is not None:
        publishing.note(settings, connection, pk, publishing.QUEUED, now)
    return pk


def _insert(
    connection: Connection, workflow: str, source: str, expression: str, timezone: str, params: str, now: int
) -> Any:
    return schedules.insert(
        connection,
        workflow=workflow,
        source=source,
        cron=expression,
        timezone=timezone,
        params=params,
        now=now,
        next_at=cron.next_tick(expression, timezone, now),
    )


def _change(desk: Desk, workflow: str, id: str, change: Callable[[Connection, Any], None]) -> Any:
    """Its row, after the change. Raises ScheduleNotFound."""

    def work(connection: Connection) -> Any:
        row = _locked(connection, workflow, id)
        change(connection, row)
        return schedules.lock(connection, workflow, row.id)

    return desk.database.transaction(work)


def _locked(connection: Connection, workflow: str, id: str) -> Any:
    row = schedules.lock(connection, workflow, int(id)) if id.isascii() and id.isdigit() and len(id) < 19 else None
    if row is None:
        raise ScheduleNotFound(f"Workflow {workflow!r} has no schedule {id!r}.")
    return row
