"""One run of a workflow function, alive: entries of the journal go in, commands come out; it does no I/O by itself."""

from __future__ import annotations

import asyncio
import random
from asyncio import events
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from orchestrator.authoring.blocking import BlockingWorkflowStep, in_greenlet
from orchestrator.authoring.bodies import Signature
from orchestrator.authoring.commands import AwaitEvent, Command, RunStep, StartTimer
from orchestrator.authoring.policy import StepConfig
from orchestrator.authoring.rollback import Rollback, refuse_in_rollback
from orchestrator.authoring.step import WorkflowStep
from orchestrator.authoring.streams import ByteStream, ReadChunk, stream_info
from orchestrator.authoring.views import WorkflowEvent
from orchestrator.authoring.workflow import Definition
from orchestrator.errors import InvalidEventPayload, NotAllowedInWorkflow, ReplayMismatch, StepLimitExceeded
from orchestrator.interrupts import WorkflowClosed
from orchestrator.names import step_key
from orchestrator.replay.journal import UNREAD, Entry
from orchestrator.replay.loop import DeterministicLoop
from orchestrator.serialization import decode, decode_error, explain
from orchestrator.statuses import StepKind

TIMER_NAME = "asyncio"


@dataclass(slots=True)
class Outcome:
    """How `run` ended: with a value or with an error."""

    value: Any = None
    error: BaseException | None = None


class _Answer(asyncio.Future[Any]):
    """What a command is awaited by. A callback that looks whether it was cancelled would cost more than all it does."""

    def __init__(self, run: WorkflowRun, key: str) -> None:
        super().__init__(loop=run.loop)
        self._run = run
        self._key = key

    def cancel(self, msg: Any = None) -> bool:
        if not super().cancel(msg):
            return False
        self._run.give_up(self._key)
        return True


class WorkflowRun:
    """Feed it with `deliver`, in the order the journal was written; then read `new`, `cancelled` and `outcome`.

    Entries are delivered one at a time and the function runs until it can go no further in between, so that a replay
    sees completions in the same order as the first run did, whatever races it holds.
    """

    def __init__(
        self,
        definition: Definition,
        event: WorkflowEvent[Any],
        *,
        seed: int,
        now_ms: int,
        read_chunk: ReadChunk | None = None,
        step_limit: int | None = None,
    ) -> None:
        self.definition = definition
        self.step_limit = step_limit or definition.step_limit
        self._random = random.Random(seed)
        self._read_chunk = read_chunk or _no_chunks
        self._unreadable: Exception | None = None
        """Why a stream could not be read in `run`: no concern of the author's, whose code is to see what it saw before."""
        self.outstanding: dict[str, Command] = {}
        self.new: dict[str, Command] = {}
        """Commands issued since this was last emptied, without those that were answered since."""
        self.cancelled: list[Command] = []
        """Commands given up since this was last emptied."""
        self.outcome: Outcome | None = None
        self.to_undo: dict[str, RunStep] = {}
        """Every step with a rollback handler that was asked for, whatever has become of it."""
        self._now_ms = now_ms
        self._counts: dict[tuple[StepKind, str], int] = {}
        self.asked = 0
        """How many commands it has issued so far."""
        self._steps = 0
        self.given_up: dict[str, Command] = {}
        """Every command that the function asked for and then cancelled."""
        self._closed = False
        self.loop = DeterministicLoop(self, seed)  # type: ignore[abstract]  # what it refuses is filled in by name
        self.loop.create_task(self._main(event)).add_done_callback(self._ended)

    # --- driving

    def start(self) -> None:
        """Run from the top until the first time it can go no further."""
        self._run_ready()

    def deliver(self, entry: Entry) -> None:
        """Answer a command. Raises ReplayMismatch if the code has not asked for what the journal says was asked for."""
        command = self.outstanding.pop(entry.key, None)
        self.new.pop(entry.key, None)
        if command is None:
            if entry.key in self.given_up:
                return
            raise ReplayMismatch(_mismatch(self, entry))
        if command.position != entry.position:
            raise ReplayMismatch(
                f"The workflow's code does not fit the history of this instance: {command} was number {entry.position} "
                f"in the order of calls when it was recorded, and now it is number {command.position}. {_REMEDY}"
            )
        if entry.ended_at > self._now_ms:
            self._now_ms = entry.ended_at
        self._answer(command, entry)
        self._run_ready()

    def replay(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.deliver(entry)

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Put the run away where it stands. Its `finally` blocks run now, and no step can be called from them."""
        if self._closed:
            return
        self._closed = True
        self.loop.close()

    # --- asked by the step object and the loop

    def now_ms(self) -> int:
        return self._now_ms

    @property
    def random(self) -> random.Random:
        _check_caller(self)
        return self._random

    def do(
        self,
        name: str,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        signature: Signature,
        config: StepConfig,
        rollback: Rollback | None,
    ) -> asyncio.Future[Any]:
        limit = self.step_limit
        if self._steps >= limit:
            raise StepLimitExceeded(
                f"The limit of {limit} steps has been reached. "
                "This limit can be changed with `limits` in the workflow's class, or `configure(limits=...)`."
            )
        self._steps += 1
        step = RunStep(*self._identify(StepKind.DO, name), fn, args, kwargs, signature, config, rollback)
        if rollback is not None:
            self.to_undo[step.key] = step
        return self._issue(step)

    def timer(self, name: str, *, duration_ms: int | None, until_ms: int | None) -> asyncio.Future[None]:
        return self._issue(StartTimer(*self._identify(StepKind.SLEEP, name), duration_ms, until_ms))

    def start_timer(self, duration_ms: int) -> asyncio.Future[None]:
        return self._issue(StartTimer(*self._identify(StepKind.TIMER, TIMER_NAME), duration_ms, None))

    def event(
        self, name: str, event_type: str, timeout_ms: int, adapter: TypeAdapter[Any] | None
    ) -> asyncio.Future[Any]:
        identity = self._identify(StepKind.WAIT_FOR_EVENT, name)
        return self._issue(AwaitEvent(*identity, event_type, timeout_ms, adapter))

    # --- within

    async def _main(self, event: WorkflowEvent[Any]) -> Any:
        workflow, step = self.definition.cls(), WorkflowStep(self)
        if self.definition.is_async:
            return await workflow.run(event, step)
        return await in_greenlet(workflow.run, event, BlockingWorkflowStep(step))

    def _identify(self, kind: StepKind, name: str) -> tuple[StepKind, str, str, int, int, asyncio.Future[Any]]:
        _check_caller(self)
        named = kind, name
        count = self._counts[named] = self._counts.get(named, 0) + 1
        self.asked += 1
        key = step_key(kind, name, count)
        return kind, key, name, count, self.asked, _Answer(self, key)

    def _issue(self, command: Command) -> asyncio.Future[Any]:
        self.outstanding[command.key] = self.new[command.key] = command
        return command.future

    def give_up(self, key: str) -> None:
        """Nobody waits for the answer to this command any more."""
        command = self.outstanding.pop(key, None)
        if command is not None:
            self.given_up[key] = command
            self.cancelled.append(command)

    def _answer(self, command: Command, entry: Entry) -> None:
        future = command.future
        if future.done():
            return
        if entry.error is not None:
            future.set_exception(decode_error(entry.error))
        elif entry.value is not UNREAD:
            future.set_result(entry.value)
        elif entry.result is None:
            future.set_result(None)
        elif isinstance(command, RunStep) and (stream := stream_info(entry.result)) is not None:
            future.set_result(ByteStream(stream, self.read_chunk))
        else:
            try:
                value = _value_of(command, entry.result)
            except InvalidEventPayload as error:
                future.set_exception(error)
            else:
                future.set_result(value)

    def read_chunk(self, stream: int, number: int) -> bytes:
        """For the streams that this run's steps have returned, wherever they are read."""
        try:
            return self._read_chunk(stream, number)
        except Exception as error:
            if events._get_running_loop() is not self.loop:
                raise  # in the body of a step, which is tried again
            self._unreadable = error
            raise WorkflowClosed from error

    def _run_ready(self) -> None:
        """Raises what a stream could not be read for; the run is then of no use any more."""
        self.loop.run_ready()
        if self._unreadable is not None:
            raise self._unreadable

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if self._closed:
            return
        if task.cancelled():
            self.outcome = Outcome(error=asyncio.CancelledError("the workflow's run was cancelled by its own code"))
        else:
            error = task.exception()
            self.outcome = Outcome(error=error) if error is not None else Outcome(value=task.result())


def deliver_loosely(run: WorkflowRun, command: Command, entry: Entry | None) -> None:
    """Answer a command while handlers are gathered for a rollback: with None where there is nothing to answer."""
    del run.outstanding[command.key]
    try:
        if entry is None:
            command.future.set_result(None)
        else:
            run._now_ms = max(run._now_ms, entry.ended_at)
            run._answer(command, entry)
    except ReplayMismatch:
        command.future.set_result(None)
    run._run_ready()


def _check_caller(run: WorkflowRun) -> None:
    if run._closed or events._get_running_loop() is not run.loop:
        refuse_in_rollback()
        if run.closed:
            raise WorkflowClosed
        raise NotAllowedInWorkflow(
            "`step` was used outside of the workflow's own code, in the body of a step or in a thread: that is not "
            "recorded. Call steps from `run`, and hand a body what it needs as arguments."
        )


def _mismatch(run: WorkflowRun, entry: Entry) -> str:
    asked = ", ".join(str(command) for command in list(run.outstanding.values())[:5])
    found = f"asks for {asked}" if asked else "has ended" if run.outcome else "asks for nothing"
    kind, _, rest = entry.key.partition(":")
    name, _, count = rest.rpartition(":")
    return (
        f"The workflow's code does not fit the history of this instance: expected {kind} '{name}-{count}' "
        f"(number {entry.position} in the order of calls), but the code {found}. {_REMEDY}"
    )


def _no_chunks(stream: int, number: int) -> bytes:
    raise NotAllowedInWorkflow("This run has no database at hand to read a stream from.")


_REMEDY = (
    "Either the code was changed in a way that running instances can't follow, or it does something that differs from "
    "run to run outside of steps. Finished steps are kept; put the old code back, or restart the instance."
)


def _value_of(command: Command, text: str) -> Any:
    """Raises InvalidEventPayload for what the author may catch, and ReplayMismatch."""
    try:
        return decode(text, _adapter(command))
    except ValidationError as error:
        problems = explain(error)
    if isinstance(command, AwaitEvent):
        raise InvalidEventPayload(f"The event that {command} received does not fit its payload_type: {problems}.")
    raise ReplayMismatch(
        f"The stored result of {command} does not fit the type that the workflow's code says now: {problems}. {_REMEDY}"
    )


def _adapter(command: Command) -> TypeAdapter[Any] | None:
    if isinstance(command, RunStep):
        return command.signature.adapter
    return command.adapter if isinstance(command, AwaitEvent) else None
