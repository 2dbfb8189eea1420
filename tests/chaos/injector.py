"""Breaks something every few seconds, as its plan says, and notes what and when; it looks after nothing but its faults."""

from __future__ import annotations

import logging
import signal
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import OrchestratorError
from tests.chaos.plan import Fault
from tests.chaos.recovery import Recovery
from tests.chaos.site import LEASE_S, Site, Worker, members, send
from tests.services import ServiceError

log = logging.getLogger(__name__)

START_S = 30.0


class Injector:
    def __init__(self, site: Site, recovery: Recovery, plan: Iterable[Fault]) -> None:
        self._site = site
        self._recovery = recovery
        self._plan = plan
        self.faults: Counter[str] = Counter()
        self.frozen: list[tuple[set[int], int, int]] = []
        """Processes that were stopped, from when to when (ns)."""

    def run(self, seconds: float) -> None:
        """Break things for so long, on this thread: what it starts would end with another one (see service_process)."""
        until = time.monotonic() + seconds
        for fault in self._plan:
            time.sleep(fault.rest_s)
            self._wait_for_workers()
            if time.monotonic() > until:
                return
            log.info("fault: %s", fault.kind)
            try:
                getattr(self, fault.kind.replace(" ", "_"))(fault)
                self.faults[fault.kind] += 1
            except (OSError, ServiceError, OrchestratorError, SQLAlchemyError):
                log.exception("the fault could not be made")
                self.faults[f"{fault.kind}, which failed"] += 1

    def _wait_for_workers(self) -> None:
        """A fault that meets nobody at work shows nothing: wait until those that were replaced have started."""
        give_up_at = time.monotonic() + START_S
        while time.monotonic() < give_up_at:
            self.revive()
            with suppress(OrchestratorError, SQLAlchemyError):
                if self._site.alive() >= len(self._site.workers):
                    return
            time.sleep(0.1)

    def revive(self) -> None:
        """As whatever runs workers does: one that has ended is started again."""
        for worker in list(self._site.workers):
            if worker.process.ended:
                self.faults["worker ended by itself"] += 1
                self._site.replace(worker)

    # --- workers

    def kill_worker(self, fault: Fault) -> None:
        worker = fault.one_of(self._site.workers)
        with self._recovery.of(lambda: members(worker.process.pid), "kill worker"):
            worker.process.kill()
        self._site.replace(worker)

    def kill_child(self, fault: Fault) -> None:
        """One process of several: its parent sees it."""
        parents = [worker for worker in self._site.workers if "--processes" in worker.options]
        children = members(parents[0].process.pid) - {parents[0].process.pid} if parents else set()
        if not children:
            return
        child = fault.one_of(sorted(children))
        with self._recovery.of(lambda: {child}, "kill child"):
            send({child}, signal.SIGKILL)

    def freeze_worker_for_long(self, fault: Fault) -> None:
        """Until others have taken everything over; then it goes on as if nothing had happened."""
        worker = fault.one_of(self._site.workers)
        with self._recovery.of(lambda: members(worker.process.pid), "freeze worker for long"):
            self._freeze(worker, LEASE_S + fault.between(1.0, 3.0))

    def freeze_worker_shortly(self, fault: Fault) -> None:
        self._freeze(fault.one_of(self._site.workers), fault.between(0.1, LEASE_S * 0.4))

    def stop_worker(self, fault: Fault) -> None:
        worker = fault.one_of(self._site.workers)
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

    # --- services

    def flush_broker(self, fault: Fault) -> None:
        self._site.valkey.flush()

    def restart_broker(self, fault: Fault) -> None:
        valkey = self._site.valkey
        valkey.stop() if fault.gently else valkey.kill()
        time.sleep(fault.between(0, 4))
        valkey.start()

    def freeze_broker(self, fault: Fault) -> None:
        pids = members(self._site.valkey.pid)
        send(pids, signal.SIGSTOP)
        time.sleep(fault.between(0.5, 4))
        send(pids, signal.SIGCONT)

    def restart_database(self, fault: Fault) -> None:
        assert self._site.postgres is not None
        self._site.postgres.stop()
        time.sleep(fault.between(0, 2))
        self._start_database()

    def crash_database(self, fault: Fault) -> None:
        assert self._site.postgres is not None
        self._site.postgres.kill()
        time.sleep(fault.between(0, 2))
        self._start_database()

    def freeze_database(self, fault: Fault) -> None:
        assert self._site.postgres is not None
        pids = members(self._site.postgres.pid)
        send(pids, signal.SIGSTOP)
        time.sleep(fault.between(0.2, 2))
        send(pids, signal.SIGCONT)

    def _start_database(self) -> None:
        assert self._site.postgres is not None
        for _ in range(100):
            with suppress(ServiceError):
                self._site.postgres.start()
                return
            time.sleep(0.1)  # what is left of the killed server must go first
        raise ServiceError("PostgreSQL did not start again")
