"""Lists over all workflows, cut to those that the caller's token reaches: the one place for that rule."""

from __future__ import annotations

from typing import Any

from orchestrator import inspection
from orchestrator.inspection import AggregateRow, InstanceView, ScheduleView, WorkflowView
from web.permits import caller
from web.services import client


def workflows() -> list[WorkflowView]:
    return [view for view in client().workflows() if _reaches(view.name)]


def schedules() -> list[ScheduleView]:
    return [view for view in client().schedules() if _reaches(view.workflow)]


def instances(*, status: list[str] | None = None, before: int | None = None, **asked: Any) -> list[InstanceView]:
    """As the client lists them."""
    if _sees_all():
        given: dict[str, Any] = {"status": status, "before": before}
        return client().instances(**asked, **{name: value for name, value in given.items() if value is not None})
    names = [view.name for view in workflows()]
    with client().reading() as connection:
        return inspection.list_instances(connection, among=names, statuses=status, cursor=before, **asked)


def aggregates(**asked: Any) -> list[AggregateRow]:
    """As the client counts them."""
    if _sees_all():
        return client().aggregates(**asked)
    names = [view.name for view in workflows()]
    now = client().desk.clock.now_ms()
    with client().reading() as connection:
        return inspection.aggregates(connection, workflow=None, among=names, now=now, **asked)


def _sees_all() -> bool:
    token = caller()
    return token is None or token.reaches(None)


def _reaches(workflow: str) -> bool:
    token = caller()
    return token is None or token.reaches(workflow)
