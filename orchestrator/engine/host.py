"""Starts and stops what a working process needs beside its tasks: supervisor, pump, registration; it runs no task."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from sqlalchemy import Connection

from orchestrator.clock import monotonic
from orchestrator.engine import completions, configuration, pump, schedules, sharing, versions
from orchestrator.engine.chores import Chores
from orchestrator.engine.runtime import Runtime
from orchestrator.engine.supervisor import Supervisor
from orchestrator.errors import DatabaseUnavailable
from orchestrator.store import attempts, instances, slots, workers, workflows

log = logging.getLogger(__name__)

HURRIED = 10_000
"""Others have their turn as they come due."""
WATCH_S, LONGEST_WATCH_S = 0.003, 0.04
"""How often a file that other processes write to is looked at: more and more rarely while nobody does. To wake up for it
takes 0.2 ms of processor time, which is nearly all of what a process uses that has nothing to do."""


class Host:
    def __init__(self, runtime: Runtime, *, recycle: Callable[[], None] = lambda: None) -> None:
        self.runtime = runtime
        self._supervisor = Supervisor(runtime, recycle=recycle)
        self._pump = threading.Thread(target=self._run_pump, name="orchestrator-pump", daemon=True)
        self._chores = Chores(runtime)
        self._stop = threading.Event()
        self._stops = threading.Lock()
        self._seen: int | None = None
        self._watch_s = WATCH_S
        self._jitter = random.Random()  # many pumps should not march in step

    def start(self) -> None:
        register(self.runtime)
        self._supervisor.start()
        hurry(self.runtime)
        pump.bury_processes(self.runtime.database)
        self._pump.start()
        self._chores.start()

    def stop(self, grace_s: float = 10.0) -> bool:
        """Hand over what can't be finished in time, and leave nothing that has to run out first.

        True if no user code runs any more. Only the first call does anything; others wait for it.
        """
        runtime = self.runtime
        runtime.stopping.set()
        with self._stops:
            if not self._stop.is_set():
                self._hand_over(grace_s)
        return not (runtime.running or runtime.holding or runtime.stuck)

    def _hand_over(self, grace_s: float) -> None:
        runtime = self.runtime
        for activation in list(runtime.holding.values()):
            activation.nudge()
        until = monotonic() + grace_s
        while (runtime.holding or runtime.running.keys() - runtime.abandoned) and monotonic() < until:
            self._stop.wait(0.02)
        runtime.bodies.stop()
        runtime.completions.stop()
        self._stop.set()
        self._pump.join(10)
        self._chores.stop()
        self._supervisor.stop()
        try:
            self._leave()
        except DatabaseUnavailable as error:
            log.warning("what this worker holds is for others only after its lease: %s", error)

    def _leave(self) -> None:
        """Take this worker off the list, so that nobody waits for its lease to run out. Raises DatabaseUnavailable."""
        runtime = self.runtime
        runtime.rows.close()
        # What has ended behind a body that does not is stored; everything else in this worker's name is for others. The
        # tables are asked, not this process's memory: with its name off the list, nobody would look for it soon.
        completions.store_all(runtime, runtime.rows.take_reports(0))
        completions.store_owed(runtime)
        with runtime.database.read() as connection:
            left = {row.id: row.instance_id for row in attempts.of_worker(connection, runtime.worker_id)}
        sharing.hand_back(runtime, left)
        if runtime.holding:
            # By a function that does not stop between two steps: it is treated as if this worker had died with it.
            pump.bury(runtime.database, known=[runtime.worker_id])
        runtime.database.statement(lambda connection: workers.remove(connection, runtime.worker_id))

    def _run_pump(self) -> None:
        runtime = self.runtime
        while not runtime.stopping.is_set():
            try:
                wait_s = pump.tick(runtime) / 1000
            except DatabaseUnavailable as error:
                log.warning("the pump could not do its round; it tries again: %s", error)
                wait_s = runtime.settings.pump_ms / 1000
            except Exception:
                log.exception("the pump could not do its round; it tries again")
                wait_s = runtime.settings.pump_ms / 1000
            if runtime.database.is_sqlite:
                self._watch(wait_s)
            else:
                self._stop.wait(wait_s * self._jitter.uniform(0.8, 1.2))

    def _watch(self, wait_s: float) -> None:
        """Wait, but not once another process has written to the file: it may have left work for this one."""
        until = monotonic() + wait_s
        while monotonic() < until and not self._stop.wait(self._watch_s):
            seen = self.runtime.database.foreign_commits()
            if seen is not None and seen != self._seen:
                self._seen, self._watch_s = seen, WATCH_S
                return
            self._watch_s = min(self._watch_s * 1.1, LONGEST_WATCH_S)


def hurry(runtime: Runtime) -> None:
    """Whatever was put off because nobody knew its workflow is known here."""
    now = runtime.clock.now_ms()
    if runtime.registry:
        runtime.database.transaction(lambda connection: instances.hurry(
            connection, workflows=list(runtime.registry), now=now, after=now + runtime.settings.grace_ms, limit=HURRIED
        ))  # fmt: skip


def register(runtime: Runtime, *, with_schedules: bool = True) -> None:
    """Write down which workflows this process knows, and what their classes declare."""
    now = runtime.clock.now_ms()
    declared = {name: definition.schedules() if with_schedules else [] for name, definition in runtime.registry.items()}

    def work(connection: Connection) -> None:
        for name, definition in sorted(runtime.registry.items()):  # so that two that start together wait in turn
            workflows.register(
                connection,
                name=name,
                class_name=definition.cls.__qualname__,
                module=definition.cls.__module__,
                queue=definition.cls.queue,
                now=now,
            )
            versions.register(connection, name, definition, now)
            configuration.declare(connection, name, definition.settings)
            schedules.synchronise(connection, name, declared[name], now)
        runtime.limited = slots.limited(connection)
        runtime.step_limits = workflows.step_limits(connection)

    if runtime.registry:
        runtime.database.transaction(work)
