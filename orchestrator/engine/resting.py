"""Those of a convoy that wait for their moment with all they need: begins their bodies then, if they may; it drives none.

To wake an instance takes a claim, three reads and a replay. Done before its moment has come, all that is left to be done
then is one look for all of them whether their claims stand.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.clock import monotonic
from orchestrator.engine.orders import Order, Report
from orchestrator.errors import DatabaseUnavailable
from orchestrator.store import instances

if TYPE_CHECKING:
    from orchestrator.engine.runtime import Runtime

log = logging.getLogger(__name__)

MOST = 4000
"""So many rest in a process at most; each takes about 20 kB."""
LOOK_S = 0.02
"""So long before their moment it is looked whether their claims stand, as that takes a while for many."""
NEAR_S = 0.001
"""Clocks count in milliseconds: who rests until the same moment may be so far apart."""
BODY_S = 1e-4
"""More than it takes to begin a body. While so many begin at once, their thread is left alone."""


@dataclass(slots=True, eq=False)
class Rest:
    until: float
    """In monotonic time."""
    claim: tuple[int, int, int]
    """(key, fence, wanted), which must be as they were."""
    work: list[tuple[Order, Callable[[Report], None]]]
    """What begins when its moment has come."""
    hears: Callable[[], bool]
    """Whether something has come for it since this was asked last."""
    looked_at: float = -math.inf
    stands: bool = True
    """Whether it was as it is known when it was looked at last."""

    @property
    def next_look(self) -> float:
        look_at = self.until - LOOK_S
        return self.until if self.looked_at >= look_at else look_at


class Resting:
    def __init__(self, runtime: Runtime, arrived: threading.Event) -> None:
        self._runtime = runtime
        self._arrived = arrived
        """Set when something has come for one of them, or bodies have ended."""
        self._those: list[tuple[Any, Rest]] = []

    def __len__(self) -> int:
        return len(self._those)

    def add(self, member: Any, rest: Rest) -> None:
        self._those.append((member, rest))

    def next_look(self) -> float | None:
        """In monotonic time, if nothing comes before."""
        return min([rest.next_look + NEAR_S for _, rest in self._those], default=None)

    def over(self) -> list[tuple[Any, bool]]:
        """Those that go on, each with whether what it was to begin has begun; if not, what it knows is old."""
        if not self._those:
            return []
        now = monotonic()
        self._look(
            [rest for _, rest in self._those if rest.hears() or rest.looked_at < rest.until - LOOK_S <= now], now
        )
        may_begin = self._runtime.may_start()
        going, still, work = [], [], []
        for member, rest in self._those:
            if not (rest.stands and may_begin):
                going.append((member, False))
            elif now < rest.until:
                still.append((member, rest))
            else:
                going.append((member, True))
                work += rest.work
        self._those = still
        self._begin(work)
        return going

    def _look(self, asked: Sequence[Rest], now: float) -> None:
        if not asked:
            return
        try:
            with self._runtime.database.read() as connection:
                standing = instances.standing(connection, [rest.claim[0] for rest in asked])
        except DatabaseUnavailable as error:
            log.info("it can't be seen whether claims still stand, so they are given back: %s", error)
            standing = set()
        for rest in asked:
            rest.stands, rest.looked_at = rest.claim in standing, now

    def _begin(self, work: list[tuple[Order, Callable[[Report], None]]]) -> None:
        if not work:
            return
        self._arrived.clear()
        self._runtime.start_async_all(work)
        self._arrived.wait(len(work) * BODY_S)
