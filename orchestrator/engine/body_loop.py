"""An asyncio loop with a thread of its own, which lends it to a thread that waits for one thing on it; it knows no bodies.

To hand a short body over to another thread and its result back wakes up two threads, for as long as half a commit to SQLite.
A thread that has nothing to do but wait for that may drive the loop itself instead: 0.71 times the time for one step
after another on SQLite, least of twelve runs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

LENT_S = 0.01
"""Not driven for so long, a loop that was lent goes back to its own thread, for what its bodies have left on it."""


class BodyLoop:
    """Driven by one thread at a time: its own, or a guest that it was lent to."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._turn = threading.Condition()
        self._driver = 0
        """Which thread drives it now, if any."""
        self._is_to_be_lent = False
        self._lent = False
        self._driven = 0
        """How often a guest has."""
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="orchestrator-async-bodies", daemon=True)
        self._thread.start()

    @property
    def is_here(self) -> bool:
        """Whether this is the thread that drives it."""
        return self._driver == threading.get_ident()

    @property
    def is_at_home(self) -> bool:
        """Whether this is its own thread."""
        return threading.current_thread() is self._thread

    @property
    def has_guest(self) -> bool:
        """Whether a thread is occupied with driving it that is not its own."""
        return self._lent and self._driver != 0

    def call(self, callback: Callable[..., object], *args: Any, will_drive: bool = False) -> None:
        """From any thread: call this where the loop is driven. `will_drive`: this thread is going to, if the loop is lent;
        then it is called here at once."""
        with self._turn:
            if self._lent and not self._driver:
                if will_drive and may_drive():
                    callback(*args)
                    return
                self._take_back()
            self._is_to_be_lent = False
        self._loop.call_soon_threadsafe(callback, *args)

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """In something that is called by `call`."""
        return self._loop.create_task(coroutine)

    def time(self) -> float:
        """In seconds."""
        return self._loop.time()

    def lend(self, is_busy: Callable[[], object]) -> None:
        """Where it is driven: once everything that is ready now has had its turn, whoever comes next may drive it, unless
        there is something else to do on it then."""
        if self.is_at_home:
            self._loop.call_soon(self._loop.call_soon, self._stop_to_be_lent, is_busy)

    def _stop_to_be_lent(self, is_busy: Callable[[], object]) -> None:
        with self._turn:
            if not (self._closing or is_busy() or asyncio.all_tasks(self._loop)):
                self._is_to_be_lent = True
                self._loop.stop()

    def drive(self, is_over: Callable[[], bool], timeout_s: float | None) -> bool:
        """Drive the loop on this thread until something is over, for at most so long. False at once if it isn't lent.

        `look` makes it ask again whether it is over. It goes back to its own thread after that if it has tasks left.
        """
        loop, drives, end = self._loop, False, None
        until = None if timeout_s is None else loop.time() + timeout_s
        try:
            with self._turn:
                if not self._lent or self._driver or not may_drive():
                    return False
                drives = True
                self._driver = threading.get_ident()
            if until is not None:
                end = loop.call_at(until, loop.stop)
            while not (is_over() or self._closing or (until is not None and loop.time() >= until)):
                loop.run_forever()
        finally:
            if end is not None:
                end.cancel()
            if drives:
                stays = not (self._closing or asyncio.all_tasks(loop))
                with self._turn:
                    self._driver = 0
                    self._driven += 1
                    if not stays:
                        self._take_back()
        return True

    def look(self) -> None:
        """From any thread: whoever drives the loop as a guest may have come to the end of that."""
        if not self._lent:
            return
        with self._turn:
            if not self.has_guest:
                return
            if self.is_here:
                self._loop.stop()
            else:
                self._loop.call_soon_threadsafe(self._loop.stop)

    def give_back(self) -> None:
        """By a guest that does not drive it now."""
        with self._turn:
            if not self._driver:
                self._take_back()

    def close(self, timeout_s: float) -> None:
        """Cancel what is left on it and end its thread."""
        with self._turn:
            self._closing = True
            self._turn.notify()
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._loop.stop)
        if not self.is_here:
            self._thread.join(timeout_s)

    def _take_back(self) -> None:
        self._lent = False
        self._turn.notify()

    # --- on its own thread

    def _run(self) -> None:
        loop, here = self._loop, threading.get_ident()
        asyncio.set_event_loop(loop)
        while not self._closing:
            self._driver = here
            loop.run_forever()
            with self._turn:
                if self._is_to_be_lent:
                    self._is_to_be_lent, self._lent, self._driver = False, True, 0
                    self._wait_for_return()
        self._driver = here
        self._cancel_all()
        loop.call_soon(loop.stop)  # with any earlier stop that is still on its way
        loop.run_forever()
        pending = self._cancel_all()
        if pending:
            loop.run_until_complete(asyncio.wait(pending, timeout=2))
        with self._turn:
            loop.close()

    def _cancel_all(self) -> set[asyncio.Task[Any]]:
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        return tasks

    def _wait_for_return(self) -> None:
        while self._lent:
            driven = self._driven
            self._turn.wait(LENT_S)
            if not self._driver and (self._closing or self._driven == driven):
                self._lent = False


def may_drive() -> bool:
    """Whether this thread can drive a loop: not from within another one's."""
    return asyncio._get_running_loop() is None
