"""Running one attempt of a step: its context, its timeout, and what came of it; it touches no database."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import ValidationError

from orchestrator.authoring.commands import RunStep
from orchestrator.authoring.policy import DEFAULT_CONFIG, StepConfig
from orchestrator.authoring.streams import is_stream
from orchestrator.authoring.views import StepContext, StepInfo
from orchestrator.clock import Clock, monotonic
from orchestrator.engine import inside
from orchestrator.engine.first_turn import FirstTurn
from orchestrator.engine.held_rows import HeldRow
from orchestrator.errors import (
    InvalidStepReadableStreamError,
    NonRetryableError,
    NotSerializableError,
    PayloadTooLarge,
    StepTimeoutError,
    StorageLimitExceeded,
    WorkflowFatalError,
)
from orchestrator.names import idempotency_key, split_key
from orchestrator.replay.journal import UNREAD
from orchestrator.serialization import check_size, decode, encode, encode_error

log = logging.getLogger(__name__)


@dataclass(slots=True, frozen=True)
class Identity:
    """What of an instance its steps are told."""

    pk: int
    workflow: str
    instance_id: str
    created_at: int
    run: int
    kept: tuple[tuple[int, int], ...] = ()
    """Which commands come from earlier runs, as `earlier_runs.Ancestry` has it."""

    def run_of(self, position: int) -> int:
        """The run in which the command of that place in the order of calls was first asked for."""
        found = self.run
        for limit, run in self.kept:
            if position >= limit:
                break
            found = run
        return found


@dataclass(slots=True, eq=False)
class Order:
    """One attempt that is to be run or is running. `row` is its row in `attempts`, where it has one."""

    identity: Identity
    command: RunStep
    attempt: int
    config: StepConfig
    row: HeldRow | None = None
    started_at: int = 0
    started: float = field(default_factory=monotonic)
    deadline_written: bool = False
    begun: bool = False
    given_up: bool = False
    """Nobody asks for it any more: if its body has not begun, it must not."""
    task: asyncio.Task[Any] | None = None

    def start(self, clock: Clock) -> None:
        self.started_at = clock.now_ms()
        self.started = monotonic()
        self.begun = True

    @property
    def row_id(self) -> int | None:
        return None if self.row is None else self.row.id

    @property
    def deadline_at(self) -> int:
        return self.started_at + self.config.timeout_ms

    @property
    def stored_config(self) -> str | None:
        return None if self.config is DEFAULT_CONFIG else self.config.shown

    def arguments(self) -> dict[str, Any]:
        command = self.command
        if not command.signature.wants_ctx or "ctx" in command.kwargs:
            return command.kwargs
        return {**command.kwargs, "ctx": self.context()}

    def context(self) -> StepContext:
        return context_of(self.identity, self.command.key, self.command.position, self.attempt, self.config)


def context_of(identity: Identity, key: str, position: int, attempt: int, config: StepConfig) -> StepContext:
    _, name, count = split_key(key)
    return StepContext(
        step=StepInfo(name, count),
        attempt=attempt,
        config=config.to_dict(),
        idempotency_key=idempotency_key(
            identity.workflow,
            identity.instance_id,
            identity.created_at,
            identity.run_of(position) if identity.kept else identity.run,
            key,
        ),
        instance_id=identity.instance_id,
        workflow_name=identity.workflow,
    )


@dataclass(slots=True)
class Report:
    """What came of an attempt: the JSON text of its result and the value read back from it, or its error."""

    order: Order
    ended_at: int
    result: str | None = None
    value: Any = None
    error: dict[str, Any] | None = None
    retryable: bool = True
    fatal: bool = False
    """The instance can't go on, whatever its code would do about the error."""


class StreamStore(Protocol):
    """Takes what a body returns as a stream; the journal's text for it."""

    def store(self, order: Order, source: Any) -> str: ...
    async def store_async(self, order: Order, source: Any) -> str: ...


class Runner:
    """Runs bodies. `register` and `forget` let a supervisor see what is running."""

    def __init__(
        self,
        clock: Clock,
        streams: StreamStore,
        home: object,
        max_payload_bytes: int,
        register: Callable[[Order], None],
        forget: Callable[[Order], None],
    ) -> None:
        self._clock = clock
        self._streams = streams
        self._home = home
        self._limit = max_payload_bytes
        self._register = register
        self._forget = forget

    def run_sync(self, order: Order) -> Report:
        """Run a `def` body on this thread. If it returns an awaitable, that is awaited on a loop of its own."""
        order.start(self._clock)
        self._register(order)
        outside = inside.enter((self._home, order.identity))
        try:
            value = order.command.fn(*order.command.args, **order.arguments())
            if inspect.isawaitable(value):
                return self._disguised(order, value)
            if _is_stream(order, value):
                return self._stored(order, self._streams.store(order, value))
            return self._success(order, value)
        except BaseException as error:  # noqa: BLE001 - whatever a body raises, SystemExit included, fails the attempt
            return self._failure(order, error)
        finally:
            inside.leave(outside)
            self._forget(order)

    async def run_async(self, order: Order) -> Report:
        """Run an `async def` body, cancelled when its timeout has passed."""
        order.start(self._clock)
        if order.given_up:  # looked at after it was noted as begun: whoever gives it up does it the other way round
            raise asyncio.CancelledError
        order.task = asyncio.current_task()
        self._register(order)
        inside.enter((self._home, order.identity))
        loop, limit = asyncio.get_running_loop(), None
        try:
            until = loop.time() + order.config.timeout_ms / 1000
            value = order.command.fn(*order.command.args, **order.arguments())
            waits = inspect.isawaitable(value)
            if inspect.iscoroutine(value):
                first = FirstTurn(value)
                waits, value = not first.is_over, first.result if first.is_over else first
            if waits or _is_stream(order, value):
                # in the future in any case: a body that is over it by then has its next turn before that, as if waiting
                async with asyncio.timeout_at(max(until, loop.time() + 1e-4)) as limit:
                    if waits:
                        value = await value
                    if _is_stream(order, value):
                        return self._stored(order, await self._streams.store_async(order, value))
            return self._success(order, value)
        except TimeoutError as error:
            timed_out = limit is not None and limit.expired()
            return self._failure(order, StepTimeoutError.after(order.config.timeout_ms) if timed_out else error)
        except asyncio.CancelledError:
            if order.task is not None and order.task.cancelling():
                raise  # given up by the workflow, or this process stops
            return self._failure(order, RuntimeError("the body was cancelled by its own code"))
        except BaseException as error:  # noqa: BLE001 - as above
            return self._failure(order, error)
        finally:
            self._forget(order)

    def _disguised(self, order: Order, awaitable: Any) -> Report:
        async def wait() -> Report:
            async with asyncio.timeout(order.config.timeout_ms / 1000):
                value = await awaitable
                if _is_stream(order, value):
                    return self._stored(order, await self._streams.store_async(order, value))
            return self._success(order, value)

        try:
            return asyncio.run(wait())
        except TimeoutError:
            return self._failure(order, StepTimeoutError.after(order.config.timeout_ms))

    def _success(self, order: Order, value: Any) -> Report:
        command = order.command
        what = f'Value returned from step "{command.name}"'
        try:
            text = encode(value, command.signature.adapter, what=what)
            check_size(text, f"Step {command.label} output", self._limit)
            read_back = decode(text, command.signature.adapter)
        except (NotSerializableError, ValueError) as error:
            reason = error
            if order.config.sensitive:  # pydantic quotes the value
                reason = NotSerializableError(f"{what} is not serialisable (the value is sensitive and not shown)")
            elif isinstance(error, ValidationError):
                reason = NotSerializableError(f"{what} is not serialisable as its annotated type: {error}")
            elif isinstance(error, ValueError):  # nested too deeply, or a number too long
                reason = NotSerializableError(f"{what} is not serialisable: it can't be read back ({error})")
            stored = {**encode_error(reason), "fatal": True}
            return Report(order, self._clock.now_ms(), error=stored, retryable=False, fatal=True)
        except PayloadTooLarge as error:
            return self._failure(order, error)
        return Report(order, self._clock.now_ms(), text, read_back)

    def _stored(self, order: Order, text: str) -> Report:
        return Report(order, self._clock.now_ms(), text, UNREAD)

    def _failure(self, order: Order, error: BaseException) -> Report:
        if isinstance(error, (InvalidStepReadableStreamError, StorageLimitExceeded)):
            stored = {**encode_error(error), "fatal": True}
            return Report(order, self._clock.now_ms(), error=stored, retryable=False, fatal=True)
        log.info(
            "step %s of %s/%s failed on attempt %d: %s",
            order.command.label, order.identity.workflow, order.identity.instance_id, order.attempt,
            type(error).__name__, exc_info=log.isEnabledFor(logging.DEBUG),
        )  # fmt: skip
        return Report(order, self._clock.now_ms(), error=encode_error(error), retryable=may_be_retried(error))


def _is_stream(order: Order, value: Any) -> bool:
    signature = order.command.signature
    return is_stream(value, expected=signature.streams, typed=signature.adapter is not None)


def may_be_retried(error: BaseException) -> bool:
    return not isinstance(error, (NonRetryableError, WorkflowFatalError))
