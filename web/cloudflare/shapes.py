"""What Cloudflare's clients expect to read of workflows and instances; the read model in their fields and words."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from orchestrator.client import Instance, WorkflowClient
from orchestrator.inspection import InstanceDetail, InstanceView, ScheduleView, WorkflowView
from orchestrator.names import schedule_of
from orchestrator.statuses import FINITE, TRIGGER_CRON, InstanceStatus
from web.cloudflare.steps import step_row
from web.times import rfc3339

TRIGGERS = frozenset({"api", "binding", "event", "cron"})
_NAMES = uuid.UUID("6f3f9c1e-9a0b-5c57-8d0e-2f4b6f0f5a11")


def workflow_id(name: str) -> str:
    """Cloudflare names workflows by an id as well; ours have only a name, so the id is made of it."""
    return str(uuid.uuid5(_NAMES, name))


def newest_version(of: WorkflowClient[Any]) -> str:
    """What new instances begin on. Lists say it of all their rows: the details of each have its own."""
    return version_id(of.name, next((view.id for view in of.versions()), None))


def version_id(workflow: str, version: str | None) -> str:
    """The version an instance runs on; before any worker has taken it, an id of its own."""
    return version or str(uuid.uuid5(_NAMES, f"{workflow}/none yet"))


def workflow(view: WorkflowView, schedules: Sequence[ScheduleView]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": workflow_id(view.name),
        "name": view.name,
        "class_name": view.class_name,
        "script_name": view.module,
        "created_on": rfc3339(view.created_at),
        "modified_on": rfc3339(view.seen_at),
        "triggered_on": _at(view.triggered_at),
        "instances": {str(status): view.instances.get(status, 0) for status in InstanceStatus},
    }
    own = [schedule for schedule in schedules if schedule.workflow == view.name and schedule.next_at is not None]
    if own:
        shown["schedules"] = [{"cron": each.cron, "next_instance": _at(each.next_at)} for each in own]
    return shown


def instance(view: InstanceView, version: str) -> dict[str, Any]:
    return {
        "id": view.id,
        "status": view.status,
        "created_on": rfc3339(view.created_at),
        "started_on": _at(view.started_at),
        "ended_on": _at(view.ended_at),
        "modified_on": rfc3339(view.modified_at),
        "version_id": version,
        "workflow_id": workflow_id(view.workflow),
        "trigger_source": source(view.trigger),
    }


def created(of: Instance, version: str) -> dict[str, Any]:
    return {
        "id": of.id,
        "status": str(of.status().status),
        "version_id": version,
        "workflow_id": workflow_id(of.workflow),
        "trigger_source": "api",
    }


def detail(view: InstanceDetail, *, newest_first: bool, simple: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "status": view.status,
        "params": view.params,
        "trigger": {"source": source(view.trigger)},
        "versionId": version_id(view.workflow, view.versions[-1] if view.versions else None),
        "queued": rfc3339(view.created_at),
        "start": _at(view.started_at),
        "end": _at(view.ended_at),
        "success": view.status == InstanceStatus.COMPLETE if view.status in FINITE else None,
        "error": view.error,
        "output": view.output,
        "rollback": view.rollback,
        "step_count": view.step_count,
    }
    fired = schedule_of(view.id) if view.trigger == TRIGGER_CRON else None
    if fired is not None:
        shown["schedule"] = {"cron": fired[0], "scheduledTime": fired[1]}
    if simple:
        return shown
    rows = [step_row(step) for step in view.steps]
    if view.status == InstanceStatus.TERMINATED:
        rows.append({"type": "termination", "trigger": {"source": "api"}})
    return shown | {"steps": rows[::-1] if newest_first else rows}


def source(trigger: str) -> str:
    return trigger if trigger in TRIGGERS else "unknown"


def _at(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)
