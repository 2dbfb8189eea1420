"""Instances: what is asked of them over HTTP, whatever the answer is then made to look like."""

from __future__ import annotations

from typing import Any, Literal

from flask import g

from orchestrator.client import Instance, InstanceState
from web.payloads import Body
from web.services import workflow_client


class NewInstance(Body):
    instance_id: str | None = None
    params: Any = None


class StatusChange(Body):
    status: Literal["pause", "resume", "terminate", "restart"]


def create(workflow: str, new: NewInstance) -> Instance:
    g.instance_id = new.instance_id  # so that a refusal names it
    return workflow_client(workflow).create(new.params, id=new.instance_id)


def change_status(workflow: str, instance_id: str, change: StatusChange) -> tuple[Instance, InstanceState]:
    instance = workflow_client(workflow).get(instance_id)
    act = {
        "pause": instance.pause,
        "resume": instance.resume,
        "terminate": instance.terminate,
        "restart": instance.restart,
    }[change.status]
    return instance, act()
