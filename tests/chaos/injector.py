"""Breaks something every few seconds, chosen by the seed, and notes what and when; it looks after nothing but its faults."""

from __future__ import annotations

import logging
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import OrchestratorError
from tests.chaos.recovery import Recovery
from tests.chaos.site import LEASE_S, Site, Worker, members, send
from tests.services import ServiceError

log = logging.getLogger(__name__)

START_S = 30.0


class Injector:
    def __init__(self, site: Site, recovery: Recovery, seed: int, every_s: tuple[float, float]) -> None:
        self._site = site
        self._recovery = recovery
        self._random = Random(f"faults/{seed}")
        self._every_s = every_s
        self.faults: Counter[str] = Counter()
        self.frozen: list[tuple[set[int], int, int]] = []
        """Processes that were stopped, from when to when (ns)."""
        self._kinds: dict[Callable[[], None], float] = {
            self.kill_worker: 5,
            self.kill_child: 3,
            self.freeze_worker_for_long: 3,
            self.freeze_worker_shortly: 2,
            self.stop_worker: 4,
            self.flush_broker: 2,
            self.restart_broker: 2,
            self.freeze_broker: 1,
        }
        if site.postgres is not None:
            self._kinds |= {self.restart_database: 2, self.crash_database: 1, self.freeze_database: 1}

    def run(self, seconds: float) -> None:
        """Break things for so long, on this thread: what it starts would end with another one (see service_process)."""
        kinds, weights = zip(*self._kinds.items(), strict=True)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(self._random.uniform(*self._every_s))
            self._wait_for_workers()
            kind = self._random.choices(kinds, weights)[0]
            name = kind.__name__.replace("_", " ")
            log.info("fault: %s", name)
            try:
                kind()
                self.faults[name] += 1
            except (OSError, ServiceError, OrchestratorError, SQLAlchemyError):
                log.exception("the fault could not be made")
            self._revive()

    def _wait_for_workers(self) -> None:
        """A fault that meets nobody at work shows nothing: wait until those that were replaced have started."""
        give_up_at = time.monotonic() + START_S
        while time.monotonic() < give_up_at:
            with suppress(OrchestratorError, SQLAlchemyError):
                if self._site.alive() >= len(self._site.workers):
                    return
            time.sleep(0.1)

    def _revive(self) -> None:
        """As whatever runs workers does: one that has ended is started again."""
        for worker in list(self._site.workers):
            if worker.process.ended:
                self.faults["worker ended by itself"] += 1
                self._site.replace(worker)

    # --- workers

    def kill_worker(self) -> None:
        worker = self._one()
        with self._recovery.of(lambda: members(worker.process.pid), "kill worker"):
            worker.process.kill()
        self._site.replace(worker)

    def kill_child(self) -> None:
        """One process of several: its parent sees it."""
        parents = [worker for worker in self._site.workers if "--processes" in worker.options]
        children = members(parents[0].process.pid) - {parents[0].process.pid} if parents else set()
        if not children:
            return
        child = self._random.choice(sorted(children))
        with self._recovery.of(lambda: {child}, "kill child"):
            send({child}, signal.SIGKILL)

    def freeze_worker_for_long(self) -> None:
        """Until others have taken everything over; then it goes on as if nothing had happened."""
        worker = self._one()
        with self._recovery.of(lambda: members(worker.process.pid), "freeze worker for long"):
            self._freeze(worker, LEASE_S + self._random.uniform(1.0, 3.0))

    def freeze_worker_shortly(self) -> None:
        self._freeze(self._one(), self._random.uniform(0.1, LEASE_S * 0.4))

    def stop_worker(self) -> None:
        worker = self._one()
        with self._recovery.of(lambda: members(worker.process.pid), "stop worker"):
            worker.process.send(signal.SIGTERM)
            give_up_at = time.monotonic() + 60
            while not worker.process.ended and time.monotonic() < give_up_at:
                time.sleep(0.05)
        if not worker.process.ended:
            self.faults["worker that did not stop within a minute"] += 1
            worker.process.kill()
        self._site.replace(worker)

    def _freeze(self, worker: Worker, seconds: float) -> None:
        pids, began = members(worker.process.pid), time.time_ns()
        send(pids, signal.SIGSTOP)
        time.sleep(seconds)
        self.frozen.append((pids, began, time.time_ns()))
        send(pids, signal.SIGCONT)

    def _one(self) -> Worker:
        return self._random.choice(self._site.workers)

    # --- services

    def flush_broker(self) -> None:
        self._site.valkey.flush()

    def restart_broker(self) -> None:
        valkey = self._site.valkey
        valkey.kill() if self._random.random() < 0.5 else valkey.stop()
        time.sleep(self._random.uniform(0, 4))
        valkey.start()

    def freeze_broker(self) -> None:
        pids = members(self._site.valkey.pid)
        send(pids, signal.SIGSTOP)
        time.sleep(self._random.uniform(0.5, 4))
        send(pids, signal.SIGCONT)

    def restart_database(self) -> None:
        assert self._site.postgres is not None
        self._site.postgres.stop()
        time.sleep(self._random.uniform(0, 2))
        self._start_database()

    def crash_database(self) -> None:
        assert self._site.postgres is not None
        self._site.postgres.kill()
        time.sleep(self._random.uniform(0, 2))
        self._start_database()

    def freeze_database(self) -> None:
        assert self._site.postgres is not None
        pids = members(self._site.postgres.pid)
        send(pids, signal.SIGSTOP)
        time.sleep(self._random.uniform(0.2, 2))
        send(pids, signal.SIGCONT)

    def _start_database(self) -> None:
        assert self._site.postgres is not None
        for _ in range(100):
            with suppress(ServiceError):
                self._site.postgres.start()
                return
            time.sleep(0.1)  # what is left of the killed server must go first
        raise ServiceError("PostgreSQL did not start again")
