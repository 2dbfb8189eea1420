"""REST: the workflows there are."""

from __future__ import annotations

from flask import jsonify
from flask.typing import ResponseReturnValue

from web.api import shapes
from web.api.blueprint import api
from web.services import client, workflow_client


@api.get("/workflows")
def list_workflows() -> ResponseReturnValue:
    return jsonify(workflows=[shapes.workflow(view) for view in client().workflows()])


@api.get("/workflows/<workflow>")
def show_workflow(workflow: str) -> ResponseReturnValue:
    return jsonify(shapes.workflow(workflow_client(workflow).describe()))
