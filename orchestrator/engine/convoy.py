"""Goes on with several instances on one thread, in step, so that they share their round trips; it decides nothing.

Each is worked on by the same loop as an instance alone, in a greenlet of its own. Where that would wait for the database
or for an `async def` body it is parked, and the others have their turn; what they have asked for is then done together.
A `def` body would hold up all of them, so an instance that comes to one is handed back, with a ring of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import greenlet  # type: ignore[import-untyped]

from orchestrator.clock import monotonic
from orchestrator.doorbell import Ring
from orchestrator.engine.activation import advance
from orchestrator.errors import DatabaseUnavailable
from orchestrator.store.together import Asked, SharedDatabase, answer

if TYPE_CHECKING:
    from orchestrator.engine.runtime import Runtime

log = logging.getLogger(__name__)

PATIENCE_S = 0.1
"""How long instances wait for others of their message to be begun; those left over are rung for, each alone."""
AT_ONCE = 50
"""How many are under way at a time. More share no less, and keep others waiting."""
GATHER_S = 0.001
"""How long to wait for the bodies of others once one has ended, to store what they have come to together."""


def advance_together(runtime: Runtime, queue: str, pks: Sequence[int]) -> None:
    """`advance` with each of these instances of a queue. Safe to call at any time, as that is."""
    until, left = monotonic() + PATIENCE_S, sorted(set(pks))  # in order, so that two that share some wait in turn
    while left and runtime.may_start() and monotonic() < until:
        now, left = left[:AT_ONCE], left[AT_ONCE:]
        _Convoy(runtime, now).run()
    runtime.ring(*(Ring(pk, queue) for pk in left))


class _Waiting:
    """What a greenlet waits for that is not the database: something in its box, or a moment."""

    def __init__(self, is_there: Callable[[], bool], until: float | None) -> None:
        self.is_there = is_there
        self.until = until

    def is_over(self) -> bool:
        return self.is_there() or (self.until is not None and monotonic() >= self.until)


class Company:
    """What an instance sees of the others it goes on with."""

    def __init__(self) -> None:
        self.members = 0
        self.arrived = threading.Event()
        """Something has come for one of them."""

    @property
    def others(self) -> bool:
        return self.members > 1

    def wait(self, is_there: Callable[[], bool], timeout_s: float | None) -> None:
        until = None if timeout_s is None else monotonic() + timeout_s
        _park(_Waiting(is_there, until))


class _Shared:
    """The runtime as one of several sees it."""

    def __init__(self, runtime: Runtime, company: Company, rings: list[Ring]) -> None:
        self._runtime = runtime
        self._rings = rings
        self._thread = threading.get_ident()
        self.company = company
        self.database = SharedDatabase(runtime.database, _park)

    def ring(self, *rings: Ring) -> None:
        if threading.get_ident() == self._thread:
            self._rings += rings  # published with those of the others
        else:
            self._runtime.ring(*rings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runtime, name)


class _Convoy:
    def __init__(self, runtime: Runtime, pks: Sequence[int]) -> None:
        self._database = runtime.database
        self._runtime = runtime
        self._rings: list[Ring] = []
        self._company = Company()
        shared = cast("Runtime", _Shared(runtime, self._company, self._rings))
        self._going: list[tuple[Any, Any]] = []
        """Greenlets that can go on, each with what it is told."""
        for pk in pks:
            self._going.append((greenlet.greenlet(_guarded(shared, pk)), ()))
        self._company.members = len(self._going)
        self._asking: list[tuple[Any, Asked]] = []
        self._waiting: list[tuple[Any, _Waiting]] = []

    def run(self) -> None:
        while self._company.members:
            going, self._going = self._going, []
            for member, told in going:
                self._go_on(member, told)
            if self._asking:
                asking, self._asking = self._asking, []
                answers = answer(self._database, [asked for _, asked in asking])
                self._going = [(member, told) for (member, _), told in zip(asking, answers, strict=True)]
            if self._rings:
                rings = list(self._rings)
                self._rings.clear()
                self._runtime.ring(*rings)
            self._look(wait=not self._going)

    def _go_on(self, member: Any, told: Any) -> None:
        """Until it asks for something, or has come to its end."""
        asked = member.throw(told) if isinstance(told, BaseException) else member.switch(told)
        if member.dead:
            self._company.members -= 1
        elif isinstance(asked, Asked):
            self._asking.append((member, asked))
        else:
            self._waiting.append((member, asked))

    def _look(self, *, wait: bool) -> None:
        """Those that have got what they waited for go on."""
        if not self._waiting:
            return
        self._company.arrived.clear()
        if wait and not any(waiting.is_over() for _, waiting in self._waiting):
            moments = [waiting.until for _, waiting in self._waiting if waiting.until is not None]
            self._company.arrived.wait(max(min(moments) - monotonic(), 0) if moments else None)
        if wait and len(self._waiting) > 1 and not all(waiting.is_over() for _, waiting in self._waiting):
            threading.Event().wait(GATHER_S)
        still = []
        for member, waiting in self._waiting:
            if waiting.is_over():
                self._going.append((member, None))
            else:
                still.append((member, waiting))
        self._waiting = still


def _park(asked: Asked | _Waiting) -> Any:
    """Give the others their turn; what this one is told when it goes on."""
    return greenlet.getcurrent().parent.switch(asked)


def _guarded(shared: Runtime, pk: int) -> Callable[[Any], None]:
    """One that fails must not take the others along."""

    def work(_: Any) -> None:
        try:
            advance(shared, pk)
        except DatabaseUnavailable as error:
            log.warning("instance %r could not be advanced; it will be rung again: %s", pk, error)
        except Exception:
            log.exception("instance %r could not be advanced; it will be rung again", pk)

    return work
