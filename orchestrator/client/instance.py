"""A handle of one instance: look at it, wait for it, act on it; it runs none of its code."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

from orchestrator import inspection
from orchestrator.authoring.streams import ByteStream
from orchestrator.client.outputs import StepOutput
from orchestrator.client.results import adapter_of, output_of, too_late
from orchestrator.client.step_keys import key_of, restart_point
from orchestrator.client.subscription import Subscription, check_subscription
from orchestrator.clock import monotonic
from orchestrator.engine import events, inside, lifecycle
from orchestrator.engine.admission import Desk
from orchestrator.engine.streams import reader
from orchestrator.errors import InstanceNotFound, RunNotFound, StepNotFound
from orchestrator.inspection import InstanceDetail, RunView
from orchestrator.interrupts import InstanceDeleted
from orchestrator.names import check_event_type
from orchestrator.numbers import integer, optional_whole, seconds
from orchestrator.serialization import check_readable, check_size, decode, encode, public_error
from orchestrator.statuses import FINITE, InstanceStatus
from orchestrator.store import instances

if TYPE_CHECKING:
    from orchestrator.authoring.workflow import Definition
    from orchestrator.client.root import Client

R = TypeVar("R")
FIRST_LOOK_S, LAST_LOOK_S = 0.002, 0.25


@dataclass(frozen=True, slots=True)
class InstanceState:
    status: InstanceStatus
    output: Any
    """The return value of `run`; None until the instance is complete."""
    error: dict[str, Any] | None
    """`{"name", "message"}` of what it failed with; None unless it has errored."""
    rollback: dict[str, Any] | None = None
    """`{"outcome": "complete" or "failed", "error": …}` of its rollback; None if nothing was undone, or not yet."""


class Instance:
    """A handle; it reads and writes through its client. `id` is unique within its workflow."""

    def __init__(self, client: Client, workflow: str, id: str, pk: int, definition: Definition | None = None) -> None:
        self.id = id
        self.workflow = workflow
        self._client = client
        self._pk = pk
        self._definition = definition

    def __repr__(self) -> str:
        return f"<Instance {self.workflow}/{self.id}>"

    def status(self) -> InstanceState:
        with self._client.reading() as connection:
            row = instances.state(connection, self._pk)
        if row is None:
            raise self._gone()
        return InstanceState(
            InstanceStatus(row.status),
            None if row.output is None else decode(row.output),
            None if row.error is None else public_error(row.error),
            inspection.public_rollback(row.rollback),
        )

    def describe(self, run: int | None = None) -> InstanceDetail:
        """Everything about the current run, or another: its steps, attempts, and what it waits for.

        Raises RunNotFound.
        """
        if run is not None:
            integer(run, "run")
        with self._client.snapshot() as connection:
            detail = inspection.describe(connection, self._pk)
            if detail is not None and run is not None and run != detail.run:
                found = inspection.describe_run(connection, self._pk, run)
                if found is None:
                    raise RunNotFound(
                        f"Instance {self.id!r} of workflow {self.workflow!r} has no run {run!r}; "
                        f"its runs are 1 to {detail.run}."
                    )
                return found
        if detail is None:
            raise self._gone()
        return detail

    def step(self, name: str, *, count: int = 1, type: str = "do", attempt: int | None = None) -> StepOutput:
        """The whole output of one step of the current run, or what one of its attempts failed with.

        `type` is do, sleep or waitForEvent. Raises StepNotFound, UsageError.
        """
        key = key_of(name, count, type, of="a step")
        optional_whole(attempt, "attempt", least=1)
        desk = self._client.desk
        with self._client.reading() as connection:
            found = inspection.stored_output(connection, self._pk, key, attempt)
        if found is None:
            self.status()  # raises if the instance is gone
            which = "" if attempt is None else f"an attempt {attempt!r} of "
            raise StepNotFound(
                f"Instance {self.id!r} of workflow {self.workflow!r} has not come to {which}step {name}-{count} ({type})."
            )
        stream = None if found.stream is None else ByteStream(found.stream, reader(desk.database))
        return StepOutput(found.status, found.output, found.error, found.event_type, stream)

    def runs(self) -> list[RunView]:
        """Its runs, the first one first: a restart ends one and begins the next."""
        with self._client.snapshot() as connection:
            found = inspection.runs_of(connection, self._pk)
        if found is None:
            raise self._gone()
        return found

    @overload
    def result(self, timeout: float | None = None, *, type: builtins.type[R]) -> R: ...
    @overload
    def result(self, timeout: float | None = None, *, type: Any = None) -> Any: ...

    def result(self, timeout: float | None = None, *, type: Any = None) -> Any:
        """Wait for the end, at most `timeout` seconds, and return the output.

        As `type`, which may be whatever pydantic reads: a model, a dataclass, `list[int]`; without it as the return
        annotation of `run` says, where the handle was made from the workflow's class, else as plain JSON (`type=Any`).
        Raises InstanceErrored, InstanceTerminated, ResultTimeout, and InvalidOutput for an output of another type.
        """
        adapter = adapter_of(type, self._definition)
        for _ in self._looks(timeout):
            state = self.status()
            if state.status in FINITE:
                return output_of(state, self.workflow, self.id, adapter)
        raise too_late(self.workflow, self.id, timeout)

    def watch(self, timeout: float | None = None) -> Iterator[InstanceDetail]:
        """The instance's details, anew whenever they have changed, until it has ended. Raises ResultTimeout."""
        seen: int | None = None
        for _ in self._looks(timeout):
            detail = self.describe()
            if detail.version != seen:
                seen = detail.version
                yield detail
            if detail.status in FINITE:
                return
        raise too_late(self.workflow, self.id, timeout)

    def subscribe(
        self, *, cursor: int | None = None, filter: Sequence[str] | None = None, timeout: float | None = None
    ) -> Subscription:
        """What has happened to it, in order, then what happens, until its end; strictly after `cursor`, if given.

        Raises InvalidSubscription and InstanceNotFound here; ResultTimeout when iterated for longer than `timeout`
        seconds.
        """
        after, types = check_subscription(cursor, filter)
        timeout = seconds(timeout)
        self.status()
        return Subscription(
            self._client.desk, self.id, self._pk, cursor=after, types=types, timeout=timeout
        )  # fmt: skip

    def pause(self) -> InstanceState:
        """Let running attempts finish and start nothing new. Raises ActionNotAllowed once it has ended."""
        return self._act(lifecycle.pause)

    def resume(self) -> InstanceState:
        """Go on after a pause; all deadlines are put off by its length. Raises ActionNotAllowed once it has ended."""
        return self._act(lifecycle.resume)

    def terminate(self, *, rollback: bool = False) -> InstanceState:
        """End it now; or, with `rollback`, when the rollback handlers of the steps that have begun have run.

        Without it a rollback under way is given up. Raises ActionNotAllowed if it has ended already.
        """
        return self._act(lambda desk, pk: lifecycle.terminate(desk, pk, undo=rollback))

    def restart(self, *, from_: Mapping[str, Any] | None = None) -> InstanceState:
        """Run it again with the same id and params; earlier runs stay stored.

        From the start, or `from_={"name": "charge", "count": 1, "type": "do"}`: what was asked for before that step is
        kept; that step and all after it run again, under new idempotency keys. Timers and events that nobody has taken
        are forgotten. `count` (1) tells steps of one name apart; `type` is do (if not given), sleep or waitForEvent.
        Raises CannotRestart for a step that the current run has not come to, UsageError for a `from_` that is none.
        """
        key = None if from_ is None else restart_point(from_)
        return self._act(lambda desk, pk: lifecycle.restart(desk, pk, key))

    def delete(self) -> None:
        """Remove it and everything it has stored; the id may be used again.

        Called in a step or in the `run` of this very instance, it does not return: nothing after it runs.
        """
        desk = self._client.desk
        if not lifecycle.delete(desk, self._pk):
            raise self._gone()
        if inside.is_inside(desk.database.url, self._pk):
            raise InstanceDeleted

    def send_event(self, type: str, payload: Any = None) -> None:
        """Wake the oldest wait for this type, or keep the event until one comes.

        Raises InvalidEventType, PayloadTooLarge, NotSerializableError.
        """
        desk = self._client.desk
        what = f"The payload of event {check_event_type(type)!r}"
        text = check_readable(check_size(encode(payload, what=what), what, desk.settings.max_payload_bytes), what)
        if not events.send(desk, self._pk, type, text):
            raise self._gone()

    def _act(self, action: Callable[[Desk, int], bool]) -> InstanceState:
        if not action(self._client.desk, self._pk):
            raise self._gone()
        return self.status()

    def _looks(self, timeout: float | None) -> Iterator[None]:
        """Time to look: at once, whenever the notifier says so, and at growing intervals in case it says nothing."""
        notifier = self._client.desk.notifier
        timeout = seconds(timeout)
        until = None if timeout is None else monotonic() + timeout
        pause_s = FIRST_LOOK_S
        while True:
            yield
            left = LAST_LOOK_S if until is None else until - monotonic()
            if left <= 0:
                return
            notifier.wait(self._pk, min(pause_s, left))
            pause_s = min(pause_s * 1.3, LAST_LOOK_S)

    def _gone(self) -> InstanceNotFound:
        return InstanceNotFound(f"Workflow {self.workflow!r} has no instance with id {self.id!r} any more.")
