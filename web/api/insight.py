"""REST: the versions of a workflow's code with their graphs, what was counted, and the whole output of one step."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from flask import Response, jsonify
from flask.typing import ResponseReturnValue
from pydantic import BeforeValidator, Field

from orchestrator.inspection import AggregateRow, VersionView
from web.api.blueprint import api
from web.payloads import Body, read_query
from web.services import client, workflow_client
from web.times import epoch_ms, rfc3339


def _as_list(value: object) -> object:
    return [word for word in value.split(",") if word] if isinstance(value, str) else value


class AggregatesQuery(Body):
    date_start: datetime | None = None
    date_end: datetime | None = None
    group_by: Annotated[list[str], BeforeValidator(_as_list)] = Field(default_factory=lambda: ["hour"])
    step: str | None = None

    def asked(self) -> dict[str, Any]:
        return {
            "since": None if self.date_start is None else epoch_ms(self.date_start),
            "until": None if self.date_end is None else epoch_ms(self.date_end),
            "group_by": self.group_by,
            "step": self.step,
        }


class StepQuery(Body):
    name: str
    count: int = 1
    type: str = "do"
    attempt: int | None = None


@api.get("/workflows/<workflow>/versions")
def list_versions(workflow: str) -> ResponseReturnValue:
    return jsonify(versions=[_version(view) for view in workflow_client(workflow).versions()])


@api.get("/workflows/<workflow>/versions/<version_id>")
def show_version(workflow: str, version_id: str) -> ResponseReturnValue:
    return jsonify(_version(workflow_client(workflow).version(version_id)))


@api.get("/workflows/<workflow>/graph")
def show_newest_graph(workflow: str) -> ResponseReturnValue:
    return jsonify(workflow_client(workflow).graph())


@api.get("/workflows/<workflow>/versions/<version_id>/graph")
def show_graph(workflow: str, version_id: str) -> ResponseReturnValue:
    return jsonify(workflow_client(workflow).graph(version_id))


@api.get("/aggregates")
def aggregates_of_all() -> ResponseReturnValue:
    return jsonify(aggregates=[_aggregate(row) for row in client().aggregates(**read_query(AggregatesQuery).asked())])


@api.get("/workflows/<workflow>/aggregates")
def aggregates(workflow: str) -> ResponseReturnValue:
    rows = workflow_client(workflow).aggregates(**read_query(AggregatesQuery).asked())
    return jsonify(aggregates=[_aggregate(row) for row in rows])


@api.get("/workflows/<workflow>/instances/<path:instance_id>/step")
def show_step(workflow: str, instance_id: str) -> ResponseReturnValue:
    """A stream comes as its bytes, anything else as JSON."""
    query = read_query(StepQuery)
    found = workflow_client(workflow).get(instance_id).step(
        query.name, count=query.count, type=query.type, attempt=query.attempt
    )  # fmt: skip
    if found.stream is not None:
        response = Response(iter(found.stream), mimetype="application/octet-stream")
        response.content_length = found.stream.size
        return response
    return jsonify(status=found.status, output=found.output, error=found.error, event_type=found.event_type)


def _version(view: VersionView) -> dict[str, Any]:
    return view.to_dict() | {"created_at": rfc3339(view.created_at), "seen_at": rfc3339(view.seen_at)}


def _aggregate(row: AggregateRow) -> dict[str, Any]:
    return row.to_dict() | {"at": None if row.at is None else rfc3339(row.at)}
