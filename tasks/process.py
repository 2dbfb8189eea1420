"""The runtime of this process: made on first use after a fork, never before, and found again by the task bodies."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing

from orchestrator.application import load_application
from orchestrator.authoring.registry import Registry
from orchestrator.doorbell import Doorbell, Notifier
from orchestrator.engine.host import Host
from orchestrator.engine.runtime import Runtime
from orchestrator.errors import SettingsError
from orchestrator.settings import Settings
from orchestrator.store import migrate
from orchestrator.store.database import Database
from tasks import publisher

log = logging.getLogger(__name__)

SWITCH_S = 0.0005

_lock = threading.Lock()
_current: tuple[int, Host] | None = None


def start(
    settings: Settings,
    registry: Registry,
    doorbell: Doorbell,
    notifier: Notifier,
    *,
    queues: Sequence[str],
    killable: bool = False,
    recycle: Callable[[], None] = lambda: None,
) -> Host:
    """Open the database, check its schema, and start heartbeat and pump. Raises SetupError."""
    global _current
    with _lock:
        if _current is not None and _current[0] == os.getpid():
            raise SettingsError("This process has a worker already; one process runs one worker.")
        database = Database(
            settings.database_url,
            synchronous=settings.sqlite_synchronous,
            pool_size=min(settings.concurrency + 3, 40),
        )
        migrate.check(database)
        # Threads that wait for the database a few times per step must not queue 5 ms for each return from it.
        sys.setswitchinterval(SWITCH_S)
        runtime = Runtime(
            database,
            registry,
            settings,
            doorbell,
            notifier=notifier,
            queues=tuple(queues),
            publisher=publisher.make(settings),
            killable=killable,
        )
        host = Host(runtime, recycle=recycle)
        host.start()
        _current = (os.getpid(), host)
        return host


def hand_over(grace_s: float | None = None) -> bool:
    """Take nothing up any more, let what runs end or hand it back, and leave the list of workers; but for those that
    still come to this process its runtime stays. True if nothing runs any more."""
    if _current is None or _current[0] != os.getpid():
        return True
    host = _current[1]
    return host.stop(host.runtime.settings.stop_ms / 1000 if grace_s is None else grace_s)


def stop() -> None:
    """`hand_over`, if that has not been done, and close the database."""
    global _current
    hand_over()
    with _lock:
        if _current is None or _current[0] != os.getpid():
            return
        host, _current = _current[1], None
    host.runtime.database.close()


def runtime() -> Runtime:
    """Raises SettingsError in a process that is no worker."""
    if _current is None or _current[0] != os.getpid():
        raise SettingsError("This process is no worker of the orchestrator.")
    return _current[1].runtime


def addressed() -> Runtime:
    """The runtime of this process, for which a message has come. Raises SettingsError in a process that is no worker."""
    found = runtime()
    found.ears.heard()
    return found


def load_registry(settings: Settings) -> Registry:
    """The workflows of the application in the settings. Raises SettingsError, ApplicationImportError."""
    if not settings.app:
        raise SettingsError("No application is given: set ORCHESTRATOR_APP to a file (app.py) or a module.")
    return load_application(settings.app)


def check_database(settings: Settings) -> None:
    """Raises DatabaseUnavailable, SchemaBehind, SchemaAhead. It leaves no connection behind that a fork would share."""
    with closing(Database(settings.database_url)) as database:
        migrate.check(database)
