"""Instances: what is asked of them over HTTP, whatever the answer is then made to look like."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Self

from flask import g
from pydantic import Field, StrictBool, model_validator

from orchestrator.client import Instance, InstanceState
from web.payloads import Body
from web.services import workflow_client


class NewInstance(Body):
    instance_id: str | None = None
    params: Any = None
    retention: dict[str, Any] | None = None


class StatusChange(Body):
    status: Literal["pause", "resume", "terminate", "restart"]
    from_: dict[str, Any] | None = Field(default=None, alias="from")
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
