"""REST: messages from a queue that could not be carried out, listed, tried again and deleted."""

from __future__ import annotations

from flask import jsonify
from flask.typing import ResponseReturnValue
from pydantic import Field

from orchestrator.errors import (
    ActionNotAllowed,
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidEventType,
    InvalidInstanceId,
    InvalidMessage,
    InvalidParams,
    InvalidRetention,
    InvalidWorkflowName,
    MessageNotFound,
    PayloadTooLarge,
    WorkflowNotFound,
)
from web.api import answers, shapes
from web.api.blueprint import api
from web.contract import takes
from web.paging import MAX_CURSOR
from web.payloads import Body, read_query
from web.services import client

_REFUSED_AGAIN = (
    MessageNotFound, InvalidMessage, WorkflowNotFound, InvalidWorkflowName, InstanceAlreadyExists, InstanceNotFound,
    ActionNotAllowed, InvalidEventType, InvalidInstanceId, InvalidParams, InvalidRetention, PayloadTooLarge,
)  # fmt: skip


class RejectedQuery(Body):
    limit: int = Field(default=25, ge=1, le=100)
    cursor: int | None = Field(default=None, ge=0, le=MAX_CURSOR)


@api.get("/rejected")
@takes(answers.Rejected, query=RejectedQuery)
def list_rejected() -> ResponseReturnValue:
    """Newest first, with the reason."""
    query = read_query(RejectedQuery)
    found = client().rejected_messages(limit=query.limit, before=query.cursor)
    cursor = found[-1].id if len(found) == query.limit else None
    return jsonify(messages=[shapes.rejected(message) for message in found], next_cursor=cursor)


@api.post("/rejected/<int:message_id>/retry")
@takes(None, status=204, refuses=_REFUSED_AGAIN)
def retry_rejected(message_id: int) -> ResponseReturnValue:
    """Carry it out now. It stays where it is if it still can't be, and the answer is the reason."""
    client().retry_message(_stored(message_id))
    return "", 204


@api.delete("/rejected/<int:message_id>")
@takes(None, status=204, refuses=(MessageNotFound,))
def delete_rejected(message_id: int) -> ResponseReturnValue:
    client().delete_message(_stored(message_id))
    return "", 204


def _stored(message_id: int) -> int:
    """Numbers that no database holds are nobody's."""
    return min(message_id, MAX_CURSOR)
