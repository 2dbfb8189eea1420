"""The services and worker processes of a run: what can be started, stopped, frozen and killed; it decides nothing."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.engine.runtime import process_of
from orchestrator.settings import Settings
from orchestrator.store import instances, migrate, workers
from orchestrator.store.database import Database
from tests.chaos.doorbell import FOLDER, PATH, SEED
from tests.cli.processes import ORCHESTRATOR
from tests.processes.workers import Process
from tests.services import PostgresServer, ValkeyServer

LEASE_MS, HEARTBEAT_MS, PUMP_MS, GRACE_MS = 3000, 600, 300, 1000
"""A quarter of the defaults and less, so that more happens in a minute."""

LEASE_S = LEASE_MS / 1000

KINDS_OF_WORKERS: list[list[str]] = [[], ["--processes", "2"], ["--pool", "prefork", "--concurrency", "4"]]
"""Alone; a parent that sees its processes die; one that kills what ignores its timeout."""


@dataclass
class Worker:
    """One `orchestrator worker`, alone or with a parent and several processes."""

    number: int
    options: list[str]
    process: Process


@dataclass
class Site:
    folder: Path
    database_url: str
    valkey: ValkeyServer
    postgres: PostgresServer | None
    workers: list[Worker]
    database: Database
    """For looking only, with a few patient connections."""
    seed: int = 0

    def __post_init__(self) -> None:
        self._numbers = iter(range(1_000_000))
        self.ending = threading.Event()

    @property
    def variables(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.valkey.url,
            "ORCHESTRATOR_APP": "tests.chaos.app",
            "ORCHESTRATOR_DOORBELL": PATH,
            "ORCHESTRATOR_LEASE_MS": str(LEASE_MS),
            "ORCHESTRATOR_HEARTBEAT_MS": str(HEARTBEAT_MS),
            "ORCHESTRATOR_PUMP_MS": str(PUMP_MS),
            "ORCHESTRATOR_GRACE_MS": str(GRACE_MS),
            "ORCHESTRATOR_MOMENT_MS": "500",
            "ORCHESTRATOR_CONCURRENCY": "8",
            FOLDER: str(self.folder),
        }

    def settings(self) -> Settings:
        known = Settings.model_fields
        given = {name.removeprefix("ORCHESTRATOR_").lower(): value for name, value in self.variables.items()}
        return Settings(**{name: value for name, value in given.items() if name in known})

    def start_worker(self, options: list[str]) -> Worker:
        number = next(self._numbers)
        log = self.folder / f"worker-{number}.log"
        variables = {**self.variables, SEED: f"{self.seed}/{number}"}
        process = Process([*ORCHESTRATOR, "worker", *options], log, self.folder, variables)
        worker = Worker(number, options, process)
        self.workers.append(worker)
        return worker

    def replace(self, worker: Worker) -> Worker:
        """The supervisor of the machine starts another in place of one that has ended."""
        self.workers.remove(worker)
        worker.process.close()
        return self.start_worker(worker.options)

    def alive(self) -> int:
        """How many workers have a process with a fresh heartbeat."""
        with self.database.read() as connection:
            rows = workers.all_(connection)
        since = self.database.clock.now_ms() - 2 * HEARTBEAT_MS
        beating = {process_of(row.id)[1] for row in rows if row.heartbeat_at >= since}
        return sum(bool(members(worker.process.pid) & beating) for worker in self.workers)

    def claims_of(self, pids: set[int]) -> dict[int, tuple[int, str]]:
        """What these processes hold now: (fence, worker) by instance."""
        held: dict[int, tuple[int, str]] = {}
        with self.database.read() as connection:
            for row in workers.all_(connection):
                if process_of(row.id)[1] in pids:
                    held |= {claim.id: (claim.fence, row.id) for claim in instances.held_by(connection, row.id)}
        return held

    def close(self) -> None:
        self.ending.set()
        for worker in self.workers:
            with suppress(ProcessLookupError):
                worker.process.send(signal.SIGCONT)
            worker.process.close()
        self.database.close()


def members(pid: int) -> set[int]:
    """A process and its children."""
    found = {pid}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.add(int(entry.name))
    return found


def send(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def open_site(folder: Path, kind: str, worker_count: int, seed: int) -> Iterator[Site]:
    """Services of its own, a migrated database, and the workers."""
    postgres = PostgresServer(settings={"track_commit_timestamp": "on"}) if kind == "postgres" else None
    valkey = ValkeyServer()
    try:
        valkey.start()
        url = f"sqlite:///{folder / 'chaos.db'}"
        if postgres is not None:
            postgres.start()
            url = postgres.create_database("chaos")
        database = Database(url, pool_size=4)
        migrate.upgrade(database)
        site = Site(folder, url, valkey, postgres, [], database, seed)
        try:
            for number in range(worker_count):
                site.start_worker(KINDS_OF_WORKERS[number % len(KINDS_OF_WORKERS)])
            yield site
        finally:
            site.close()
    finally:
        valkey.close()
        if postgres is not None:
            postgres.close()
