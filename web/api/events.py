"""REST: events are sent to instances; the whole body is the payload."""

from __future__ import annotations

from typing import Any

from flask import jsonify
from flask.typing import ResponseReturnValue

from orchestrator.errors import ActionNotAllowed, InstanceNotFound, InvalidEventType, PayloadTooLarge
from web.access import needs
from web.api import answers
from web.api.blueprint import api
from web.contract import takes
from web.payloads import read_json
from web.services import workflow_client


@api.post("/workflows/<workflow>/instances/<instance:instance_id>/events/<event_type>")
@needs("trigger")
@takes(
    answers.Sent, status=202, body=Any, refuses=(InstanceNotFound, ActionNotAllowed, InvalidEventType, PayloadTooLarge)
)
def send_event(workflow: str, instance_id: str, event_type: str) -> ResponseReturnValue:
    """202: it is stored for good; the instance takes it when it comes to a wait for its type."""
    payload = read_json()
    workflow_client(workflow).get(instance_id).send_event(event_type, payload)
    return jsonify(workflow=workflow, instance_id=instance_id, type=event_type), 202
