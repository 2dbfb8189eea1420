"""Those of a convoy that wait for something else than the database: a body or a moment; it drives none of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchestrator.clock import monotonic
from orchestrator.engine.resting import MOST, Rest, Resting

if TYPE_CHECKING:
    from orchestrator.engine.runtime import Runtime

GATHER_S = 0.001
"""How long to wait for the bodies of others once one has ended, to store what they have come to together."""


class Waiting:
    """What a greenlet waits for that is not the database: something in its box, or a moment."""

    def __init__(self, is_there: Callable[[], bool], until: float | None) -> None:
        self.is_there = is_there
        self.until = until

    def is_over(self) -> bool:
        return self.is_there() or (self.until is not None and monotonic() >= self.until)


class Parked:
    def __init__(self, runtime: Runtime, arrived: threading.Event) -> None:
        self._waiting: list[tuple[Any, Waiting]] = []
        self._resting = Resting(runtime, arrived)
        self._gathers = True
        """Bodies have ended together lately."""

    def __bool__(self) -> bool:
        return bool(self._waiting or self._resting)

    @property
    def has_beds(self) -> bool:
        """Whether one more may rest."""
        return len(self._resting) < MOST

    def add(self, member: Any, asked: Waiting | Rest) -> None:
        if isinstance(asked, Rest):
            self._resting.add(member, asked)
        else:
            self._waiting.append((member, asked))

    def over(self, rest: Callable[[float | None], None] | None) -> list[tuple[Any, Any]]:
        """Those that go on, each with what it is told. `rest` waits, for at most so many seconds, until something has come
        for one of them; without it there is something else to be done."""
        going: list[tuple[Any, Any]] = [*self._resting.over()]
        if rest is not None and not going:
            if not any(waiting.is_over() for _, waiting in self._waiting):
                rest(self._patience_s())
                going += self._resting.over()
            if self._waiting:
                self._gather()
        still = []
        for member, waiting in self._waiting:
            if waiting.is_over():
                going.append((member, None))
            else:
                still.append((member, waiting))
        self._waiting = still
        return going

    def _patience_s(self) -> float | None:
        """Until the next moment somebody waits for."""
        moments = [self._resting.next_look(), *(waiting.until for _, waiting in self._waiting)]
        first = min([moment for moment in moments if moment is not None], default=None)
        return None if first is None else max(first - monotonic(), 0)

    def _gather(self) -> None:
        """Give bodies a moment that seem to end together, as those do that were begun together."""
        ended = self._ended()
        if self._gathers and ended < len(self._waiting):
            threading.Event().wait(GATHER_S)
            self._gathers = self._ended() > ended
        else:
            self._gathers = ended > 1

    def _ended(self) -> int:
        return sum([waiting.is_over() for _, waiting in self._waiting])
