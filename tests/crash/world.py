"""Processes that die and others that go on, in one thread on a clock that tests move; it knows nothing of what they run."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import text

from orchestrator.authoring.registry import Registry
from orchestrator.client import Client, Instance
from orchestrator.doorbell import Doorbell, Ring
from orchestrator.engine import local, pump
from orchestrator.engine.orders import Order, Runner
from orchestrator.engine.runtime import Runtime
from orchestrator.engine.supervisor import Supervisor
from orchestrator.errors import DatabaseUnavailable
from orchestrator.settings import Settings
from orchestrator.store import steps, workers
from orchestrator.store.database import Database
from tests.crash.points import Life, Plan, SimulatedCrash, TappedDatabase, TappedDoorbell, TappedRunner

log = logging.getLogger(__name__)

MOMENTS = 400
"""A run that is not over after so many moves of the clock is stuck."""


class MovableClock:
    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def move_to(self, now_ms: int) -> None:
        self._now_ms = max(self._now_ms, now_ms)


class Broker:
    """Messages in order, by queue; they can be lost."""

    grace_ms = 5000
    failures = 0

    def __init__(self, clock: MovableClock) -> None:
        self._clock = clock
        self._messages: list[tuple[int, int, Ring]] = []
        self._numbers = itertools.count()

    def ring(self, rings: Iterable[Ring]) -> None:
        now = self._clock.now_ms()
        self._messages += [(now + ring.delay_ms, next(self._numbers), ring) for ring in rings]
        self._messages.sort()

    def due(self, queues: Iterable[str]) -> Ring | None:
        for message in self._messages:
            due_at, _, ring = message
            if due_at <= self._clock.now_ms() and ring.queue in queues:
                self._messages.remove(message)
                return ring
        return None

    def lose_everything(self) -> None:
        self._messages.clear()

    def next_due(self) -> int | None:
        return self._messages[0][0] if self._messages else None


@dataclass
class Process:
    """One worker process: its runtime, and whether it lives."""

    life: Life
    runtime: Runtime
    supervisor: Supervisor
    beats_at: int = 0

    def turn(self, broker: Broker) -> None:
        """Do all there is to do for it at this moment. Raises SimulatedCrash."""
        while True:
            self._forgive(lambda: pump.tick(self.runtime))
            ring = broker.due(self.runtime.queues)
            if ring is None:
                return
            while ring is not None:
                self._forgive(lambda ring=ring: local.answer(self.runtime, ring))
                ring = broker.due(self.runtime.queues)

    def beat(self) -> None:
        """As often as it is meant to: what it looks at twice must have had time to change."""
        now = self.runtime.clock.now_ms()
        if now >= self.beats_at:
            self.beats_at = now + self.runtime.settings.heartbeat_ms
            self._forgive(self.supervisor.beat)

    def look_after_bodies(self) -> None:
        self._forgive(self.supervisor.look_after_bodies)

    def _forgive(self, call: Callable[[], Any]) -> None:
        """As the loops around the engine do: what failed is logged and tried again."""
        try:
            call()
        except Exception:
            log.warning("a turn failed", exc_info=True)

    @property
    def busy(self) -> bool:
        return not self.life.dead and bool(
            self.runtime.running or self.runtime.bodies.busy or self.runtime.completions.busy
        )


@dataclass
class World:
    """One instance's world, from its creation to its end, with one plan of what goes wrong."""

    database: Database
    clock: MovableClock
    registry: Registry
    settings: Settings
    plan: Plan
    queues: tuple[tuple[str, ...], ...] = (("default",),)
    keeps_messages: bool = True
    """Whether messages survive a crash. The database alone must be enough."""
    bodies: list[tuple[int, str, int]] = field(default_factory=list)
    """(run, step key, attempt) of every body that has begun."""
    done: set[str] = field(default_factory=set)
    """What was to be done only once and has been done, by name."""
    broken: list[str] = field(default_factory=list)
    """Promises that were seen broken on the way."""
    deaths: int = 0

    def __post_init__(self) -> None:
        self.broker = Broker(self.clock)
        self.processes = [self._start(queues) for queues in self.queues]
        self.client = self._client(Life(Plan()))
        self.instance: Instance
        self._lock = threading.Lock()
        self._pause = threading.Event()

    # --- processes

    def _start(self, queues: tuple[str, ...]) -> Process:
        life = Life(self.plan)
        runtime = Runtime(
            cast(Database, TappedDatabase(self.database, life)),
            self.registry,
            self.settings,
            cast(Doorbell, TappedDoorbell(self.broker, life)),
            queues=queues,
        )
        supervisor = Supervisor(runtime)
        runtime.later = lambda delay_s, call: (call(), lambda: None)[1]  # type: ignore[func-returns-value]

        def begins(order: Order) -> None:
            self._body_begins(order)
            runtime._register(order)

        runtime.runner._register = begins
        runtime.runner = cast(Runner, TappedRunner(runtime.runner, life))

        def wake_who_waits() -> None:
            for activation in list(runtime.holding.values()):
                activation.nudge()

        life.on_death = wake_who_waits
        return Process(life, runtime, supervisor)

    def _client(self, life: Life) -> Client:
        database = cast(Database, TappedDatabase(self.database, life))
        return Client(self.settings, database=database, doorbell=cast(Doorbell, TappedDoorbell(self.broker, life)))

    def act(self, action: Callable[[Client], Any]) -> Any:
        """Do something from outside, as a process that may die of it: then somebody asks again, if nothing was written."""
        life = Life(self.plan)
        try:
            return action(self._client(life))
        except (SimulatedCrash, DatabaseUnavailable):
            return None if life.has_committed else action(self.client)

    # --- time

    def run(self, is_over: Callable[[], bool], act: Callable[[], bool] = lambda: False) -> None:
        """Let the processes work until it is over; `act` may do something whenever nothing is left to do."""
        for _ in range(MOMENTS):
            self._turns()
            if any(process.busy for process in self.processes):
                while any(process.busy for process in self.processes):
                    self._pause.wait(0.0005)
            elif act():
                continue
            elif is_over():
                return
            else:
                self._move_clock()
        self.broken.append(f"not over after {MOMENTS} moves of the clock")

    def _turns(self) -> None:
        for turn in (Process.beat, lambda process: process.turn(self.broker)):
            for number, process in enumerate(self.processes):
                try:
                    turn(process)
                except SimulatedCrash:
                    self.deaths += 1
                    if not self.keeps_messages:
                        self.broker.lose_everything()
                    self.processes[number] = self._start(tuple(process.runtime.queues))

    def _move_clock(self) -> None:
        """To the next moment at which something is due, or a dead process's lease is over."""
        now = self.clock.now_ms()
        living = {process.runtime.worker_id for process in self.processes}
        with self.database.read() as connection:
            moments = list(connection.execute(text(_MOMENTS)).one())
            beats = {row.id: row.heartbeat_at for row in workers.all_(connection)}
        moments += [beat + self.settings.lease_ms + 1 for worker, beat in beats.items() if worker not in living]
        moments.append(self.broker.next_due())
        self.clock.move_to(min([moment for moment in moments if moment is not None and moment > now] or [now + 1000]))

    # --- witnesses

    def _body_begins(self, order: Order) -> None:
        identity, key = order.identity, order.command.key
        if identity.pk != self.instance._pk:
            self.broken.append(f"another instance runs: {identity}")
        with self.database.read() as connection:
            if steps.result(connection, identity.pk, identity.run, key) is not None:
                self.broken.append(f"the body of {key} of run {identity.run} began after its result was stored")
        with self._lock:
            self.bodies.append((identity.run, key, order.attempt))

    def once(self, name: str) -> bool:
        """True the first time it is asked for this name."""
        with self._lock:
            first = name not in self.done
            self.done.add(name)
        return first

    def began_twice(self) -> list[tuple[int, str, int]]:
        return [body for body, count in Counter(self.bodies).items() if count > 1]

    def close(self) -> None:
        for process in self.processes:
            process.life.dead = True
            process.runtime.bodies.stop()
            process.runtime.completions.stop()


_MOMENTS = """
    SELECT (SELECT min(ring_at) FROM orchestrator_instances WHERE ring_at < 4000000000000),
        (SELECT min(ring_at) FROM orchestrator_attempts WHERE ring_at IS NOT NULL),
        (SELECT min(deadline_at) FROM orchestrator_attempts WHERE state = 'running'),
        (SELECT min(due_at) FROM orchestrator_timers)
"""
