"""Goes on with several instances on one thread, in step, so that they share their round trips; it decides nothing.

Each is worked on by the same loop as an instance alone, in a greenlet of its own. Where that would wait for the database
or for an `async def` body it is parked, and the others have their turn; what they have asked for is then done together.
A `def` body would hold up all of them, so an instance that comes to one is handed back, with a ring of its own.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import greenlet  # type: ignore[import-untyped]

from orchestrator.clock import monotonic
from orchestrator.doorbell import Ring
from orchestrator.engine.activation import advance
from orchestrator.engine.claims import Taken, claim_free, take_all
from orchestrator.engine.company import Company, Shared
from orchestrator.engine.parked import Parked
from orchestrator.errors import DatabaseUnavailable
from orchestrator.store import instances
from orchestrator.store.together import Asked, answer

if TYPE_CHECKING:
    from orchestrator.engine.runtime import Runtime

log = logging.getLogger(__name__)

AT_ONCE = 500
"""How many go on at a time, apart from those that wait for a body: the others wait for some of them to end. With 500 instead
of 50, the last of 2,000 timers is late by two thirds of what it was, who starts meanwhile has a result in half the time."""
BACKLOG = 4000
"""How many may wait to be begun. With 4,000 instead of 1,000 the bodies of 2,000 timers are not in the way of each other's
writes: p99 0.64 of it on SQLite, 0.85 on PostgreSQL, in turns; 3,000 that start at once take what they took."""
LONG_S = 0.25
"""Held up by one of its members for so long, a convoy takes nobody along any more."""


def advance_among(runtime: Runtime, pk: int) -> None:
    """`advance` with an instance: alone where no other is worked on in this process, else in step with others.

    Perhaps it only waits to be begun when this returns. If the process dies then, the pump rings again.
    """
    crowd, claim = runtime.crowd, None
    alone = not crowd.threads
    if crowd.blocking and not alone:
        claim = claim_free(runtime, pk)
        alone = claim is None or claim.workflow in crowd.blocking
    if alone:
        with crowd.at_work():
            advance(runtime, pk, Taken(pk, claim))
    else:
        if claim is not None:
            runtime.taken.add((pk, claim.fence))  # until it has its first turn
        _go_along(runtime, [Taken(pk, claim)])


def advance_together(runtime: Runtime, pks: Iterable[int]) -> None:
    """`advance_among` with each of these instances."""
    _go_along(runtime, [Taken(pk) for pk in sorted(set(pks))])  # in order, so that two that share some wait in turn


def _go_along(runtime: Runtime, members: Sequence[Taken]) -> None:
    crowd = runtime.crowd
    with crowd.lock:
        if crowd.open is not None and crowd.open.take_along(members):
            return
        convoy = crowd.open = Convoy(runtime, members)
    with crowd.at_work():
        convoy.run()


class Convoy:
    def __init__(self, runtime: Runtime, members: Sequence[Taken]) -> None:
        self._runtime = runtime
        self._crowd = runtime.crowd
        self._company = Company(self, runtime)
        self._shared = Shared(runtime, self._company)
        self._backlog: deque[Taken] = deque(members)
        """To be begun. Only with the lock of the crowd."""
        self._closed = False
        """Takes nobody along any more."""
        self._moved_at = monotonic()
        self._rests = False
        self._members = 0
        self._being_taken = 0
        """How many are claimed just now, to have their first turn after that."""
        self._unbegun: set[tuple[int, int | None]] = set()
        """Claims on their way to their first turn."""
        self._going: list[tuple[Any, Any]] = []
        """Greenlets that can go on, each with what it is told."""
        self._asking: list[tuple[Any, Asked]] = []
        self._parked = Parked(runtime, self._company.arrived)

    # --- with the lock of the crowd

    def take_along(self, members: Sequence[Taken]) -> bool:
        """The caller has the lock of the crowd. False if there is no place for them here."""
        held_up = not self._rests and monotonic() - self._moved_at > LONG_S
        if self._closed or held_up or len(self._backlog) + len(members) > BACKLOG:
            return False
        self._backlog.extend(members)
        self._company.arrived.set()
        return True

    @property
    def has_several(self) -> bool:
        return self._members > 1 or bool(self._backlog)

    @property
    def has_beds(self) -> bool:
        return self._parked.has_beds

    def stays_alone(self) -> bool:
        """Whether there is one member, which has the thread for itself from now on."""
        alone = self._closes_with(1)
        if alone:
            self._shared.go_alone()
        return alone

    def _closes_with(self, members: int) -> bool:
        """Whether there are no more than these and nobody waits to be begun; then nobody will."""
        if self._members > members:
            return False
        with self._crowd.lock:
            if self._backlog:
                return False
            self._close()
        return True

    def _close(self) -> None:
        self._closed = True
        if self._crowd.open is self:
            self._crowd.open = None

    def _begun(self) -> list[Taken]:
        """Those that have their first turn now."""
        if not self._backlog:
            return []
        with self._crowd.lock:
            room = max(AT_ONCE - len(self._going) - self._being_taken, 0)
            return [self._backlog.popleft() for _ in range(min(room, len(self._backlog)))]

    # --- on its thread

    def run(self) -> None:
        try:
            while not self._closes_with(0):
                self._rests, self._moved_at = False, monotonic()
                self._round()
        finally:
            with self._crowd.lock:
                self._close()
                left = list(self._backlog)
            # What was claimed and will not be begun here any more is the supervisor's.
            self._runtime.taken.difference_update(self._unbegun, [taken.key for taken in left])
            self._shared.tell()
            self._ring_for([taken.pk for taken in left])

    def _round(self) -> None:
        begun = self._begun()
        if not self._runtime.may_start():
            self._ring_for([taken.pk for taken in begun if taken.claim is None])
            begun = [taken for taken in begun if taken.claim is not None]
        self._begin(begun)
        going, self._going = self._going[:AT_ONCE], self._going[AT_ONCE:]  # many may have rested until one moment
        for member, told in going:
            self._go_on(member, told)
        self._shared.begin()
        self._moved_at = monotonic()
        if self._asking:
            asking, self._asking = self._asking, []
            answers = answer(self._runtime.database, [asked for _, asked in asking])
            self._going += [(member, told) for (member, _), told in zip(asking, answers, strict=True)]
        self._shared.tell()
        self._look(wait=not (self._going or self._backlog))

    def _begin(self, begun: Sequence[Taken]) -> None:
        """Several that have yet to be claimed are claimed together, and have their first turn after that."""
        unclaimed = [taken.pk for taken in begun if taken.claim is None]
        if len(unclaimed) > 1:
            self._being_taken += len(unclaimed)
            self._add(unclaimed, lambda: self._take_all(unclaimed))
            begun = [taken for taken in begun if taken.claim is not None]
        self._begin_each(begun)

    def _take_all(self, unclaimed: list[int]) -> None:
        try:
            taken = take_all(cast("Runtime", self._shared), unclaimed)
        finally:
            self._being_taken -= len(unclaimed)
        self._begin_each(taken)

    def _begin_each(self, begun: Iterable[Taken]) -> None:
        for taken in begun:
            if taken.claim is not None:
                self._unbegun.add(taken.key)
            self._add(taken.pk, functools.partial(self._advance, taken))

    def _advance(self, taken: Taken) -> None:
        self._unbegun.discard(taken.key)
        try:
            advance(cast("Runtime", self._shared), taken.pk, taken)
        finally:
            self._runtime.taken.discard(taken.key)

    def _add(self, whose: int | list[int], work: Callable[[], None]) -> None:
        self._members += 1
        self._going.append((greenlet.greenlet(_guarded(whose, work)), ()))

    def _go_on(self, member: Any, told: Any) -> None:
        """Until it asks for something, or has come to its end."""
        self._moved_at = monotonic()
        asked = member.throw(told) if isinstance(told, BaseException) else member.switch(told)
        if member.dead:
            self._members -= 1
        elif isinstance(asked, Asked):
            self._asking.append((member, asked))
        else:
            self._parked.add(member, asked)

    def _look(self, *, wait: bool) -> None:
        """Those that have got what they waited for go on."""
        if self._parked:
            self._company.arrived.clear()
            self._going += self._parked.over(self._rest if wait and not self._backlog else None)

    def _rest(self, timeout_s: float | None) -> None:
        """Until something comes for one of them."""
        self._rests = True
        self._company.arrived.wait(timeout_s)
        self._moved_at = monotonic()
        self._rests = False

    def _ring_for(self, pks: Sequence[int]) -> None:
        """Those that were never begun are for others."""
        if not pks:
            return
        with self._runtime.database.read() as connection:
            rows = instances.queues_of(connection, pks)
        self._runtime.ring(*(Ring(row.id, row.queue) for row in rows))


def _guarded(whose: int | list[int], work: Callable[[], None]) -> Callable[[Any], None]:
    """One that fails must not take the others along."""

    def guarded(_: Any) -> None:
        try:
            work()
        except DatabaseUnavailable as error:
            log.warning("instance %r could not be advanced; it will be rung again: %s", whose, error)
        except Exception:
            log.exception("instance %r could not be advanced; it will be rung again", whose)

    return guarded
