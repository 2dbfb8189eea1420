"""The plain Celery that we are built on: chains, groups, countdowns and retries on the same broker and the same pool."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from benchmarks.child import Child
from benchmarks.engine import PATIENCE_S, Engine, Place
from benchmarks.ours import SLOTS

READY_S = 30.0


class CeleryChain(Engine):
    """A chain carries all of its links in each message, so its cost grows with the square of its length."""

    longest_seq = 1000

    def __init__(self, place: Place, *, processes: int = 1) -> None:
        self._place = place
        self._processes = processes
        self._parts = ExitStack()
        os.environ["PLAIN_BROKER_URL"] = place.valkey_url

    def __enter__(self) -> Self:
        # Read when the module is imported: the address must be known by then.
        from benchmarks import celery_app

        self._app = celery_app
        for number in range(self._processes):
            command = [sys.executable, "-m", "celery", "-A", "benchmarks.celery_app", "worker", "--pool", "threads"]
            command += ["--concurrency", str(SLOTS // self._processes), "--hostname", f"{number}@plain"]
            command += ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
            self._parts.enter_context(Child(f"celery-{number}", command, self._place.directory, os.environ))
        give_up_at = time.monotonic() + READY_S
        while len(celery_app.app.control.ping(timeout=0.3)) < self._processes:
            if time.monotonic() > give_up_at:
                raise TimeoutError("The Celery workers did not start.")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._parts.close()

    def start(self, workflow: str, params: dict[str, Any]) -> Any:
        started: Any = getattr(self, f"_start_{workflow}")(**params)
        return started

    def result(self, handle: Any) -> Any:
        read, pending = handle
        return read(pending.get(timeout=PATIENCE_S, interval=0.005))

    def _start_seq(self, n: int) -> Any:
        from celery import chain

        tasks = self._app
        links = [tasks.first_task.s(0), *(tasks.following_task.s(i) for i in range(1, n))]
        return (lambda last: last["sum"]), chain(*links).apply_async()

    def _start_fan(self, n: int) -> Any:
        return self._group(self._app.noop_task.s(i) for i in range(n))

    _start_fan_def = _start_fan

    def _start_nap(self, n: int, ms: int) -> Any:
        return self._group(self._app.nap_task.s(i, ms) for i in range(n))

    def _group(self, signatures: Any) -> Any:
        from celery import group

        return (lambda done: sum(one["i"] for one in done)), group(signatures).apply_async()

    def _start_timer(self, due_ms: float) -> Any:
        sent_ms = time.time() * 1000
        due = datetime.fromtimestamp(due_ms / 1000, UTC)
        return (lambda woken: [sent_ms, woken]), self._app.now_task.apply_async(eta=due)

    def _start_retry(self, key: int) -> Any:
        return (lambda attempts: attempts), self._app.fail_twice_task.apply_async()
