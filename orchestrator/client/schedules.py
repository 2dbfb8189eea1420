"""What a workflow's handle can do with its schedules; it starts nothing by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic

from orchestrator import inspection
from orchestrator.authoring.schedules import Schedule
from orchestrator.authoring.views import P
from orchestrator.client.instance import Instance
from orchestrator.engine import schedules
from orchestrator.inspection import ScheduleView

if TYPE_CHECKING:
    from orchestrator.authoring.workflow import Definition
    from orchestrator.client.root import Client


class ScheduleActions(Generic[P]):
    client: Client
    name: str
    _definition: Definition | None
    _queue: str

    def schedules(self) -> list[ScheduleView]:
        with self.client.reading() as connection:
            return inspection.list_schedules(connection, now=self.client.desk.clock.now_ms(), workflow=self.name)

    def add_schedule(
        self, cron: str, timezone: str = "UTC", params: P | Mapping[str, Any] | None = None
    ) -> ScheduleView:
        """Start an instance at every moment of a cron expression, from now on.

        Raises InvalidSchedule, ScheduleAlreadyExists, InvalidParams.
        """
        schedule = Schedule(cron, timezone, params)
        return self._shown(schedules.add(self.client.desk, self.name, schedule, self._encoded(params)))

    def remove_schedule(self, id: str) -> None:
        """Raises ScheduleNotFound, and ScheduleDeclared for one that the workflow's class declares."""
        schedules.remove(self.client.desk, self.name, id)

    def pause_schedule(self, id: str) -> ScheduleView:
        """Raises ScheduleNotFound."""
        return self._shown(schedules.pause(self.client.desk, self.name, id))

    def resume_schedule(self, id: str) -> ScheduleView:
        """Go on with the next moment; those of the pause are not made up for. Raises ScheduleNotFound."""
        return self._shown(schedules.resume(self.client.desk, self.name, id))

    def run_schedule(self, id: str) -> Instance:
        """Start an instance now, as if this were one of the schedule's moments. Raises ScheduleNotFound."""
        pk, instance_id = schedules.run_now(self.client.desk, self.name, self._queue, id)
        return Instance(self.client, self.name, instance_id, pk, self._definition)

    def _encoded(self, params: Any) -> str:
        raise NotImplementedError  # pragma: no cover - the handle's own

    def _shown(self, row: Any) -> ScheduleView:
        return inspection.schedule_view(row, self.client.desk.clock.now_ms())
