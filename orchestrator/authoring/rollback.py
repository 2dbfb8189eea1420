"""What undoes a step: its handler as the author wrote it, checked when the step is called and made a body when it is due."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from orchestrator.authoring.policy import StepConfig, parse_rollback_config
from orchestrator.authoring.views import RollbackContext
from orchestrator.errors import InvalidStepConfig, WorkflowFatalError

NAMES = ("ctx", "error", "output", "step_name")

_undoing: ContextVar[bool] = ContextVar("orchestrator_rollback", default=False)
"""Whether the code that runs belongs to a handler. Steps are refused there in words of their own."""


def refuse_in_rollback() -> None:
    """Raises WorkflowFatalError in a rollback handler; asked where a call on `step` is refused anyway."""
    if _undoing.get():
        raise WorkflowFatalError("Cannot execute steps during rollback phase")


@dataclass(frozen=True, slots=True)
class Rollback:
    """A handler, and by which names it takes what."""

    handler: Callable[..., Any]
    is_async: bool
    names: tuple[str, ...]
    takes_all: bool
    """It has one parameter of another name, for an object with everything."""

    def body(self, given: RollbackContext) -> Callable[[], Any]:
        """A step body that runs the handler. What the handler returns is of no interest, so it need not be JSON."""
        values = {name: given[name] for name in self.names}
        args = (given,) if self.takes_all else ()
        if self.is_async:
            return lambda: _awaited(self.handler, args, values)

        def call() -> Any:
            token = _undoing.set(True)
            try:
                result = self.handler(*args, **values)
            finally:
                _undoing.reset(token)
            return _awaited(lambda: result, (), {}) if inspect.isawaitable(result) else None

        return call


def _awaited(handler: Callable[..., Any], args: tuple[Any, ...], values: dict[str, Any]) -> Coroutine[Any, Any, None]:
    async def wait() -> None:
        _undoing.set(True)  # a task has a context of its own: it ends with it
        await handler(*args, **values)

    return wait()


def parse_rollback(
    step_name: object, handler: object, options: Mapping[str, Any] | None, config: StepConfig
) -> tuple[Rollback | None, StepConfig]:
    """The handler of a step, and the step's configuration with the handler's in it. Raises InvalidStepConfig."""
    if handler is None:
        if options is not None:
            raise InvalidStepConfig(
                f'Rollback options for "{step_name}" have a rollback_config and no rollback function'
            )
        return None, config
    if not callable(handler):
        raise InvalidStepConfig(f'Rollback for "{step_name}" must be a function')
    parsed = parse_rollback_config(str(step_name), options, config.queue)
    is_async = any(map(inspect.iscoroutinefunction, (handler, getattr(handler, "__call__", None))))  # noqa: B004
    return Rollback(handler, is_async, *_wants(step_name, handler)), config.with_rollback(parsed)


def _wants(step_name: object, handler: Callable[..., Any]) -> tuple[tuple[str, ...], bool]:
    """By which names a handler takes what, and whether it takes everything as one argument instead."""
    try:
        parameters = list(inspect.signature(handler).parameters.values())
    except (ValueError, TypeError):  # builtins without a signature
        return (), True
    if any(p.kind == p.VAR_KEYWORD for p in parameters):
        return NAMES, False
    named = tuple(p.name for p in parameters if p.name in NAMES and p.kind != p.POSITIONAL_ONLY)
    strangers = [
        p for p in parameters
        if p.name not in named and p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]  # fmt: skip
    if not strangers:
        return named, False
    if len(strangers) == 1 and not named and strangers[0].kind != inspect.Parameter.KEYWORD_ONLY:
        return (), True
    raise InvalidStepConfig(
        f'Rollback for "{step_name}" must be a function of any of {", ".join(NAMES)}, or of one parameter with another '
        f"name, which is given an object with all of them; it also asks for {', '.join(p.name for p in strangers)}"
    )
