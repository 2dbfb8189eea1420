"""Instances: what is asked of them over HTTP, whatever the answer is then made to look like."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, Self

from flask import g
from pydantic import ConfigDict, Field, JsonValue, StrictBool, WithJsonSchema, model_validator

from orchestrator.client import Instance, InstanceState
from web.payloads import Body
from web.services import workflow_client

_NO_FROM: dict[str, JsonValue] = {"from": {"type": "null"}}
_NO_ROLLBACK: dict[str, JsonValue] = {"rollback": {"const": False}}
_TOGETHER: JsonValue = [
    {"properties": {"status": {"enum": ["pause", "resume"]}, **_NO_FROM, **_NO_ROLLBACK}},
    {"properties": {"status": {"const": "restart"}, **_NO_ROLLBACK}},
    {"properties": {"status": {"const": "terminate"}, **_NO_FROM}},
]
_STEP = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": r"^[^\x00-\x1f]+$"},
        "count": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        "type": {"enum": ["do", "sleep", "waitForEvent", None]},
    },
    "required": ["name"],
    "additionalProperties": False,
}
"""What the client checks, for the document."""


class NewInstance(Body):
    instance_id: str | None = None
    params: Any = None
    retention: dict[str, Any] | None = None


class StatusChange(Body):
    model_config = ConfigDict(json_schema_extra={"anyOf": _TOGETHER})

    status: Literal["pause", "resume", "terminate", "restart"]
    from_: Annotated[dict[str, Any], WithJsonSchema(_STEP)] | None = Field(default=None, alias="from")
    """The step to restart from."""
    rollback: StrictBool = False
    """Run the rollback handlers before it ends."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.from_ is not None and self.status != "restart":
            raise ValueError("`from` is for a restart only")
        if self.rollback and self.status != "terminate":
            raise ValueError("`rollback` is for terminate only")
        return self


def create(workflow: str, new: NewInstance) -> Instance:
    g.instance_id = new.instance_id  # so that a refusal names it
    return workflow_client(workflow).create(new.params, id=new.instance_id, retention=new.retention)


def change_status(workflow: str, instance_id: str, change: StatusChange) -> tuple[Instance, InstanceState]:
    instance = workflow_client(workflow).get(instance_id)
    actions: dict[str, Callable[[], InstanceState]] = {
        "pause": instance.pause,
        "resume": instance.resume,
        "terminate": partial(instance.terminate, rollback=change.rollback),
        "restart": partial(instance.restart, from_=change.from_),
    }
    return instance, actions[change.status]()
