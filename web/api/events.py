"""REST: events are sent to instances; the whole body is the payload."""

from __future__ import annotations

from flask import jsonify
from flask.typing import ResponseReturnValue

from web.access import needs
from web.api.blueprint import api
from web.payloads import read_json
from web.services import workflow_client


@api.post("/workflows/<workflow>/instances/<path:instance_id>/events/<event_type>")
@needs("trigger")
def send_event(workflow: str, instance_id: str, event_type: str) -> ResponseReturnValue:
    """202: it is stored for good; the instance takes it when it comes to a wait for its type."""
    payload = read_json()
    workflow_client(workflow).get(instance_id).send_event(event_type, payload)
    return jsonify(workflow=workflow, instance_id=instance_id, type=event_type), 202
