"""REST: what is done to all instances of a workflow, in the background."""

from __future__ import annotations

from typing import Annotated

from flask import jsonify
from flask.typing import ResponseReturnValue
from pydantic import BeforeValidator

from orchestrator.client.unchanged import unchanged_settings
from orchestrator.conditions import PreconditionFailed
from web import preconditions
from web.access import needs
from web.api import answers
from web.api.blueprint import api
from web.contract import takes
from web.payloads import Body, read_query
from web.services import workflow_client


def _as_list(value: object) -> object:
    return [word for word in value.split(",") if word] if isinstance(value, str) else value


class TerminateQuery(Body):
    status: Annotated[list[str] | None, BeforeValidator(_as_list)] = None


@api.put("/workflows/<workflow>/instances/terminate")
@takes(answers.Job, query=TerminateQuery)
def terminate_all(workflow: str) -> ResponseReturnValue:
    """`already_running`: the same was asked for before and is not done yet."""
    job = workflow_client(workflow).terminate_all(read_query(TerminateQuery).status)
    return jsonify(status=job.status)


@api.delete("/workflows/<workflow>")
@needs("admin")
@takes(answers.Job, refuses=(PreconditionFailed,))
def delete_workflow(workflow: str) -> ResponseReturnValue:
    """It is forgotten at once; its instances are removed in the background.

    With `If-Match`, only if its settings still have that ETag: 412 with the one they have if not.
    """
    handle = workflow_client(workflow)
    handle.describe()
    with unchanged_settings(handle, preconditions.seen()):
        return jsonify(status=handle.delete().status)
