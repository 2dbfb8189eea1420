"""What a working process does beside the pump, on a thread of its own, as it may wait for others; nobody waits for it."""

from __future__ import annotations

import logging
import threading

from orchestrator.engine import housekeeping, publishing, rollups
from orchestrator.engine.runtime import Runtime
from orchestrator.store import agenda

log = logging.getLogger(__name__)

PERIOD_S = 1.0
NEXT_S, BEHIND_S = 0.01, 0.2
"""When there is more to do: at once, or after a while if instances are worked on here, which come first."""


class Chores:
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orchestrator-chores", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        self._stop.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                busy = do(self._runtime)
            except Exception:
                log.exception("the chores could not be done; they are tried again")
                busy = False
            self._stop.wait(PERIOD_S if not busy else NEXT_S if self._runtime.idle else BEHIND_S)
        publisher = self._runtime.publisher
        if publisher is not None:
            publishing.stop(self._runtime.database, self._runtime.worker_id)


def do(runtime: Runtime) -> bool:
    """One round. Whether there is more to do at once."""
    with runtime.database.read() as connection:
        due = agenda.housework(connection)
    more = due.ended is not None and rollups.count_some(runtime.database, runtime.worker_id) > 0
    more = housekeeping.tidy(runtime, due) or more
    if runtime.publisher is None:
        return more
    published = publishing.publish_some(runtime.database, runtime.settings, runtime.publisher, runtime.worker_id)
    return published == publishing.BATCH or more
