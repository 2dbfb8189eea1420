"""REST: the workflows there are."""

from __future__ import annotations

from flask import jsonify
from flask.typing import ResponseReturnValue

from orchestrator.inspection import WorkflowView
from web.api import answers, shapes
from web.api.blueprint import api
from web.contract import takes
from web.services import client, workflow_client


@api.get("/workflows")
@takes(answers.Workflows)
def list_workflows() -> ResponseReturnValue:
    return jsonify(workflows=[shapes.workflow(view) for view in client().workflows()])


@api.get("/workflows/<workflow>")
@takes(WorkflowView)
def show_workflow(workflow: str) -> ResponseReturnValue:
    return jsonify(shapes.workflow(workflow_client(workflow).describe()))
