"""Our engine as it is used: embedded in one process on SQLite, or worker processes on PostgreSQL and Valkey."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from benchmarks.child import Child
from benchmarks.engine import PATIENCE_S, Engine, Place
from benchmarks.ours_app import WORKFLOWS
from orchestrator import Client, Instance, Settings
from orchestrator.authoring.registry import Registry
from orchestrator.client.batches import MAX_BATCH
from orchestrator.store import migrate, workers
from orchestrator.store.database import Database
from tasks.embedded import Embedded

SLOTS = 16
"""Of all worker processes together, as of the peers that have slots."""
READY_S = 30.0


class Ours(Engine):
    def __init__(self, url: str) -> None:
        self.url = url
        """Of its database."""
        self._parts = ExitStack()
        self.client: Client

    def start(self, workflow: str, params: dict[str, Any]) -> Instance:
        return self.client.workflow(workflow).create(params)

    def start_all(self, workflow: str, params: Sequence[dict[str, Any]]) -> list[Instance]:
        """In batches, which is what the client has for this."""
        handle = self.client.workflow(workflow)
        batches = [params[first : first + MAX_BATCH] for first in range(0, len(params), MAX_BATCH)]
        return [
            instance
            for batch in batches
            for instance in handle.create_batch([{"params": one} for one in batch]).created
        ]

    def run_all(self, workflow: str, params: Sequence[dict[str, Any]]) -> list[Any]:
        return [self.result(handle) for handle in self.start_all(workflow, params)]

    def result(self, handle: Instance) -> Any:
        return handle.result(timeout=PATIENCE_S)

    def send_event(self, handle: Instance, payload: Any) -> None:
        handle.send_event("it", payload)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._parts.close()


class OursEmbedded(Ours):
    """One process, no services, and the client in it."""

    def __init__(self, place: Place, *, synchronous: str = "FULL") -> None:
        super().__init__(place.sqlite_url("ours"))
        self._settings = Settings(
            database_url=self.url, redis_url=None, broker_url=None, concurrency=SLOTS, sqlite_synchronous=synchronous
        )

    def __enter__(self) -> Self:
        self.client = self._parts.enter_context(Embedded(self._settings, Registry(WORKFLOWS))).client
        return self


class OursWorkers(Ours):
    """Real worker processes; the client is another one."""

    def __init__(self, place: Place, *, processes: int = 1, environment: dict[str, str] | None = None) -> None:
        super().__init__(place.postgres_url)
        self._directory = place.directory
        self._processes = processes
        self._environment = {"DATABASE_URL": place.postgres_url, "REDIS_URL": place.valkey_url, **(environment or {})}
        self._settings = Settings(database_url=place.postgres_url, redis_url=place.valkey_url)

    def __enter__(self) -> Self:
        database = Database(self.url)
        migrate.upgrade(database)
        command = [sys.executable, "-m", "orchestrator", "worker", "--app", "benchmarks.ours_app"]
        command += ["--processes", str(self._processes), "--concurrency", str(SLOTS // self._processes)]
        environment = {**os.environ, **self._environment, "ORCHESTRATOR_LOG_LEVEL": "WARNING"}
        self.worker = self._parts.enter_context(Child("ours-worker", command, self._directory, environment))
        try:
            self._wait_for_workers(database)
        except BaseException:
            self._parts.close()
            raise
        finally:
            database.close()
        self.client = self._parts.enter_context(Client(self._settings))
        return self

    def _wait_for_workers(self, database: Database) -> None:
        give_up_at = time.monotonic() + READY_S
        while True:
            with database.read() as connection:
                if len(workers.all_(connection)) >= self._processes:
                    return
            self.worker.check(time.monotonic() < give_up_at)
            time.sleep(0.05)
