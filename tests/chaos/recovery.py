"""How long it takes until somebody else goes on with what a lost worker held; it changes nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.errors import OrchestratorError
from orchestrator.statuses import FINITE
from tests.chaos.site import Site

LOOK_S = 0.03
_NOW = text("SELECT id, fence, holder, status, run FROM orchestrator_instances WHERE id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)


@dataclass
class _Lost:
    fence: int
    worker: str
    at: float
    how: str


class Recovery:
    """Watches instances from the moment their worker was lost until another has claimed them, or they have ended."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lost: dict[int, _Lost] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="chaos-recovery", daemon=True)
        self.took_s: list[tuple[str, float]] = []
        self._thread.start()

    @contextmanager
    def of(self, pids: Callable[[], set[int]], how: str) -> Iterator[None]:
        """What these processes hold is lost now."""
        held: dict[int, tuple[int, str]] = {}
        with suppress(OrchestratorError, SQLAlchemyError):
            held = self._site.claims_of(pids())
        at = time.monotonic()
        with self._lock:
            self._lost |= {pk: _Lost(fence, worker, at, how) for pk, (fence, worker) in held.items()}
        yield

    @property
    def missing(self) -> int:
        return len(self._lost)

    def _run(self) -> None:
        while not self._site.ending.wait(LOOK_S):
            with suppress(OrchestratorError, SQLAlchemyError):
                self._look()

    def _look(self) -> None:
        with self._lock:
            waiting = dict(self._lost)
        if not waiting:
            return
        with self._site.database.read() as connection:
            rows = {row.id: row for row in connection.execute(_NOW, {"ids": list(waiting)})}
        now = time.monotonic()
        for pk, lost in waiting.items():
            if _goes_on(rows.get(pk), lost):
                with self._lock:
                    if self._lost.get(pk) is lost:
                        del self._lost[pk]
                        self.took_s.append((lost.how, now - lost.at))


def _goes_on(row: Any, lost: _Lost) -> bool:
    if row is None or row.status in FINITE or row.status in ("paused", "waiting"):
        return True
    # Freeing moves the fence by one, and so does the claim that follows.
    return row.fence >= lost.fence + 2 or row.holder not in (None, lost.worker)
