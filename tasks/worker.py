"""`orchestrator worker`: a Celery worker, or several processes of it with a parent that replaces those that die."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import closing
from types import FrameType

from celery.exceptions import SecurityWarning

from orchestrator.authoring.workflow import DEFAULT_QUEUE
from orchestrator.clock import monotonic
from orchestrator.engine import pump
from orchestrator.errors import DatabaseUnavailable
from orchestrator.settings import Settings
from orchestrator.store.database import Database
from tasks import process, worker_signals
from tasks.celery_app import create_celery

log = logging.getLogger(__name__)

PARENT = "ORCHESTRATOR_PARENT_PIPE"
LOOK_S = 0.05

RESTART_REST_S = 1.0
"""A process that dies sooner than this after its start is not started again at once."""


def run_worker(
    settings: Settings,
    *,
    pool: str = "threads",
    concurrency: int | None = None,
    processes: int = 1,
    queues: Sequence[str] | None = None,
) -> int:
    """Work until told to stop; the exit code. Raises SetupError before anything is started."""
    logging.basicConfig(level=os.environ.get("ORCHESTRATOR_LOG_LEVEL", "INFO"), format=LOG_FORMAT)
    for chatty in ("celery.worker.strategy", "celery.app.trace"):
        # Two lines for every message, which say nothing that the database does not.
        logging.getLogger(chatty).setLevel(logging.WARNING)
    registry = process.load_registry(settings)
    served = list(queues or sorted({definition.cls.queue for definition in registry.values()} or {DEFAULT_QUEUE}))
    settings = settings.model_copy(update={"concurrency": concurrency or settings.concurrency})
    app = create_celery(settings, queues=served)
    process.check_database(settings)
    if processes > 1:
        return _Fleet(settings, pool, served, processes).run()
    end_with_parent()
    warnings.simplefilter("ignore", SecurityWarning)  # root's danger is pickle, which is not accepted here
    life = worker_signals.connect(app, settings)
    app.set_default()
    worker = app.Worker(
        pool=pool,
        concurrency=settings.concurrency,
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        optimization="fair",
        loglevel="INFO",
    )
    worker.start()
    return int(worker.exitcode or 0) or (worker_signals.RECYCLED if life.recycled else 0)


LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _Fleet:
    """Several worker processes under one parent. A child that dies is replaced and, since its parent saw it die, what
    it held is free at once instead of after its lease."""

    def __init__(self, settings: Settings, pool: str, queues: Sequence[str], processes: int) -> None:
        self._settings = settings
        # -P: the working directory is not put in front of the path, where a tasks.py of the user's would hide ours.
        self._command = [
            sys.executable, "-P", "-m", "orchestrator", "worker", "--app", settings.app or "",
            "--pool", pool, "--concurrency", str(settings.concurrency), "--queues", ",".join(queues),
        ]  # fmt: skip
        self._wanted = processes
        self._children: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._stop_asked = threading.Event()
        self._pause = threading.Event()
        self._theirs, self._ours = os.pipe()

    def run(self) -> int:
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        for _ in range(self._wanted):
            self._start()
        while self._children:
            for pid, (child, started) in list(self._children.items()):
                if child.poll() is not None:
                    del self._children[pid]
                    self._replace(child, started)
            self._pause.wait(LOOK_S)
        return 0

    def _start(self) -> None:
        environment = {**os.environ, "DATABASE_URL": self._settings.database_url, PARENT: str(self._theirs)}
        child = subprocess.Popen(self._command, env=environment, pass_fds=[self._theirs])
        self._children[child.pid] = (child, monotonic())

    def _replace(self, child: subprocess.Popen[bytes], started: float) -> None:
        if self._stop_asked.is_set():
            return
        log.warning("worker process %d ended with %s; starting another", child.pid, child.returncode)
        try:
            with closing(Database(self._settings.database_url)) as database:
                pump.bury_processes(database, child.pid)
        except DatabaseUnavailable as error:
            log.warning("what it held is free only after its lease: %s", error)
        self._stop_asked.wait(max(0.0, RESTART_REST_S - (monotonic() - started)))
        if self._stop_asked.is_set():
            return
        self._start()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked.set()
        for child, _ in self._children.values():
            child.send_signal(signal.SIGTERM)


def end_with_parent() -> None:
    """A parent that is killed can tell its children nothing, but its end of their pipe is closed with it."""
    pipe = os.environ.pop(PARENT, None)
    if pipe is None:
        return

    def watch() -> None:
        os.read(int(pipe), 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
