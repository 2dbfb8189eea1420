"""The pages that only show; what a button does is in `actions`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from flask import render_template, request
from flask.typing import ResponseReturnValue
from pydantic import Field

from orchestrator.clock import SystemClock
from orchestrator.errors import OrchestratorError
from orchestrator.statuses import InstanceStatus
from web import seen
from web.access import filtered
from web.dashboard import graphs, numbers, presenters
from web.dashboard.blueprint import dashboard
from web.dashboard.wording import DELETE_WORKFLOW, NOTICES, SCHEDULE_ACTIONS, SEND_EVENT, STATUSES, TERMINATE_ALL
from web.paging import MAX_CURSOR, next_cursor
from web.payloads import Body, read_query
from web.permits import for_caller, may
from web.services import services, workflow_client

RECENT = 15
PAGE = 25
VERSIONS = 10
_clock = SystemClock()


class Filter(Body):
    status: InstanceStatus | None = None
    before: int | None = Field(default=None, ge=0, le=MAX_CURSOR)
    version: str | None = Field(default=None, max_length=100)
    """Whose graph is shown; the newest unless it is given."""
    did: str = ""


class Look(Body):
    run: int | None = Field(default=None, ge=1, le=1_000_000_000)
    """An earlier run instead of the current one."""
    last: int | None = Field(default=None, ge=1, le=1_000_000_000)
    """The number of the last step that is shown; the newest unless it is given."""
    did: str = ""


@dashboard.get("/")
@filtered
def home() -> ResponseReturnValue:
    workflows = seen.workflows()
    return render_template(
        "dashboard/home.html",
        workflows=workflows,
        summaries={view.name: presenters.summary(services().registry, view.name) for view in workflows},
        recent=seen.instances(limit=RECENT),
        notice=NOTICES.get(request.args.get("did", ""), ""),
        now=_clock.now_ms(),
    )


@dashboard.get("/workflows/<workflow>")
def workflow(workflow: str) -> ResponseReturnValue:
    return workflow_page(workflow, read_query(Filter))


@dashboard.get("/workflows/<workflow>/instances/<instance:instance_id>")
def instance(workflow: str, instance_id: str) -> ResponseReturnValue:
    return instance_page(workflow, instance_id, look=read_query(Look))


def workflow_page(
    name: str,
    chosen: Filter,
    problem: OrchestratorError | None = None,
    typed: Mapping[str, str] | None = None,
    status: int = HTTPStatus.OK,
) -> ResponseReturnValue:
    """One workflow; with a problem, what was typed into its form stays there."""
    of = workflow_client(name)
    instances = of.list(status=[str(chosen.status)] if chosen.status else None, limit=PAGE, before=chosen.before)
    versions, now = of.versions(), _clock.now_ms()
    shown = of.version(chosen.version) if chosen.version else next(iter(versions), None)
    page = render_template(
        "dashboard/workflow.html",
        workflow=of.describe(),
        schedules=of.schedules(),
        schedule_actions=SCHEDULE_ACTIONS,
        versions=versions[:VERSIONS],
        version=shown,
        graph=graphs.entries(of.graph(shown.id)) if shown and shown.has_graph else [],
        periods=numbers.periods(of, now),
        for_all=[action for action in (TERMINATE_ALL, DELETE_WORKFLOW) if may(f"dashboard.{action.name}")],
        summary=presenters.summary(services().registry, name),
        instances=instances,
        older=next_cursor(instances, PAGE),
        chosen=chosen,
        statuses=STATUSES,
        problem=problem,
        typed=typed or {},
        notice=NOTICES.get(chosen.did, ""),
        now=now,
    )
    return page, status


def instance_page(
    workflow: str,
    instance_id: str,
    problem: OrchestratorError | None = None,
    typed: Mapping[str, str] | None = None,
    status: int = HTTPStatus.OK,
    look: Look | None = None,
) -> ResponseReturnValue:
    """One instance, in its current run unless an earlier one is asked for: there is nothing to be done to that."""
    look = look or Look()
    handle = workflow_client(workflow).get(instance_id)
    detail, runs = handle.describe(look.run), handle.runs()
    now, shown = _clock.now_ms(), presenters.some_steps(detail, look.last)
    allowed = for_caller(detail.allowed_actions)
    current = detail.run == runs[-1].run
    page = render_template(
        "dashboard/instance.html",
        instance=detail,
        runs=runs,
        current=current,
        live=current and not presenters.is_finished(detail.status),
        shown=shown,
        may_send=SEND_EVENT.name in allowed,
        may_restart="restart" in allowed,
        headline=presenters.headline(detail, now) if current else presenters.past(detail, now),
        progress=presenters.progress(detail),
        actions=presenters.buttons(allowed),
        awaited=presenters.awaited_event(detail.steps),
        problem=problem,
        typed=typed or {},
        notice=NOTICES.get(look.did, ""),
        now=now,
    )
    return page, status
