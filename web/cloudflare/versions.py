"""Cloudflare's routes for the versions of a workflow's code and their graphs."""

from __future__ import annotations

from typing import Any

from flask.typing import ResponseReturnValue

from orchestrator.inspection import VersionView
from web.cloudflare.blueprint import cloudflare
from web.cloudflare.envelope import ok
from web.cloudflare.paging import PageQuery, page_info
from web.cloudflare.shapes import workflow_id
from web.payloads import read_query
from web.services import workflow_client
from web.times import rfc3339


@cloudflare.get("/workflows/<workflow>/versions", strict_slashes=False)
def list_versions(workflow: str) -> ResponseReturnValue:
    query = read_query(PageQuery)
    found = workflow_client(workflow).versions()
    page = found[query.start : query.start + query.per_page]
    info = page_info(query.page, query.per_page, len(page), len(found))
    return ok([_version(view) for view in page], info)


@cloudflare.get("/workflows/<workflow>/versions/<version_id>")
def show_version(workflow: str, version_id: str) -> ResponseReturnValue:
    return ok(_version(workflow_client(workflow).version(version_id)))


@cloudflare.get("/workflows/<workflow>/versions/<version_id>/graph")
def show_graph(workflow: str, version_id: str) -> ResponseReturnValue:
    of = workflow_client(workflow)
    view = of.version(version_id)
    graph = of.graph(version_id) if view.has_graph else None
    shown = {name: value for name, value in _version(view).items() if name not in ("has_dag", "language")}
    return ok(shown | {"graph": graph})


def _version(view: VersionView) -> dict[str, Any]:
    return {
        "id": view.id,
        "workflow_id": workflow_id(view.workflow),
        "class_name": view.class_name,
        "created_on": rfc3339(view.created_at),
        "modified_on": rfc3339(view.seen_at),
        "has_dag": view.has_graph,
        "language": view.language,
    }
