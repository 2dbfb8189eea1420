"""REST: the whole output of one step."""

from __future__ import annotations

from typing import Literal

from flask import jsonify
from flask.typing import ResponseReturnValue
from pydantic import Field

from orchestrator.errors import InstanceNotFound, StepNotFound, StepOutputCorrupt
from web.api import answers
from web.api.blueprint import api
from web.contract import takes
from web.operations import steps
from web.payloads import Body, read_query


class StepQuery(Body):
    name: str
    """With its number, as it is shown: `charge-2`."""
    type: Literal["do", "sleep", "waitForEvent"] = "do"
    attempt: int | None = Field(default=None, ge=1)


@api.get("/workflows/<workflow>/instances/<instance:instance_id>/step")
@takes(
    answers.Step,
    query=StepQuery,
    media=("application/octet-stream",),
    refuses=(InstanceNotFound, StepNotFound, StepOutputCorrupt),
)
def show_step(workflow: str, instance_id: str) -> ResponseReturnValue:
    """Nothing of it is cut; a step that has returned a stream is answered by its bytes."""
    query = read_query(StepQuery)
    found = steps.by_label(workflow, instance_id, query.name, query.type, query.attempt)
    shown = {"status": found.status, "output": found.output, "error": found.error, "event_type": found.event_type}
    return steps.stream(found) or jsonify(shown)
