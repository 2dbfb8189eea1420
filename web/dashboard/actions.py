"""What the forms do: post, change through the client, and go back to a page; a refusal keeps what was typed."""

from __future__ import annotations

from typing import Any

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from orchestrator.errors import OrchestratorError
from web.access import needs
from web.dashboard.blueprint import dashboard
from web.dashboard.pages import Filter, instance_page, workflow_page
from web.dashboard.refused import mendable
from web.dashboard.wording import ACTIONS
from web.payloads import parse_json
from web.refusals import FieldProblem, InvalidRequest
from web.services import workflow_client


@dashboard.post("/workflows/<workflow>/instances")
@needs("trigger")
def create(workflow: str) -> ResponseReturnValue:
    try:
        params = _json_field("params")
        instance = workflow_client(workflow).create(params, id=request.form.get("instance_id", "").strip() or None)
    except OrchestratorError as error:
        status = mendable(error)
        return workflow_page(workflow, Filter(), error, request.form.to_dict(), status)
    return redirect(_page(instance.workflow, instance.id, "create"), 303)


@dashboard.post("/workflows/<workflow>/instances/<instance:instance_id>/actions")
def act(workflow: str, instance_id: str) -> ResponseReturnValue:
    action = request.form.get("action", "")
    try:
        _carry_out(action, workflow, instance_id)
    except OrchestratorError as error:
        return instance_page(workflow, instance_id, error, status=mendable(error))
    if action == "delete":
        return redirect(url_for("dashboard.workflow", workflow=workflow, did=action), 303)
    return redirect(_page(workflow, instance_id, action), 303)


@dashboard.post("/workflows/<workflow>/instances/<instance:instance_id>/events")
@needs("trigger")
def send_event(workflow: str, instance_id: str) -> ResponseReturnValue:
    try:
        payload = _json_field("payload")
        workflow_client(workflow).get(instance_id).send_event(request.form.get("type", "").strip(), payload)
    except OrchestratorError as error:
        return instance_page(workflow, instance_id, error, request.form.to_dict(), mendable(error))
    return redirect(_page(workflow, instance_id, "send_event"), 303)


@dashboard.get("/workflows/<workflow>/instances")
def back_to_workflow(workflow: str) -> ResponseReturnValue:
    """A page that answered a refused form was loaded again: its address takes forms only."""
    return redirect(url_for("dashboard.workflow", workflow=workflow))


@dashboard.get("/workflows/<workflow>/instances/<instance:instance_id>/actions")
@dashboard.get("/workflows/<workflow>/instances/<instance:instance_id>/events")
def back_to_instance(workflow: str, instance_id: str) -> ResponseReturnValue:
    return redirect(url_for("dashboard.instance", workflow=workflow, instance_id=instance_id))


def _carry_out(action: str, workflow: str, instance_id: str) -> None:
    if action not in ACTIONS:
        raise InvalidRequest([FieldProblem("action", f"must be one of {', '.join(ACTIONS)}.")])
    instance = workflow_client(workflow).get(instance_id)
    if action == "terminate":
        instance.terminate(rollback="rollback" in request.args)
    else:
        getattr(instance, action)()


def _json_field(name: str) -> Any:
    text = request.form.get(name, "").strip()
    return parse_json(text, name.capitalize()) if text else None


def _page(workflow: str, instance_id: str, did: str) -> str:
    return url_for("dashboard.instance", workflow=workflow, instance_id=instance_id, did=did)
