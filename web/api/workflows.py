"""REST: the workflows there are, and how they are set."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify
from flask.typing import ResponseReturnValue
from pydantic import Field

from orchestrator.client.unchanged import tag_of_settings, unchanged_settings
from orchestrator.conditions import PreconditionFailed
from orchestrator.errors import InvalidParams, InvalidRetention, InvalidSchedule, InvalidWorkflowSettings
from orchestrator.inspection import WorkflowView
from web import preconditions, seen
from web.access import filtered, needs
from web.api import answers, shapes
from web.api.blueprint import api
from web.api.instances import CountQuery
from web.api.schedules import NewSchedule
from web.contract import takes
from web.payloads import Body, read_body, read_query
from web.services import workflow_client


class Limits(Body):
    steps: int | None = Field(default=None, ge=1)


class Concurrency(Body):
    limit: int | None = Field(default=None, ge=1)


class DefaultRetention(Body):
    """Milliseconds, or words such as `7 days` or `forever`."""

    success_retention: int | str | None = None
    error_retention: int | str | None = None


class WorkflowSettings(Body):
    """What is not given stays as it is. Null gives a setting back to the workflow's class, `{}` means none at all.

    `schedules` are those that were added from outside, all of them.
    """

    limits: Limits | None = None
    concurrency: Concurrency | None = None
    default_retention: DefaultRetention | None = None
    schedules: list[NewSchedule] | None = None

    def given(self) -> dict[str, Any]:
        """As the client takes it."""
        return self.model_dump(exclude_unset=True)


@api.get("/workflows")
@filtered
@takes(answers.Workflows)
def list_workflows() -> ResponseReturnValue:
    return jsonify(workflows=[shapes.workflow(view) for view in seen.workflows()])


@api.get("/workflows/<workflow>")
@takes(WorkflowView)
def show_workflow(workflow: str) -> ResponseReturnValue:
    """`limits`, `concurrency` and `default_retention` are what holds: what was set from outside, else what its class says.

    The ETag is of these settings alone.
    """
    return _tagged(workflow_client(workflow).describe())


@api.patch("/workflows/<workflow>")
@needs("admin")
@takes(
    WorkflowView,
    body=WorkflowSettings,
    refuses=(InvalidWorkflowSettings, InvalidRetention, InvalidSchedule, InvalidParams, PreconditionFailed),
)
def configure_workflow(workflow: str) -> ResponseReturnValue:
    """Set from outside what counts more than the workflow's class. With `If-Match`, only if it still has that ETag."""
    given, of = read_body(WorkflowSettings).given(), workflow_client(workflow)
    with unchanged_settings(of, preconditions.seen()):
        return _tagged(of.configure(**given))


@api.get("/workflows/<workflow>/count")
@takes(answers.Count, query=CountQuery)
def count_instances(workflow: str) -> ResponseReturnValue:
    """How many instances there are, of some statuses or created between two times."""
    return jsonify(count=workflow_client(workflow).count(**read_query(CountQuery).asked()))


def _tagged(view: WorkflowView) -> Response:
    response = jsonify(shapes.workflow(view))
    response.set_etag(tag_of_settings(view))
    return response
