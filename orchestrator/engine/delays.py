"""Asks an author's delay functions how long to wait, beside the claim of their instance; it decides nothing else.

A failed attempt is stored before its function is asked, so that whoever takes the instance over after a crash only asks
again. The function runs on a thread of its own, or on the loop of the async bodies: outside any transaction, and
while the holder goes on with whatever else there is to do.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.authoring.commands import RunStep
from orchestrator.authoring.policy import FALLBACK_DELAY_MS
from orchestrator.clock import monotonic
from orchestrator.durations import to_ms
from orchestrator.engine.orders import Order
from orchestrator.errors import InvalidDuration, NonRetryableDelayError
from orchestrator.serialization import decode_error

if TYPE_CHECKING:
    from orchestrator.engine.activation import Activation
    from orchestrator.engine.book import Failed

LIMIT_S = 5.0

Answer = int | NonRetryableDelayError


@dataclass(slots=True)
class _Question:
    attempt: int
    label: str
    asked: float = field(default_factory=monotonic)
    answer: Answer | None = None

    def seconds_left(self) -> float:
        return self.asked + LIMIT_S - monotonic()


class Delays:
    """The questions of one claim, by the key of their step."""

    def __init__(self, activation: Activation) -> None:
        self._activation = activation
        self._questions: dict[str, _Question] = {}

    def ask(self, step: RunStep, failed: Failed) -> None:
        """Start asking, unless it has been done for this attempt."""
        known = self._questions.get(step.key)
        if known is not None and known.attempt == failed.attempt:
            return
        question = self._questions[step.key] = _Question(failed.attempt, step.label)
        function = step.config.retries.delay_function
        if function is None:  # the code has none any more
            question.answer = FALLBACK_DELAY_MS
            return
        context = Order(self._activation.identity, step, failed.attempt, failed.config).context()
        self._start(question, function, (context, decode_error(failed.error)))

    def answer(self, key: str, attempt: int) -> Answer | None:
        """In ms, or why there is none; None while it is not known."""
        question = self._questions.get(key)
        if question is None or question.attempt != attempt:
            return None
        if question.answer is None and question.seconds_left() <= 0:
            question.answer = _error(question, f"did not return within {LIMIT_S:g} seconds")
        return question.answer

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._questions.pop(key, None)

    def forget_others(self, keys: Iterable[str]) -> None:
        """Nobody waits for the answers to questions about other steps any more."""
        self.forget(self._questions.keys() - set(keys))

    @property
    def pending(self) -> bool:
        """Whether there are questions whose answer has not been used."""
        return bool(self._questions)

    def seconds_left(self) -> float | None:
        """How long the next one may take."""
        left = [one.seconds_left() for one in list(self._questions.values()) if one.answer is None]
        return max(min(left), 0.0) if left else None

    # --- asking

    def _start(self, question: _Question, function: Callable[..., Any], given: tuple[Any, Any]) -> None:
        def done(answer: Answer) -> None:
            if question.answer is None:
                question.answer = answer
            self._activation.in_place.interrupt()

        async def ask() -> Answer:
            try:
                async with asyncio.timeout(LIMIT_S):
                    return _read(question, await function(*given))
            except TimeoutError:
                return _error(question, f"did not return within {LIMIT_S:g} seconds")
            except BaseException as error:  # noqa: BLE001 - whatever it raises, the step fails with it
                return _error(question, f"threw an error: {error}")

        def ask_on_a_thread() -> None:
            try:
                value = function(*given)
                if inspect.isawaitable(value):
                    value = asyncio.run(_awaited(value))
                answer = _read(question, value)
            except BaseException as error:  # noqa: BLE001 - as above
                answer = _error(question, f"threw an error: {error}")
            done(answer)

        if inspect.iscoroutinefunction(function):
            self._activation.runtime.bodies.start([(ask, done)])
        else:
            threading.Thread(target=ask_on_a_thread, name="orchestrator-delay", daemon=True).start()


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _read(question: _Question, value: Any) -> Answer:
    try:
        return to_ms(value)
    except InvalidDuration:
        return _error(
            question,
            'returned an invalid delay value (expected a number of ms or a duration string like "30 seconds")',
        )


def _error(question: _Question, reason: str) -> NonRetryableDelayError:
    return NonRetryableDelayError(f'The delay function for step "{question.label}" {reason}')
