"""What an instance that goes on with others sees of them, and of the runtime they share; it drives none of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import greenlet  # type: ignore[import-untyped]

from orchestrator.clock import monotonic
from orchestrator.doorbell import Ring, together
from orchestrator.engine.orders import Order, Report
from orchestrator.engine.parked import Waiting
from orchestrator.engine.resting import Rest
from orchestrator.store.together import Asked, SharedDatabase

if TYPE_CHECKING:
    from orchestrator.engine.convoy import Convoy
    from orchestrator.engine.runtime import Runtime


class Company:
    """What an instance sees of the others it goes on with."""

    def __init__(self, convoy: Convoy, runtime: Runtime) -> None:
        self._convoy = convoy
        self._bodies = runtime.bodies
        self._telling = False
        self.arrived = threading.Event()
        """Something has come for one of them."""

    @property
    def others(self) -> bool:
        """Whether there are any. If not, none will join."""
        return not self._convoy.stays_alone()

    @property
    def is_here(self) -> bool:
        """Whether there are any now. Others may still join."""
        return self._convoy.has_several

    def tell(self) -> None:
        """Something has come for one of them; from any thread. Bodies that end together tell of it once."""
        if self._telling or self.arrived.is_set():
            return
        if self._bodies.is_at_home:
            self._telling = True
            self._bodies.soon(self._tell)
        else:
            self.arrived.set()

    def _tell(self) -> None:
        self._telling = False
        self.arrived.set()

    def wait(self, is_there: Callable[[], bool], timeout_s: float | None) -> None:
        until = None if timeout_s is None else monotonic() + timeout_s
        _park(Waiting(is_there, until))

    @property
    def may_rest(self) -> bool:
        """Whether one more may wait for its moment."""
        return self._convoy.has_beds

    def rest(self, rest: Rest) -> bool:
        """Wait for its moment; whether its work has begun then."""
        return bool(_park(rest))


class Shared:
    """The runtime as one of several sees it: what they tell others is told together, at the end of a round. One that goes
    on alone tells it at once, as its next round may be far."""

    def __init__(self, runtime: Runtime, company: Company) -> None:
        self._runtime = runtime
        self._thread: int | None = threading.get_ident()
        self._rings: list[Ring] = []
        self._changed: list[int] = []
        self._begun: list[tuple[Order, Callable[[Report], None]]] = []
        self.company = company
        self.database = SharedDatabase(runtime.database, _park)

    def ring(self, *rings: Ring) -> None:
        if threading.get_ident() == self._thread:
            self._rings += rings
        else:
            self._runtime.ring(*rings)

    def changed(self, *pks: int) -> None:
        if threading.get_ident() == self._thread:
            self._changed += pks
        else:
            self._runtime.changed(*pks)

    def start_async(self, orders: Iterable[Order], done: Callable[[Report], None], *, will_wait: bool = False) -> None:
        if self._thread is None:
            self._runtime.start_async(orders, done, will_wait=will_wait)
        else:
            self._begun += [(order, done) for order in orders]

    def begin(self) -> None:
        """The bodies that were started."""
        if self._begun:
            begun, self._begun = self._begun, []
            self._runtime.start_async_all(begun)

    def tell(self) -> None:
        if self._rings:
            rings, self._rings = self._rings, []
            now = [ring for ring in rings if not ring.delay_ms or ring.task != "advance"]
            later = [ring for ring in rings if ring.delay_ms and ring.task == "advance"]
            self._runtime.ring(*now, *together(later))
        if self._changed:
            changed, self._changed = self._changed, []
            self._runtime.changed(*changed)

    def go_alone(self) -> None:
        self._thread = None
        self.begin()
        self.tell()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runtime, name)


def _park(asked: Asked | Waiting | Rest) -> Any:
    """Give the others their turn; what this one is told when it goes on."""
    return greenlet.getcurrent().parent.switch(asked)
