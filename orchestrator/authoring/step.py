"""The `step` object of `async def run`: checks each call and hands it to the run it belongs to; it does no I/O."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, overload
from uuid import UUID

from orchestrator.authoring.bodies import Signature, signature_of
from orchestrator.authoring.dependencies import Dependencies, StepCallable, legacy_dependencies
from orchestrator.authoring.policy import (
    DEFAULT_CONFIG,
    RetriesDict,
    RollbackConfigDict,
    StepConfig,
    StepConfigDict,
    parse_config,
)
from orchestrator.authoring.rollback import Rollback, parse_rollback
from orchestrator.authoring.views import ReceivedEvent, StepContext
from orchestrator.durations import UNITS_MS, Duration, to_ms
from orchestrator.errors import InvalidDuration, InvalidStepConfig, WorkflowFatalError
from orchestrator.names import check_event_type, check_step_name
from orchestrator.serialization import adapter_for

P = ParamSpec("P")
R = TypeVar("R")

MAX_WAIT_MS = 365 * UNITS_MS["day"]
MIN_EVENT_TIMEOUT_MS = UNITS_MS["second"]


class Run(Protocol):
    """What a `step` object needs of the run it belongs to; `orchestrator.replay` has the one that is used."""

    @property
    def random(self) -> random.Random: ...

    def do(
        self,
        name: str,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        signature: Signature,
        config: StepConfig,
        rollback: Rollback | None,
    ) -> asyncio.Future[Any]: ...
    def timer(self, name: str, *, duration_ms: int | None, until_ms: int | None) -> asyncio.Future[None]: ...
    def event(self, name: str, event_type: str, timeout_ms: int, adapter: Any) -> asyncio.Future[Any]: ...
    def now_ms(self) -> int: ...


class StepDecorator(Protocol):
    """What `@step.do("name", …)` returns."""

    @overload
    def __call__(self, fn: Callable[..., Awaitable[R]], /) -> StepCallable[R]: ...
    @overload
    def __call__(self, fn: Callable[..., R], /) -> StepCallable[R]: ...


def no_callback(name: object) -> WorkflowFatalError:
    return WorkflowFatalError(
        f'Step "{name}" requires a callback function: `await step.do("{name}", fn)`, or decorate one with '
        f'`@step.do("{name}")` and await its call.'
    )


class Undecorated:
    """A step that has no function yet; to await it is the mistake of having forgotten that."""

    def __init__(self, name: object, decorate: Callable[[Callable[..., Any]], Any]) -> None:
        self._name = name
        self._decorate = decorate

    def __call__(self, fn: Callable[..., Any], /) -> Any:
        if not callable(fn):
            raise no_callback(self._name)
        return self._decorate(fn)

    def __await__(self) -> Generator[Any, None, Any]:
        raise no_callback(self._name)


class WorkflowStep:
    """Steps of one instance. Every call is remembered: a finished step is answered from the journal, never run again."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._dependencies = Dependencies()
        self._last_fn: Callable[..., Any] | None = None
        """What was run last, with its signature: in a loop it is often the same."""
        self._last_signature: Signature

    @overload
    def do(self, fn: Callable[..., Awaitable[R]], /) -> StepCallable[R]: ...
    @overload
    def do(self, fn: Callable[..., R], /) -> StepCallable[R]: ...
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
    ) -> Coroutine[object, None, R]: ...
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
    ) -> Coroutine[object, None, R]: ...
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
    ) -> Coroutine[object, None, R]: ...
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
    ) -> Coroutine[object, None, R]: ...
    @overload
    def do(
        self, name: str, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[object, None, R]: ...
    @overload
    def do(self, name: str, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Coroutine[object, None, R]: ...
    @overload
    def do(
        self, name: str, fn: Callable[Concatenate[StepContext, P], Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[object, None, R]: ...
    @overload
    def do(
        self, name: str, fn: Callable[Concatenate[StepContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[object, None, R]: ...
    @overload
    def do(
        self,
        name: str,
        config: StepConfigDict,
        fn: Callable[P, Awaitable[R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Coroutine[object, None, R]: ...
    @overload
    def do(
        self, name: str, config: StepConfigDict, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[object, None, R]: ...
    @overload
    def do(
        self,
        name: str,
        config: StepConfigDict,
        fn: Callable[Concatenate[StepContext, P], Awaitable[R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Coroutine[object, None, R]: ...
    @overload
    def do(
        self,
        name: str,
        config: StepConfigDict,
        fn: Callable[Concatenate[StepContext, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Coroutine[object, None, R]: ...
    @overload
    def do(
        self,
        name: str | None = None,
        depends: Sequence[StepCallable[Any]] | None = None,
        concurrent: bool = False,
        config: StepConfigDict | None = None,
        *,
        retries: RetriesDict | None = None,
        timeout: Duration | None = None,
        queue: str | None = None,
        sensitive: Literal["output"] | None = None,
        rollback: Callable[..., Any] | None = None,
        rollback_config: RollbackConfigDict | None = None,
    ) -> StepDecorator: ...

    # mypy finds no `*given` as wide as overloads that end in a ParamSpec.
    def do(self, *given: Any, **options: Any) -> Any:  # type: ignore[misc]
        """Run a function as a step, as a decorator or directly.

        `@step.do`, `@step.do("name")`, `@step.do("name", retries={"limit": 3, "delay": "30 seconds"}, timeout="2
        minutes")` decorate a function; calling the result runs it. `await step.do("name", fn, *args, **kwargs)` runs it
        at once, and `step.do("name", {…config…}, fn, *args)` with a configuration. A parameter called `ctx` receives
        the StepContext. `rollback=fn` undoes the step if the workflow fails later.

        Raises InvalidStepName, InvalidStepConfig, StepLimitExceeded; awaiting it raises what the step failed with after
        its last attempt.
        """
        if given and callable(given[0]):
            return self._decorate(None, given[0], DEFAULT_CONFIG, None, None, False)
        if not options and len(given) > 1 and callable(given[1]):  # the usual form, asked for again in every replay
            fn = given[1]
            if fn is not self._last_fn:
                self._last_fn, self._last_signature = fn, signature_of(fn)
            return self._call(check_step_name(given[0]), fn, given[2:], {}, self._last_signature, DEFAULT_CONFIG, None)
        name, rest = (given[0] if given else options.pop("name", None)), list(given[1:])
        config = rest.pop(0) if rest and isinstance(rest[0], Mapping) else None
        if rest and callable(rest[0]):
            fn = rest.pop(0)
            signature = signature_of(fn)
            policy, rollback = self._policy(name, config, options, signature.parameters)
            return self._call(check_step_name(name), fn, tuple(rest), options, signature, policy, rollback)
        if (rest == [None] and not options) or (rest and not isinstance(rest[0], (list, tuple, type(None)))):
            raise no_callback(name)
        positional = dict(zip(("depends", "concurrent", "config"), rest, strict=False))
        depends = options.pop("depends", positional.get("depends"))
        concurrent = bool(options.pop("concurrent", positional.get("concurrent", False)))
        policy, rollback = self._policy(name, config or positional.get("config"), options, ())
        if options:
            raise InvalidStepConfig(f'Step config for "{name}" has unknown options: {", ".join(sorted(options))}')
        return Undecorated(name, lambda fn: self._decorate(name, fn, policy, rollback, depends, concurrent))

    async def sleep(self, name: str, duration: Duration) -> None:
        """Wait for a duration (milliseconds, "3 days", timedelta; at most 365 days), holding no worker meanwhile."""
        await self._run.timer(check_step_name(name), duration_ms=_wait_ms(duration), until_ms=None)

    async def sleep_until(self, name: str, when: datetime | int | float) -> None:
        """Wait until a moment: an aware datetime, or epoch milliseconds. A past moment passes at once.

        The moment is fixed when the sleep first starts.
        """
        await self._run.timer(check_step_name(name), duration_ms=None, until_ms=_epoch_ms(when))

    @overload
    async def wait_for_event(
        self, name: str, event_type: str, /, timeout: Duration = ..., *, payload_type: type[R]
    ) -> ReceivedEvent[R]: ...
    @overload
    async def wait_for_event(
        self, name: str, event_type: str, /, timeout: Duration = ..., *, payload_type: None = None
    ) -> ReceivedEvent[Any]: ...

    async def wait_for_event(
        self, name: str, event_type: str, /, timeout: Duration = "24 hours", *, payload_type: Any = None
    ) -> ReceivedEvent[Any]:
        """Wait for `send_event(event_type)`; events that came before are kept and taken in order of arrival.

        The timeout is 1 second to 365 days. Raises EventTimeoutError when it passes.
        """
        timeout_ms = _wait_ms(timeout)
        if timeout_ms < MIN_EVENT_TIMEOUT_MS:
            raise InvalidDuration(f"The timeout of wait_for_event must be at least 1 second, not {timeout!r}.")
        annotation = ReceivedEvent[Any] if payload_type is None else ReceivedEvent[payload_type]
        adapter = adapter_for(annotation)
        received: ReceivedEvent[Any] = await self._run.event(
            check_step_name(name), check_event_type(event_type), timeout_ms, adapter
        )
        return received

    def now(self) -> datetime:
        """The time as this workflow sees it, the same on every replay: when the last thing it waited for ended."""
        return datetime.fromtimestamp(self._run.now_ms() / 1000, UTC)

    def random(self) -> float:
        """A number in [0, 1), the same on every replay."""
        return self._run.random.random()

    def uuid(self) -> UUID:
        """A random UUID (version 4), the same on every replay."""
        return UUID(int=self._run.random.getrandbits(128), version=4)

    # --- behind the decorator

    def _decorate(
        self,
        name: str | None,
        fn: Callable[..., Any],
        config: StepConfig,
        rollback: Rollback | None,
        depends: Any,
        concurrent: bool,
    ) -> StepCallable[Any]:
        signature = signature_of(fn)
        name = check_step_name(name if name is not None else getattr(fn, "__name__", None))
        if depends is not None:
            wired = legacy_dependencies(signature, depends)
        else:
            wired = None
        step: StepCallable[Any] = StepCallable(
            self, self._dependencies, name, fn, signature, config, wired, concurrent, rollback
        )
        self._dependencies.register(step)
        return step

    async def _call(
        self,
        name: str,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        signature: Signature,
        config: StepConfig,
        rollback: Rollback | None,
    ) -> Any:
        args, kwargs = signature.around_ctx(args, kwargs)
        return await self._run.do(name, fn, args, kwargs, signature, config, rollback)

    def _policy(
        self, name: Any, config: Any, options: dict[str, Any], parameters: Sequence[str]
    ) -> tuple[StepConfig, Rollback | None]:
        """The policy of a call and its rollback handler.

        In the direct form an option of the same name as a parameter of the function is the function's.
        """
        if not options and config is None:
            return DEFAULT_CONFIG, None
        handler, settings = (
            options.pop(option) if option in options and option not in parameters else None
            for option in ("rollback", "rollback_config")
        )
        policy = self._config(name, config, options, parameters)
        if handler is None and settings is None:
            return policy, None
        rollback, policy = parse_rollback(name, handler, settings, policy)
        return policy, rollback

    def _config(self, name: Any, config: Any, options: dict[str, Any], parameters: Sequence[str]) -> StepConfig:
        """`config=` and the single options, which must not both be given."""
        taken: dict[str, Any] = {
            key: options.pop(key)
            for key in ("config", "retries", "timeout", "queue", "sensitive")
            if key in options and key not in parameters
        }
        config = taken.pop("config", None) or config
        single = {key: value for key, value in taken.items() if value is not None}
        if config is not None and not isinstance(config, Mapping):
            raise InvalidStepConfig(f'Step config for "{name}" is in a invalid format: {config!r} is not a mapping')
        if not config and not single:
            return DEFAULT_CONFIG
        both = sorted(set(config or {}) & set(single))
        if both:
            raise InvalidStepConfig(f'Step config for "{name}" is given twice: {", ".join(both)}')
        return parse_config(str(name), {**(config or {}), **single})


def _wait_ms(duration: Duration) -> int:
    wait_ms = to_ms(duration)
    if wait_ms > MAX_WAIT_MS:
        raise InvalidDuration(f"A wait may last 365 days at most, not {duration!r}.")
    return wait_ms


def _epoch_ms(when: object) -> int:
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise InvalidDuration(
                f"sleep_until needs an aware datetime, and {when!r} has no time zone; add one, for example tzinfo=UTC."
            )
        return round(when.timestamp() * 1000)
    if isinstance(when, bool) or not isinstance(when, (int, float)) or not 0 <= when < 1e16:
        raise InvalidDuration(f"sleep_until needs an aware datetime or epoch milliseconds, not {when!r}.")
    return round(when)
