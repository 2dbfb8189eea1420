"""What there is to see of workflows and instances, as plain records; where it comes from is not their business."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowView:
    """A workflow that a worker has registered. Times are epoch milliseconds, here and below."""

    name: str
    class_name: str
    module: str
    queue: str
    created_at: int
    seen_at: int
    triggered_at: int | None
    instances: dict[str, int]
    """How many instances there are, by status."""
    limits: dict[str, int] = field(default_factory=dict)
    """What holds of what its class says and what was set from outside, here and below; empty: the defaults."""
    concurrency: dict[str, int] = field(default_factory=dict)
    default_retention: dict[str, int] = field(default_factory=dict)
    """Milliseconds."""
    terminator_running: bool = False
    """Whether its instances are being terminated in the background."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceView:
    id: str
    workflow: str
    status: str
    run: int
    created_at: int
    started_at: int | None
    ended_at: int | None
    modified_at: int
    trigger: str
    cursor: int
    """Give it as `before` (or `after`) to page on from this instance."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    attempt: int
    status: str
    started_at: int | None
    ended_at: int | None
    error: dict[str, Any] | None
    worker: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    name: str
    count: int
    label: str
    kind: str
    status: str
    """complete, errored, running, queued (for any worker), retrying (until `due_at`), waiting (until `due_at`)."""
    started_at: int | None = None
    ended_at: int | None = None
    due_at: int | None = None
    attempts: int = 0
    attempt_log: list[AttemptView] = field(default_factory=list)
    output: Any = None
    stream_bytes: int | None = None
    """How many bytes it returned as a stream; `output` is then its beginning, for people."""
    error: dict[str, Any] | None = None
    config: dict[str, Any] | None = None
    position: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run of an instance: the first, or what a restart began."""

    run: int
    status: str
    """As it is, or as it was when the next run was begun."""
    output: Any
    error: dict[str, Any] | None
    started_at: int | None
    ended_at: int | None
    restarted_from: dict[str, Any] | None
    """`{"name", "count", "type"}` of the step this run was begun from; None: it was begun from the beginning."""
    rollback: dict[str, Any] | None = None
    """As in InstanceDetail."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDetail(InstanceView):
    params: Any
    output: Any
    error: dict[str, Any] | None
    step_count: int
    steps: list[StepView]
    """In the order in which the workflow asked for them."""
    waiting_for: str | None
    """What the instance waits for, in words."""
    allowed_actions: list[str]
    rollback: dict[str, Any] | None = None
    """`{"outcome": "complete" or "failed", "error": …}`; None if nothing was undone, or not yet."""
    version: int
    """Another number after each change that a watcher might want to see; the same in every process."""
    versions: list[str] = field(default_factory=list)
    """The versions of the workflow's code it has run on, the present one last."""
