"""REST: the versions of a workflow's code, and its shape."""

from __future__ import annotations

from flask import jsonify
from flask.typing import ResponseReturnValue

from web.api import shapes
from web.api.blueprint import api
from web.services import workflow_client


@api.get("/workflows/<workflow>/versions")
def list_versions(workflow: str) -> ResponseReturnValue:
    """The one that workers started with last comes first."""
    return jsonify(versions=[shapes.version(view) for view in workflow_client(workflow).versions()])


@api.get("/workflows/<workflow>/versions/<version_id>")
def show_version(workflow: str, version_id: str) -> ResponseReturnValue:
    return jsonify(shapes.version(workflow_client(workflow).version(version_id)))


@api.get("/workflows/<workflow>/versions/<version_id>/graph")
def show_graph(workflow: str, version_id: str) -> ResponseReturnValue:
    return jsonify(workflow_client(workflow).graph(version_id))


@api.get("/workflows/<workflow>/graph")
def show_newest_graph(workflow: str) -> ResponseReturnValue:
    return jsonify(workflow_client(workflow).graph())
