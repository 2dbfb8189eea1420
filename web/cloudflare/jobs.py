"""Cloudflare's routes for what is done to all instances of a workflow, in the background."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from web.cloudflare.blueprint import cloudflare
from web.cloudflare.envelope import ok
from web.payloads import Body, read_query
from web.services import workflow_client


class TerminateQuery(Body):
    status: str | None = None
    """All that have not ended, unless one is named."""


@cloudflare.put("/workflows/<workflow>/instances/terminate")
def terminate_all(workflow: str) -> ResponseReturnValue:
    """`already_running`: the same was asked for before and is not done yet."""
    chosen = read_query(TerminateQuery).status
    handle = workflow_client(workflow)
    handle.describe()
    return ok({"status": handle.terminate_all(None if chosen is None else [chosen]).status})


@cloudflare.delete("/workflows/<workflow>")
def delete_workflow(workflow: str) -> ResponseReturnValue:
    """It is forgotten at once; its instances are removed in the background. Cloudflare says `ok` in either case."""
    handle = workflow_client(workflow)
    handle.describe()
    handle.delete()
    return ok({"status": "ok", "success": True})
