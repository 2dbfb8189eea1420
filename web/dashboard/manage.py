"""What the forms of a workflow's page do to the workflow itself: its schedules, all its instances, its end."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from orchestrator.errors import OrchestratorError
from web.access import needs
from web.dashboard.blueprint import dashboard
from web.dashboard.pages import Filter, workflow_page
from web.dashboard.refused import mendable
from web.dashboard.wording import SCHEDULE_ACTIONS
from web.refusals import FieldProblem, InvalidRequest
from web.services import workflow_client


@dashboard.post("/workflows/<workflow>/schedules/<schedule_id>")
def act_on_schedule(workflow: str, schedule_id: str) -> ResponseReturnValue:
    of, action = workflow_client(workflow), request.form.get("schedule", "")
    try:
        if action not in SCHEDULE_ACTIONS:
            raise InvalidRequest([FieldProblem("schedule", f"must be one of {', '.join(SCHEDULE_ACTIONS)}.")])
        if action == "run_schedule":
            made = of.run_schedule(schedule_id)
            page = url_for("dashboard.instance", workflow=workflow, instance_id=made.id, did=action)
            return redirect(page, 303)
        (of.pause_schedule if action == "pause_schedule" else of.resume_schedule)(schedule_id)
    except OrchestratorError as error:
        return workflow_page(workflow, Filter(), error, status=mendable(error))
    return _back(workflow, action)


@dashboard.post("/workflows/<workflow>/terminate")
def terminate_all(workflow: str) -> ResponseReturnValue:
    of = workflow_client(workflow)
    of.describe()  # so that a workflow that does not exist is a page that says so
    of.terminate_all()
    return _back(workflow, "terminate_all")


@dashboard.post("/workflows/<workflow>/delete")
@needs("admin")
def delete_workflow(workflow: str) -> ResponseReturnValue:
    of = workflow_client(workflow)
    of.describe()
    of.delete()
    return redirect(url_for("dashboard.home", did="delete_workflow"), 303)


@dashboard.get("/workflows/<workflow>/terminate")
@dashboard.get("/workflows/<workflow>/delete")
@dashboard.get("/workflows/<workflow>/schedules/<schedule_id>")
def back(workflow: str, schedule_id: str = "") -> ResponseReturnValue:
    """A page that answered a refused form was loaded again: its address takes forms only."""
    return redirect(url_for("dashboard.workflow", workflow=workflow))


def _back(workflow: str, did: str) -> ResponseReturnValue:
    return redirect(url_for("dashboard.workflow", workflow=workflow, did=did), 303)
