"""One worker and one client on one database and one clock, all in the test's own thread; what a test needs to say is short."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

from sqlalchemy import Row, text

from orchestrator import Client, Settings, WorkflowEntrypoint
from orchestrator.authoring.registry import Registry
from orchestrator.client import Instance
from orchestrator.doorbell import Ring
from orchestrator.durations import Duration
from orchestrator.engine import housekeeping, rollups
from orchestrator.engine.local import LocalDoorbell, run_until_idle
from orchestrator.engine.runtime import Runtime
from orchestrator.inspection import InstanceDetail, StepView
from orchestrator.store import workers
from orchestrator.store.database import Database
from tests.engine.clock import FakeClock

Workflow = type[WorkflowEntrypoint[Any]]
Own = Callable[[Any], Instance]


class Broker(LocalDoorbell):
    """A bell whose messages reach only those who serve their queue."""

    def pending(self) -> list[int]:
        """In how many ms each message will be delivered."""
        return sorted(due_at - self._clock.now_ms() for due_at, _, _ in self._rings)

    def due(self, queues: Sequence[str] | None = None) -> Ring | None:
        others = []
        found = super().due()
        while found is not None and queues is not None and found.queue not in queues:
            others.append(found)
            found = super().due()
        super().ring(others)
        return found


class _Consumer:
    """What one worker hears of the broker."""

    def __init__(self, broker: Broker, queues: Sequence[str]) -> None:
        self._broker = broker
        self._queues = queues

    def due(self) -> Ring | None:
        return self._broker.due(self._queues)


class Bench:
    def __init__(self, database_url: str, *, in_company: bool = False, **settings: Any) -> None:
        self.in_company = in_company
        """Every instance goes on as one of several, as where another thread is always at work."""
        self.clock = FakeClock()
        self.database = Database(database_url, clock=self.clock)
        # Nobody waits for a moment that only the test's clock brings.
        self.settings = Settings(database_url=database_url, **{"wake_ahead_ms": 0, **settings})
        self.doorbell = Broker(self.clock)
        self.registry = Registry()
        self._runtimes: list[Runtime] = []
        self.runtime = self.worker(registry=self.registry)
        self.client = Client(self.settings, database=self.database, doorbell=self.doorbell)

    def worker(
        self, *workflows: Workflow, registry: Registry | None = None, queues: Sequence[str] = ("default",), **more: Any
    ) -> Runtime:
        """A process of its own, as far as the engine can tell."""
        known = registry if registry is not None else Registry(workflows)
        runtime = Runtime(self.database, known, self.settings, self.doorbell, queues=queues, **more)
        self._runtimes.append(runtime)
        runtime.crowd.threads = int(self.in_company)
        return runtime

    def create(self, workflow: Workflow, params: Any = None, id: str | None = None) -> Instance:
        self.registry.add(workflow)
        return self.client.workflow(workflow).create(params, id=id)

    def run(self, workflow: Workflow, params: Any = None, id: str | None = None) -> Instance:
        """Create an instance and go on with it as far as it goes at this moment."""
        instance = self.create(workflow, params, id)
        self.work()
        return instance

    def work(self, runtime: Runtime | None = None) -> None:
        worker = runtime or self.runtime
        run_until_idle(worker, cast(LocalDoorbell, _Consumer(self.doorbell, worker.queues)))

    def settle(self, runtime: Runtime | None = None) -> None:
        """Work until the bodies that report on a thread of their own have done so, and let the grace pass."""
        worker = runtime or self.runtime
        for _ in range(2000):
            self.work(worker)
            if not self.rows("SELECT 1 FROM @attempts WHERE state = 'running' AND worker = :id", id=worker.worker_id):
                break
            threading.Event().wait(0.005)
        self.clock.advance(self.settings.grace_ms + 1)
        self.work(worker)

    def after(self, duration: Duration) -> None:
        """Let time pass, then do what has become due."""
        self.clock.advance(duration)
        self.work()

    def tidy(self) -> None:
        """Count what has ended and remove what may go, as a process does beside its work."""
        while rollups.count_some(self.database, self.runtime.worker_id) or housekeeping.tidy(self.runtime):
            pass

    def restart_process(self) -> None:
        """Forget everything a process keeps in memory: what comes next is replayed from the journal."""
        fresh = self.worker(registry=self.registry)
        self.runtime = fresh

    def beat(self, runtime: Runtime) -> None:
        self.database.statement(
            lambda connection: workers.beat(connection, id=runtime.worker_id, now=self.clock.now_ms(), info="{}")
        )

    def rows(self, query: str, **values: Any) -> Sequence[Row[Any]]:
        """What stands in the tables, for what no reader shows. `@` is the prefix of our tables."""
        with self.database.read() as connection:
            return connection.execute(text(query.replace("@", "orchestrator_")), values).all()

    def close(self) -> None:
        for runtime in self._runtimes:
            runtime.bodies.stop()
            runtime.completions.stop()
        self.database.close()


def steps_of(instance: Instance | InstanceDetail) -> dict[str, StepView]:
    detail = instance.describe() if isinstance(instance, Instance) else instance
    return {step.label: step for step in detail.steps}


class Bodies:
    """Remembers which bodies ran, in which order."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def __call__(self, name: str, then: Callable[[], Any] | None = None) -> Callable[[], Any]:
        def body() -> Any:
            self.ran.append(name)
            return name if then is None else then()

        return body

    def count(self, name: str) -> int:
        return self.ran.count(name)


class Failing:
    """A body that fails a given number of times, then succeeds."""

    def __init__(
        self, times: float = float("inf"), error: Callable[[], BaseException] = lambda: ValueError("no")
    ) -> None:
        self.attempts = 0
        self._times = times
        self._error = error

    def __call__(self) -> str:
        self.attempts += 1
        if self.attempts <= self._times:
            raise self._error()
        return "done"
