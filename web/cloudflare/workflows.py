"""Cloudflare's routes for workflows: what there is, and how it is set."""

from __future__ import annotations

from typing import Any

from flask.typing import ResponseReturnValue

from web import seen
from web.access import filtered, needs
from web.cloudflare import shapes
from web.cloudflare.blueprint import cloudflare
from web.cloudflare.envelope import ok
from web.cloudflare.paging import PageQuery, page_info
from web.payloads import Body, read_body, read_query
from web.refusals import FieldProblem, InvalidRequest
from web.services import workflow_client


class WorkflowQuery(PageQuery):
    search: str = ""


@cloudflare.get("/workflows", strict_slashes=False)
@filtered
def list_workflows() -> ResponseReturnValue:
    query = read_query(WorkflowQuery)
    found = [view for view in seen.workflows() if query.search.lower() in view.name.lower()]
    page = found[query.start : query.start + query.per_page]
    info = page_info(query.page, query.per_page, len(page), len(found))
    schedules = seen.schedules()
    return ok([shapes.workflow(view, schedules) for view in page], info)


class NewSchedule(Body):
    cron: str


class WorkflowSettings(Body):
    class_name: str
    script_name: str
    limits: dict[str, Any] | None = None
    concurrency: dict[str, Any] | None = None
    default_retention: dict[str, Any] | None = None
    schedules: list[NewSchedule] | None = None


@cloudflare.put("/workflows/<workflow>")
@needs("admin")
def configure_workflow(workflow: str) -> ResponseReturnValue:
    """The code itself comes with the workers: a class or module other than theirs is refused."""
    of, given = workflow_client(workflow), read_body(WorkflowSettings)
    there = of.describe()
    if (given.class_name, given.script_name) != (there.class_name, there.module):
        theirs = f"must be what the workers have registered: {there.class_name!r} of {there.module!r}."
        raise InvalidRequest([FieldProblem("class_name, script_name", theirs)])
    settings = given.model_dump(include={"limits", "concurrency", "default_retention"}, exclude_none=True)
    if given.schedules is not None:
        settings["schedules"] = [each.cron for each in given.schedules]
    view = of.configure(**settings)
    shown = shapes.workflow(view, [])
    named = {name: shown[name] for name in shown if name != "instances"}
    state = {"is_deleted": 0, "terminator_running": int(view.terminator_running)}
    return ok(named | state | {"version_id": shapes.newest_version(of)})


@cloudflare.get("/workflows/<workflow>")
def show_workflow(workflow: str) -> ResponseReturnValue:
    of = workflow_client(workflow)
    return ok(shapes.workflow(of.describe(), of.schedules()))
