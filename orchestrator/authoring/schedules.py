"""The schedules an author declares beside a workflow; it only checks them, and starts nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.cron import check_cron, check_timezone
from orchestrator.errors import InvalidSchedule
from orchestrator.names import MAX_ADDRESS, scheduled_id

MAX_SCHEDULES = 100


@dataclass(frozen=True, slots=True)
class Schedule:
    """Start an instance at every moment of a cron expression, as read in a time zone, with these params."""

    cron: str
    timezone: str = "UTC"
    params: Any = None

    def __post_init__(self) -> None:
        """Raises InvalidSchedule."""
        object.__setattr__(self, "cron", check_cron(self.cron))
        check_timezone(self.timezone)
        if len(scheduled_id(self.cron, self.timezone, 10**12)) > MAX_ADDRESS:
            raise InvalidSchedule(f"The cron expression {self.cron!r} is too long for the ids of its instances.")


One = str | Schedule | Mapping[str, Any]
Schedules = One | Sequence[One]


def declared(schedules: Any, what: str) -> list[Schedule]:
    """A cron expression, a Schedule or a mapping of its fields, or several of them. Raises InvalidSchedule."""
    if isinstance(schedules, str | Schedule | Mapping):
        schedules = [schedules]
    if not isinstance(schedules, Sequence):
        raise InvalidSchedule(f"{what} is {schedules!r}; it must be a cron expression, a Schedule, or a list of them.")
    if len(schedules) > MAX_SCHEDULES:
        raise InvalidSchedule(f"{what} has {len(schedules)} schedules; at most {MAX_SCHEDULES} are allowed.")
    found = [_one(schedule, what) for schedule in schedules]
    seen: set[tuple[str, str]] = set()
    for schedule in found:
        if (schedule.cron, schedule.timezone) in seen:
            raise InvalidSchedule(f"{what} has {schedule.cron!r} ({schedule.timezone}) twice; each may stand once.")
        seen.add((schedule.cron, schedule.timezone))
    return found


def _one(given: Any, what: str) -> Schedule:
    if isinstance(given, Schedule):
        return given
    if not isinstance(given, Mapping):
        return Schedule(given)
    fields = {"cron", "timezone", "params"}
    if "cron" not in given or not fields.issuperset(given):
        raise InvalidSchedule(f"{what} has {dict(given)!r}; write a schedule with `cron`, and `timezone` and `params`.")
    return Schedule(**given)
