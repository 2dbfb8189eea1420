"""What a workflow asks for when it can go no further by itself; plain records that decide nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from orchestrator.authoring.bodies import Signature
from orchestrator.authoring.policy import StepConfig
from orchestrator.authoring.rollback import Rollback
from orchestrator.names import step_label
from orchestrator.statuses import StepKind


@dataclass(slots=True, eq=False)
class Command:
    """Something asked for and not answered yet. `position` is its place in the order of asking, from 1."""

    kind: StepKind
    key: str
    name: str
    count: int
    position: int
    future: asyncio.Future[Any]

    @property
    def label(self) -> str:
        return step_label(self.name, self.count)

    def __str__(self) -> str:
        return f"{self.kind} {self.label!r}"


@dataclass(slots=True, eq=False)
class RunStep(Command):
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    signature: Signature
    config: StepConfig
    rollback: Rollback | None = None


@dataclass(slots=True, eq=False)
class StartTimer(Command):
    """A sleep, or a timer of asyncio's. Exactly one of `duration_ms` (from now) and `until_ms` (epoch) is set."""

    duration_ms: int | None
    until_ms: int | None

    def due_at(self, now_ms: int) -> int:
        return self.until_ms if self.until_ms is not None else now_ms + (self.duration_ms or 0)


@dataclass(slots=True, eq=False)
class AwaitEvent(Command):
    event_type: str
    timeout_ms: int
    adapter: TypeAdapter[Any] | None
