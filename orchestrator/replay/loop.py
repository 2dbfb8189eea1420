"""An asyncio event loop without I/O: callbacks in order of asking, timers as commands; opening anything is refused."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import weakref
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, NoReturn, Protocol, TypeVarTuple

from orchestrator.errors import NotAllowedInWorkflow
from orchestrator.interrupts import WorkflowClosed

log = logging.getLogger(__name__)

Ts = TypeVarTuple("Ts")


class Timers(Protocol):
    """Whoever makes asyncio's timers durable."""

    def now_ms(self) -> int: ...
    def start_timer(self, duration_ms: int) -> asyncio.Future[None]: ...


class DeterministicTask(asyncio.Task[Any]):
    """A task whose hash is its number, so that sets of tasks (TaskGroup, wait) are walked in the same order always."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **options: Any) -> None:
        self._number = number  # first, because asyncio puts the task into a set while it is made
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number


class _Handle(events.Handle):
    """One that asks nobody whether it is to remember where it was made, which takes longer than all the rest."""

    __slots__ = ()

    def __init__(self, callback: Callable[..., Any], args: Any, loop: DeterministicLoop, context: Any) -> None:
        self._callback, self._args, self._loop = callback, args, loop
        self._context = contextvars.copy_context() if context is None else context
        self._cancelled = False
        self._repr = self._source_traceback = None


class _Timer(events.TimerHandle):
    """A handle of call_later whose moment is kept by a durable timer."""

    def __init__(
        self, when: float, callback: Callable[..., Any], args: Any, loop: DeterministicLoop, context: Any
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self._scheduled = False  # never in a heap: there is nothing to tell the loop when it is cancelled
        self.future: asyncio.Future[None] | None = None

    def cancel(self) -> None:
        super().cancel()
        if self.future is not None:
            self.future.cancel()


class DeterministicLoop(asyncio.AbstractEventLoop):
    reads_recorded_bytes = True
    """A stream that a step has returned is read here as it is asked for: there are no threads to do it beside."""

    def __init__(self, timers: Timers, seed: int) -> None:
        self._timers = timers
        self._ready: deque[Any] = deque()
        self._closed = False
        self._number = seed
        self._tasks: weakref.WeakSet[DeterministicTask] = weakref.WeakSet()

    # --- driving

    def run_ready(self) -> None:
        """Run until nothing is ready: everything that is left waits for a command."""
        ready = self._ready
        previous = events._get_running_loop()
        events._set_running_loop(self)
        try:
            while ready:
                handle = ready.popleft()
                if handle._cancelled:
                    continue
                try:  # as handle._run() does, which is called for every step
                    handle._context.run(handle._callback, *handle._args)
                except SystemExit:  # its task has ended with it, and the process is not the author's to end
                    pass
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001 - as asyncio's own
                    self.call_exception_handler({"message": f"a callback failed: {handle!r}", "exception": error})
        finally:
            events._set_running_loop(previous)

    def close(self) -> None:
        """Put every task away where it stands, the youngest first, so that whoever waits for others ends after them."""
        self._closed = True
        self._ready.clear()
        previous = events._get_running_loop()
        events._set_running_loop(self)
        try:
            for task in sorted(self._tasks, key=hash, reverse=True):
                if not task.done():
                    _put_away(task.get_coro())
        finally:
            events._set_running_loop(previous)

    # --- what asyncio itself uses

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> events.Handle:
        handle = _Handle(callback, args, self, context)
        if not self._closed:
            self._ready.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> events.TimerHandle:
        handle = _Timer(self.time() + delay, callback, args, self, context)
        if delay <= 0:
            self._ready.append(handle)
            return handle
        handle.future = self._timers.start_timer(round(delay * 1000))
        handle.future.add_done_callback(lambda fired: None if fired.cancelled() else handle._run())
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> events.TimerHandle:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def time(self) -> float:
        return self._timers.now_ms() / 1000

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Any,
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **options: Any,
    ) -> asyncio.Task[Any]:
        if self._closed:
            coro.close()
            raise WorkflowClosed
        if _in_random_order():
            coro.close()
            raise NotAllowedInWorkflow(
                "asyncio.as_completed starts coroutines in an order that differs from run to run. Give it tasks, which "
                "are started in the order they are made in: asyncio.as_completed([asyncio.create_task(c) for c in …])."
            )
        self._number += 1
        task = DeterministicTask(self._number, coro, loop=self, name=name, context=context)
        self._tasks.add(task)
        # asyncio's list of all tasks is a set too: tasks of one number from many lives of an instance would pile up in it.
        asyncio.tasks._unregister_task(task)
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # a suspended run is put away on purpose
        return task

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        """Called by a cancelled TimerHandle; there is no heap to take it out of."""

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._closed:
            log.warning("in a workflow's run: %s", context.get("message"), exc_info=context.get("exception"))

    async def shutdown_asyncgens(self) -> None:
        return


def _put_away(coroutine: Any) -> None:
    for _ in range(10):  # a `finally` block that awaits takes another turn
        try:
            coroutine.close()
        except RuntimeError:
            continue
        except BaseException:  # noqa: BLE001, S110 - code in `finally` may raise anything, and nobody is there to hear
            pass
        return


def _in_random_order() -> bool:
    """Whether a task is being made by as_completed, which walks a set of coroutines: their hashes are addresses."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals is _ASYNCIO_TASKS:
        if frame.f_code is asyncio.as_completed.__code__:
            return True
        frame = frame.f_back
    return False


_ASYNCIO_TASKS = vars(asyncio.tasks)


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refused(self: DeterministicLoop, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotAllowedInWorkflow(
            f"`run` called {name} of the event loop: a workflow may not do I/O, use threads or wait for the outside by "
            "itself, because that is not recorded and would happen again on every replay. Do this in a step."
        )

    return refused


for _name, _member in vars(asyncio.AbstractEventLoop).items():
    if callable(_member) and not _name.startswith("__") and _name not in vars(DeterministicLoop):
        setattr(DeterministicLoop, _name, _refuse(_name))
DeterministicLoop.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
