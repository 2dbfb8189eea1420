"""REST: the schedules that start instances."""

from __future__ import annotations

from typing import Any, Literal

from flask import jsonify, url_for
from flask.typing import ResponseReturnValue

from orchestrator.errors import (
    InstanceAlreadyExists,
    InvalidSchedule,
    PayloadTooLarge,
    RateLimited,
    ScheduleAlreadyExists,
    ScheduleDeclared,
    ScheduleNotFound,
)
from orchestrator.inspection import ScheduleView
from web import seen
from web.access import filtered
from web.api import answers, shapes
from web.api.blueprint import api
from web.contract import takes
from web.payloads import Body, read_body
from web.services import workflow_client


class NewSchedule(Body):
    cron: str
    timezone: str = "UTC"
    params: Any = None


class ScheduleChange(Body):
    status: Literal["pause", "resume"]


@api.get("/schedules")
@filtered
@takes(answers.Schedules)
def list_all_schedules() -> ResponseReturnValue:
    return jsonify(schedules=[shapes.schedule(view) for view in seen.schedules()])


@api.get("/workflows/<workflow>/schedules")
@takes(answers.Schedules)
def list_schedules(workflow: str) -> ResponseReturnValue:
    return jsonify(schedules=[shapes.schedule(view) for view in workflow_client(workflow).schedules()])


@api.post("/workflows/<workflow>/schedules")
@takes(ScheduleView, status=201, body=NewSchedule, refuses=(InvalidSchedule, ScheduleAlreadyExists, PayloadTooLarge))
def add_schedule(workflow: str) -> ResponseReturnValue:
    new = read_body(NewSchedule)
    view = workflow_client(workflow).add_schedule(new.cron, new.timezone, new.params)
    return jsonify(shapes.schedule(view)), 201


@api.patch("/workflows/<workflow>/schedules/<schedule_id>/status")
@takes(ScheduleView, body=ScheduleChange, refuses=(ScheduleNotFound,))
def change_schedule(workflow: str, schedule_id: str) -> ResponseReturnValue:
    of = workflow_client(workflow)
    act = {"pause": of.pause_schedule, "resume": of.resume_schedule}[read_body(ScheduleChange).status]
    return jsonify(shapes.schedule(act(schedule_id)))


@api.post("/workflows/<workflow>/schedules/<schedule_id>/run")
@takes(answers.State, status=201, location=True, refuses=(ScheduleNotFound, InstanceAlreadyExists, RateLimited))
def run_schedule(workflow: str, schedule_id: str) -> ResponseReturnValue:
    """Start an instance now, as if this were one of its moments."""
    instance = workflow_client(workflow).run_schedule(schedule_id)
    location = url_for("api.show_instance", workflow=instance.workflow, instance_id=instance.id)
    return jsonify(shapes.state(instance, instance.status())), 201, {"Location": location}


@api.delete("/workflows/<workflow>/schedules/<schedule_id>")
@takes(None, status=204, refuses=(ScheduleNotFound, ScheduleDeclared))
def remove_schedule(workflow: str, schedule_id: str) -> ResponseReturnValue:
    workflow_client(workflow).remove_schedule(schedule_id)
    return "", 204
