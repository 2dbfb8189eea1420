"""Cloudflare's routes for many instances at once."""

from __future__ import annotations

from typing import Any

from flask.typing import ResponseReturnValue
from pydantic import StrictInt

from orchestrator.client import BatchError
from web.access import needs
from web.cloudflare import shapes
from web.cloudflare.blueprint import cloudflare
from web.cloudflare.envelope import ok, word
from web.cloudflare.instances import CloudflareInstance, LocationHint, parsed
from web.payloads import Body, read_body, read_json, validated
from web.refusals import FieldProblem, InvalidRequest
from web.services import workflow_client

_WORDS = {
    10400: word("instance.not_found"),
    10405: word("instance.already_exists"),
    10415: word("instance.duplicate_in_batch"),
}


class CloudflareBatch(Body):
    """Either one for each of `instances`, or `count` alike."""

    instances: list[CloudflareInstance] | None = None
    count: StrictInt | None = None
    params: Any = None
    instance_retention: dict[str, Any] | None = None
    location_hint: LocationHint | None = None


class DoomedBatch(Body):
    instances: list[str]


@cloudflare.post("/workflows/<workflow>/instances/batch")
@needs("trigger")
def create_batch(workflow: str) -> ResponseReturnValue:
    """A list of instances is answered by the list of those that were made; an object by them and what went wrong."""
    given = read_json()
    if not isinstance(given, (list, dict)):
        raise InvalidRequest([FieldProblem("body", "must be a JSON array of instances, or an object.")])
    batch = validated(CloudflareBatch, {"instances": given} if isinstance(given, list) else given)
    made = workflow_client(workflow).create_batch(
        None if batch.instances is None else [_asked(one) for one in batch.instances],
        count=batch.count,
        params=parsed(batch.params),
        retention=batch.instance_retention,
    )
    version = shapes.newest_version(workflow_client(workflow))
    created = [shapes.created(instance, version) for instance in made.created]
    if isinstance(given, list):
        return ok(created)
    return ok({"created": created, "errors": [{"index": error.index, **_error(error)} for error in made.errors]})


@cloudflare.post("/workflows/<workflow>/instances/batch/delete")
def delete_batch(workflow: str) -> ResponseReturnValue:
    gone = workflow_client(workflow).delete_batch(read_body(DoomedBatch).instances)
    return ok({"deleted": [{"id": id} for id in gone.deleted], "errors": [_error(error) for error in gone.errors]})


def _asked(one: CloudflareInstance) -> dict[str, Any]:
    new = one.asked()
    given = {"id": new.instance_id, "params": new.params, "retention": new.retention}
    return {name: value for name, value in given.items() if value is not None}


def _error(error: BatchError) -> dict[str, Any]:
    return {"id": error.id, "code": error.code, "message": _WORDS.get(error.code, error.message)}
