"""Schedules as people see them, with the moments that come next; it changes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from orchestrator import cron
from orchestrator.serialization import decode
from orchestrator.store import schedules

SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleView:
    """Times are epoch milliseconds."""

    id: str
    workflow: str
    cron: str
    timezone: str
    params: Any
    source: str
    """`code`: the workflow's class declares it. `api`: it was added from outside."""
    paused: bool
    created_at: int
    next_at: int | None
    """None while it is paused."""
    last_at: int | None
    """The last moment for which an instance was started."""
    next_times: list[int]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def list_schedules(connection: Connection, *, now: int, workflow: str | None = None) -> list[ScheduleView]:
    rows = schedules.all_(connection) if workflow is None else schedules.of_workflow(connection, workflow)
    return [schedule_view(row, now) for row in rows]


def schedule_view(row: Any, now: int) -> ScheduleView:
    try:
        upcoming = [] if row.paused_at is not None else cron.next_ticks(row.cron, row.timezone, now, SHOWN)
    except (LookupError, OSError):  # its time zone is not known here
        upcoming = []
    return ScheduleView(
        id=str(row.id),
        workflow=row.workflow,
        cron=row.cron,
        timezone=row.timezone,
        params=decode(row.params),
        source=row.source,
        paused=row.paused_at is not None,
        created_at=row.created_at,
        next_at=row.next_at,
        last_at=row.last_at,
        next_times=upcoming,
    )
