"""Who has gone on for too long is told from who has just begun, at whatever line of its thread the supervisor looks."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import WorkflowEntrypoint
from orchestrator.engine import in_place, supervisor
from orchestrator.engine.in_place import InPlace
from orchestrator.engine.supervisor import Supervisor
from tests.engine.bench import Bench, Bodies


class _WatchedLock:
    """Somebody looks at whoever takes it, after it was taken and before the next line."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._look = look

    def acquire(self, blocking: bool = True) -> bool:
        taken = self._lock.acquire(blocking)
        self._look()
        return taken

    def release(self) -> None:
        self._lock.release()


def test_one_that_takes_its_turn_after_a_long_wait_is_not_taken_for_stuck(
    bench: Bench, bodies: Bodies, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by a benchmark: the moment since which a thread went on was set a line after its lock was taken, so one that was
    interrupted there seemed to go on since the machine was started, or since before its body, and its process was ended."""

    class Two(WorkflowEntrypoint[Any]):
        async def run(self, event: Any, step: Any) -> Any:
            return [await step.do("a", bodies("a")), await step.do("b", bodies("b"))]

    hours = itertools.count(1)
    monkeypatch.setattr(in_place, "monotonic", lambda: 3600.0 * next(hours))
    monkeypatch.setattr(supervisor, "monotonic", lambda: 3600.0 * next(hours))
    looked: list[None] = []
    watcher = Supervisor(bench.runtime, recycle=lambda: pytest.fail("it was taken for stuck"))

    def look() -> None:
        looked.append(None)
        watcher.look_after_functions()

    make = InPlace.__init__

    def make_watched(self: InPlace, activation: Any) -> None:
        make(self, activation)
        self.lock = _WatchedLock(look)  # type: ignore[assignment]

    monkeypatch.setattr(InPlace, "__init__", make_watched)

    instance = bench.run(Two)

    assert len(looked) >= 3, "at the beginning, and after each body"
    assert instance.result(timeout=0) == ["a", "b"]
    assert bodies.ran == ["a", "b"]
