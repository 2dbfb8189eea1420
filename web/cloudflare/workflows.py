"""Cloudflare's routes for workflows: what there is, and how it is set."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from web.cloudflare import shapes
from web.cloudflare.blueprint import cloudflare
from web.cloudflare.envelope import ok
from web.cloudflare.paging import PageQuery, page_info
from web.payloads import read_query
from web.services import client, workflow_client


class WorkflowQuery(PageQuery):
    search: str = ""


@cloudflare.get("/workflows", strict_slashes=False)
def list_workflows() -> ResponseReturnValue:
    query = read_query(WorkflowQuery)
    found = [view for view in client().workflows() if query.search.lower() in view.name.lower()]
    page = found[query.start : query.start + query.per_page]
    info = page_info(query.page, query.per_page, len(page), len(found))
    schedules = client().schedules()
    return ok([shapes.workflow(view, schedules) for view in page], info)


@cloudflare.get("/workflows/<workflow>")
def show_workflow(workflow: str) -> ResponseReturnValue:
    of = workflow_client(workflow)
    return ok(shapes.workflow(of.describe(), of.schedules()))
