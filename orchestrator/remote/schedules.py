"""What the handle of a workflow on a server can do with its schedules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic

from orchestrator.authoring.schedules import Schedule
from orchestrator.authoring.views import P
from orchestrator.errors import ScheduleNotFound
from orchestrator.inspection import ScheduleView
from orchestrator.names import is_text
from orchestrator.remote.address import can_be_in_a_path
from orchestrator.remote.instance import RemoteInstance
from orchestrator.remote.records import record

if TYPE_CHECKING:
    from orchestrator.authoring.workflow import Definition
    from orchestrator.remote.root import RemoteClient


class RemoteScheduleActions(Generic[P]):
    client: RemoteClient
    name: str
    _definition: Definition | None

    def schedules(self) -> list[ScheduleView]:
        answer = self.client.transport.get("workflows", self.name, "schedules")
        return [record(ScheduleView, row) for row in answer["schedules"]]

    def add_schedule(
        self, cron: str, timezone: str = "UTC", params: P | Mapping[str, Any] | None = None
    ) -> ScheduleView:
        """Start an instance at every moment of a cron expression, from now on.

        Raises InvalidSchedule, ScheduleAlreadyExists, InvalidParams.
        """
        schedule = Schedule(cron, timezone, params)
        body = f"{{{', '.join(self._scheduled(schedule))}}}"
        answer = self.client.transport.ask("POST", "workflows", self.name, "schedules", body=body)
        return record(ScheduleView, answer)

    def remove_schedule(self, id: str) -> None:
        """Raises ScheduleNotFound, and ScheduleDeclared for one that the workflow's class declares."""
        self.client.transport.send("DELETE", *self._schedule(id))

    def pause_schedule(self, id: str) -> ScheduleView:
        """Raises ScheduleNotFound."""
        return self._changed(id, "pause")

    def resume_schedule(self, id: str) -> ScheduleView:
        """Go on with the next moment; those of the pause are not made up for. Raises ScheduleNotFound."""
        return self._changed(id, "resume")

    def run_schedule(self, id: str) -> RemoteInstance:
        """Start an instance now, as if this were one of the schedule's moments. Raises ScheduleNotFound."""
        answer = self.client.transport.ask("POST", *self._schedule(id), "run")
        return RemoteInstance(self.client, answer["workflow"], answer["id"], self._definition)

    def _scheduled(self, schedule: Schedule) -> list[str]:
        """The members of a request's body, as JSON text."""
        fields = [f'"cron": {json.dumps(schedule.cron)}', f'"timezone": {json.dumps(schedule.timezone)}']
        return fields + ([] if schedule.params is None else [f'"params": {self._encoded(schedule.params)}'])

    def _changed(self, id: str, change: str) -> ScheduleView:
        body = json.dumps({"status": change})
        return record(ScheduleView, self.client.transport.ask("PATCH", *self._schedule(id), "status", body=body))

    def _schedule(self, id: str) -> tuple[str, ...]:
        if not (is_text(id) and can_be_in_a_path(id) and "/" not in id):
            raise ScheduleNotFound(f"Workflow {self.name!r} has no schedule {id!r}.")
        return "workflows", self.name, "schedules", id

    def _encoded(self, params: Any) -> str:
        raise NotImplementedError  # pragma: no cover - the handle's own
