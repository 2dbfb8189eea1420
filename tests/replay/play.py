"""Drives a workflow function by hand, as an engine would: answers go into a journal, and no body runs unless asked to."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator.authoring.commands import AwaitEvent, Command, RunStep, StartTimer
from orchestrator.authoring.views import StepContext, StepInfo, WorkflowEvent
from orchestrator.authoring.workflow import Definition, WorkflowEntrypoint
from orchestrator.replay.journal import Entry
from orchestrator.replay.run import WorkflowRun
from orchestrator.serialization import encode, encode_error

START_MS = 1_700_000_000_000

Program = Callable[..., Any] | type[WorkflowEntrypoint[Any]]


def workflow(program: Program, *, limits: Mapping[str, int] | None = None) -> Definition:
    """A workflow whose `run` is the given function of `step`, or of `event` and `step`."""
    if isinstance(program, type):
        return Definition.of(program)
    wants_event = len(inspect.signature(program).parameters) == 2

    if inspect.iscoroutinefunction(program):

        async def run(self: Any, event: Any, step: Any) -> Any:
            return await (program(event, step) if wants_event else program(step))
    else:

        def run(self: Any, event: Any, step: Any) -> Any:  # type: ignore[misc]
            return program(event, step) if wants_event else program(step)

    return Definition.of(type("Program", (WorkflowEntrypoint,), {"run": run, "limits": limits or {}}))


class Play:
    """One life of an instance. `asked` is everything it has ever asked for, in order; `journal` what was answered."""

    def __init__(
        self,
        program: Program | Definition,
        journal: Iterable[Entry] = (),
        *,
        payload: Any = None,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        definition = program if isinstance(program, Definition) else workflow(program, limits=limits)
        moment = datetime.fromtimestamp(START_MS / 1000, UTC)
        event = WorkflowEvent(payload if payload is not None else {}, moment, "instance-1", definition.name)
        self.run = WorkflowRun(definition, event, seed=7, now_ms=START_MS)
        self.asked: list[str] = []
        self.given_up: list[str] = []
        self.journal: list[Entry] = []
        self._by_key: dict[str, Command] = {}
        self.run.start()
        self._note()
        for entry in journal:
            self.deliver(entry)

    # --- what it waits for

    @property
    def waits_for(self) -> list[str]:
        return [str(command) for command in self.run.outstanding.values()]

    def command(self, label: str) -> Command:
        """The open command of a label, such as `charge-1`, or of kind and label where kinds share one."""
        found = [c for c in self.run.outstanding.values() if label in (c.label, f"{c.kind} {c.label}")]
        assert len(found) == 1, f"{label!r} names {len(found)} of {self.waits_for}"
        return found[0]

    def step(self, label: str) -> RunStep:
        command = self.command(label)
        assert isinstance(command, RunStep)
        return command

    def timer(self, label: str) -> StartTimer:
        command = self.command(label)
        assert isinstance(command, StartTimer)
        return command

    def wait(self, label: str) -> AwaitEvent:
        command = self.command(label)
        assert isinstance(command, AwaitEvent)
        return command

    # --- answering

    def answer(self, label: str, value: Any = None, *, after_ms: int = 10) -> None:
        command = self.command(label)
        adapter = command.signature.adapter if isinstance(command, RunStep) else None
        self.deliver(Entry(command.key, command.position, self._next_moment(after_ms), encode(value, adapter)))

    def fail(self, label: str, error: Exception) -> None:
        command = self.command(label)
        self.deliver(Entry(command.key, command.position, self._next_moment(10), None, encode_error(error)))

    def fire(self, label: str) -> None:
        """A timer's moment has come."""
        command = self.command(label)
        self.deliver(Entry(command.key, command.position, self._next_moment(10)))

    def send(self, label: str, payload: Any) -> None:
        command = self.wait(label)
        event = {"payload": payload, "timestamp": self._next_moment(10), "type": command.event_type}
        self.deliver(Entry(command.key, command.position, event["timestamp"], encode(event)))

    def execute(self, label: str, *, attempt: int = 1) -> Any:
        """Run the body as a worker would and answer with its result; a `def` body only."""
        command = self.step(label)
        context = StepContext(
            StepInfo(command.name, command.count), attempt, command.config.to_dict(), label, "instance-1", "program"
        )
        extra = {"ctx": context} if command.signature.wants_ctx else {}
        value = command.fn(*command.args, **command.kwargs, **extra)
        self.answer(label, value)
        return value

    def execute_all(self, limit: int = 100) -> None:
        """Run every body, the oldest first, until there is none left."""
        while steps := [c for c in self.run.outstanding.values() if isinstance(c, RunStep)]:
            self.execute(f"do {steps[0].label}")
            limit -= 1
            assert limit, "it goes on for ever"

    def deliver(self, entry: Entry) -> None:
        self.journal.append(Entry(entry.key, entry.position, entry.ended_at, entry.result, entry.error))
        self.run.deliver(entry)
        self._note()

    def late(self, key: str, value: Any = None) -> None:
        """An answer to something the function has given up, such as the loser of a race."""
        command = self._by_key[key]
        self.deliver(Entry(key, command.position, self._next_moment(10), encode(value)))

    # --- how it ended

    @property
    def value(self) -> Any:
        assert self.run.outcome is not None, f"it still waits for {self.waits_for}"
        if self.run.outcome.error is not None:
            raise self.run.outcome.error
        return self.run.outcome.value

    @property
    def error(self) -> BaseException:
        assert self.run.outcome is not None, f"it still waits for {self.waits_for}"
        assert self.run.outcome.error is not None, f"it returned {self.run.outcome.value!r}"
        return self.run.outcome.error

    @property
    def ended(self) -> bool:
        return self.run.outcome is not None

    def history(self) -> dict[str, Any]:
        """Everything that must be the same on every replay."""
        outcome: Any = None
        if self.run.outcome is not None:
            error = self.run.outcome.error
            outcome = json.loads(encode(self.run.outcome.value)) if error is None else encode_error(error)
        return {"asked": self.asked, "given_up": self.given_up, "waits_for": self.waits_for, "outcome": outcome}

    def _next_moment(self, after_ms: int) -> int:
        return self.run.now_ms() + after_ms

    def _note(self) -> None:
        for command in self.run.new.values():
            self._by_key[command.key] = command
            self.asked.append(_described(command))
        self.given_up += [str(command) for command in self.run.cancelled]
        self.run.new.clear()
        self.run.cancelled.clear()


def _described(command: Command) -> str:
    if isinstance(command, StartTimer):
        moment = f"{command.duration_ms} ms" if command.until_ms is None else f"until {command.until_ms}"
        return f"{command.position}: {command} {moment}"
    return f"{command.position}: {command}"
