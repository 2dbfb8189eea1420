"""Durable workflows on Celery, Redis and SQL: the public names, gathered here; nothing inside the package imports this."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.authoring.blocking import BlockingWorkflowStep
    from orchestrator.authoring.policy import RetriesDict, StepConfigDict
    from orchestrator.authoring.registry import Registry
    from orchestrator.authoring.schedules import Schedule
    from orchestrator.authoring.step import WorkflowStep
    from orchestrator.authoring.streams import ByteStream
    from orchestrator.authoring.views import EventSchedule, ReceivedEvent, StepContext, WorkflowEvent
    from orchestrator.authoring.workflow import WorkflowEntrypoint
    from orchestrator.client import Client, Instance, WorkflowClient
    from orchestrator.errors import (
        EventTimeoutError,
        InvalidEventPayload,
        NonRetryableError,
        OrchestratorError,
        StepTimeoutError,
        WorkerLostError,
        WorkflowTimeoutError,
    )
    from orchestrator.settings import Settings
    from orchestrator.statuses import InstanceStatus

_HOMES = {
    # authoring
    "WorkflowEntrypoint": "orchestrator.authoring.workflow",
    "WorkflowEvent": "orchestrator.authoring.views",
    "WorkflowStep": "orchestrator.authoring.step",
    "BlockingWorkflowStep": "orchestrator.authoring.blocking",
    "StepContext": "orchestrator.authoring.views",
    "ByteStream": "orchestrator.authoring.streams",
    "ReceivedEvent": "orchestrator.authoring.views",
    "RetriesDict": "orchestrator.authoring.policy",
    "StepConfigDict": "orchestrator.authoring.policy",
    "Registry": "orchestrator.authoring.registry",
    "EventSchedule": "orchestrator.authoring.views",
    "Schedule": "orchestrator.authoring.schedules",
    # calling
    "Client": "orchestrator.client",
    "WorkflowClient": "orchestrator.client",
    "Instance": "orchestrator.client",
    "InstanceStatus": "orchestrator.statuses",
    "Settings": "orchestrator.settings",
    # errors
    "OrchestratorError": "orchestrator.errors",
    "NonRetryableError": "orchestrator.errors",
    "WorkflowTimeoutError": "orchestrator.errors",
    "StepTimeoutError": "orchestrator.errors",
    "EventTimeoutError": "orchestrator.errors",
    "InvalidEventPayload": "orchestrator.errors",
    "WorkerLostError": "orchestrator.errors",
}

__all__ = [
    "BlockingWorkflowStep",
    "ByteStream",
    "Client",
    "EventSchedule",
    "EventTimeoutError",
    "Instance",
    "InstanceStatus",
    "InvalidEventPayload",
    "NonRetryableError",
    "OrchestratorError",
    "ReceivedEvent",
    "Registry",
    "RetriesDict",
    "Schedule",
    "Settings",
    "StepConfigDict",
    "StepContext",
    "StepTimeoutError",
    "WorkerLostError",
    "WorkflowClient",
    "WorkflowEntrypoint",
    "WorkflowEvent",
    "WorkflowStep",
    "WorkflowTimeoutError",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use: `orchestrator --help` and a client that only enqueues must not pay for pydantic and SQLAlchemy.
    if name not in _HOMES:
        raise AttributeError(f"module 'orchestrator' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
