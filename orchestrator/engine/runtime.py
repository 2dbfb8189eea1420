"""What one process that works has at hand, wired once; it decides nothing and starts nothing by itself."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import os
import secrets
import socket
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.authoring.registry import Registry
from orchestrator.clock import Clock, monotonic
from orchestrator.doorbell import Doorbell, LocalNotifier, Notifier, Ring
from orchestrator.engine.async_bodies import AsyncBodies
from orchestrator.engine.completions import Completions
from orchestrator.engine.crowd import Crowd
from orchestrator.engine.ears import Ears
from orchestrator.engine.held_rows import HeldRows
from orchestrator.engine.offers import Offers
from orchestrator.engine.orders import Identity, Order, Report, Runner
from orchestrator.engine.streams import Streams
from orchestrator.engine.turns import Turns
from orchestrator.errors import LeaseOver
from orchestrator.replay.run import WorkflowRun
from orchestrator.settings import Settings
from orchestrator.store import workers
from orchestrator.store.database import Database

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation
    from orchestrator.engine.company import Company
    from orchestrator.engine.publishing import Publisher

log = logging.getLogger(__name__)


def this_host() -> str:
    return socket.gethostname()[:30].replace(":", "-")


def new_worker_id() -> str:
    """Host, process and chance: unique even when a process number comes round again."""
    return f"{this_host()}:{os.getpid()}:{secrets.token_hex(4)}"


def process_of(worker_id: str) -> tuple[str, int]:
    """The host and process number in a worker's id."""
    host, pid, _ = worker_id.split(":")
    return host, int(pid)


@dataclass(slots=True)
class HotRun:
    """A live workflow function with the journal it has seen, up to and including `seq`."""

    run: int
    live: WorkflowRun
    seq: int


class HotRuns:
    """The functions of instances this process drove lately, so that waking one needs no replay from the top.

    A function is a result of its code and the part of the journal it has seen, whoever wrote that, so one that waited
    here stays right while others advance the instance: it only has to be fed what it missed.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._runs: OrderedDict[int, HotRun] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, pk: int, run: int) -> HotRun | None:
        with self._lock:
            hot = self._runs.pop(pk, None)
        if hot is not None and (hot.run != run or hot.live.closed):
            hot.live.close()
            return None
        return hot

    def seen(self, pk: int, run: int) -> int:
        """Up to where the function that is kept of an instance knows the journal; 0 if there is none."""
        hot = self._runs.get(pk)
        return hot.seq if hot is not None and hot.run == run else 0

    def put(self, pk: int, hot: HotRun) -> None:
        if not hot.live.definition.is_async or self._limit == 0:
            hot.live.close()  # a greenlet can only go on in the thread it was made in
            return
        with self._lock:
            previous = self._runs.pop(pk, None)
            self._runs[pk] = hot
            evicted = [self._runs.popitem(last=False)[1] for _ in range(len(self._runs) - self._limit)]
        for old in (previous, *evicted):
            if old is not None and old is not hot:
                old.live.close()


@dataclass
class Runtime:
    database: Database
    registry: Registry
    settings: Settings
    doorbell: Doorbell
    notifier: Notifier = field(default_factory=LocalNotifier)
    queues: Sequence[str] = ("default",)
    worker_id: str = field(default_factory=new_worker_id)
    publisher: Publisher | None = None
    """Where what happens to instances is published, if anywhere."""
    killable: bool = False
    """This process may be killed to stop a `def` body past its timeout: its parent starts another (prefork)."""

    def __post_init__(self) -> None:
        self.stopping = threading.Event()
        self.bodies = AsyncBodies()
        self.hot = HotRuns(self.settings.hot_instances)
        self.completions = Completions(self)
        self.offers = Offers()
        self.holding: dict[int, Activation] = {}
        self.running: dict[int, Order] = {}
        """Bodies that run now, by the id of their order."""
        self.abandoned: set[int] = set()
        """Orders whose body went past its timeout and can't be stopped."""
        self.stuck = 0
        """Threads lost to a `run` that never comes back."""
        self.runner = Runner(
            self.clock,
            Streams(self.database, self.worker_id, self.settings.max_instance_bytes),
            self.database.url,
            self.settings.max_payload_bytes,
            self._register,
            self._forget,
        )
        self.slots = self.settings.concurrency
        """Of all workers, as counted last."""
        self.wake_supervisor: Callable[[], None] = lambda: None
        self.later: Callable[[float, Callable[[], None]], Callable[[], None]] = _at_once
        self.lease_until = math.inf
        """When others may take this worker for dead, in this process's monotonic time."""
        self.owed: deque[tuple[Identity, list[Report]]] = deque()
        """What attempts have come to and the database has not confirmed, because it was away."""
        self.taken: set[tuple[int, int | None]] = set()
        """Claims, as (key, fence), that have yet to be worked on by those who made them together."""
        self.dropped: set[tuple[int, int]] = set()
        """Claims (instance, fence) in which something was under way when the database was lost."""
        self.rows = HeldRows()
        self.limited: frozenset[str] = frozenset()
        """The workflows of which not all instances may run at once."""
        self.step_limits: dict[str, int] = {}
        """What is stored of each workflow that has a step limit of its own; what a class says may be older."""
        self.lengths: dict[str, int] = {}
        """How much the instance of each workflow that was completed here last had asked for: see engine.ahead."""
        self.company: Company | None = None
        """Those that go on in step with this one on its thread, if any (see engine.convoy)."""
        self.turns = Turns(self)
        self.ears = Ears()
        self.crowd = Crowd()

    @property
    def clock(self) -> Clock:
        return self.database.clock

    @property
    def patience_ms(self) -> int:
        """How long to wait for an answer to a ring before a pump rings again; none once it may be our own that is lost."""
        return 0 if self.stopping.is_set() else self.settings.grace_ms

    def may_start(self) -> bool:
        """Whether this worker may take up anything new."""
        return not self.stopping.is_set() and self.may_have_claims()

    @property
    def idle(self) -> bool:
        """Whether no thread of this process is at work, so that it could take up what it is rung for."""
        if self.holding or self.bodies.has_guest:
            return False
        return all(order.task is not None for order in list(self.running.values()))

    def count_slots(self) -> None:
        """How many bodies all the workers there are now can run at once."""
        with self.database.origin.read() as connection:
            self.slots = self.settings.concurrency * max(len(workers.all_(connection)), 1)

    def may_have_claims(self) -> bool:
        """False when others may have taken this worker's claims by now."""
        return monotonic() < self.lease_until

    def check_lease(self) -> None:
        """Raises LeaseOver when others may have this worker's claims by now."""
        if not self.may_have_claims():
            raise LeaseOver

    def may_begin(self, order: Order) -> bool:
        """Asked once, right before its body begins: an order with a row may have been taken back meanwhile."""
        return order.row is None or self.rows.begin(order.row)

    def start_async(self, orders: Iterable[Order], done: Callable[[Report], None], *, will_wait: bool = False) -> None:
        """Start `async def` bodies; `done` is told on their loop's thread what came of each. `will_wait`: this thread is
        going to wait for it (see AsyncBodies.wait)."""
        self.start_async_all([(order, done) for order in orders], will_wait=will_wait)

    def start_async_all(
        self, started: Sequence[tuple[Order, Callable[[Report], None]]], *, will_wait: bool = False
    ) -> None:
        """start_async, for several that are told."""
        work = [(functools.partial(self._run_async, order), done) for order, done in started]
        self.bodies.start(work, will_wait=will_wait)

    async def _run_async(self, order: Order) -> Report:
        if not self.may_begin(order):  # the loop was busy for so long that the row has gone to others
            raise asyncio.CancelledError
        return await self.runner.run_async(order)

    def ring(self, *rings: Ring) -> None:
        if rings:
            self.doorbell.ring(rings)

    def changed(self, *pks: int) -> None:
        """Tell those who watch these instances."""
        self.notifier.changed(*pks)

    def _register(self, order: Order) -> None:
        self.running[id(order)] = order
        if order.config.timeout_ms < 2 * self.settings.moment_ms:
            self.wake_supervisor()

    def _forget(self, order: Order) -> None:
        if order.row is not None:
            order.row.seen_at = monotonic()
        self.running.pop(id(order), None)
        self.abandoned.discard(id(order))


def _at_once(delay_s: float, call: Callable[[], None]) -> Callable[[], None]:
    """Without a supervisor nothing can be put off."""
    call()
    return lambda: None
