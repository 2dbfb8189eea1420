"""Ties a Celery worker's life to a runtime's: started after the fork, told to hand over before Celery starts to drain."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Sequence
from typing import Any

from celery import Celery, signals

from orchestrator.authoring.registry import Registry
from orchestrator.errors import SettingsError, SetupError
from orchestrator.settings import Settings
from tasks import process
from tasks.doorbell import worker_doorbell
from tasks.garbage import collect_rarely
from tasks.names import celery_queue

log = logging.getLogger(__name__)

RECYCLED = 75
"""The exit code of a worker that wants to be replaced: not 0, so that `restart: on-failure` starts another."""


class WorkerLife:
    """In prefork each child has a runtime of its own; in the other pools the worker process itself has one.

    Celery waits for bodies for ever when it is told to stop, and says so to a runtime only after that. So a thread
    waits for the same moment and hands over what does not end in time.
    """

    def __init__(self, app: Celery, settings: Settings, *, queues_of_workflows: bool = False) -> None:
        self._app = app
        self._queues_of_workflows = queues_of_workflows
        self._settings = settings
        self._queues: Sequence[str] = ()
        self._registry: Registry | None = None
        self._children: tuple[int, int] | None = None
        """A pipe to the children of prefork: it ends for them when this process stops, in whatever way."""
        self._asked: tuple[int, int] | None = None
        """A pipe from the children of prefork, by which one of them asks for this process to be replaced."""
        self._told = threading.Event()
        self._recycled = False

    @property
    def recycled(self) -> bool:
        """Whether this process, or a child of it, has asked for a replacement."""
        if self._asked is not None and not self._recycled:
            with contextlib.suppress(BlockingIOError):
                self._recycled = os.read(self._asked[0], 1) != b""
        return self._recycled

    def on_worker_init(self, sender: Any, **_: Any) -> None:
        try:
            # Before the fork, so that a broken application stops the worker at once and its children share the code.
            self._registry = process.load_registry(self._settings)
            self._queues = self._served(self._registry)
            process.check_database(self._settings)
        except SetupError as error:
            # Celery would log what a signal's receiver raises, and work on without a runtime.
            log.critical("%s", error)
            raise SystemExit(1) from None
        collect_rarely()
        if "prefork" in str(getattr(sender, "pool_cls", "")):
            self._children, self._asked = os.pipe(), os.pipe()
            os.set_blocking(self._asked[0], False)
        else:
            self._start(killable=False)
            self._when(self._told.wait, exit_code=0)

    def on_process_init(self, **_: Any) -> None:
        if self._children is None:
            return
        parent, ours = self._children
        os.close(ours)
        # Sent to all processes of a service, it would fail the attempt that runs; the parent's pipe says the same.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self._start(killable=True)
        self._when(lambda: os.read(parent, 1), exit_code=1)

    def on_shutting_down(self, **_: Any) -> None:
        """In a signal handler: only tell."""
        if self._children is not None and not self._told.is_set():
            os.close(self._children[1])
        self._told.set()

    def on_shutdown(self, sender: Any = None, **_: Any) -> None:
        process.stop()
        if self.recycled and not getattr(sender, "exitcode", 1):
            sender.exitcode = RECYCLED  # what `celery worker` ends with

    def _served(self, registry: Registry) -> list[str]:
        """Our names of the queues this worker consumes."""
        queues = self._app.amqp.queues
        if self._queues_of_workflows and queues._consume_from is None:  # and no -Q was given
            for definition in registry.values():
                queues.select_add(celery_queue(self._settings, definition.cls.queue))
        prefix = celery_queue(self._settings, "")
        for name in queues.consume_from:
            if not name.startswith(prefix):
                raise SettingsError(
                    f"On the broker our queues begin with {prefix!r}: -Q {prefix}{name}, not -Q {name}."
                )
        return [name.removeprefix(prefix) for name in queues.consume_from]

    def _start(self, *, killable: bool) -> None:
        assert self._registry is not None
        try:
            doorbell = worker_doorbell(self._settings, self._app)
            process.start(
                self._settings,
                self._registry,
                doorbell,
                doorbell.notifier,
                queues=self._queues,
                killable=killable,
                recycle=self._recycle,
            )
        except Exception as error:
            log.critical("%s", error, exc_info=not isinstance(error, SetupError))
            raise SystemExit(1) from None

    def _recycle(self) -> None:
        """Stop, and say by the exit code that another must be started: this one has asked for it itself."""
        self._recycled = True
        if self._asked is not None:
            os.write(self._asked[1], b"!")
        # In prefork the consumer is the parent's: it is what must be replaced.
        os.kill(os.getpid() if self._children is None else os.getppid(), signal.SIGTERM)

    def _when(self, told: Any, *, exit_code: int) -> None:
        """Hand over when told, and end this process if a body would keep it."""

        def wait() -> None:
            told()
            if not process.hand_over():
                log.warning("bodies that do not end are left behind; their steps are for others now")
                process.stop()
                logging.shutdown()
                os._exit(RECYCLED if self._recycled else exit_code)

        threading.Thread(target=wait, name="orchestrator-stop", daemon=True).start()


def connect(app: Celery, settings: Settings, *, queues_of_workflows: bool = False) -> WorkerLife:
    life = WorkerLife(app, settings, queues_of_workflows=queues_of_workflows)
    # Held strongly: Celery keeps only weak references, and nobody else has this object.
    signals.worker_init.connect(life.on_worker_init, weak=False)
    signals.worker_process_init.connect(life.on_process_init, weak=False)
    signals.worker_shutting_down.connect(life.on_shutting_down, weak=False)
    signals.worker_shutdown.connect(life.on_shutdown, weak=False)
    signals.worker_process_shutdown.connect(life.on_shutdown, weak=False)
    return life
