"""The way in from any process: start instances, look at them, act on them; it runs no workflow code and no steps."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, overload

from orchestrator import inspection
from orchestrator.authoring.registry import unknown_workflow
from orchestrator.authoring.views import P
from orchestrator.authoring.workflow import DEFAULT_QUEUE, Definition, WorkflowEntrypoint
from orchestrator.clock import monotonic
from orchestrator.doorbell import Doorbell, LocalNotifier, Notifier, SilentDoorbell
from orchestrator.engine import events, lifecycle
from orchestrator.engine.admission import Desk, create
from orchestrator.errors import (
    InstanceErrored,
    InstanceNotFound,
    InstanceTerminated,
    ResultTimeout,
    SettingsError,
    WorkflowNotFound,
)
from orchestrator.inspection import InstanceDetail, InstanceView, WorkflowView
from orchestrator.names import check_event_type, check_workflow_name, is_text
from orchestrator.serialization import check_size, decode, encode
from orchestrator.settings import Settings
from orchestrator.statuses import FINITE, InstanceStatus
from orchestrator.store import instances, migrate, reading
from orchestrator.store import workflows as workflow_store
from orchestrator.store.database import Database

FIRST_LOOK_S, LAST_LOOK_S = 0.002, 0.25


@dataclass(frozen=True, slots=True)
class InstanceState:
    status: InstanceStatus
    output: Any
    """The return value of `run`; None until the instance is complete."""
    error: dict[str, Any] | None
    """`{"name", "message"}` of what it failed with; None unless it has errored."""


class Client:
    """`Client()` reads the settings from the environment; it opens the database on first use and checks its schema."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        database: Database | None = None,
        doorbell: Doorbell | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._given = database is not None
        self._database = database
        self._doorbell = doorbell
        self._notifier = notifier
        self._desk: Desk | None = None
        self._queues: dict[str, str] = {}
        self._opening = threading.Lock()

    @property
    def desk(self) -> Desk:
        """Raises DatabaseUnavailable, SchemaBehind, SchemaAhead, SettingsError."""
        if self._desk is None:
            with self._opening:
                if self._desk is None:
                    self._desk = self._open()
        return self._desk

    def _open(self) -> Desk:
        database = self._database or Database(self.settings.database_url, synchronous=self.settings.sqlite_synchronous)
        try:
            if not self._given:
                migrate.check(database)
            doorbell = self._doorbell or load_doorbell(self.settings)
        except BaseException:
            if not self._given:
                database.close()
            raise
        notifier = self._notifier or getattr(doorbell, "notifier", None) or LocalNotifier()
        return Desk(database, self.settings, doorbell, notifier)

    @overload
    def workflow(self, workflow: type[WorkflowEntrypoint[P]]) -> WorkflowClient[P]: ...
    @overload
    def workflow(self, workflow: str) -> WorkflowClient[Any]: ...

    def workflow(self, workflow: type[WorkflowEntrypoint[Any]] | str) -> WorkflowClient[Any]:
        """A workflow by its class, whose params are then checked here, or by name.

        Raises WorkflowNotFound for a name that no worker has ever registered.
        """
        if isinstance(workflow, str):
            name = check_workflow_name(workflow)
            return WorkflowClient(self, name, self._queue_of(name), None)
        definition = Definition.of(workflow)
        return WorkflowClient(self, definition.name, definition.cls.queue, definition)

    def workflows(self) -> list[WorkflowView]:
        with self.reading() as connection:
            return inspection.list_workflows(connection)

    def instances(
        self, *, status: Sequence[str] | None = None, limit: int = 25, before: int | None = None
    ) -> list[InstanceView]:
        """Instances of all workflows, newest first."""
        with self.reading() as connection:
            return inspection.list_instances(connection, statuses=status, limit=limit, cursor=before)

    def reading(self) -> Any:
        return self.desk.database.read()

    def close(self) -> None:
        if self._desk is not None and not self._given:
            self._desk.database.close()
        self._desk = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _queue_of(self, name: str) -> str:
        if name not in self._queues:
            with self.reading() as connection:
                self._queues = workflow_store.queues(connection)
        if name not in self._queues:
            raise WorkflowNotFound(unknown_workflow(name, self._queues))
        return self._queues[name]


class WorkflowClient(Generic[P]):
    def __init__(self, client: Client, name: str, queue: str, definition: Definition | None) -> None:
        self.client = client
        self.name = name
        self._queue = queue or DEFAULT_QUEUE
        self._definition = definition

    def create(
        self, params: P | Mapping[str, Any] | None = None, *, id: str | None = None, trigger: str = "api"
    ) -> Instance:
        """Start an instance; it is durable when this returns.

        Raises InvalidParams, InvalidInstanceId, InstanceAlreadyExists, PayloadTooLarge, NotSerializableError.
        """
        desk = self.client.desk
        what = f"The params of workflow {self.name!r}"
        if self._definition is not None:
            text = self._definition.encode_params(params)
        else:
            text = encode({} if params is None else params, what=what)
        check_size(text, what, desk.settings.max_payload_bytes)
        pk, chosen = create(desk, self.name, self._queue, text, instance_id=id, trigger=trigger)
        return Instance(self.client, self.name, chosen, pk)

    def get(self, id: str) -> Instance:
        """Raises InstanceNotFound."""
        with self.client.reading() as connection:
            row = instances.find(connection, self.name, id) if is_text(id) else None
        if row is None:
            raise InstanceNotFound(f"Workflow {self.name!r} has no instance with id {id!r}.")
        return Instance(self.client, self.name, id, row.id)

    def latest(self) -> Instance:
        """The newest instance. Raises InstanceNotFound if there is none."""
        with self.client.reading() as connection:
            row = reading.latest(connection, self.name)
        if row is None:
            raise InstanceNotFound(f"Workflow {self.name!r} has no instances yet.")
        return Instance(self.client, self.name, row.instance_id, row.id)

    def list(
        self,
        status: Sequence[str] | None = None,
        limit: int = 25,
        before: int | None = None,
        oldest_first: bool = False,
    ) -> list[InstanceView]:
        """One page; `before` is the `cursor` of the last instance of the page before (with `oldest_first` too)."""
        with self.client.reading() as connection:
            return inspection.list_instances(
                connection, workflow=self.name, statuses=status, limit=limit, cursor=before, oldest_first=oldest_first
            )

    def describe(self) -> WorkflowView:
        for view in self.client.workflows():
            if view.name == self.name:
                return view
        raise WorkflowNotFound(f"No worker has registered workflow {self.name!r} yet.")


class Instance:
    """A handle; it reads and writes through its client. `id` is unique within its workflow."""

    def __init__(self, client: Client, workflow: str, id: str, pk: int) -> None:
        self.id = id
        self.workflow = workflow
        self._client = client
        self._pk = pk

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
            None if row.error is None else inspection.public_error(row.error),
        )

    def describe(self) -> InstanceDetail:
        """Everything about the current run: its steps, attempts, and what it waits for."""
        with self._client.reading() as connection:
            detail = inspection.describe(connection, self._pk)
        if detail is None:
            raise self._gone()
        return detail

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end, at most `timeout` seconds, and return the output.

        Raises InstanceErrored, InstanceTerminated, ResultTimeout.
        """
        for _ in self._looks(timeout):
            state = self.status()
            if state.status == InstanceStatus.COMPLETE:
                return state.output
            if state.status == InstanceStatus.ERRORED:
                error = state.error or {}
                raise InstanceErrored(
                    f"Instance {self.id!r} of workflow {self.workflow!r} ended with {error.get('name')}: "
                    f"{error.get('message')}",
                    error=error,
                )
            if state.status == InstanceStatus.TERMINATED:
                raise InstanceTerminated(f"Instance {self.id!r} of workflow {self.workflow!r} was terminated.")
        raise ResultTimeout(f"Instance {self.id!r} of workflow {self.workflow!r} did not end within {timeout} seconds.")

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
        raise ResultTimeout(f"Instance {self.id!r} of workflow {self.workflow!r} did not end within {timeout} seconds.")

    def pause(self) -> InstanceState:
        """Let running attempts finish and start nothing new. Raises ActionNotAllowed once it has ended."""
        return self._act(lifecycle.pause)

    def resume(self) -> InstanceState:
        """Go on after a pause; all deadlines are put off by its length. Raises ActionNotAllowed once it has ended."""
        return self._act(lifecycle.resume)

    def terminate(self) -> InstanceState:
        """End it now. Raises ActionNotAllowed if it has ended already."""
        return self._act(lifecycle.terminate)

    def restart(self) -> InstanceState:
        """Run it again from the start with the same id and params; earlier runs stay stored."""
        return self._act(lifecycle.restart)

    def delete(self) -> None:
        """Remove it and everything it has stored; the id may be used again."""
        if not lifecycle.delete(self._client.desk, self._pk):
            raise self._gone()

    def send_event(self, type: str, payload: Any = None) -> None:
        """Wake the oldest wait for this type, or keep the event until one comes.

        Raises InvalidEventType, PayloadTooLarge, NotSerializableError.
        """
        desk = self._client.desk
        what = f"The payload of event {check_event_type(type)!r}"
        text = check_size(encode(payload, what=what), what, desk.settings.max_payload_bytes)
        if not events.send(desk, self._pk, type, text):
            raise self._gone()

    def _act(self, action: Callable[[Desk, int], bool]) -> InstanceState:
        if not action(self._client.desk, self._pk):
            raise self._gone()
        return self.status()

    def _looks(self, timeout: float | None) -> Iterator[None]:
        """Time to look: at once, whenever the notifier says so, and at growing intervals in case it says nothing."""
        notifier = self._client.desk.notifier
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


def load_doorbell(settings: Settings) -> Doorbell:
    """The doorbell of the settings; without a broker, one that leaves it to the pump to notice. Raises SettingsError."""
    if settings.celery_broker_url is None:
        return SilentDoorbell()
    module, _, name = settings.doorbell.partition(":")
    try:
        made: Doorbell = getattr(importlib.import_module(module), name)(settings)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"The doorbell {settings.doorbell!r} can't be loaded ({error}); it must be module:class."
        ) from error
    return made
