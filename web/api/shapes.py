"""What REST answers: the read model's dictionaries with times as RFC 3339; users' own values are never touched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from orchestrator.client import AuditEntry, Instance, InstanceState, RejectedMessage, TokenView
from orchestrator.inspection import (
    AggregateRow,
    InstanceDetail,
    InstanceView,
    RunView,
    ScheduleView,
    VersionView,
    WorkflowView,
)
from web.paging import next_cursor
from web.permits import for_caller
from web.times import rfc3339

_WORKFLOW_TIMES = ("created_at", "seen_at", "triggered_at")
_INSTANCE_TIMES = ("created_at", "started_at", "ended_at", "modified_at")
_STEP_TIMES = ("started_at", "ended_at", "due_at")
_ATTEMPT_TIMES = ("started_at", "ended_at")


def workflow(view: WorkflowView) -> dict[str, Any]:
    return _with_times(view.to_dict(), _WORKFLOW_TIMES)


def instance(view: InstanceView) -> dict[str, Any]:
    """`cursor` pages on from this instance."""
    return _with_times(view.to_dict(), _INSTANCE_TIMES)


def page(views: Sequence[InstanceView], limit: int) -> dict[str, Any]:
    """`next_cursor` goes into `?cursor=`; null on the last page."""
    return {"instances": [instance(view) for view in views], "next_cursor": next_cursor(views, limit)}


def detail(view: InstanceDetail) -> dict[str, Any]:
    """With those of the allowed actions that the caller's role allows as well."""
    shaped = _with_times(view.to_dict(), _INSTANCE_TIMES)
    shaped["allowed_actions"] = for_caller(view.allowed_actions)
    shaped["steps"] = [_step(step) for step in shaped["steps"]]
    return shaped


def run(view: RunView) -> dict[str, Any]:
    return _with_times(view.to_dict(), ("started_at", "ended_at"))


def schedule(view: ScheduleView) -> dict[str, Any]:
    shaped = _with_times(view.to_dict(), ("created_at", "next_at", "last_at"))
    return shaped | {"next_times": [rfc3339(at) for at in view.next_times]}


def version(view: VersionView) -> dict[str, Any]:
    return _with_times(view.to_dict(), ("created_at", "seen_at"))


def aggregate(row: AggregateRow) -> dict[str, Any]:
    return _with_times(row.to_dict(), ("at",))


def token(view: TokenView) -> dict[str, Any]:
    return _with_times(view.to_dict(), ("created_at", "expires_at", "revoked_at", "used_at"))


def audit_entry(entry: AuditEntry) -> dict[str, Any]:
    return _with_times(entry.to_dict(), ("at",))


def rejected(message: RejectedMessage) -> dict[str, Any]:
    return _with_times(message.to_dict(), ("at",))


def state(of: Instance, now: InstanceState) -> dict[str, Any]:
    outcome = {"output": now.output, "error": now.error, "rollback": now.rollback}
    return {"id": of.id, "workflow": of.workflow, "status": str(now.status), **outcome}


def _step(step: dict[str, Any]) -> dict[str, Any]:
    attempts = [_with_times(attempt, _ATTEMPT_TIMES) for attempt in step["attempt_log"]]
    return _with_times(step, _STEP_TIMES) | {"attempt_log": attempts}


def _with_times(shape: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    times = {name: rfc3339(shape[name]) for name in names if shape.get(name) is not None}
    return shape | times
