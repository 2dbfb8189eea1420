"""REST: instances are made, listed, shown, moved from one status to another, and deleted."""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import Annotated, Any, Literal

from flask import Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import BeforeValidator, Field

from orchestrator.client import Instance
from orchestrator.client.unchanged import tag_of, unchanged
from orchestrator.conditions import PreconditionFailed
from orchestrator.errors import (
    ActionNotAllowed,
    CannotRestart,
    InstanceAlreadyExists,
    InstanceErrored,
    InstanceNotFound,
    InstanceTerminated,
    InvalidParams,
    InvalidRetention,
    PayloadTooLarge,
    RateLimited,
    ResultTimeout,
    RunNotFound,
)
from orchestrator.inspection import InstanceDetail
from orchestrator.names import MAX_INSTANCE_ID
from orchestrator.statuses import InstanceStatus
from web import preconditions, seen
from web.access import filtered, needs
from web.api import answers, shapes
from web.api.blueprint import api
from web.contract import takes
from web.operations import instances as operations
from web.operations.instances import NewInstance, StatusChange
from web.paging import MAX_CURSOR
from web.payloads import Body, read_body, read_query
from web.services import workflow_client
from web.times import Moment, epoch_ms

DEFAULT_LIMIT = 25
MAX_LIMIT = 100
LONGEST_WAIT_S = 30.0
"""Each wait holds a thread of the server."""


def _as_list(value: object) -> object:
    """`?status=running,queued` and `?status=running&status=queued` mean the same."""
    return value.split(",") if isinstance(value, str) else value


class CountQuery(Body):
    status: Annotated[list[InstanceStatus], BeforeValidator(_as_list)] = Field(default_factory=list)
    date_start: Moment | None = None
    date_end: Moment | None = None

    def asked(self) -> dict[str, Any]:
        """As the client takes it."""
        return {
            "status": [str(status) for status in self.status] or None,
            "since": None if self.date_start is None else epoch_ms(self.date_start),
            "until": None if self.date_end is None else epoch_ms(self.date_end),
        }


class AllInstancesQuery(CountQuery):
    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: int | None = Field(default=None, ge=0, le=MAX_CURSOR)
    direction: Literal["asc", "desc"] = "desc"

    def asked(self) -> dict[str, Any]:
        page = {"limit": self.limit, "before": self.cursor, "oldest_first": self.direction == "asc"}
        return super().asked() | page


class InstanceQuery(AllInstancesQuery):
    id_prefix: str | None = Field(default=None, min_length=1, max_length=MAX_INSTANCE_ID)


class RunQuery(Body):
    run: int | None = Field(default=None, ge=1, le=MAX_CURSOR)


class WaitQuery(Body):
    timeout: float = Field(default=LONGEST_WAIT_S, ge=0, le=LONGEST_WAIT_S)


@api.get("/instances")
@filtered
@takes(answers.Instances, query=AllInstancesQuery)
def list_all_instances() -> ResponseReturnValue:
    query = read_query(AllInstancesQuery)
    return jsonify(shapes.page(seen.instances(**query.asked()), query.limit))


@api.get("/workflows/<workflow>/instances")
@takes(answers.Instances, query=InstanceQuery)
def list_instances(workflow: str) -> ResponseReturnValue:
    query = read_query(InstanceQuery)
    if query.id_prefix is not None:
        found = workflow_client(workflow).find(query.id_prefix, limit=query.limit, before=query.cursor)
        return jsonify(shapes.page(found, query.limit))
    return jsonify(shapes.page(workflow_client(workflow).list(**query.asked()), query.limit))


@api.post("/workflows/<workflow>/instances")
@needs("trigger")
@takes(
    answers.State,
    status=201,
    body=NewInstance,
    location=True,
    refuses=(InstanceAlreadyExists, InvalidParams, InvalidRetention, PayloadTooLarge, RateLimited),
)
def create_instance(workflow: str) -> ResponseReturnValue:
    instance = operations.create(workflow, read_body(NewInstance))
    location = url_for("api.show_instance", workflow=instance.workflow, instance_id=instance.id)
    return jsonify(shapes.state(instance, instance.status())), 201, {"Location": location}


@api.get("/workflows/<workflow>/instances/<instance:instance_id>")
@takes(InstanceDetail, query=RunQuery, conditional=True, refuses=(InstanceNotFound, RunNotFound))
def show_instance(workflow: str, instance_id: str) -> ResponseReturnValue:
    """304 for an `If-None-Match` with the ETag it still has."""
    query = read_query(RunQuery)
    return _tagged(workflow_client(workflow).get(instance_id).describe(query.run)).make_conditional(request)


@api.get("/workflows/<workflow>/instances/<instance:instance_id>/runs")
@takes(answers.Runs, refuses=(InstanceNotFound,))
def list_runs(workflow: str, instance_id: str) -> ResponseReturnValue:
    return jsonify(runs=[shapes.run(view) for view in workflow_client(workflow).get(instance_id).runs()])


@api.get("/workflows/<workflow>/instances/<instance:instance_id>/wait")
@takes(InstanceDetail, query=WaitQuery, conditional=True, refuses=(InstanceNotFound,))
def wait_for_instance(workflow: str, instance_id: str) -> ResponseReturnValue:
    """The instance as soon as it has ended, or as it is when the time is up: look at its status.

    With `If-None-Match` as soon as it is not as its reader knows it, or 304 when the time is up.
    """
    query = read_query(WaitQuery)
    instance = workflow_client(workflow).get(instance_id)
    if request.if_none_match:
        return _changed(instance, query.timeout)
    with contextlib.suppress(InstanceErrored, InstanceTerminated, ResultTimeout):
        instance.result(query.timeout, type=Any)
    return _tagged(instance.describe())


@api.patch("/workflows/<workflow>/instances/<instance:instance_id>/status")
@takes(
    answers.State,
    body=StatusChange,
    refuses=(InstanceNotFound, ActionNotAllowed, CannotRestart, PreconditionFailed, RateLimited),
)
def change_status(workflow: str, instance_id: str) -> ResponseReturnValue:
    """With `If-Match`, only if it still has that ETag: 412 with the one it has if not."""
    change = read_body(StatusChange)
    with unchanged(workflow_client(workflow).get(instance_id), preconditions.seen()):
        return jsonify(shapes.state(*operations.change_status(workflow, instance_id, change)))


@api.delete("/workflows/<workflow>/instances/<instance:instance_id>")
@takes(None, status=204, refuses=(InstanceNotFound, ActionNotAllowed, PreconditionFailed))
def delete_instance(workflow: str, instance_id: str) -> ResponseReturnValue:
    """With `If-Match`, only if it still has that ETag: 412 with the one it has if not."""
    instance = workflow_client(workflow).get(instance_id)
    with unchanged(instance, preconditions.seen()):
        instance.delete()
    return "", 204


def _changed(instance: Instance, timeout_s: float) -> ResponseReturnValue:
    """As soon as it is not what the request knows; 304 where that is not in time, or nothing more will change."""
    with contextlib.suppress(ResultTimeout):
        for detail in instance.watch(timeout_s):
            response = _tagged(detail).make_conditional(request)
            if response.status_code != HTTPStatus.NOT_MODIFIED:
                return response
    return response


def _tagged(detail: InstanceDetail) -> Response:
    response = jsonify(shapes.detail(detail))
    response.set_etag(tag_of(detail))
    return response
