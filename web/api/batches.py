"""REST: up to a hundred instances are made or deleted with one request, each with an outcome of its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import jsonify
from flask.typing import ResponseReturnValue
from pydantic import Field, StrictInt

from orchestrator.client.batches import MAX_BATCH
from orchestrator.errors import (
    InvalidBatch,
    InvalidInstanceId,
    InvalidParams,
    InvalidRetention,
    PayloadTooLarge,
    RateLimited,
)
from web.access import needs
from web.api import answers
from web.api.blueprint import api
from web.contract import takes
from web.payloads import Body, read_body
from web.services import workflow_client


class OneOfMany(Body):
    instance_id: str | None = None
    params: Any = None
    retention: dict[str, Any] | None = None


class NewInstances(Body):
    """`params` and `retention` are for those that have none of their own."""

    instances: list[OneOfMany] | None = None
    count: StrictInt | None = None
    params: Any = None
    retention: dict[str, Any] | None = None


class DeletedInstances(Body):
    instances: list[str] = Field(json_schema_extra={"minItems": 1, "maxItems": MAX_BATCH})
    """How many they are is checked, as the ids are, by the client, which all ways in have in common."""


@api.post("/workflows/<workflow>/instances/batch")
@needs("trigger")
@takes(
    answers.BatchCreated,
    body=NewInstances,
    refuses=(InvalidBatch, InvalidInstanceId, InvalidParams, InvalidRetention, PayloadTooLarge, RateLimited),
)
def create_batch(workflow: str) -> ResponseReturnValue:
    """200 even where some were refused: `errors` says which, by their place in the batch and with Cloudflare's codes."""
    body = read_body(NewInstances)
    batch = workflow_client(workflow).create_batch(
        None if body.instances is None else [_asked(one) for one in body.instances],
        count=body.count,
        params=body.params,
        retention=body.retention,
    )
    created = [{"id": instance.id, "workflow": instance.workflow} for instance in batch.created]
    return jsonify(created=created, errors=[asdict(error) for error in batch.errors])


@api.post("/workflows/<workflow>/instances/batch/delete")
@takes(answers.BatchDeleted, body=DeletedInstances, refuses=(InvalidBatch,))
def delete_batch(workflow: str) -> ResponseReturnValue:
    batch = workflow_client(workflow).delete_batch(read_body(DeletedInstances).instances)
    return jsonify(deleted=batch.deleted, errors=[asdict(error) for error in batch.errors])


def _asked(one: OneOfMany) -> dict[str, Any]:
    given = one.model_dump(include=one.model_fields_set)
    return {"id" if name == "instance_id" else name: value for name, value in given.items()}
