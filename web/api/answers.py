"""The shapes of what REST answers, for its document: types around the read model's own; nothing is built of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from orchestrator.client import AuditEntry, BatchError, RejectedMessage, TokenView
from orchestrator.inspection import AggregateRow, InstanceView, RunView, ScheduleView, VersionView, WorkflowView
from orchestrator.statuses import InstanceStatus


class Workflows(BaseModel):
    workflows: list[WorkflowView]


class Instances(BaseModel):
    instances: list[InstanceView]
    next_cursor: int | None


class Count(BaseModel):
    count: int


class State(BaseModel):
    id: str
    workflow: str
    status: InstanceStatus
    output: Any
    error: dict[str, Any] | None
    rollback: dict[str, Any] | None


class Runs(BaseModel):
    runs: list[RunView]


class ServerSentEvent(BaseModel):
    """Each event of a stream. `data` is the JSON text of `instance_id`, `event_id`, `timestamp`, `type` and `data`."""

    event: str
    data: str
    id: str = ""
    """For `Last-Event-ID`; what tells only how the stream ends has none."""


class Reference(BaseModel):
    id: str
    workflow: str


class BatchCreated(BaseModel):
    created: list[Reference]
    errors: list[BatchError]


class BatchDeleted(BaseModel):
    deleted: list[str]
    errors: list[BatchError]


class Sent(BaseModel):
    workflow: str
    instance_id: str
    type: str


class Job(BaseModel):
    status: Literal["ok", "already_running"]


class Step(BaseModel):
    status: str
    output: Any
    error: dict[str, Any] | None
    event_type: str | None


class Schedules(BaseModel):
    schedules: list[ScheduleView]


class Versions(BaseModel):
    versions: list[VersionView]


class Aggregates(BaseModel):
    aggregates: list[AggregateRow]


class Tokens(BaseModel):
    tokens: list[TokenView]


class CreatedToken(BaseModel):
    """A token and its secret, which is told here and nowhere else."""

    secret: str
    id: str
    name: str
    role: str
    workflows: list[str]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    used_at: int | None


class Audit(BaseModel):
    entries: list[AuditEntry]
    next_cursor: int | None


class Rejected(BaseModel):
    messages: list[RejectedMessage]
    next_cursor: int | None
