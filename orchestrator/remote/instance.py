"""A handle of one instance on a server: look at it, wait for it, act on it."""

from __future__ import annotations

import builtins
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar, overload

from orchestrator.client import InstanceState
from orchestrator.client.results import adapter_of, output_of, too_late
from orchestrator.client.step_keys import key_of, restart_point
from orchestrator.client.subscription import check_subscription
from orchestrator.client.within import created_at_of_caller
from orchestrator.clock import monotonic
from orchestrator.errors import InstanceNotFound, RunNotFound
from orchestrator.inspection import InstanceDetail, RunView
from orchestrator.interrupts import InstanceDeleted
from orchestrator.names import check_event_type, step_label
from orchestrator.numbers import integer, optional_whole, seconds
from orchestrator.remote.records import record
from orchestrator.remote.subscription import RemoteSubscription
from orchestrator.serialization import check_readable, encode
from orchestrator.statuses import FINITE, InstanceStatus

if TYPE_CHECKING:
    import httpx

    from orchestrator.authoring.workflow import Definition
    from orchestrator.remote.root import RemoteClient

R = TypeVar("R")
LONGEST_WAIT_S = 25.0
"""A server lets nobody wait much longer in one request."""
MAX_RUN = 2**31 - 1


class RemoteByteStream:
    """The bytes that a step has returned as a stream; they have been fetched."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content

    def read(self) -> bytes:
        return self._content

    async def aread(self) -> bytes:
        return self._content


@dataclass(frozen=True, slots=True)
class RemoteStepOutput:
    """As StepOutput."""

    status: str
    output: Any
    error: dict[str, Any] | None
    event_type: str | None
    stream: RemoteByteStream | None = None


class RemoteInstance:
    """A handle; it reads and writes through its client. `id` is unique within its workflow."""

    def __init__(self, client: RemoteClient, workflow: str, id: str, definition: Definition | None = None) -> None:
        self.id = id
        self.workflow = workflow
        self._transport = client.transport
        self._definition = definition

    def __repr__(self) -> str:
        return f"<RemoteInstance {self.workflow}/{self.id}>"

    def status(self) -> InstanceState:
        return _state(self._ask("GET"))

    def describe(self, run: int | None = None) -> InstanceDetail:
        """Everything about the current run, or another: its steps, attempts, and what it waits for.

        Raises RunNotFound.
        """
        if run is not None and not 0 < integer(run, "run") <= MAX_RUN:
            last = self.describe().run
            raise RunNotFound(
                f"Instance {self.id!r} of workflow {self.workflow!r} has no run {run!r}; its runs are 1 to {last}."
            )
        return record(InstanceDetail, self._ask("GET", query={"run": run}))

    def runs(self) -> list[RunView]:
        """Its runs, the first one first: a restart ends one and begins the next."""
        return [record(RunView, row) for row in self._ask("GET", "runs")["runs"]]

    def step(self, name: str, *, count: int = 1, type: str = "do", attempt: int | None = None) -> RemoteStepOutput:
        """The whole output of one step of the current run, or what one of its attempts failed with.

        `type` is do, sleep or waitForEvent. Raises StepNotFound, UsageError.
        """
        key_of(name, count, type, of="a step")
        optional_whole(attempt, "attempt", least=1)
        query = {"name": step_label(name, count), "type": type, "attempt": attempt}
        response = self._answer("GET", "step", query=query)
        if response.headers.get("content-type", "").startswith("application/octet-stream"):
            return RemoteStepOutput("complete", None, None, None, RemoteByteStream(response.content))
        return record(RemoteStepOutput, response.json())

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
        timeout = seconds(timeout)
        until = None if timeout is None else monotonic() + timeout
        while True:
            state = _state(self._ask("GET", "wait", **_patience(until)))
            if state.status in FINITE:
                return output_of(state, self.workflow, self.id, adapter)
            if until is not None and monotonic() >= until:
                raise too_late(self.workflow, self.id, timeout)

    def watch(self, timeout: float | None = None) -> Iterator[InstanceDetail]:
        """The instance's details, anew whenever they have changed, until it has ended. Raises ResultTimeout."""
        timeout = seconds(timeout)
        until = None if timeout is None else monotonic() + timeout
        response = self._answer("GET")
        seen: int | None = None
        while True:
            if response.status_code != HTTPStatus.NOT_MODIFIED:
                detail = record(InstanceDetail, response.json())
                if detail.version != seen:  # what the reader may do can change while the instance does not
                    seen = detail.version
                    yield detail
                if detail.status in FINITE:
                    return
            if until is not None and monotonic() >= until:
                raise too_late(self.workflow, self.id, timeout)
            known = response.headers.get("etag", "")
            response = self._answer("GET", "wait", **_patience(until), headers={"If-None-Match": known})

    def subscribe(
        self, *, cursor: int | None = None, filter: Sequence[str] | None = None, timeout: float | None = None
    ) -> RemoteSubscription:
        """What has happened to it, in order, then what happens, until its end; strictly after `cursor`, if given.

        Raises InvalidSubscription and InstanceNotFound here; ResultTimeout when iterated for longer than `timeout`
        seconds.
        """
        after, types = check_subscription(cursor, filter)
        timeout = seconds(timeout)
        self.status()
        return RemoteSubscription(self._transport, self._place, cursor=after, types=types, timeout=timeout)

    def pause(self) -> InstanceState:
        """Let running attempts finish and start nothing new. Raises ActionNotAllowed once it has ended."""
        return self._act("pause")

    def resume(self) -> InstanceState:
        """Go on after a pause; all deadlines are put off by its length. Raises ActionNotAllowed once it has ended."""
        return self._act("resume")

    def terminate(self, *, rollback: bool = False) -> InstanceState:
        """End it now; or, with `rollback`, when the rollback handlers of the steps that have begun have run.

        Without it a rollback under way is given up. Raises ActionNotAllowed if it has ended already.
        """
        return self._act("terminate", **({"rollback": True} if rollback else {}))

    def restart(self, *, from_: Mapping[str, Any] | None = None) -> InstanceState:
        """Run it again with the same id and params, from the start or `from_={"name": "charge", "count": 1,
        "type": "do"}`; earlier runs stay stored. Raises CannotRestart, UsageError for a `from_` that is none.
        """
        if from_ is None:
            return self._act("restart")
        restart_point(from_)
        return self._act("restart", **{"from": {name: value for name, value in from_.items() if value is not None}})

    def delete(self) -> None:
        """Remove it and everything it has stored; the id may be used again.

        Called in a step or in the `run` of this very instance, it does not return: nothing after it runs.
        """
        created_at = created_at_of_caller(self.workflow, self.id)
        own = created_at is not None and self.describe().created_at == created_at
        self._answer("DELETE")
        if own:
            raise InstanceDeleted

    def send_event(self, type: str, payload: Any = None) -> None:
        """Wake the oldest wait for this type, or keep the event until one comes.

        Raises InvalidEventType, PayloadTooLarge, NotSerializableError.
        """
        what = f"The payload of event {check_event_type(type)!r}"
        text = check_readable(encode(payload, what=what), what)
        self._answer("POST", "events", type, body=text)

    def _act(self, action: str, **more: Any) -> InstanceState:
        return _state(self._ask("PATCH", "status", body=json.dumps({"status": action, **more})))

    def _ask(self, method: str, *below: str, **how: Any) -> dict[str, Any]:
        with self._must_be_there():
            return self._transport.ask(method, *self._place, *below, **how)

    def _answer(self, method: str, *below: str, **how: Any) -> httpx.Response:
        with self._must_be_there():
            return self._transport.send(method, *self._place, *below, **how)

    @property
    def _place(self) -> tuple[str, ...]:
        return "workflows", self.workflow, "instances", self.id

    @contextmanager
    def _must_be_there(self) -> Iterator[None]:
        try:
            yield
        except InstanceNotFound:
            gone = f"Workflow {self.workflow!r} has no instance with id {self.id!r} any more."
            raise InstanceNotFound(gone) from None


def _state(answer: dict[str, Any]) -> InstanceState:
    return InstanceState(InstanceStatus(answer["status"]), answer["output"], answer["error"], answer.get("rollback"))


def _patience(until: float | None) -> dict[str, Any]:
    """For how long to let the server wait now."""
    wait_s = LONGEST_WAIT_S if until is None else max(0.0, min(LONGEST_WAIT_S, until - monotonic()))
    return {"query": {"timeout": round(wait_s, 3)}, "wait_s": wait_s}
