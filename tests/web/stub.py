"""A client in memory with the rules that the web room relies on; it runs no workflow and must not grow an engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from orchestrator.client import InstanceState, StepOutput
from orchestrator.errors import (
    ActionNotAllowed,
    InstanceAlreadyExists,
    InstanceNotFound,
    RunNotFound,
    ScheduleNotFound,
    StepNotFound,
    VersionNotFound,
    WorkflowNotFound,
)
from orchestrator.inspection import (
    AggregateRow,
    AttemptView,
    InstanceDetail,
    InstanceView,
    RunView,
    ScheduleView,
    StepView,
    VersionView,
    WorkflowView,
)
from orchestrator.names import check_event_type, check_instance_id, check_workflow_name
from orchestrator.settings import Settings
from orchestrator.statuses import InstanceStatus

T0 = 1_763_793_062_123
"""2025-11-22T06:31:02.123Z"""
ALLOWED = {
    "queued": ["pause", "terminate", "restart", "send_event", "delete"],
    "running": ["pause", "terminate", "restart", "send_event", "delete"],
    "waiting": ["pause", "terminate", "restart", "send_event", "delete"],
    "paused": ["resume", "terminate", "restart", "send_event", "delete"],
    "errored": ["restart", "delete"],
    "terminated": ["restart", "delete"],
    "complete": ["restart", "delete"],
}
START = {"name": "charge", "count": 2, "type": "do"}
BECOMES = {"pause": "paused", "resume": "queued", "terminate": "terminated", "restart": "queued"}


def attempt(number: int, **values: Any) -> AttemptView:
    base: dict[str, Any] = {"status": "errored", "started_at": T0, "ended_at": T0 + 300, "error": None, "worker": "w-1"}
    return AttemptView(attempt=number, **(base | values))


def step(name: str, **values: Any) -> StepView:
    base: dict[str, Any] = {
        "count": 1, "label": f"{name}-1", "kind": "do", "status": "complete", "started_at": T0, "ended_at": T0 + 1500,
        "due_at": None, "attempts": 1, "attempt_log": [], "output": None, "error": None, "config": None,
    }  # fmt: skip
    return StepView(name=name, **(base | values))


def detail(id: str = "o-1", workflow: str = "orders", **values: Any) -> InstanceDetail:
    base: dict[str, Any] = {
        "status": "queued", "run": 1, "created_at": T0, "started_at": None, "ended_at": None, "modified_at": T0,
        "trigger": "api", "params": {}, "output": None, "error": None, "step_count": 0, "steps": [],
        "waiting_for": None, "allowed_actions": ALLOWED.get(values.get("status", "queued"), []), "version": 1,
        "cursor": values.get("created_at", T0),
    }  # fmt: skip
    return InstanceDetail(id=id, workflow=workflow, **(base | values))


def view(row: InstanceDetail) -> InstanceView:
    return InstanceView(**{field.name: getattr(row, field.name) for field in dataclasses.fields(InstanceView)})


class StubInstance:
    def __init__(self, rows: dict[str, InstanceDetail], id: str, workflow: str, client: StubClient) -> None:
        self._rows, self.id, self.workflow = rows, id, workflow
        self._events, self._asked = client.events, client.asked

    def describe(self, run: int | None = None) -> InstanceDetail:
        now = self._rows[self.id]
        if run is None or run == now.run:
            return now
        if run > now.run:
            raise RunNotFound(f"Instance {self.id!r} has no run {run}.")
        return dataclasses.replace(now, run=run, status="errored", steps=[], allowed_actions=[])

    def runs(self) -> list[RunView]:
        """All but the current one have failed, and the current one was begun from a step."""
        now = self._rows[self.id]
        return [
            RunView(
                run=run, status=now.status if run == now.run else "errored", output=None, error=None, started_at=T0,
                ended_at=T0 + 1000, restarted_from=START if run == now.run > 1 else None,
            )
            for run in range(1, now.run + 1)
        ]  # fmt: skip

    def step(self, name: str, *, count: int = 1, type: str = "do", attempt: int | None = None) -> StepOutput:
        for step in self._rows[self.id].steps:
            if (step.name, step.count, step.kind) == (name, count, type):
                return StepOutput(step.status, step.output, step.error, None)
        raise StepNotFound(f"Instance {self.id!r} has not come to step {name}-{count}.")

    def status(self) -> InstanceState:
        now = self.describe()
        return InstanceState(InstanceStatus(now.status), now.output, now.error)

    def _act(self, action: str) -> InstanceState:
        now = self.describe()
        if action not in now.allowed_actions:
            raise ActionNotAllowed(action, now.status, now.allowed_actions)
        status = BECOMES[action]
        self._rows[self.id] = dataclasses.replace(now, status=status, allowed_actions=ALLOWED[status])
        return self.status()

    def pause(self) -> InstanceState:
        return self._act("pause")

    def resume(self) -> InstanceState:
        return self._act("resume")

    def terminate(self, *, rollback: bool = False) -> InstanceState:
        self._asked.append({"rollback": rollback})
        return self._act("terminate")

    def restart(self, *, from_: Any = None) -> InstanceState:
        self._asked.append({"from": from_})
        return self._act("restart")

    def delete(self) -> None:
        del self._rows[self.id]

    def send_event(self, type: str, payload: Any = None) -> None:
        self._events.append((self.id, check_event_type(type), payload))


class StubWorkflow:
    def __init__(self, client: StubClient, name: str) -> None:
        self._client, self.name = client, check_workflow_name(name)

    def _rows(self) -> dict[str, InstanceDetail]:
        if self.name not in self._client.rows:
            raise WorkflowNotFound(f"There is no workflow called {self.name!r}.")
        return self._client.rows[self.name]

    def create(self, params: Any = None, *, id: str | None = None, retention: Any = None) -> StubInstance:
        rows = self._rows()
        id = check_instance_id(id if id is not None else f"made-{len(rows)}")
        if id in rows:
            raise InstanceAlreadyExists(f"Workflow {self.name!r} has an instance {id!r} already.")
        rows[id] = detail(id, self.name, params=params, trigger="api")
        return self.get(id)

    def get(self, id: str) -> StubInstance:
        if id not in self._rows():
            raise InstanceNotFound(f"Workflow {self.name!r} has no instance {id!r}.")
        return StubInstance(self._rows(), id, self.name, self._client)

    def list(
        self,
        status: Sequence[str] | None = None,
        limit: int = 25,
        before: int | None = None,
        oldest_first: bool = False,
        since: int | None = None,
        until: int | None = None,
    ) -> list[InstanceView]:
        self._client.asked.append({"status": status, "limit": limit, "before": before, "oldest_first": oldest_first})
        found = [view(row) for row in self._rows().values() if not status or row.status in status]
        return sorted(found, key=lambda row: row.created_at, reverse=not oldest_first)[:limit]

    def schedules(self) -> list[ScheduleView]:
        return self._client.schedules

    def _schedule(self, id: str) -> int:
        for place, view in enumerate(self._client.schedules):
            if view.id == id:
                return place
        raise ScheduleNotFound(f"Workflow {self.name!r} has no schedule {id!r}.")

    def _paused(self, id: str, paused: bool) -> None:
        place = self._schedule(id)
        self._client.schedules[place] = dataclasses.replace(self._client.schedules[place], paused=paused)

    def pause_schedule(self, id: str) -> None:
        self._paused(id, True)

    def resume_schedule(self, id: str) -> None:
        self._paused(id, False)

    def run_schedule(self, id: str) -> StubInstance:
        self._schedule(id)
        return self.create(id="by-schedule")

    def versions(self) -> list[VersionView]:
        return self._client.versions

    def version(self, id: str) -> VersionView:
        for view in self._client.versions:
            if view.id == id:
                return view
        raise VersionNotFound(f"Workflow {self.name!r} has no version {id!r}.")

    def graph(self, version_id: str | None = None) -> dict[str, Any]:
        return self._client.graph

    def aggregates(
        self, since: int | None = None, until: int | None = None, group_by: Sequence[str] = ("hour",)
    ) -> list[AggregateRow]:
        return self._client.aggregates if not group_by else []

    def terminate_all(self) -> None:
        self._client.asked.append({"terminate_all": self.name})

    def delete(self) -> None:
        del self._client.rows[self.name]

    def describe(self) -> WorkflowView:
        statuses = [row.status for row in self._rows().values()]
        return WorkflowView(
            name=self.name,
            class_name="Orders",
            module="shop",
            queue="default",
            created_at=T0,
            seen_at=T0,
            triggered_at=T0 if statuses else None,
            instances={status: statuses.count(status) for status in statuses},
            **self._client.set_up,
        )


class StubAccess:
    def __init__(self) -> None:
        self.recorded: list[tuple[str, ...]] = []

    def record(self, actor: str, action: str, target: str, result: str, request_id: str | None = None) -> None:
        self.recorded.append((actor, action, target, result))


class StubClient:
    def __init__(self) -> None:
        self.settings = Settings()
        self.access = StubAccess()
        self.rows: dict[str, dict[str, InstanceDetail]] = {"orders": {}}
        self.events: list[tuple[str, str, Any]] = []
        self.asked: list[dict[str, Any]] = []
        self.failure: Exception | None = None
        self.schedules: list[ScheduleView] = []
        self.versions: list[VersionView] = []
        self.graph: dict[str, Any] = {}
        self.aggregates: list[AggregateRow] = []
        self.set_up: dict[str, Any] = {}

    def add(self, row: InstanceDetail) -> InstanceDetail:
        self.rows.setdefault(row.workflow, {})[row.id] = row
        return row

    def workflow(self, workflow: Any) -> StubWorkflow:
        self._maybe_fail()
        return StubWorkflow(self, workflow if isinstance(workflow, str) else workflow.name)

    def workflows(self) -> list[WorkflowView]:
        self._maybe_fail()
        return [self.workflow(name).describe() for name in self.rows]

    def instances(self, *, limit: int = 25) -> list[InstanceView]:
        self._maybe_fail()
        found = [view(row) for rows in self.rows.values() for row in rows.values()]
        return sorted(found, key=lambda row: row.created_at, reverse=True)[:limit]

    def _maybe_fail(self) -> None:
        if self.failure is not None:
            raise self.failure
