"""The rollback of one instance, alive: which handler is next, in the place of the function that failed; it does no I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import ValidationError

from orchestrator.authoring.bodies import Signature
from orchestrator.authoring.commands import Command, RunStep
from orchestrator.authoring.policy import DEFAULT_CONFIG, StepConfig
from orchestrator.authoring.streams import ByteStream, ReadChunk, stream_info
from orchestrator.authoring.views import RollbackContext, StepContext
from orchestrator.authoring.workflow import Definition
from orchestrator.errors import RollbackMissing
from orchestrator.names import step_key
from orchestrator.replay.journal import Entry
from orchestrator.replay.run import Outcome, WorkflowRun, deliver_loosely
from orchestrator.serialization import decode, decode_error
from orchestrator.statuses import StepKind

LAST_POSITION = 2**31 - 1
"""Rollbacks are numbered down from here by the steps they undo: after everything else, in the order they run in."""


@dataclass(frozen=True, slots=True)
class Undo:
    """A step that has begun and has a rollback handler, as the tables know it."""

    name: str
    count: int
    position: int
    config: StepConfig
    result: str | None
    """JSON text; None if it did not succeed."""
    context: StepContext


def gather(run: WorkflowRun, entries: Iterable[Entry], needed: Iterable[str]) -> None:
    """Drive the function until it has named the handlers of the steps that are needed, and no further than that.

    From its journal it comes to where it was, and has named them all. If its code has changed, it is led on as far as
    it goes: steps without a result return None, sleeps and waits pass, and what it raises is of no interest.
    """
    known = {entry.key: entry for entry in entries}
    for entry in known.values():
        if run.outcome is not None:
            break
        if (command := run.outstanding.get(entry.key)) is not None:
            deliver_loosely(run, command, entry)
    for _ in range(run.step_limit):
        if not run.outstanding or run.outcome is not None or run.to_undo.keys() >= set(needed):
            break
        first = next(iter(run.outstanding.values()))
        deliver_loosely(run, first, known.get(first.key))


class RollbackRun:
    """Asks for one handler after another, the step that began last first; as a WorkflowRun to whoever carries it out.

    What has been carried out is told by the journal. The first handler that fails for good ends it.
    """

    def __init__(
        self,
        function: WorkflowRun,
        left: Sequence[Undo],
        error: Mapping[str, Any],
        *,
        failed: Mapping[str, Any] | None = None,
        empty: bool = False,
    ) -> None:
        self.definition: Definition = function.definition
        self.outstanding: dict[str, Command] = {}
        self.new: dict[str, Command] = {}
        self.cancelled: list[Command] = []
        self.outcome: Outcome | None = None
        self.closed = False
        self._function = function
        self._error = dict(error)
        self._failed = None if failed is None else dict(failed)
        self._left = sorted(left, key=lambda step: step.position)
        self.empty = empty
        """There is and was nothing to undo."""

    def start(self) -> None:
        if self._failed is not None:
            self.outcome = Outcome(error=decode_error(self._failed))
        else:
            self._next()

    def deliver(self, entry: Entry) -> None:
        if self.outstanding.pop(entry.key, None) is None:
            return
        if entry.error is not None:
            self.outcome = Outcome(error=decode_error(entry.error))
        else:
            self._next()

    def close(self) -> None:
        self.closed = True

    def _next(self) -> None:
        if not self._left:
            self.outcome = Outcome()
            return
        command = self._command(self._left.pop())
        self.outstanding[command.key] = self.new[command.key] = command

    def _command(self, step: Undo) -> RunStep:
        registered = self._function.to_undo.get(step_key(StepKind.DO, step.name, step.count))
        config = step.config.rollback or DEFAULT_CONFIG
        if registered is None or registered.rollback is None:
            fn, is_async = _missing, False
        else:
            config = config.with_delay_of(registered.config.rollback or DEFAULT_CONFIG)
            given = RollbackContext(
                ctx=step.context,
                error=decode_error(self._error),
                output=_output(registered, step.result, self._function.read_chunk),
                step_name=registered.label,
            )
            fn, is_async = registered.rollback.body(given), registered.rollback.is_async
        return RunStep(
            StepKind.ROLLBACK,
            step_key(StepKind.ROLLBACK, step.name, step.count),
            step.name,
            step.count,
            LAST_POSITION - step.position,
            asyncio.Future(loop=self._function.loop),
            fn,
            (),
            {},
            Signature(is_async=is_async, wants_ctx=False, parameters=(), adapter=None),
            config,
        )


def _output(step: RunStep, result: str | None, read_chunk: ReadChunk) -> Any:
    if result is None:
        return None
    if (stream := stream_info(result)) is not None:
        return ByteStream(stream, read_chunk)
    try:
        return decode(result, step.signature.adapter)
    except ValidationError:  # the type has changed since: better what was stored than no rollback
        return decode(result)


def _missing() -> NoReturn:
    raise RollbackMissing("Rollback function not available in registry")
