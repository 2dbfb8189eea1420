"""Stands between the engine and the bodies of steps: a mocked one is replaced for the one attempt, the rest is as ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from orchestrator.authoring.commands import RunStep
from orchestrator.engine.orders import Identity, Order, Report, Runner
from orchestrator.serialization import explain
from orchestrator.testing.clock import MovableClock
from orchestrator.testing.misuse import BY, IntrospectionError
from orchestrator.testing.modifier import Modifications


class ModifiedRunner:
    """In the place of a runtime's runner."""

    def __init__(
        self, runner: Runner, clock: MovableClock, modified: Callable[[Identity], Modifications | None]
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._modified = modified
        self.mistakes: list[IntrospectionError] = []
        """What is wrong with mocks, for the test to hear of; their steps fail with it."""

    def run_sync(self, order: Order) -> Report:
        with self._replaced(order):
            return self._runner.run_sync(order)

    async def run_async(self, order: Order) -> Report:
        with self._clock.body(), self._replaced(order):
            return await self._runner.run_async(order)

    @contextmanager
    def _replaced(self, order: Order) -> Iterator[None]:
        """The same step with the body that the test wants: only for this attempt, as the next may have another."""
        command = order.command
        body = self._body(command, order)
        if body is None:
            yield
            return
        order.command = replace(command, fn=body)
        try:
            yield
        finally:
            order.command = command

    def _body(self, command: RunStep, order: Order) -> Callable[..., Any] | None:
        modifications = self._modified(order.identity)
        if modifications is None:
            return None
        failure = modifications.failure(command.key, order.attempt)
        if failure is not None:

            def fails(*args: Any, **kwargs: Any) -> Any:
                raise failure.error

            return fails
        if command.key not in modifications.results:
            return None
        result = modifications.results[command.key]
        return lambda *args, **kwargs: self._fitting(command, result())

    def _fitting(self, command: RunStep, result: Any) -> Any:
        """The result as the type that the body's annotation says."""
        if command.signature.adapter is None:
            return result
        try:
            return command.signature.adapter.validate_python(result)
        except ValidationError as error:
            mistake = IntrospectionError(
                f"{BY} The mocked result of step '{command.name}' does not fit what its body is annotated to return: "
                f"{explain(error)}."
            )
            self.mistakes.append(mistake)
            raise mistake from None
