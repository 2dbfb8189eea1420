"""What workflows and step bodies are handed: events and contexts, by attribute or, as in Cloudflare's SDK, by key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic

from typing_extensions import TypeVar

P = TypeVar("P", default=Any)


class _ByKey:
    """Reading by key with Cloudflare's camelCase spelling: `event["instanceId"]` is `event.instance_id`."""

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        name = "".join(f"_{char.lower()}" if char.isupper() else char for char in key)
        if name in self.keys():
            return getattr(self, name)
        raise KeyError(key)

    def keys(self) -> list[str]:
        return [field.name for field in fields(self) if not field.name.startswith("_")]  # type: ignore[arg-type]

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: str) -> bool:
        return self.get(key, self) is not self

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())


@dataclass(frozen=True, slots=True)
class EventSchedule(_ByKey):
    """Which cron expression started the instance, and for which moment (epoch ms)."""

    cron: str
    scheduled_time: int


@dataclass(frozen=True, slots=True)
class WorkflowEvent(_ByKey, Generic[P]):
    """What started the instance. `payload` is what `create(params=…)` was given, `{}` if nothing."""

    payload: P
    timestamp: datetime
    instance_id: str
    workflow_name: str
    schedule: EventSchedule | None = None


@dataclass(frozen=True, slots=True)
class ReceivedEvent(_ByKey, Generic[P]):
    """What `step.wait_for_event` returns: the payload sent, when it was sent, and its type."""

    payload: P
    timestamp: datetime
    type: str


@dataclass(frozen=True, slots=True)
class StepInfo(_ByKey):
    name: str
    count: int
    """1 for the first step of this name in the instance, 2 for the second, …"""


@dataclass(frozen=True, slots=True)
class StepContext(_ByKey):
    """What a body that has a parameter called `ctx` receives. It is a copy: changing it changes nothing."""

    step: StepInfo
    attempt: int
    """1 for the first attempt."""
    config: dict[str, Any]
    """The resolved configuration: `retries` (limit, delay, backoff) and `timeout`, as first stored."""
    idempotency_key: str
    """The same for all attempts of this step; give it to services that can recognise a repeated request."""
    instance_id: str
    workflow_name: str


@dataclass(frozen=True, slots=True)
class RollbackContext(_ByKey):
    """What a rollback handler is told: by the names of these fields, or as a whole in a parameter of another name."""

    ctx: StepContext
    """Of the step's last attempt."""
    error: Exception
    """What the rollback is for: what left `run`, or `Terminated`."""
    output: Any
    """What the step returned; None if it failed or never came to an end."""
    step_name: str
    """`charge-1`: its name and which of that name it is."""
