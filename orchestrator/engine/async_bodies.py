"""The `async def` bodies of a worker process, all on one asyncio loop; nothing else runs there.

Started on first use, so that it never exists before a fork. One loop for all keeps the HTTP clients and connection
pools of user code bound to one loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from orchestrator.engine.body_loop import BodyLoop, may_drive

log = logging.getLogger(__name__)

SHORT_S = 0.005
"""For a body that takes longer the way to the loop's own thread is nothing."""


class AsyncBodies:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: BodyLoop | None = None
        self._tasks: set[asyncio.Task[Any] | None] = set()
        self._handed_over = 0
        """Coroutines on their way to the loop's thread."""
        self._is_wanted = False
        """Somebody would drive the loop who waits for one body."""

    def start(
        self,
        work: Iterable[tuple[Callable[[], Coroutine[Any, Any, Any]], Callable[[Any], None]]],
        *,
        will_wait: bool = False,
    ) -> None:
        """Start coroutines, each given by a function that makes it; `done(result)` is called on the loop's thread.

        A coroutine that was cancelled reports nothing. One hand-over to the loop's thread for all. `will_wait`: this
        thread does nothing but `wait` for it.
        """
        loop, started = self._running_loop(), list(work)
        with self._lock:
            self._handed_over += len(started)
        loop.call(self._spawn, loop, started, will_drive=will_wait)

    def wait(self, is_over: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait for the one coroutine that this thread has started, or for at most so long, if the loop can be driven here
        meanwhile; False at once if it can't. `look` makes it ask again whether it is over."""
        if (loop := self._loop) is None:
            return False
        started = loop.time()
        if not loop.drive(is_over, timeout_s):
            self._is_wanted = may_drive()
            return False
        if self.busy or loop.time() - started > SHORT_S:
            loop.give_back()
        return True

    def look(self) -> None:
        """From any thread: what is waited for may be there."""
        if (loop := self._loop) is not None:
            loop.look()

    def cancel(self, task: asyncio.Task[Any]) -> None:
        if (loop := self._loop) is not None:
            loop.call(task.cancel)

    @property
    def is_here(self) -> bool:
        """Whether this is the thread that drives the loop."""
        return (loop := self._loop) is not None and loop.is_here

    @property
    def is_at_home(self) -> bool:
        """Whether this is the loop's own thread."""
        return (loop := self._loop) is not None and loop.is_at_home

    @property
    def has_guest(self) -> bool:
        """Whether another thread than its own is occupied with driving the loop."""
        return (loop := self._loop) is not None and loop.has_guest

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
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.close(timeout_s)
            self._tasks.clear()  # of those that were cancelled before they began

    def _spawn(
        self, loop: BodyLoop, work: list[tuple[Callable[[], Coroutine[Any, Any, Any]], Callable[[Any], None]]]
    ) -> None:
        if self._loop is loop:  # else they have been stopped on their way
            for make, done in work:
                self._tasks.add(loop.create_task(self._run(loop, make, done)))
        with self._lock:
            self._handed_over -= len(work)

    async def _run(
        self, loop: BodyLoop, make: Callable[[], Coroutine[Any, Any, Any]], done: Callable[[Any], None]
    ) -> None:
        started = loop.time()
        try:
            result = await make()
        except Exception:
            log.exception("an async body's runner failed")
            return
        finally:
            self._tasks.discard(asyncio.current_task())
        done(result)
        if self._is_wanted:
            self._is_wanted = False
            if loop.time() - started < SHORT_S:
                loop.lend(lambda: self.busy)

    def _running_loop(self) -> BodyLoop:
        if self._loop is None:
            with self._lock:
                if self._loop is None:
                    self._loop = BodyLoop()
        return self._loop
