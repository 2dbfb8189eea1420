"""What there is to do with one step of an instance: restart from it, or take its whole output; the pages list the steps."""

from __future__ import annotations

import json
import re
from typing import Literal

from flask import Response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from pydantic import Field

from orchestrator.errors import OrchestratorError
from web.access import needs
from web.dashboard.blueprint import dashboard
from web.dashboard.refused import mendable
from web.dashboard.wording import RESTART_FROM
from web.operations import steps
from web.payloads import Body, read_query
from web.services import workflow_client

Kind = Literal["do", "sleep", "waitForEvent"]


class Point(Body):
    name: str = Field(min_length=1, max_length=256)
    count: int = Field(default=1, ge=1, le=1_000_000)
    type: Kind = "do"


class Wanted(Body):
    name: str
    """With its number, as it is shown: `charge-2`."""
    type: Kind = "do"


@dashboard.get("/workflows/<workflow>/instances/<instance:instance_id>/restart")
@needs("operate")
def ask_to_restart(workflow: str, instance_id: str) -> ResponseReturnValue:
    """The question before it: a page of its own, because a list of steps that refreshes itself is no place for forms."""
    return _question(workflow, instance_id, read_query(Point))


@dashboard.post("/workflows/<workflow>/instances/<instance:instance_id>/restart")
def restart_from(workflow: str, instance_id: str) -> ResponseReturnValue:
    point = read_query(Point)
    try:
        workflow_client(workflow).get(instance_id).restart(from_=point.model_dump())
    except OrchestratorError as error:
        return _question(workflow, instance_id, point, error, mendable(error))
    did = RESTART_FROM.name
    return redirect(url_for("dashboard.instance", workflow=workflow, instance_id=instance_id, did=did), 303)


@dashboard.get("/workflows/<workflow>/instances/<instance:instance_id>/output")
def step_output(workflow: str, instance_id: str) -> ResponseReturnValue:
    """One step's output as a file: JSON, or the bytes of its stream."""
    wanted = read_query(Wanted)
    found = steps.by_label(workflow, instance_id, wanted.name, wanted.type, None)
    streamed = steps.stream(found)
    text = json.dumps(found.output, ensure_ascii=False, indent=2)
    answer = streamed or Response(text, mimetype="application/json")
    # Whatever the bytes are, a browser must keep them and not show them as a page of ours.
    file = re.sub(r"[^\w.-]+", "_", f"{instance_id}-{wanted.name}", flags=re.ASCII)
    answer.headers.set("Content-Disposition", "attachment", filename=f"{file}.{'bin' if streamed else 'json'}")
    return answer


def _question(
    workflow: str, instance_id: str, point: Point, problem: OrchestratorError | None = None, status: int = 200
) -> ResponseReturnValue:
    instance = workflow_client(workflow).get(instance_id)
    page = render_template(
        "dashboard/restart.html", instance=instance, point=point, action=RESTART_FROM, problem=problem
    )
    return page, status
