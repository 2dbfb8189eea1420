"""The one asyncio loop of a worker process, on a thread of its own, where all `async def` bodies run; nothing else does.

Started on first use, so that it never exists before a fork. One loop for all keeps the HTTP clients and connection
pools of user code bound to one loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

log = logging.getLogger(__name__)


class AsyncBodies:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._handed_over = 0
        """Coroutines on their way to the loop's thread."""

    def start(self, work: Iterable[tuple[Callable[[], Coroutine[Any, Any, Any]], Callable[[Any], None]]]) -> None:
        """Start coroutines, each given by a function that makes it; `done(result)` is called on the loop's thread.

        A coroutine that was cancelled reports nothing. One hand-over to the loop's thread for all.
        """
        loop, started = self._running_loop(), list(work)
        with self._lock:
            self._handed_over += len(started)
        loop.call_soon_threadsafe(self._spawn, started)

    def cancel(self, task: asyncio.Task[Any]) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(task.cancel)

    @property
    def is_here(self) -> bool:
        """Whether this is the loop's thread."""
        return threading.current_thread() is self._thread

    def soon(self, call: Callable[[], None]) -> None:
        """On the loop's thread: call when everything that is ready there now has had its turn."""
        asyncio.get_running_loop().call_soon(call)

    @property
    def busy(self) -> int:
        """How many there are that have not ended."""
        return self._handed_over + len(self._tasks)

    def stop(self, timeout_s: float = 5.0) -> None:
        """Cancel what still runs and end the thread."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        loop.call_soon_threadsafe(self._cancel_all)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout_s)

    def _spawn(self, work: list[tuple[Callable[[], Coroutine[Any, Any, Any]], Callable[[Any], None]]]) -> None:
        loop = asyncio.get_running_loop()
        for make, done in work:
            task = loop.create_task(make())
            self._tasks.add(task)
            task.add_done_callback(lambda task, done=done: self._finished(task, done))  # type: ignore[misc]
        with self._lock:
            self._handed_over -= len(work)

    def _finished(self, task: asyncio.Task[Any], done: Callable[[Any], None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            log.error("an async body's runner failed", exc_info=error)
            return
        done(task.result())

    def _cancel_all(self) -> None:
        for task in list(self._tasks):
            task.cancel()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            with self._lock:
                if self._loop is None:
                    loop = asyncio.new_event_loop()
                    self._thread = threading.Thread(
                        target=self._run, args=(loop,), name="orchestrator-async-bodies", daemon=True
                    )
                    self._thread.start()
                    self._loop = loop
        return self._loop

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        pending = asyncio.all_tasks(loop)
        if pending:
            loop.run_until_complete(asyncio.wait(pending, timeout=2))
        loop.close()
