"""Everything in this process: a Celery worker on a thread, the broker in memory unless one is set, and a client."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from types import TracebackType

from celery.app import trace
from celery.worker import WorkController, state

from orchestrator.authoring.registry import Registry
from orchestrator.authoring.workflow import DEFAULT_QUEUE
from orchestrator.client import Client
from orchestrator.doorbell import Ring
from orchestrator.errors import BrokerUnavailable
from orchestrator.settings import Settings
from orchestrator.store import migrate
from orchestrator.store.database import Database
from tasks import process
from tasks.celery_app import MEMORY_BROKER, create_celery
from tasks.doorbell import CeleryDoorbell
from tasks.garbage import collect_rarely

log = logging.getLogger(__name__)

START_S, STOP_S = 15.0, 5.0
HAND_OVER_S = 3.0
"""How long bodies may go on when it stops; then their steps are for whoever runs next."""
LAST_LOOK_S = 0.2
"""For Celery's loop to see that it should stop, where its pool can't."""
NOBODY = 0
"""No instance has this key."""


class Embedded:
    """`with Embedded(settings, registry) as service: service.client…`. The database is migrated if it needs to be.

    One at a time in a process: Celery keeps a worker's state in its modules.
    """

    def __init__(self, settings: Settings, registry: Registry, *, queues: Sequence[str] | None = None) -> None:
        self.settings = settings
        self.registry = registry
        self._queues = list(queues or {DEFAULT_QUEUE, *(d.cls.queue for d in registry.values())})
        self._thread = threading.Thread(target=self._work, name="orchestrator-worker", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self.left_behind = False
        """When it has stopped: whether a body that can't be stopped still runs, on a thread of this process."""
        self.client: Client
        self._collect_as_before: Callable[[], None] = lambda: None

    def __enter__(self) -> Embedded:
        with closing(Database(self.settings.database_url)) as database:
            migrate.upgrade(database)
        self._app = create_celery(
            self.settings, broker_url=self.settings.celery_broker_url or MEMORY_BROKER, queues=self._queues
        )
        self._doorbell = doorbell = CeleryDoorbell(self.settings, app=self._app)
        host = process.start(self.settings, self.registry, doorbell, doorbell.notifier, queues=self._queues)
        self.client = Client(
            self.settings, database=host.runtime.database, doorbell=doorbell, notifier=host.runtime.notifier
        )
        self._thread.start()
        if not self._ready.wait(START_S) or self._failure is not None:
            self.__exit__(None, None, None)
            raise BrokerUnavailable(f"The worker did not start: {self._failure or 'the broker does not answer'}.")
        self._collect_as_before = collect_rarely()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.left_behind = not process.hand_over(HAND_OVER_S)
        state.should_stop = 0
        # Celery's loop looks at that after a message, twice, or after two seconds without one.
        self._doorbell.ring([Ring(NOBODY, self._queues[0])] * 2)
        # A body that can't be stopped keeps the worker's thread until it ends; its result will be dropped.
        self._thread.join(LAST_LOOK_S if self.left_behind else STOP_S)
        process.stop()
        state.should_stop = None
        self._collect_as_before()

    def _work(self) -> None:
        try:
            # Not the worker of Celery's command line, which would take over the logs and the signals of this process.
            trace.setup_worker_optimizations(self._app)
            worker = WorkController(
                app=self._app,
                pool="threads",
                concurrency=self.settings.concurrency,
                without_mingle=True,
                without_gossip=True,
                without_heartbeat=True,
                ready_callback=lambda consumer: self._ready.set(),
            )
            worker.start()
        except BaseException as failure:  # noqa: BLE001 - it is handed to the thread that waits for the start
            self._failure = failure
            self._ready.set()
