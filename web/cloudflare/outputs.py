"""Cloudflare's route for the whole output of one step."""

from __future__ import annotations

from typing import Any, Literal

from flask.typing import ResponseReturnValue
from pydantic import Field

from web.cloudflare.blueprint import cloudflare
from web.cloudflare.envelope import ok
from web.operations import steps
from web.payloads import Body, read_query

_STATUS = {"queued": "running", "retrying": "running"}
"""Between two attempts a step is `running` with an `error`."""


class StepQuery(Body):
    name: str
    type: Literal["step", "waitForEvent"] = "step"
    attempt: int | None = Field(default=None, ge=1)


@cloudflare.get("/workflows/<workflow>/instances/<instance:instance_id>/step")
def show_step(workflow: str, instance_id: str) -> ResponseReturnValue:
    query = read_query(StepQuery)
    kind: Literal["do", "waitForEvent"] = "do" if query.type == "step" else "waitForEvent"
    found = steps.by_label(workflow, instance_id, query.name, kind, query.attempt)
    stream = steps.stream(found)
    if stream is not None:
        return stream
    output = found.output
    shown: dict[str, Any] = {"status": _STATUS.get(found.status, found.status), "output": output, "error": found.error}
    if query.type == "waitForEvent":
        shown["event_type"] = found.event_type
        if found.status == "complete":
            shown["output"] = (output or {}).get("payload")
    return ok(shown)
