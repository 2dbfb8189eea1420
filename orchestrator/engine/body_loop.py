"""An asyncio loop with a thread of its own, which lends it to a thread that waits for one thing on it; it knows no bodies.

To hand a short body over to another thread and its result back wakes up two threads, for as long as half a commit to SQLite.
A thread that has nothing to do but wait for that may drive the loop itself instead: 0.71 times the time for one step
after another on SQLite, least of twelve runs.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

from orchestrator.engine.first_turn import without_a_round

LENT_S = 0.01
"""Not driven for so long, a loop that was lent goes back to its own thread, for what its bodies have left on it."""
ROUND_S = 0.005
"""Everything on a loop that is lent has a turn after so long, however many short bodies follow each other."""


class BodyLoop:
    """Driven by one thread at a time: its own, or a guest that it was lent to."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.RLock()
        self._turn = threading.Condition(self._lock)
        self._driver = 0
        """Which thread drives it now, if any."""
        self._is_to_be_lent = False
        self._lent = False
        self._driven = 0
        """How often a guest has."""
        self._first: tuple[Callable[..., object], tuple[Any, ...], Context] | None = None
        """What the guest that is to drive it will call first, in the context of whoever asked for it."""
        self._round_at = 0.0
        """When, by the loop's time, everything on it had a turn last."""
        self._hooks: Any = None
        """For asynchronous generators, as the loop sets them where it runs."""
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
        then it is called there, and the task that it starts has its first turn at once."""
        with self._lock:
            if self._lent and not self._driver:
                if will_drive and self._first is None and may_drive():
                    self._first = callback, args, copy_context()
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
        with self._lock:
            if not (self._closing or is_busy() or asyncio.all_tasks(self._loop)):
                self._is_to_be_lent = True
                self._loop.stop()

    def drive(self, is_over: Callable[[], bool], timeout_s: float | None) -> bool:
        """Drive the loop on this thread until something is over, for at most so long. False at once if it isn't lent.

        `look` makes it ask again whether it is over. It goes back to its own thread after that if it has tasks left.
        """
        loop, drives, end = self._loop, False, None
        has_more = False  # that would be left on it
        began = loop.time()
        until = None if timeout_s is None else began + timeout_s
        try:
            with self._lock:
                if not self._lent or self._driver or not may_drive():
                    return False
                drives = True
                self._driver = threading.get_ident()
                first, self._first = self._first, None
            if first is not None:
                callback, args, context = first
                has_more = True
                if began - self._round_at < ROUND_S and not (loop.get_debug() or is_over()):
                    has_more = context.run(without_a_round, loop, self._hooks, callback, args)
                else:
                    loop.call_soon(callback, *args, context=context)
            while not (is_over() or self._closing or (until is not None and loop.time() >= until)):
                if until is not None and end is None:
                    end = loop.call_at(until, loop.stop)
                has_more = True
                loop.run_forever()
                has_more = bool(asyncio.all_tasks(loop))
                self._round_at = loop.time()
        finally:
            if end is not None:
                end.cancel()
            if drives:
                with self._lock:
                    self._driver = 0
                    self._driven += 1
                    if has_more or self._closing:
                        self._take_back()
        return True

    def look(self) -> None:
        """From any thread: whoever drives the loop as a guest may have come to the end of that."""
        if not self._lent:
            return
        with self._lock:
            if not self.has_guest:
                return
            if self.is_here:
                self._loop.stop()
            else:
                self._loop.call_soon_threadsafe(self._loop.stop)

    def give_back(self) -> None:
        """By a guest that does not drive it now."""
        with self._lock:
            if not self._driver:
                self._take_back()

    def close(self, timeout_s: float) -> None:
        """Cancel what is left on it and end its thread."""
        with self._lock:
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
        loop.call_soon(self._note_hooks)
        while not self._closing:
            self._driver = here
            loop.run_forever()
            with self._lock:
                if self._is_to_be_lent:
                    self._is_to_be_lent, self._lent, self._driver = False, True, 0
                    self._round_at = loop.time()
                    self._wait_for_return()
                    if self._first is not None:
                        callback, args, context = self._first
                        loop.call_soon(callback, *args, context=context)
                        self._first = None
        self._driver = here
        self._cancel_all()
        loop.call_soon(loop.stop)  # with any earlier stop that is still on its way
        loop.run_forever()
        pending = self._cancel_all()
        if pending:
            loop.run_until_complete(asyncio.wait(pending, timeout=2))
        with self._lock:
            loop.close()

    def _note_hooks(self) -> None:
        self._hooks = sys.get_asyncgen_hooks()

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
