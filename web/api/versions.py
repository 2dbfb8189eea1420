"""REST: the versions of a workflow's code, and its shape."""

from __future__ import annotations

from typing import Any

from flask import jsonify
from flask.typing import ResponseReturnValue

from orchestrator.errors import VersionNotFound
from orchestrator.inspection import VersionView
from web.api import answers, shapes
from web.api.blueprint import api
from web.contract import takes
from web.services import workflow_client


@api.get("/workflows/<workflow>/versions")
@takes(answers.Versions)
def list_versions(workflow: str) -> ResponseReturnValue:
    """The one that workers started with last comes first."""
    return jsonify(versions=[shapes.version(view) for view in workflow_client(workflow).versions()])


@api.get("/workflows/<workflow>/versions/<version_id>")
@takes(VersionView, refuses=(VersionNotFound,))
def show_version(workflow: str, version_id: str) -> ResponseReturnValue:
    return jsonify(shapes.version(workflow_client(workflow).version(version_id)))


@api.get("/workflows/<workflow>/versions/<version_id>/graph")
@takes(dict[str, Any], refuses=(VersionNotFound,))
def show_graph(workflow: str, version_id: str) -> ResponseReturnValue:
    return jsonify(workflow_client(workflow).graph(version_id))


@api.get("/workflows/<workflow>/graph")
@takes(dict[str, Any], refuses=(VersionNotFound,))
def show_newest_graph(workflow: str) -> ResponseReturnValue:
    return jsonify(workflow_client(workflow).graph())
