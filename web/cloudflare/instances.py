"""Cloudflare's routes for instances."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from flask.typing import ResponseReturnValue
from pydantic import AliasChoices, Field

from orchestrator.statuses import InstanceStatus
from web.access import needs
from web.api.subscribe import event_stream
from web.cloudflare import shapes
from web.cloudflare.blueprint import cloudflare
from web.cloudflare.envelope import ok
from web.cloudflare.paging import DEFAULT_PER_PAGE, Page, PerPage, page_info
from web.operations import instances as operations
from web.operations.instances import NewInstance, StatusChange
from web.paging import MAX_CURSOR, next_cursor
from web.payloads import Body, parse_json, read_body, read_json, read_query
from web.refusals import FieldProblem, InvalidRequest
from web.services import workflow_client
from web.times import epoch_ms, now

LocationHint = Literal["wnam", "enam", "sam", "weur", "eeur", "apac", "apac-ne", "apac-se", "oc", "afr", "me"]


class InstanceQuery(Body):
    status: InstanceStatus | None = None
    date_start: datetime | None = None
    date_end: datetime | None = None
    cursor: int | None = Field(default=None, ge=0, le=MAX_CURSOR)
    page: Page | None = None
    per_page: PerPage = DEFAULT_PER_PAGE
    direction: Literal["asc", "desc"] = "desc"


class DetailQuery(Body):
    order: Literal["asc", "desc"] = "asc"
    simple: Literal["true", "false"] = "false"


class CloudflareInstance(Body):
    instance_id: str | None = Field(default=None, validation_alias=AliasChoices("instance_id", "id"))
    params: Any = None
    instance_retention: dict[str, Any] | None = None
    location_hint: LocationHint | None = None
    """Taken and not used: there is one place here, wherever the database is."""

    def asked(self) -> NewInstance:
        return NewInstance(instance_id=self.instance_id, params=parsed(self.params), retention=self.instance_retention)


def parsed(params: Any) -> Any:
    """Cloudflare's SDKs send params as JSON text, wrangler as JSON."""
    return parse_json(params, "The JSON text in `params`") if isinstance(params, str) else params


@cloudflare.get("/workflows/<workflow>/instances", strict_slashes=False)
def list_instances(workflow: str) -> ResponseReturnValue:
    query = read_query(InstanceQuery)
    if query.cursor is not None and query.page is not None:
        raise InvalidRequest([FieldProblem("cursor", "can't go together with `page`: give one of them.")])
    of = workflow_client(workflow)
    wanted: dict[str, Any] = {
        "status": [str(query.status)] if query.status else None,
        "since": None if query.date_start is None else epoch_ms(query.date_start),
        "until": None if query.date_end is None else epoch_ms(query.date_end),
    }
    views = of.list(
        limit=query.per_page,
        before=query.cursor,
        oldest_first=query.direction == "asc",
        offset=((query.page or 1) - 1) * query.per_page,
        **wanted,
    )
    info = page_info(query.page or 1, query.per_page, len(views), of.count(**wanted))
    cursor = next_cursor(views, query.per_page)
    if cursor is not None:
        info["cursor"] = str(cursor)
    version = shapes.newest_version(of)
    return ok([shapes.instance(view, version) for view in views], info)


@cloudflare.post("/workflows/<workflow>/instances", strict_slashes=False)
@needs("trigger")
def create_instance(workflow: str) -> ResponseReturnValue:
    instance = operations.create(workflow, read_body(CloudflareInstance).asked())
    return ok(shapes.created(instance, shapes.newest_version(workflow_client(workflow))))


@cloudflare.get("/workflows/<workflow>/instances/<instance:instance_id>")
def show_instance(workflow: str, instance_id: str) -> ResponseReturnValue:
    query = read_query(DetailQuery)
    detail = workflow_client(workflow).get(instance_id).describe()
    return ok(shapes.detail(detail, newest_first=query.order == "desc", simple=query.simple == "true"))


@cloudflare.patch("/workflows/<workflow>/instances/<instance:instance_id>/status")
def change_status(workflow: str, instance_id: str) -> ResponseReturnValue:
    _instance, state = operations.change_status(workflow, instance_id, read_body(StatusChange))
    return ok({"status": str(state.status), "timestamp": now()})


@cloudflare.post("/workflows/<workflow>/instances/<instance:instance_id>/events/<event_type>")
@needs("trigger")
def send_event(workflow: str, instance_id: str, event_type: str) -> ResponseReturnValue:
    payload = read_json()
    workflow_client(workflow).get(instance_id).send_event(event_type, payload)
    return ok({"instanceId": instance_id, "timestamp": now()})


@cloudflare.get("/workflows/<workflow>/instances/<instance:instance_id>/subscribe")
def subscribe(workflow: str, instance_id: str) -> ResponseReturnValue:
    return event_stream(workflow, instance_id)


@cloudflare.delete("/workflows/<workflow>/instances/<instance:instance_id>")
def delete_instance(workflow: str, instance_id: str) -> ResponseReturnValue:
    workflow_client(workflow).get(instance_id).delete()
    return ok({"id": instance_id})
