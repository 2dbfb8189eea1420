"""A client without a database, at the one seam of the command line; it decides nothing a real client decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

from orchestrator.client import BatchCreated, BatchDeleted, BatchError, BulkJob, InstanceEvent
from orchestrator.errors import InstanceNotFound, OrchestratorError, ResultTimeout, WorkflowNotFound
from orchestrator.inspection import (
    AttemptView,
    InstanceDetail,
    InstanceView,
    RunView,
    ScheduleView,
    StepView,
    WorkflowView,
)
from orchestrator.statuses import FINITE

T0 = 1_790_000_000_000


def step(name: str = "charge", **changes: Any) -> StepView:
    known: dict[str, Any] = {
        "name": name,
        "count": 1,
        "label": f"{name}-1",
        "kind": "do",
        "status": "complete",
        "started_at": T0 + 100,
        "ended_at": T0 + 600,
        "due_at": None,
        "attempts": 1,
        "attempt_log": [],
        "output": {"paid": True},
        "error": None,
        "config": None,
    }
    return StepView(**{**known, **changes})


def failed_attempt(number: int, message: str = "declined") -> AttemptView:
    error = {"name": "CardError", "message": message}
    return AttemptView(
        attempt=number, status="failed", started_at=T0, ended_at=T0 + 50, error=error, worker="host:7:abc"
    )


def detail(id: str = "order-1", **changes: Any) -> InstanceDetail:
    known: dict[str, Any] = {
        "id": id,
        "workflow": "orders",
        "status": "complete",
        "run": 1,
        "created_at": T0,
        "started_at": T0 + 10,
        "ended_at": T0 + 1_010,
        "modified_at": T0 + 1_010,
        "trigger": "api",
        "params": {"items": ["a"]},
        "output": {"receipt": 7},
        "error": None,
        "step_count": 1,
        "steps": [step()],
        "waiting_for": None,
        "allowed_actions": ["restart", "delete"],
        "cursor": 1,
        "version": 1,
    }
    return InstanceDetail(**{**known, **changes})


def view_of(found: InstanceDetail) -> InstanceView:
    return InstanceView(**{field.name: getattr(found, field.name) for field in fields(InstanceView)})


def schedule(**changes: Any) -> ScheduleView:
    known: dict[str, Any] = {
        "id": "7", "workflow": "orders", "cron": "0 7 * * *", "timezone": "UTC", "params": {}, "source": "api",
        "paused": False, "created_at": T0, "next_at": T0, "last_at": None, "next_times": [T0, T0 + 86_400_000],
    }  # fmt: skip
    return ScheduleView(**{**known, **changes})


class StubInstance:
    """Tells what it was told to, and remembers what was asked of it."""

    def __init__(self, stages: Sequence[InstanceDetail], calls: list[tuple[Any, ...]]) -> None:
        self.stages = list(stages)
        self.calls = calls
        self.id, self.workflow = self.stages[-1].id, self.stages[-1].workflow
        self.refusal: BaseException | None = None

    def describe(self, run: int | None = None) -> InstanceDetail:
        return self.stages[-1] if run is None else replace(self.stages[-1], run=run)

    def status(self) -> Any:
        last = self.stages[-1]
        return SimpleNamespace(status=last.status, output=last.output, error=last.error)

    def result(self, timeout: float | None = None, *, type: Any = None) -> Any:
        self._do("result", timeout)
        self._must_have_ended()
        return self.stages[-1].output

    def watch(self, timeout: float | None = None) -> Iterator[InstanceDetail]:
        self._do("watch", timeout)
        yield from self.stages
        self._must_have_ended()

    def _must_have_ended(self) -> None:
        if self.stages[-1].status not in FINITE:
            raise ResultTimeout(f"{self.id} did not end in time.")

    def _do(self, action: str, *given: Any) -> Any:
        self.calls.append((action, self.id, *given))
        if self.refusal is not None:
            raise self.refusal
        return SimpleNamespace(status="paused" if action == "pause" else "queued", output=None, error=None)

    def pause(self) -> Any:
        return self._do("pause")

    def resume(self) -> Any:
        return self._do("resume")

    def terminate(self, *, rollback: bool = False) -> Any:
        return self._do("terminate", *(["rollback"] if rollback else []))

    def runs(self) -> list[RunView]:
        return [
            RunView(run=1, status="errored", output=None, error={"name": "E", "message": "bad"}, started_at=T0,
                    ended_at=T0 + 50, restarted_from=None),
            RunView(run=2, status="running", output=None, error=None, started_at=T0 + 60, ended_at=None,
                    restarted_from={"name": "charge", "count": 1, "type": "do"}),
        ]  # fmt: skip

    def subscribe(self, **asked: Any) -> Iterator[InstanceEvent]:
        self._do("subscribe", asked)
        yield InstanceEvent(self.id, 1, T0, "workflow_started", {"params": {}})
        yield InstanceEvent(self.id, 2, T0 + 5, "step_completed", {"step_name": "charge-1", "output": {"paid": True}})

    def restart(self, *, from_: Any = None) -> Any:
        return self._do("restart", *([] if from_ is None else [from_]))

    def delete(self) -> None:
        self._do("delete")

    def send_event(self, type: str, payload: Any = None) -> None:
        self._do("send_event", type, payload)


class StubWorkflow:
    def __init__(self, client: StubClient, name: str) -> None:
        self.client, self.name = client, name

    def create(self, params: Any = None, *, id: str | None = None, trigger: str = "api") -> StubInstance:
        self._must_exist()
        self.client.calls.append(("create", self.name, params, id, trigger))
        made = self.client.made
        if id is not None:
            made = [replace(stage, id=id) for stage in made]
        return StubInstance(made, self.client.calls)

    def get(self, id: str) -> StubInstance:
        self._must_exist()
        found = self.client.stored.get(id)
        if found is None:
            raise InstanceNotFound(f"There is no instance {id!r} of {self.name}.")
        return found

    def latest(self) -> StubInstance:
        self._must_exist()
        if not self.client.stored:
            raise InstanceNotFound(f"{self.name} has no instance yet.")
        return list(self.client.stored.values())[-1]

    def find(self, prefix: str, limit: int = 10) -> Sequence[InstanceView]:
        found = [view_of(found.describe()) for id, found in self.client.stored.items() if id.startswith(prefix)]
        return found[::-1][:limit]

    def delete_batch(self, ids: Sequence[str]) -> BatchDeleted:
        self.client.calls.append(("delete_batch", *ids))
        gone = [id for id in ids if id in self.client.stored]
        errors = [
            BatchError(index, id, 10400, f"There is no {id}.")
            for index, id in enumerate(ids)
            if id not in self.client.stored
        ]
        return BatchDeleted(gone, errors)

    def list(self, **asked: Any) -> list[InstanceView]:
        self._must_exist()
        self.client.calls.append(("list", self.name, asked))
        return [view_of(found.describe()) for found in self.client.stored.values()]

    def describe(self) -> WorkflowView:
        self._must_exist()
        return next(view for view in self.client.known if view.name == self.name)

    def create_batch(self, instances: Any = None, *, count: Any = None, params: Any = None) -> BatchCreated:
        self._must_exist()
        self.client.calls.append(("create_batch", self.name, instances, count, params))
        given = instances or [{"id": f"made-{number}"} for number in range(count)]
        made: list[Any] = [self.client.has(detail(one.get("id", "made"))) for one in given if one.get("id") != "taken"]
        errors = [
            BatchError(index, "taken", 10405, "taken is taken.")
            for index, one in enumerate(given)
            if one.get("id") == "taken"
        ]
        return BatchCreated(made, errors)

    def terminate_all(self, status: Any = None) -> BulkJob:
        self._must_exist()
        self.client.calls.append(("terminate_all", status))
        return BulkJob("ok" if status is None else "already_running")

    def delete(self) -> BulkJob:
        self._must_exist()
        self.client.calls.append(("delete_workflow", self.name))
        return BulkJob("ok")

    def schedules(self) -> list[ScheduleView]:
        return [view for view in self.client.schedules() if view.workflow == self.name]

    def add_schedule(self, cron: str, timezone: str = "UTC", params: Any = None) -> ScheduleView:
        self.client.calls.append(("add_schedule", cron, timezone, params))
        return schedule(cron=cron, timezone=timezone, params=params or {})

    def remove_schedule(self, id: str) -> None:
        self.client.calls.append(("remove_schedule", id))

    def pause_schedule(self, id: str) -> ScheduleView:
        self.client.calls.append(("pause_schedule", id))
        return schedule(paused=True, next_at=None, next_times=[])

    def resume_schedule(self, id: str) -> ScheduleView:
        self.client.calls.append(("resume_schedule", id))
        return schedule()

    def run_schedule(self, id: str) -> StubInstance:
        self.client.calls.append(("run_schedule", id))
        return self.client.has(detail("0 7 * * *-1800000000000"))

    def _must_exist(self) -> None:
        if self.client.failure is not None:
            raise self.client.failure
        if self.name not in [view.name for view in self.client.known]:
            raise WorkflowNotFound(f"There is no workflow called {self.name!r}.")


class StubClient:
    """One workflow, `orders`, with the instances a test puts in."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.asked_for: list[Any] = []
        self.stored: dict[str, StubInstance] = {}
        self.made: list[InstanceDetail] = [detail()]
        self.planned: list[ScheduleView] = []
        self.failure: OrchestratorError | None = None
        counts = {"complete": 1200, "errored": 3, "queued": 0}
        self.known = [
            WorkflowView(
                name="orders",
                class_name="Orders",
                module="shop.flows",
                queue="default",
                created_at=T0,
                seen_at=T0,
                triggered_at=None,
                instances=counts,
            )
        ]

    def has(self, *stages: InstanceDetail) -> StubInstance:
        """Put an instance in; the last stage is how it is now, and watching tells them all."""
        found = StubInstance(stages, self.calls)
        self.stored[found.id] = found
        return found

    def workflow(self, workflow: Any) -> StubWorkflow:
        self.asked_for.append(workflow)
        return StubWorkflow(self, workflow if isinstance(workflow, str) else workflow.name)

    def schedules(self) -> list[ScheduleView]:
        return list(self.planned)

    def workflows(self) -> list[WorkflowView]:
        return list(self.known)

    def instances(self, **asked: Any) -> list[InstanceView]:
        self.calls.append(("instances", asked))
        return [view_of(found.describe()) for found in self.stored.values()]

    def close(self) -> None:
        return

    def __enter__(self) -> StubClient:
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()
