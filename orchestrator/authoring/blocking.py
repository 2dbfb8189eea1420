"""The `step` object of `def run`: the same steps with blocking calls, each parked in a greenlet; it does no I/O."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Concatenate, Generic, Literal, ParamSpec, Protocol, TypeVar, overload
from uuid import UUID

import greenlet  # type: ignore[import-untyped]

from orchestrator.authoring.dependencies import StepCallable
from orchestrator.authoring.policy import RetriesDict, RollbackConfigDict, StepConfigDict
from orchestrator.authoring.rollback import refuse_in_rollback
from orchestrator.authoring.step import WorkflowStep
from orchestrator.authoring.views import ReceivedEvent, StepContext
from orchestrator.durations import Duration
from orchestrator.errors import NotAllowedInWorkflow

P = ParamSpec("P")
R = TypeVar("R")


class _Parked(greenlet.greenlet):  # type: ignore[misc]
    """The greenlet of a blocking function; its parent is the coroutine that awaits on its behalf."""


async def in_greenlet(fn: Callable[..., R], *args: Any) -> R:
    """Run a blocking function so that what it waits for is awaited here, and it goes on from the same line after."""
    child = _Parked(fn, greenlet.getcurrent())
    child.gr_context = contextvars.copy_context()
    waits_for: Any = child.switch(*args)
    while not child.dead:
        try:
            value = await waits_for
        except BaseException as error:  # noqa: BLE001 - whatever was raised belongs to the function that waits
            waits_for = child.throw(type(error), error, error.__traceback__)
        else:
            waits_for = child.switch(value)
    result: R = waits_for
    return result


def _wait(awaitable: Awaitable[R]) -> R:
    current = greenlet.getcurrent()
    if not isinstance(current, _Parked) or current.parent is None:
        if asyncio.iscoroutine(awaitable):
            awaitable.close()
        refuse_in_rollback()
        raise NotAllowedInWorkflow(
            "Steps of a `def run` may only be called from that function itself, not from a thread or a step body."
        )
    result: R = current.parent.switch(awaitable)
    return result


class BlockingStepCallable(Generic[R]):
    """What decorating with `step.do` gives in a `def run`: a call runs the step and returns its result."""

    def __init__(self, step: StepCallable[R]) -> None:
        self._step = step
        self.name = self.__name__ = step.name

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        return _wait(self._step(*args, **kwargs))


class BlockingStepDecorator(Protocol):
    @overload
    def __call__(self, fn: Callable[..., Awaitable[R]], /) -> BlockingStepCallable[R]: ...
    @overload
    def __call__(self, fn: Callable[..., R], /) -> BlockingStepCallable[R]: ...


class BlockingWorkflowStep:
    """WorkflowStep for a `def run`: the same methods, which return results instead of awaitables."""

    def __init__(self, step: WorkflowStep) -> None:
        self._step = step

    @overload
    def do(self, fn: Callable[..., Awaitable[R]], /) -> BlockingStepCallable[R]: ...
    @overload
    def do(self, fn: Callable[..., R], /) -> BlockingStepCallable[R]: ...
    @overload
    def do(
        self,
        name: str,
        fn: Callable[..., Awaitable[R]],
        /,
        *args: Any,
        rollback: Callable[..., Any],
        rollback_config: RollbackConfigDict | None = None,
        **kwargs: Any,
    ) -> R: ...
    @overload
    def do(
        self,
        name: str,
        fn: Callable[..., R],
        /,
        *args: Any,
        rollback: Callable[..., Any],
        rollback_config: RollbackConfigDict | None = None,
        **kwargs: Any,
    ) -> R: ...
    @overload
    def do(
        self,
        name: str,
        config: StepConfigDict,
        fn: Callable[..., Awaitable[R]],
        /,
        *args: Any,
        rollback: Callable[..., Any],
        rollback_config: RollbackConfigDict | None = None,
        **kwargs: Any,
    ) -> R: ...
    @overload
    def do(
        self,
        name: str,
        config: StepConfigDict,
        fn: Callable[..., R],
        /,
        *args: Any,
        rollback: Callable[..., Any],
        rollback_config: RollbackConfigDict | None = None,
        **kwargs: Any,
    ) -> R: ...
    @overload
    def do(self, name: str, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def do(self, name: str, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def do(
        self, name: str, fn: Callable[Concatenate[StepContext, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def do(
        self, name: str, fn: Callable[Concatenate[StepContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def do(
        self, name: str, config: StepConfigDict, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    def do(self, name: str, config: StepConfigDict, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def do(
        self,
        name: str,
        config: StepConfigDict,
        fn: Callable[Concatenate[StepContext, P], Awaitable[R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @overload
    def do(
        self,
        name: str,
        config: StepConfigDict,
        fn: Callable[Concatenate[StepContext, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @overload
    def do(
        self,
        name: str | None = None,
        depends: Sequence[BlockingStepCallable[Any]] | None = None,
        concurrent: bool = False,
        config: StepConfigDict | None = None,
        *,
        retries: RetriesDict | None = None,
        timeout: Duration | None = None,
        queue: str | None = None,
        sensitive: Literal["output"] | None = None,
        rollback: Callable[..., Any] | None = None,
        rollback_config: RollbackConfigDict | None = None,
    ) -> BlockingStepDecorator: ...

    # mypy finds no `*given` as wide as overloads that end in a ParamSpec.
    def do(self, *given: Any, **options: Any) -> Any:  # type: ignore[misc]
        """As WorkflowStep.do; the direct form returns the result, the decorated function's call does too."""
        if options.get("depends"):
            options["depends"] = [getattr(step, "_step", step) for step in options["depends"]]
        made = self._step.do(*given, **options)
        if isinstance(made, StepCallable):
            return BlockingStepCallable(made)
        if asyncio.iscoroutine(made):
            return _wait(made)
        return lambda fn: BlockingStepCallable(made(fn))

    def sleep(self, name: str, duration: Duration) -> None:
        _wait(self._step.sleep(name, duration))

    def sleep_until(self, name: str, when: datetime | int | float) -> None:
        _wait(self._step.sleep_until(name, when))

    @overload
    def wait_for_event(
        self, name: str, event_type: str, /, timeout: Duration = ..., *, payload_type: type[R]
    ) -> ReceivedEvent[R]: ...
    @overload
    def wait_for_event(
        self, name: str, event_type: str, /, timeout: Duration = ..., *, payload_type: None = None
    ) -> ReceivedEvent[Any]: ...

    def wait_for_event(
        self, name: str, event_type: str, /, timeout: Duration = "24 hours", *, payload_type: Any = None
    ) -> ReceivedEvent[Any]:
        return _wait(self._step.wait_for_event(name, event_type, timeout, payload_type=payload_type))

    def gather(self, *functions: Callable[[], Any]) -> list[Any]:
        """Run functions without arguments side by side (decorated steps, lambdas, …); their results in that order.

        The first error is raised; the others go on.
        """
        return _wait(asyncio.gather(*(in_greenlet(fn) for fn in functions)))

    def race(self, *functions: Callable[[], Any]) -> Any:
        """Run functions side by side; the result or error of the first that ends. The others are cancelled."""
        return _wait(self._first([asyncio.ensure_future(in_greenlet(fn)) for fn in functions]))

    @staticmethod
    async def _first(tasks: list[asyncio.Future[Any]]) -> Any:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winner = next(task for task in tasks if task.done())
        for task in tasks:
            task.cancel()
        return winner.result()

    def now(self) -> datetime:
        return self._step.now()

    def random(self) -> float:
        return self._step.random()

    def uuid(self) -> UUID:
        return self._step.uuid()
