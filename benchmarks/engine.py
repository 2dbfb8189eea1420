"""What every engine must offer to be measured, so that one driver runs them all; it must not measure anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CLIENT_THREADS = 16
"""Enough that the driver is never what limits the rate of starts."""
PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine is to work: all of it fresh, and gone after its turn."""

    directory: Path
    postgres_url: str
    valkey_url: str

    def sqlite_url(self, name: str) -> str:
        return f"sqlite:///{self.directory / name}.db"


class Engine(ABC):
    """Workflows by the names in `programs`; each engine spells them in its own idiom, with bodies that do the same."""

    longest_seq = 10_000
    """Where more steps in a row would take so long that nobody would wait for the number."""
    timer_lead_s = 10.0
    """How long it takes to start all the sleeps, generously: none may be late because it was started late."""

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def start(self, workflow: str, params: dict[str, Any]) -> Any:
        """A handle; the start is as durable as this engine makes it when this returns."""

    @abstractmethod
    def result(self, handle: Any) -> Any: ...

    def send_event(self, handle: Any, payload: Any) -> None:
        raise NotImplementedError  # pragma: no cover - engines without events have no program that sends one

    def run(self, workflow: str, params: dict[str, Any]) -> Any:
        return self.result(self.start(workflow, params))

    def run_all(self, workflow: str, params: Sequence[dict[str, Any]]) -> list[Any]:
        """Start all at once, as this engine's client does that best, and wait for all."""
        return [self.result(handle) for handle in in_threads(lambda one: self.start(workflow, one), params)]

    def start_all(self, workflow: str, params: Sequence[dict[str, Any]]) -> list[Any]:
        return in_threads(lambda one: self.start(workflow, one), params)


def in_threads(work: Callable[[dict[str, Any]], Any], params: Sequence[dict[str, Any]]) -> list[Any]:
    with ThreadPoolExecutor(CLIENT_THREADS) as threads:
        return list(threads.map(work, params))
